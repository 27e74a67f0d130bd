"""Processes for tests: started, listened to, killed; and the comparison of what bodies wrote with the store."""

import os
import select
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from mainspring.tasks.state import FINISHED, State

HERE = Path(__file__).parent
PATIENCE = 60.0  # seconds after which something that should happen at once is given up


def say(*words):
    """A line to whoever reads this process, in one piece."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Script:
    """A Python process whose output is read line by line."""

    def __init__(self, argv, environment, errors):
        self._buffer = b""
        self._errors = Path(errors)
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        with open(errors, "ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **environment},
                cwd=HERE,
            )
        self.pid = self.process.pid

    def line(self, timeout=PATIENCE):
        """The next line, None when there was none in time or there will be none."""
        end = monotonic() + timeout
        while b"\n" not in self._buffer:
            if not select.select([self.process.stdout], (), (), max(0, end - monotonic()))[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def until(self, *beginnings):
        """Read on to the first line that begins with one of these."""
        end = monotonic() + PATIENCE
        seen = []
        while (line := self.line(end - monotonic())) is not None:
            if line.startswith(beginnings):
                return line
            seen.append(line)
        raise AssertionError(f"{beginnings} never came; it said {seen[-20:]} and {self.errors()[-3000:]}")

    def lines_for(self, seconds):
        """The lines of the next `seconds`: for a process that is to be killed at that moment."""
        end = monotonic() + seconds
        found = []
        while (line := self.line(max(0, end - monotonic()))) is not None:
            found.append(line)
        return found

    def say(self, text):
        """A line to its standard input."""
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def send(self, number):
        """A signal."""
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and wait until it is gone; the lines it had still written."""
        self.process.kill()
        self.process.wait()
        return self.rest()

    def rest(self):
        """What it had written before its end (programs that it left may still have its output open)."""
        found = []
        while (line := self.line(0)) is not None:
            found.append(line)
        return found

    def end(self):
        """Wait for its end; the exit code."""
        code = self.process.wait(PATIENCE)
        self.rest()
        return code

    def terminate(self):
        """SIGTERM, and wait for the end; the exit code."""
        self.send(signal.SIGTERM)
        return self.end()

    def errors(self):
        """What it wrote to standard error."""
        return self._errors.read_text(errors="replace")

    def close(self):
        """Whatever state it is in, it is gone afterwards."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def programs_running(store):
    """The process groups of programs that have `STORE=<store>` in their environment, of any daemon."""
    wanted, groups = f"STORE={store}".encode(), set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
                if wanted in found and any(one.startswith(b"MAINSPRING_TASK_ID=") for one in found):
                    groups.add(os.getpgid(int(entry)))
            except OSError:
                pass  # gone meanwhile, or not ours
    return groups


class Begun(NamedTuple):
    """What a body noted at its begin."""

    attempt: int
    at: int
    run_at: int


class Ledger:
    """What the bodies wrote, by task."""

    def __init__(self, path):
        self.begun = defaultdict(list)
        self.ended = defaultdict(list)
        self.finals = Counter()
        for line in Path(path).read_text().splitlines():
            what, task, *rest = line.split()
            if what == "F":
                self.finals[int(task)] += 1
                continue
            attempt, _, at, run_at, *_ = rest
            run_at = int(run_at) if run_at.isdigit() else None
            (self.begun if what == "B" else self.ended)[int(task)].append(Begun(int(attempt), int(at), run_at))


def compare(store, ledger, tasks):
    """What is wrong with these tasks of a store (that has come to rest), by what their bodies wrote themselves."""
    wrong = []
    for number in tasks:
        row = store.get(number)
        if row is None:
            wrong.append(f"{number}: accepted, but not there")
            continue
        attempts = store.attempts(number)
        wrong += [f"{number}: {what}; {row} {attempts}" for what in _against(row, attempts, ledger)]
    return wrong


def _against(row, attempts, ledger):
    begun, ended, finals = ledger.begun[row.id], ledger.ended[row.id], ledger.finals[row.id]
    reasons = {one.attempt: one.reason for one in attempts}
    lost = sum(reason == "worker lost" for reason in reasons.values())
    last = row.attempt not in reasons and row.attempt > 0
    # a daemon that outlives its worker tells the loss that ends a task with the task itself
    ended_so = last and row.state is State.FAILED and row.reason in ("poison", "lost")
    lost += ended_so and '"DaemonStopped"' not in row.error  # what an orderly stop cut off is no lost worker
    if row.state not in FINISHED:
        yield "is in no final state"
    if row.holder is not None:
        yield "is held although it is over"
    if finals > 1:
        yield f"came to a final state {finals} times"
    if len(reasons) != len(attempts) or sorted(reasons) != list(range(1, row.attempt + (not last))):
        yield "its attempts are not one each"
    if len({one.attempt for one in begun}) != len(begun):
        yield f"an attempt ran twice: {begun}"
    if any(not 1 <= one.attempt <= row.attempt for one in begun):
        yield f"ran in an attempt that is not in the books: {begun}"
    if any(one.run_at is not None and one.at < one.run_at for one in begun):
        yield f"began early: {begun}"
    if row.started_at is not None and not attempts and row.started_at < row.run_at:
        yield "started early by the books"
    if row.losses != lost:
        yield f"{lost} attempts were lost"
    if row.reason == "poison" and lost != 3:
        yield "poison without three losses"
    silent = set(reasons) | ({row.attempt} if last else set())
    silent -= {one.attempt for one in begun}
    # cancelled between the start and the first step of a coroutine, or the program's first line
    if row.state is State.CANCELLED or ended_so:
        silent.discard(row.attempt)
    if any(reasons.get(attempt) != "worker lost" for attempt in silent):
        yield f"attempts {silent} never began: {begun}"
    if row.state is State.SUCCEEDED and row.attempt not in {one.attempt for one in ended}:
        yield f"succeeded without an end: {begun} {ended}"
    if row.state is State.FAILED and row.reason not in ("poison", "lost"):
        yield "failed, which no body does for good"


def compare_once(store, ledger, tasks):
    """The same for tasks that may start once at most."""
    wrong = []
    for number in tasks:
        row, begun = store.get(number), ledger.begun[number]
        if len(begun) > 1 or row.attempt > 1:
            wrong.append(f"{number} was started more than once: {row} {begun}")
        if row.state is State.FAILED and row.reason != "lost":
            wrong.append(f"{number} failed otherwise: {row}")
        if row.state is State.SUCCEEDED and len(begun) != 1:
            wrong.append(f"{number} did not run: {row}")
    return wrong


def wait_at_gate(*paths, count=None):
    """Wait until `count` of these gates (None: all) have a `workload.gate` before them; their paths."""
    found = []
    opened = {os.open(f"{path}.out", os.O_RDONLY | os.O_NONBLOCK): path for path in paths}
    end = monotonic() + PATIENCE
    poll = select.poll()
    for fd in opened:
        poll.register(fd, select.POLLIN)
    try:
        while len(found) < (len(paths) if count is None else count):
            ready = [fd for fd, event in poll.poll(max(0, end - monotonic()) * 1000) if event & select.POLLIN]
            assert ready or monotonic() < end, f"only {found} of {paths} began"
            for fd in ready:
                if os.read(fd, 100):
                    found.append(opened[fd])
                poll.unregister(fd)
    finally:
        for fd in opened:
            os.close(fd)
    return found


def open_gate(path):
    """Let the body that waits there go on."""
    with open(f"{path}.in", "w"):
        pass


def held(client, *tasks):
    """Wait until the daemon holds these; it has looked at all there is before it runs the second of two in a row."""
    for _ in range(2):
        client.add_task("workload:quick").result(PATIENCE)
    for task in tasks:
        assert task.refresh().row.holder is not None
    return tasks
