"""The three kinds of body a listener can have.

A function takes turns on the listeners' workers; a coroutine lives on the coroutine loop and a program in a process of
its own, so that neither holds a thread.
"""

import logging
import signal as signals
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from functools import cached_property
from typing import Any, Protocol

import msgspec

from mainspring.engine.coroutines import CoroutineLoop, Running
from mainspring.engine.listener import Listener
from mainspring.engine.program_attempts import decode_call as decode_program
from mainspring.engine.program_attempts import started
from mainspring.engine.programs import ProgramHandle, ProgramResult, environment
from mainspring.engine.rota import Place
from mainspring.engine.turns import LEAST_PAUSE_US, Turns
from mainspring.errors import MainspringError
from mainspring.tasks.callplan import plan_of
from mainspring.tasks.codec import decode_call
from mainspring.tasks.context import enter
from mainspring.tasks.problems import Problem, describe
from mainspring.tasks.registry import Registered
from mainspring.when.clock import Clock

lines = logging.getLogger("mainspring.listener")

LONGEST_LINE = 8192

Later = Callable[[Listener, int], None]  # call body.start() again after so many µs


class Spawner(Protocol):
    """What starts programs: `programs.Programs`."""

    def spawn(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        executable: str | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
        on_exit: Callable[[ProgramResult], None] | None = None,
    ) -> ProgramHandle:
        """Ask for a program; returns at once."""


class Call:
    """A registered function with its stored arguments, which are decoded for each turn: a body may change them."""

    def __init__(self, registered: Registered, payload: str | None) -> None:
        self.function: Callable[..., Any] = registered.function
        self._payload = payload

    @cached_property
    def _plan(self) -> Any:
        return plan_of(self.function)

    def arguments(self) -> tuple[tuple[object, ...], dict[str, object]]:
        """Positional and named ones."""
        return ((), {}) if self._payload is None else decode_call(self._payload, self._plan)


class TurnBody:
    """A body that takes turns with others, wherever they are had."""

    def __init__(self, listener: Listener, turns: Turns, workers: int) -> None:
        self._listener = listener
        self._turns = turns
        self._workers = workers
        self.place: Place | None = Place(listener.definition.pause, self)

    def start(self) -> None:
        """See `Body`."""
        if self.place is not None:
            self._turns.add([self.place])

    def ask(self) -> None:
        """See `Body`."""
        if self.place is not None and self._turns.remove(self.place):
            self._listener.end()

    def left(self) -> None:
        """See `Owner`."""
        self._listener.end()

    def starve(self) -> None:
        """See `Owner`."""
        self._listener.starve(self._workers)


