"""`top`: one frame or one document where there is no terminal; live in one, which it gives back on every way out."""

import itertools
import os
import select
import signal
import sys

import pytest
from test_frame import FULL, NOW

from mainspring import Daemon
from mainspring.cli import top
from mainspring.cli.overview import read_overview
from mainspring.testing import VirtualClock

pty = pytest.importorskip("pty")
LONG_S = 60


def test_the_overview_of_a_daemon(url):
    clock = VirtualClock("2030-01-01T00:00:00+00:00")
    with Daemon(url, clock=clock, name="tests") as daemon:

        @daemon.task(name="t:f")
        def f(fail=False):
            if fail:
                raise OSError("gone")

        f.enqueue()
        f.enqueue(True)
        f.after("30s").enqueue()
        daemon.add_schedule(f, "1h", name="hourly")
        daemon.add_listener(f, name="watch")
        clock.advance("5s")
        found = read_overview(daemon, clock.now(), 10)
        assert [(one.name, one.error.message) for one in found.failed] == [("f", "gone")]
        assert [(one.id is None, one.name) for one in found.due] == [(False, "f"), (True, "hourly")]
        assert (found.late.count, found.late.max) == (2, 0)
        assert found.starts_per_second == pytest.approx(2 / 65, abs=0.001)
        assert [moment.count for moment in found.recent] == [0] * 59 + [2]
        assert [one.name for one in found.listeners] == ["watch"]
        clock.advance("2m")
        found = read_overview(daemon, clock.now(), 10)
        assert (found.late.count, sum(moment.count for moment in found.recent)) == (0, 3)
        assert read_overview(daemon, clock.now(), 1).due == found.due[:1]
    daemon.close()


def test_what_runs_has_its_daemon(threaded, gate):
    daemon, client = threaded(workers=2), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    hold.options(delivery="at-most-once").enqueue()
    gate.await_arrivals(1)
    found = read_overview(client, client.clock.now(), 10)
    assert [(one.name, one.attempt, one.node) for one in found.running] == [("hold", 1, found.nodes[0].id)]
    gate.open()


def test_elsewhere_it_is_one_frame(cli):
    cli("top", code=3)
    cli("after", "1h", "--", "true")
    for words in (("top",), ("top", "--once")):
        told = cli(*words).stdout
        assert "\x1b" not in told
        assert "no daemon runs this store" in told
        assert "in 59m" in told
    document = cli.json("top")
    assert [one["name"] for one in document["due"]] == ["true"]
    assert (document["late"]["count"], len(document["recent"])) == (0, 60)


class Slow:
    """A clock, a screen and a watch in one: a look takes `took`, waits take as long as they may, `q` after some."""

    def __init__(self, took, news=False, waits=12):
        self.took, self.news, self.waits = took, news, waits
        self.at, self.looks, self.keys, self.clock, self.store = 0, [], True, self, self

    def monotonic(self):
        return self.at

    def now(self):
        return NOW + self.at

    def look(self, _client, _now, _limit):
        self.looks.append(self.at)
        self.at += self.took
        return FULL

    def watch(self):
        return self

    def fileno(self):
        return 3

    def drain(self):
        return ["done"] * self.news

    def close(self): ...

    def size(self):
        return 80, 24

    def show(self, lines):
        assert len(lines) == 24

    def wait(self, fd, timeout):
        self.waits -= 1
        self.at += 1_000 if self.news and fd >= 0 else timeout
        return "" if self.waits else "q"


@pytest.mark.parametrize(
    ("took", "news", "every"),
    [(1_000, False, 1_000_000), (1_000, True, 200_000), (30_000, True, 600_000), (100_000, False, 2_000_000)],
)
def test_a_look_takes_a_twentieth_of_the_time_at_most(monkeypatch, took, news, every):
    slow = Slow(took, news)
    monkeypatch.setattr(top, "read_overview", slow.look)
    top.Live(slow, slow).run()
    apart = {later - earlier for earlier, later in itertools.pairwise(slow.looks)}
    assert apart == {every}


