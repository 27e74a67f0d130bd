"""What a daemon and the processes that run its tasks say to each other.

Three channels join a daemon to each of its children:

    feed      daemon → child, packets: a `Feed` each, one task to run. What the child has not read can be taken back.
    answers   child → daemon, a stream of framed `Answer`s.
    control   daemon → child, a stream of framed `ControlMessage`s, read at once, whatever the child is doing.

Instants are µs UTC, durations µs. A task is named by its id and the token of its reservation.
"""

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from mainspring.tasks.problems import Problem

T = TypeVar("T")

LARGEST_FEED = 64 * 1024  # bytes; a larger payload is asked for by the child and goes over `control`
CHUNK = 32 * 1024  # characters of a payload that go over `control` at a time

_LENGTH = struct.Struct("!I")
_LONGEST = 64 << 20  # bytes of a message: a result, its output and a traceback are far less


class Feed(msgspec.Struct, array_like=True, gc=False):
    """One task to run. `asks`: the payload is too large for a packet and has to be asked for.

    `origin`: the function's own `module:qualname`: a child that does not know the name looks there. Only what the
    daemon itself knows may be named so: it is not checked again.

    One turn of a listener: `task` is negative, and no task's; `name` is the listener's, `fence` what its body sees.
    With `pause` (µs) it is an `async def` one, to be awaited again and again with that pause; with `repeat` (µs) a
    function may have turns for so long, one at once after the other: what is told is the last one's end.
    """

    task: int
    token: int
    attempt: int
    run_at: int
    work: str
    name: str | None = None
    payload: str | None = None
    timeout: int | None = None
    once: bool = False  # at most once: the start is asked for
    asks: bool = False
    origin: str | None = None
    fence: int | None = None
    pause: int | None = None
    repeat: int = 0


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────
class Ready(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """The app is imported; tasks can be run."""

    pid: int


class Failed(msgspec.Struct, array_like=True, tag=2, frozen=True):
    """The app could not be imported: this child ends. `unguarded`: another one would fail in the same way, for ever,
    for the script does not have the `if __name__ == "__main__":` that it needs.
    """

    problem: Problem
    unguarded: bool = False


class Outcome(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """What became of a task.

    `kind`: "ok"; "error", with `problem` and the `names` of the exception's class and its bases; "later" (it raised
    `RetryLater`), with `after`, too; "unkept": it returned what cannot be stored, `problem` says why; "not-started":
    nothing was run, `why` says why not, and both instants are 0; "unknown": the same, for there is no such function.
    `retire`: this child has done its part, runs nothing more and waits for `End`.
    """

    task: int
    token: int
    started_at: int
    finished_at: int
    kind: str = "ok"
    result: str | None = None
    output: str | None = None
    retire: bool = False
    problem: Problem | None = None
    names: tuple[str, ...] = ()
    after: int = 0
    why: str = ""
    took: int = 0  # µs, by the boot-time clock; 0: not known


class Begin(msgspec.Struct, array_like=True, tag=4, frozen=True, gc=False):
    """May this at-most-once task start? The child waits for `Go` or `No`. `now` is the instant of its start."""

    task: int
    token: int
    now: int


class NeedPayload(msgspec.Struct, array_like=True, tag=5, frozen=True, gc=False):
    """The arguments, please: from this character on (the daemon's `Child` sees to all but the first request)."""

    task: int
    token: int
    at: int = 0


class Output(msgspec.Struct, array_like=True, tag=6, frozen=True, gc=False):
    """All that is kept of what the task has printed and logged so far."""

    task: int
    token: int
    text: str


class Wrote(msgspec.Struct, array_like=True, tag=7, frozen=True, gc=False):
    """Whole lines that a listener has printed and logged, without the last one's end."""

    name: str
    text: str


class MoreTurns(msgspec.Struct, array_like=True, tag=8, frozen=True, gc=False):
    """So many turns of a listener have begun since the last time, each after one that went well."""

    task: int
    token: int
    count: int


Answer = Ready | Failed | Outcome | Begin | NeedPayload | Output | Wrote | MoreTurns


# ── control ────────────────────────────────────────────────────────────────────────────────────────────────────
class Setup(msgspec.Struct, array_like=True, tag=1, frozen=True, kw_only=True):
    """What a child has to be to run the tasks of this daemon; the first message. See `child_setup.here`.

    `app`: "module:attribute" of a Daemon; `main`: the path of the main script, or `main_module` its name when it was
    started with `-m`. `directory` and `allow` are the registry's. `environ` is added to what is inherited: the flags
    of the command line, as `MAINSPRING_STORE`. `max_tasks`, `max_memory` (bytes): when a child is to be replaced.
    `role`: "tasks"; "listeners" (turns of functions, one at a time) or "coroutines" (`async def` listeners, all at
    once), which tell their output by the line.
    """

    path: tuple[str, ...]
    cwd: str
    argv: tuple[str, ...]
    app: str | None = None
    main: str | None = None
    main_module: str | None = None
    directory: str
    allow: tuple[str, ...] = ()
    environ: dict[str, str] = {}
    max_tasks: int | None = None
    max_memory: int | None = None
    log_level: int = 20  # logging.INFO
    role: str = "tasks"


class Stop(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """Ask this task to stop; one that has not started yet is answered with "not-started".

    Without a `why` it is only told, by `stopping()`; with one a coroutine is cancelled, too.
    """

    task: int
    token: int
    why: str = ""


class Go(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """The start is recorded: begin."""

    task: int
    token: int


class No(msgspec.Struct, array_like=True, tag=4, frozen=True, gc=False):
    """It is somebody else's: drop it without a word."""

    task: int
    token: int


class Payload(msgspec.Struct, array_like=True, tag=5, frozen=True, gc=False):
    """The arguments that were asked for. Given to `Child.control` in one piece; `last` is its business."""

    task: int
    token: int
    text: str
    last: bool = True


class End(msgspec.Struct, array_like=True, tag=6, frozen=True, gc=False):
    """Run nothing more, and exit when what runs has ended."""


ControlMessage = Setup | Stop | Go | No | Payload | End


# ── on the wire ────────────────────────────────────────────────────────────────────────────────────────────────
_encode = msgspec.msgpack.Encoder().encode
decode_feed: Callable[[bytes | bytearray | memoryview], Feed] = msgspec.msgpack.Decoder(Feed).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode
_decode_control = msgspec.msgpack.Decoder(ControlMessage).decode


def encode_feed(feed: Feed) -> bytes:
    """The packet for a task; without its payload when that is too large, to be asked for then."""
    packet = _encode(feed)
    if len(packet) > LARGEST_FEED:
        packet = _encode(msgspec.structs.replace(feed, payload=None, asks=True))
    return packet


def framed(message: Answer | ControlMessage) -> bytes:
    """A message for one of the streams."""
    data = _encode(message)
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Cuts a stream back into messages; a `MsgspecError` for what is none: there is no going on after that."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def answers(self, data: bytes) -> list[Answer]:
        """Those that are complete."""
        return list(self._messages(data, _decode_answer))

    def control(self, data: bytes) -> list[ControlMessage]:
        """Those that are complete."""
        return list(self._messages(data, _decode_control))

    def _messages(self, data: bytes, decode: Callable[[memoryview], T]) -> Iterator[T]:
        if self._rest:
            self._rest += data
            data = bytes(self._rest) if len(self._rest) >= self._wanted() else b""
            if not data:
                return
            self._rest.clear()
        view, at, size = memoryview(data), 0, len(data)
        while size - at >= _LENGTH.size:
            length = _LENGTH.unpack_from(view, at)[0]
            if length > _LONGEST:
                raise msgspec.DecodeError(f"a message of {length:,} bytes; the longest there are have {_LONGEST:,}")
            end = at + _LENGTH.size + length
            if end > size:
                break
            try:
                message = decode(view[at + _LENGTH.size : end])
            except UnicodeDecodeError as error:  # msgspec lets it through
                raise msgspec.DecodeError(str(error)) from None
            yield message
            at = end
        self._rest += view[at:]

    def _wanted(self) -> int:
        """How many bytes the first message takes, as far as that is known."""
        known = len(self._rest) >= _LENGTH.size
        return _LENGTH.size + (_LENGTH.unpack_from(self._rest)[0] if known else 0)
