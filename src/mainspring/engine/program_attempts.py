"""Programs as tasks: from a stored command to a settlement."""

import logging
import os
import re
import signal as signals
from collections.abc import Mapping, Sequence

import msgspec

from mainspring.engine import settle
from mainspring.engine.pool import Slot
from mainspring.engine.programs import ProgramHandle, ProgramResult, Programs, environment
from mainspring.engine.timeline import Held
from mainspring.errors import NotAllowed
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


# What makes a loader, a shell or an interpreter run other code than the program's own. No such list can be complete:
# a program that is to be safe from whoever writes to the store takes its environment from nobody.
_TURNING = re.compile(
    r"LD_.*|DYLD_.*|PATH|IFS|ENV|BASH_.*|SHELLOPTS|BASHOPTS|PS4|PYTHON.*|PERL.*|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)"
    r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|GIT_.*|GCONV_PATH|.*[^A-Za-z0-9_].*",
    re.DOTALL,
)


def started(work: str, env: Mapping[str, str] | None, programs: bool | tuple[str, ...]) -> str:
    """What is executed for `work`, by what this daemon allows and not by what the store says besides.

    With a list, a bare name is found on the daemon's own PATH, and variables that would make the program run other
    code are refused. Raises `NotAllowed`.
    """
    if not allowed(work, programs):
        raise NotAllowed(f"this daemon may not run the program {work}; see programs=")
    if isinstance(programs, bool):
        return work
    for name in env or ():
        if _TURNING.fullmatch(name):
            raise NotAllowed(
                f"env sets {name!r}, by which a program runs other code than its own, and programs= is a list: leave "
                f"it out, or name a program of your own in programs= that sets it"
            )
    return work if os.sep in work else _found(work)


def _found(name: str) -> str:
    """The file of that bare name on this process's PATH."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, name)
        if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise NotAllowed(f"there is no program {name} in a directory of this daemon's PATH")


class ProgramAttempts:
    """Runs programs through the keeper process, which is launched on first use."""

    def __init__(self, clock: Clock, locks: Sequence[int], allowed: bool | tuple[str, ...] = True) -> None:
        self._clock = clock
        self._allowed = allowed
        self.programs = Programs(locks)

    def warm(self) -> None:
        """Launch the keeper ahead, so that the first program starts at its instant and not 25 ms later."""
        try:
            self.programs.warm()
        except OSError as error:  # no process to be had now: the program's own attempt will try again, and tell
            log.warning("the keeper of programs could not be started: %s", error)

    def attempt(self, held: Held, slot: Slot) -> Settlement:
        """Run the program to its end, on the worker's thread."""
        try:
            handle = self._start(held, slot)
        except Exception as error:  # noqa: BLE001  # whatever stands in the row must not end the worker
            problem = Problem("NotStarted", f"the program could not be started: {type(error).__name__}: {error}")
            return settle.failed(
                held, slot.attempt, slot.started_at, self._clock.now(), "not started", problem, retry=False
            )
        slot.output = handle.tail.news
        slot.halt = handle.terminate
        if slot.cause is not None:  # asked before there was anything to end
            handle.terminate()
        result = handle.wait()
        assert result is not None
        return self._settled(held, slot, result)

    def _start(self, held: Held, slot: Slot) -> ProgramHandle:
        call = decode_call(held.task.payload or "")
        executable = started(held.lane.work, call.env, self._allowed)
        env = environment(call.env, task_id=str(held.id), attempt=slot.attempt, run_at=held.run_at)
        return self.programs.spawn(call.command, cwd=call.cwd, env=env, executable=executable)

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