class Terminal:
    """A program in a terminal of its own: what it writes is read as it comes."""

    def __init__(self, directory, *words):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            try:
                os.chdir(directory)
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell without job control ignores it in its background
                environment = {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"}
                os.execve(sys.executable, [sys.executable, "-m", "mainspring", *words], environment)
            finally:
                os._exit(99)

    def until(self, text):
        """Read on until `text` has come."""
        while text not in self.seen:
            assert self._read(), f"{text!r} never came: {self.seen!r}"
            assert len(self.seen) < 10_000_000

    def until_frame(self, good):
        """Read on until a whole frame is `good`."""
        while not any(good(frame) for frame in self.seen.split("\x1b[?2026h")[1:] if "\x1b[?2026l" in frame):
            assert self._read(), f"no such frame came: {self.seen!r}"

    def forget(self):
        self.seen = ""

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        """Its exit code, once it has ended."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self):
        assert select.select([self.fd], [], [], LONG_S)[0], f"nothing came any more: {self.seen!r}"
        try:
            data = os.read(self.fd, 65_536)
        except OSError:  # the other end is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal(cli):
    made = []

    def make(*words):
        made.append(Terminal(cli.directory, *words))
        return made[-1]

    yield make
    for one in made:
        os.close(one.fd)


GIVEN_BACK = "\x1b[?25h\x1b[?1049l"


@pytest.mark.process
def test_live_it_shows_what_is_added_and_pauses(cli, terminal):
    cli("after", "1h", "--name", "first", "--", "true")
    live = terminal("top")
    live.until("first")
    assert "\x1b[?1049h" in live.seen
    cli("after", "2h", "--name", "second", "--", "true")
    live.until("second")
    live.press("p")
    live.until("pause everything? y/n")
    live.press("n")
    live.press("py")
    live.until("paused")
    assert cli.json("status")["paused"] == ["*"]
    live.press("p")
    live.until("go on with everything? y/n")
    live.press("y")
    live.forget()
    live.until("pause everything, or go on")
    assert cli.json("status")["paused"] == []
    assert GIVEN_BACK not in live.seen
    live.press("q")
    assert live.end() == 0
    assert live.seen.endswith(GIVEN_BACK)


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_the_terminal_is_given_back_when_it_is_ended(cli, terminal, number, code):
    cli("after", "1h", "--", "true")
    live = terminal("top")
    live.until("RUNNING")
    os.kill(live.pid, number)
    assert live.end() == code
    assert GIVEN_BACK in live.seen


@pytest.mark.process
def test_the_terminal_is_given_back_when_it_fails(cli, terminal, write):
    write(
        "breaks.py",
        """
        from mainspring import Daemon
        from mainspring.cli import frame, top

        daemon = Daemon("mainspring.db")
        frames = iter([top.frame.draw])
        top.frame.draw = lambda *args: next(frames)(*args)
        """,
    )
    cli("after", "1m", "--", "true")
    live = terminal("top", "--app", "breaks:daemon")
    live.until("RUNNING")
    assert live.end() == 1
    assert "error" in live.seen[live.seen.index(GIVEN_BACK) :]


@pytest.mark.process
def test_it_follows_the_size_of_the_terminal(cli, terminal):
    termios, fcntl = pytest.importorskip("termios"), pytest.importorskip("fcntl")
    cli("after", "3h", "--", "true")
    live = terminal("top")
    live.until("\x1b[?2026l")
    fcntl.ioctl(live.fd, termios.TIOCSWINSZ, b"\x0c\x00\x28\x00\x00\x00\x00\x00")  # 12 lines of 40
    live.until_frame(lambda frame: frame.count("\n") == 11)
    live.press("q")
    assert live.end() == 0


@pytest.mark.process
def test_no_colour_when_it_is_not_wanted(cli, terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    cli("after", "1h", "--", "true")
    live = terminal("top")
    live.until("RUNNING")
    live.press("q")
    assert live.end() == 0
    assert "\x1b[3" not in live.seen
    assert "\x1b[1m" not in live.seen
