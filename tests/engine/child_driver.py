"""A real child for tests, driven as the daemon drives it, with answers waited for."""

import mmap
import os
import select
from contextlib import suppress
from pathlib import Path
from time import monotonic

import msgspec

from daemons import LONG
from mainspring.engine import child_setup
from mainspring.engine.child import Child
from mainspring.engine.child_messages import Failed, Feed, Outcome, Ready, encode_feed
from mainspring.store import journal as ring
from mainspring.when.clock import SystemClock

HERE = Path(__file__).parent
now = SystemClock().now


class Driver:
    """One child with a journal of its own. `expect` waits for an answer of a kind; the others are kept in `said`."""

    def __init__(self, setup=None, *, index=0, count=2, locks=(), memory=None, **changes):
        self.fd = ring.anonymous() if memory is None else os.dup(memory)
        self.map = mmap.mmap(self.fd, ring.SIZE)
        self.said = []
        self._unheard = []
        self._tokens = 0
        given = {"app": "child_bodies", "directory": str(HERE), **changes}
        self.child = Child(index, count, setup or child_setup.here(**given), self.fd, self.map, locks)

    def ready(self):
        answer = self.expect(Ready, Failed)
        assert isinstance(answer, Ready), answer
        return self

    def expect(self, *kinds, task=None):
        """The next answer of one of these kinds (about this task); None when the child ended first."""
        end = monotonic() + LONG
        while True:
            for at, answer in enumerate(self._unheard):
                if isinstance(answer, kinds) and (task is None or answer.task == task):
                    del self._unheard[at]
                    return answer
            left = end - monotonic()
            assert left > 0, f"{kinds} never came, but {self._unheard}"
            if select.select([self.child], (), (), left)[0]:
                answers = self.child.receive()
                if answers is None:
                    return None
                self.said += answers
                self._unheard += answers

    def packet(self, work, payload=None, *, task, run_at=0, **more):
        self._tokens += 1
        more = {"attempt": 1, "token": self._tokens, **more}
        work = work if ":" in work else f"child_bodies:{work}"
        return encode_feed(Feed(task=task, run_at=run_at, work=work, payload=payload, **more))

    def feed(self, work, payload=None, *, task=1, **more):
        assert self.child.feed(self.packet(work, payload, task=task, **more))
        return self._tokens

    def run(self, work, payload=None, *, task=1, **more):
        """Feed it and wait for what becomes of it."""
        self.feed(work, payload, task=task, **more)
        outcome = self.expect(Outcome, task=task)
        assert outcome is not None, self.child.ended(LONG)
        return outcome

    def started(self, task):
        """Wait until this task, which was fed last, has begun."""
        end = monotonic() + LONG
        while (current := self.child.current()) is None or current[:2] != (task, self._tokens):
            assert monotonic() < end, f"task {task} never started, but {current}"
            os.sched_yield()
        return current

    def close(self):
        self.child.close()
        with suppress(BufferError):
            self.map.close()
        os.close(self.fd)


def on_path(path, **given):
    """The setup of a process that has `path` on its import path and as its directory."""
    setup = child_setup.here(directory=str(path), app=given.pop("app", "child_bodies"))
    own = {"path": (str(path), *setup.path), "cwd": str(path), "main": None, "main_module": None}
    return msgspec.structs.replace(setup, **own | given)
