"""Programs as tasks: from a stored command to a settlement."""

import logging
import os
import signal as signals
from collections.abc import Sequence

import msgspec

from mainspring.engine import settle
from mainspring.engine.pool import Slot
from mainspring.engine.programs import ProgramResult, Programs, environment
from mainspring.engine.timeline import Held
from mainspring.store.rows import Settlement
from mainspring.tasks.problems import Problem
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")


class ProgramCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of a program's task. `cwd` is absolute; `env` comes on top of the minimal environment."""

    command: list[str]
    cwd: str
    env: dict[str, str] | None = None


_decoder = msgspec.json.Decoder(ProgramCall)


def decode_call(payload: str) -> ProgramCall:
    """A stored command."""
    return _decoder.decode(payload)


def executable_of(command: Sequence[str], cwd: str) -> str:
    """The program's name as a lane and the setting `programs` know it: a path is made absolute, a bare name stays."""
    first = command[0]
    return os.path.normpath(os.path.join(cwd, first)) if os.sep in first else first


def allowed(executable: str, programs: bool | tuple[str, ...]) -> bool:
    """May this daemon start it? A list names absolute paths, or bare names that are looked up in PATH."""
    if isinstance(programs, bool):
        return programs
    return executable in programs


class ProgramAttempts:
    """Runs programs through the keeper process, which is launched on first use."""

    def __init__(self, clock: Clock, locks: Sequence[int]) -> None:
        self._clock = clock
        self.programs = Programs(locks)

    def warm(self) -> None:
        """Launch the keeper ahead, so that the first program starts at its instant and not 25 ms later."""
        try:
            self.programs.warm()
        except OSError as error:  # no process to be had now: the program's own attempt will try again, and tell
            log.warning("the keeper of programs could not be started: %s", error)

    def attempt(self, held: Held, slot: Slot) -> Settlement:
        """Run the program to its end, on the worker's thread."""
        call = decode_call(held.task.payload or "")
        env = environment(call.env, task_id=str(held.id), attempt=slot.attempt, run_at=held.run_at)
        handle = self.programs.spawn(call.command, cwd=call.cwd, env=env, executable=held.lane.work)
        slot.output = handle.tail.news
        slot.halt = handle.terminate
        if slot.cause is not None:  # asked before there was anything to end
            handle.terminate()
        result = handle.wait()
        assert result is not None
        return self._settled(held, slot, result)

    def _settled(self, held: Held, slot: Slot, result: ProgramResult) -> Settlement:
        started_at, attempt, finished_at = slot.started_at, slot.attempt, self._clock.now()
        output = result.output or None
        code = None if result.exit_code is None else str(result.exit_code)
        if result.ok:  # it came to its good end, even if it was asked to stop
            return settle.succeeded(held, attempt, started_at, finished_at, code, output=output)
        problem = _problem(held, slot, result)
        if result.lost and slot.cause is None:
            return settle.lost(held, attempt, started_at, finished_at, problem)
        if slot.cause == settle.CANCELLED:
            return settle.cancelled(held, attempt, started_at, finished_at, problem, output)
        if slot.cause == settle.TIME_LIMIT:
            return settle.failed(
                held,
                attempt,
                started_at,
                finished_at,
                settle.TIME_LIMIT,
                problem,
                retry=True,
                output=output,
                result=code,
            )
        if slot.cause is not None:
            return settle.interrupted(held, attempt, started_at, finished_at)
        once = held.options.delivery == "at-most-once"
        reason = _reason(result)
        return settle.failed(
            held, attempt, started_at, finished_at, reason, problem, retry=not once, output=output, result=code
        )

    def close(self) -> None:
        """End what runs, and the keeper."""
        self.programs.stop()


def _reason(result: ProgramResult) -> str:
    if result.signal is not None:
        return "signal"
    return "exit code" if result.exit_code is not None else "not started"


def _problem(held: Held, slot: Slot, result: ProgramResult) -> Problem:
    if slot.cause == settle.TIME_LIMIT:
        return settle.time_limit(held)
    if result.signal is not None:
        return Problem("Signal", f"the program was ended by {_signal_name(result.signal)}")
    if result.exit_code is not None:
        return Problem("ExitCode", f"the program exited with {result.exit_code}")
    return Problem("NotStarted", result.error or "the program could not be started")


def _signal_name(number: int) -> str:
    try:
        return f"{signals.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"
