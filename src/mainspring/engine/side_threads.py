"""Threads beside a pool whose workers are elsewhere: for tasks that this process runs itself, such as programs.

A thread is made when one is needed and ends when it has had nothing to do for a while. How many there are at once is
the caller's to limit: each takes the place of a worker.
"""

import threading
from collections import deque
from collections.abc import Callable

from mainspring.engine.pool import Slot, Work
from mainspring.engine.timeline import Held

KEEP_S = 10.0  # a thread that was needed just now may be needed again; a longer quiet should find none


class SideThreads:
    """Runs `work(held, slot)` on threads that come and go. All methods may be called from any thread."""

    def __init__(self, work: Work, *, keep: float = KEEP_S) -> None:
        """`keep`: after how many seconds without work a thread ends."""
        self._work = work
        self._keep = keep
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._jobs: deque[tuple[Held, Slot, Callable[[Slot], None]]] = deque()
        self._idle = 0  # threads that wait for a job
        self._unended = 0  # jobs that wait or run
        self._closed = False

    def run(self, held: Held, slot: Slot, done: Callable[[Slot], None]) -> None:
        """Run this at once, beside whatever else runs; `done` is called on its thread when it has ended.

        Raises `RuntimeError` when no thread can be had, or after `close`; `done` is not called then.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("no more work is taken: the side threads were closed")
            self._jobs.append((held, slot, done))
            self._unended += 1
            if len(self._jobs) <= self._idle:  # a thread counts as idle until it has its job: each job has one
                self._news.notify()
                return
            thread = threading.Thread(target=self._serve, name=f"mainspring-side-{slot.index}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._jobs.pop()
                self._unended -= 1
                raise

    def join(self, timeout: float | None) -> bool:
        """Wait until nothing runs; False when the time (seconds) was over first."""
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._unended, timeout)

    def close(self) -> None:
        """Take nothing more; threads end as they fall idle."""
        with self._lock:
            self._closed = True
            self._news.notify_all()

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            held, slot, done = job
            try:
                self._work(held, slot)
            finally:
                done(slot)
                with self._lock:
                    self._unended -= 1
                    if not self._unended:
                        self._quiet.notify_all()

    def _next(self) -> tuple[Held, Slot, Callable[[Slot], None]] | None:
        with self._lock:
            if not self._jobs:
                self._idle += 1
                self._news.wait_for(lambda: self._jobs or self._closed, self._keep)
                self._idle -= 1
            return self._jobs.popleft() if self._jobs else None
