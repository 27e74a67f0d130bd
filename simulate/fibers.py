"""Threads of which one goes on at a time, so that anything can stand still in the middle while all else goes on.

A thread that stands still hands its baton on, and gets it back when the world says so. Who has the baton is decided by
the world alone: what a seed does it does again.
"""

from collections.abc import Callable
from threading import Lock, Thread


class Killed(BaseException):
    """The process is no more: nothing that it was about to do is done."""


class Fiber:
    """One thread, and the gate at which it waits for the baton."""

    def __init__(self, live: Callable[["Fiber"], None]) -> None:
        self.gate = Lock()
        self.gate.acquire()
        self.thread = Thread(target=live, args=(self,), name="simulated", daemon=True)
        self.thread.start()


class Fibers:
    """All of one world. `work` goes on with what there is to do, until another fiber is to (the answer), or nobody."""

    def __init__(self, work: Callable[[], Fiber | None]) -> None:
        self.closing = False
        self.current: Fiber | None = None
        self._work = work
        self._idle: list[Fiber] = []
        self._standing: dict[Fiber, None] = {}  # an ordered set
        self._outside = Lock()  # the gate of whoever called `run`
        self._outside.acquire()
        self._wrong: BaseException | None = None

    def run(self) -> None:
        """From outside: have the work done, until nobody is to go on. Raises what went wrong."""
        self._somebody().gate.release()
        self._outside.acquire()
        wrong, self._wrong = self._wrong, None
        if wrong is not None:
            raise wrong

    def stand(self) -> None:
        """Stand still, here and now, until the work answers this fiber."""
        if self.closing:
            raise Killed
        mine = self.current
        assert mine is not None, "only what the world does can stand still"
        self._standing[mine] = None
        self._somebody().gate.release()
        mine.gate.acquire()
        del self._standing[mine]
        self.current = mine
        if self.closing:
            raise Killed

    def close(self) -> None:
        """End all of them, wherever they stand."""
        self.closing = True
        for fiber in list(self._standing):
            fiber.gate.release()
            self._outside.acquire()
        for fiber in self._idle:
            fiber.gate.release()
            fiber.thread.join()

    def _somebody(self) -> Fiber:
        return self._idle.pop() if self._idle else Fiber(self._live)

    def _live(self, mine: Fiber) -> None:
        while True:
            mine.gate.acquire()
            if self.closing:
                return
            self.current = mine
            following = None
            try:
                following = self._work()
            except BaseException as wrong:  # noqa: BLE001  # it is raised where `run` was called
                self._wrong = wrong
            self._idle.append(mine)
            (self._outside if following is None else following.gate).release()


class SharedLock:
    """A lock within one process, as often as its holder likes: who waits for it stands still, and all else goes on."""

    def __init__(self, fibers: Fibers, pause: Callable[[int], None]) -> None:
        """`pause`: let so much time (µs) pass."""
        self._fibers = fibers
        self._pause = pause
        self._holder: Fiber | None = None
        self._depth = 0

    def __enter__(self) -> None:
        wait = 1
        while self._holder not in (None, self._fibers.current):
            self._pause(wait)
            wait = min(2 * wait, 1_000)
        self._holder = self._fibers.current
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._holder = None