class FunctionBody(TurnBody):
    """One call is one turn."""

    def __init__(self, listener: Listener, call: Call, turns: Turns, workers: int) -> None:
        super().__init__(listener, turns, workers)
        self._call = call

    def turn(self) -> tuple[int, bool]:
        """See `Runner`."""
        # a context of its own: what the body sets in context variables does not reach the next turn
        inside = copy_context()
        inside.run(enter, self._listener.begin())
        try:
            args, kwargs = self._call.arguments()
            inside.run(self._call.function, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # whatever a body raises ends its turn, never its worker
            return self._listener.failed(describe(error)), False
        return self._listener.went_well(), True


class CoroutineBody:
    """Awaited again and again on the coroutine loop; `inline` (the virtual clock): one turn at a time, waited for."""

    place: Place | None = None

    def __init__(
        self, listener: Listener, call: Call, coroutines: CoroutineLoop, later: Later, *, inline: bool
    ) -> None:
        self._listener = listener
        self._call = call
        self._coroutines = coroutines
        self._later = later
        self._inline = inline
        self._running: Running | None = None
        self._live = False
        self._error: BaseException | None = None
        self._over = threading.Event()

    def start(self) -> None:
        """See `Body`."""
        self._live = True
        self._over.clear()
        turns = self._one_turn if self._inline else self._all_turns
        self._running = self._coroutines.start(turns, (), {}, copy_context(), self._done)
        if self._inline:
            self._over.wait()

    def ask(self) -> None:
        """See `Body`."""
        if not self._live:
            self._listener.end()
        elif self._running is not None:
            self._running.cancel()

    async def _all_turns(self) -> None:
        import asyncio

        while await self._one_turn() and not self._listener.asked:  # noqa: ASYNC110  # no polling: it pauses
            await asyncio.sleep(self._listener.went_well() / 1e6)

    async def _one_turn(self) -> bool:
        """In a task and a context of its own; what it raises is kept as a value."""
        import asyncio

        inside: Context = copy_context()
        inside.run(enter, self._listener.begin())
        self._error = await asyncio.get_running_loop().create_task(self._outcome(), context=inside)
        return self._error is None

    async def _outcome(self) -> BaseException | None:
        try:
            args, kwargs = self._call.arguments()
            await self._call.function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # a SystemExit that left a task would end the whole loop
            return error
        return None

    def _done(self) -> None:
        """The turns are over; on the loop's thread."""
        error, self._error = self._error, None
        listener = self._listener
        if error is not None and not (listener.asked and type(error).__name__ == "CancelledError"):
            delay = listener.failed(describe(error))
        else:
            delay = max(listener.went_well(), LEAST_PAUSE_US)
        self._live = False
        if listener.asked:
            listener.end()
        else:
            self._later(listener, delay)
        self._over.set()


class ProgramBody:
    """Started again when it ends. What it writes is logged line by line, and the end of it kept when it fails."""

    place: Place | None = None

    def __init__(
        self, listener: Listener, programs: Spawner, clock: Clock, later: Later, allowed: bool | tuple[str, ...]
    ) -> None:
        self._listener = listener
        self._allowed = allowed
        self._programs = programs
        self._clock = clock
        self._later = later
        self._handle: ProgramHandle | None = None
        self._live = False
        self._unended: dict[str, bytes] = {}  # by stream: the beginning of a line

    def start(self) -> None:
        """See `Body`."""
        self._live = True
        self._handle = None
        context = self._listener.begin()
        try:
            work = self._listener.definition.work
            call = decode_program(work.payload or "")
            executable = started(work.work, call.env, self._allowed)
            env = environment(call.env, task_id="", attempt=context.attempt, run_at=self._clock.now())
            env["MAINSPRING_LISTENER"] = self._listener.name
            self._handle = self._programs.spawn(
                call.command,
                cwd=call.cwd,
                env=env,
                executable=executable,
                on_output=self._wrote,
                on_exit=self._exited,
            )
        except (MainspringError, OSError, msgspec.MsgspecError, ValueError) as error:
            self._over(self._listener.failed(describe(error)))

    def ask(self) -> None:
        """See `Body`."""
        if not self._live:
            self._listener.end()
        elif self._handle is not None:
            self._handle.terminate()

    def _wrote(self, stream: str, data: bytes) -> None:
        *whole, rest = (self._unended.get(stream, b"") + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            whole.append(rest)
            rest = b""
        self._unended[stream] = rest
        for line in whole:
            self._log(line)

    def _log(self, line: bytes) -> None:
        lines.info("%s: %s", self._listener.name, line[:LONGEST_LINE].decode("utf-8", "replace"))

    def _exited(self, result: ProgramResult) -> None:
        for line in self._unended.values():
            if line:
                self._log(line)
        self._unended.clear()
        if result.ok or self._listener.asked:
            self._over(self._listener.went_well())
        else:
            self._over(self._listener.failed(_problem(result), result.output))

    def _over(self, delay: int) -> None:
        self._live = False
        if self._listener.asked:
            self._listener.end()
        else:
            self._later(self._listener, max(delay, LEAST_PAUSE_US))


def _problem(result: ProgramResult) -> Problem:
    if result.signal is not None:
        try:
            name = signals.Signals(result.signal).name
        except ValueError:
            name = f"signal {result.signal}"
        return Problem("Signal", f"the program was ended by {name}")
    if result.exit_code is not None:
        return Problem("ExitCode", f"the program exited with {result.exit_code}")
    return Problem("NotStarted", result.error or "the program could not be started")
