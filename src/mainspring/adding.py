"""From what was said to what is stored: checks everything about a task before it is added, so that nothing is half
done.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Required, TypedDict, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.engine.definitions import Work as StoredWork
from mainspring.engine.program_attempts import ProgramCall, executable_of
from mainspring.errors import InvalidArguments, InvalidValue
from mainspring.store.rows import NewTask, OnConflict
from mainspring.tasks.callplan import plan_of
from mainspring.tasks.codec import encode_call
from mainspring.tasks.names import name_of
from mainspring.tasks.options import DEFAULT, Delivery, build_options, decode_options, encode_options
from mainspring.tasks.registry import Registered, Registry, checked_name
from mainspring.tasks.retry import Retry
from mainspring.tasks.state import Kind
from mainspring.when.durations import parse_duration
from mainspring.when.instants import parse_instant
from mainspring.when.shown import shown

T = TypeVar("T")

Work = Callable[..., object] | str | Sequence[str]
Moment = datetime | str | float
Duration = timedelta | str | float

PRIORITIES = range(-32_768, 32_768)
_LONGEST = 500
_LOOKS_LIKE_A_DATE = re.compile(r"\s*\d{4}-?\d\d-?\d\d")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a task beside its work and its arguments; UNSET is "not said", never a default."""

    name: str | None | UnsetType = UNSET
    key: str | None | UnsetType = UNSET
    on_conflict: OnConflict | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    retry: int | Retry | None | UnsetType = UNSET
    timeout: Duration | None | UnsetType = UNSET
    expires: Moment | Duration | None | UnsetType = UNSET
    delivery: Delivery | UnsetType = UNSET
    cwd: str | os.PathLike[str] | None | UnsetType = UNSET
    env: Mapping[str, str] | None | UnsetType = UNSET

    def over(self, base: "Options") -> "Options":
        """These, and where they say nothing, those of `base`."""
        said = {field: value for field in self.__struct_fields__ if (value := getattr(self, field)) is not UNSET}
        return msgspec.structs.replace(base, **said) if said else base


NOTHING_SAID = Options()


class Said(TypedDict, total=False):
    """`Options` as keyword arguments."""

    name: str | None
    key: str | None
    on_conflict: OnConflict
    queue: str
    priority: int
    retry: int | Retry | None
    timeout: Duration | None
    expires: Moment | Duration | None
    delivery: Delivery
    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str] | None


class Item(Said, total=False):
    """One item of `add_tasks`: the arguments of `add_task` by name."""

    work: Required[Work]
    args: Sequence[object]
    kwargs: Mapping[str, object] | None
    at: Moment | None
    after: Duration | None


def options_of(said: Mapping[str, object]) -> Options:
    """The options that were said; an unknown word is an error with a suggestion."""
    for word in said:
        if word not in Options.__struct_fields__:
            close = difflib.get_close_matches(word, Options.__struct_fields__, n=1)
            hint = f"; did you mean {close[0]}=?" if close else ""
            raise InvalidArguments(f"unknown option {word}={hint}; known: {', '.join(Options.__struct_fields__)}")
    return Options(**said)  # type: ignore[arg-type]  # each value is checked when a task is built


class Spec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One task to be added, as its adder said it."""

    work: Work
    args: Sequence[object] = ()
    kwargs: Mapping[str, object] | None = None
    at: Moment | None = None
    after: Duration | None = None
    options: Options = NOTHING_SAID


class Adder:
    """Builds rows from specs. `tz`: in which zone naive times are read (None: they are refused)."""

    def __init__(self, registry: Registry, tz: tzinfo | None) -> None:
        self._registry = registry
        self.tz = tz

    def build(self, specs: Iterable[Spec], now: int) -> list[NewTask]:
        """The rows of tasks; raises for anything that is wrong with one of them.

        What tasks of the same work and options have in common is looked at once.
        """
        kinds: dict[tuple[int, int], tuple[_Stored, NewTask]] = {}  # by identity: the specs keep both alive
        out: list[NewTask] = []
        for spec in specs:
            alike = id(spec.work), id(spec.options)
            known = kinds.get(alike)
            if known is None:
                known = kinds[alike] = self._kind_of(spec)
            out.append(self._task(spec, now, *known))
        return out

    def _kind_of(self, spec: Spec) -> "tuple[_Stored, NewTask]":
        """What all tasks of this work and these options have in common."""
        said = spec.options
        stored = self._stored(spec.work, said)
        work = stored.work
        lasts, expires_at = self._expiry(said.expires, work.expires)
        options = work.options
        if lasts is not None:
            options = encode_options(msgspec.structs.replace(decode_options(options), expires=lasts))
        return _Stored(work, stored.payload, lasts), NewTask(
            kind=work.kind,
            work=work.work,
            queue=work.queue,
            priority=work.priority,
            run_at=0,
            name=work.name,
            options=options,
            key=_text("key", _said(said.key, None)),
            on_conflict=_conflict(_said(said.on_conflict, "error")),
            expires_at=expires_at,
        )

    def _task(self, spec: Spec, now: int, stored: "_Stored", kind: NewTask) -> NewTask:
        payload = stored.payload(_checked_args(spec.args), _checked_kwargs(spec.kwargs))
        run_at = self.instant(spec, now)
        return NewTask(
            kind=kind.kind,
            work=kind.work,
            queue=kind.queue,
            priority=kind.priority,
            run_at=run_at,
            name=kind.name,
            options=kind.options,
            payload=payload,
            key=kind.key,
            on_conflict=kind.on_conflict,
            expires_at=kind.expires_at if stored.lasts is None else run_at + stored.lasts,
        )

    def work(
        self, work: Work, args: Sequence[object], kwargs: Mapping[str, object] | None, said: Options
    ) -> StoredWork:
        """What is run and how, without an instant: what schedules and listeners keep."""
        stored = self._stored(work, said)
        payload = stored.payload(_checked_args(args), _checked_kwargs(kwargs))
        return msgspec.structs.replace(stored.work, payload=payload)

    def _stored(self, work: Work, said: Options) -> "_Stored":
        if isinstance(work, str):
            return self._by_name(work, said)
        if callable(work):
            registered = self._registry.of(work) or self._adopted(work)
            return self._function(work, name_of(work) if registered is None else registered.name, registered, said)
        return self._program(work, said)

    def _adopted(self, work: Callable[..., object]) -> Registered | None:
        """What another daemon of this program declared is known here too, from now on, by the same name and options."""
        there = getattr(work, "registered", None)
        if not isinstance(there, Registered):
            return None
        return self._registry.add(
            there.function, there.name, options=there.options, queue=there.queue, priority=there.priority,
            expires=there.expires, label=there.label,
        )  # fmt: skip

    def instant(self, spec: Spec, now: int) -> int:
        """When it is due, in µs."""
        if spec.at is not None and spec.after is not None:
            raise InvalidArguments("at= and after= were both given; a task has one instant: leave one out")
        if spec.at is not None:
            return parse_instant(spec.at, tz=self.tz)
        return now if spec.after is None else now + parse_duration(spec.after)

    def _by_name(self, text: str, said: Options) -> "_Stored":
        registered = self._registry.get(checked_name(text))
        if registered is not None:
            return self._function(registered.function, text, registered, said)
        # nobody here knows the function: what is not said is taken from its registration when it runs
        _no_program_options(said)
        options = build_options(retry=said.retry, timeout=said.timeout, delivery=said.delivery, bare=True)
        stored = StoredWork(
            work=text,
            name=_text("name", _said(said.name, None)),
            options=encode_options(options),
            queue=_queue(_said(said.queue, "default")),
            priority=_priority(_said(said.priority, 0)),
        )
        return _Stored(stored, encode_call)

    def _function(
        self, function: Callable[..., object], name: str, registered: Registered | None, said: Options
    ) -> "_Stored":
        _no_program_options(said)
        defaults = DEFAULT if registered is None else registered.options
        options = build_options(defaults, retry=said.retry, timeout=said.timeout, delivery=said.delivery)
        stored = StoredWork(
            work=name,
            name=_text("name", _said(said.name, None if registered is None else registered.label)),
            options=encode_options(options),
            queue=_queue(_said(said.queue, "default" if registered is None else registered.queue)),
            priority=_priority(_said(said.priority, 0 if registered is None else registered.priority)),
            expires=None if registered is None else registered.expires,
        )
        plan = plan_of(function)

        def payload(args: Sequence[object], kwargs: Mapping[str, object]) -> str | None:
            plan.bind(args, kwargs)
            return encode_call(args, kwargs, plan)

        return _Stored(stored, payload)

    def _program(self, command: Sequence[str], said: Options) -> "_Stored":
        command = checked_command(command)
        cwd = os.path.abspath(_said(said.cwd, None) or os.getcwd())
        env = _checked_env(_said(said.env, None))
        options = build_options(retry=said.retry, timeout=said.timeout, delivery=said.delivery)
        stored = StoredWork(
            kind=Kind.PROGRAM,
            work=executable_of(command, cwd),
            name=_text("name", _said(said.name, None)),
            options=encode_options(options),
            queue=_queue(_said(said.queue, "default")),
            priority=_priority(_said(said.priority, 0)),
        )
        text = msgspec.json.encode(ProgramCall(command, cwd, env)).decode()

        def payload(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
            if args or kwargs:
                raise InvalidArguments("a program takes no args= or kwargs=: put its arguments into the list, as texts")
            return text

        return _Stored(stored, payload)

    def _expiry(
        self, value: Moment | Duration | None | UnsetType, registered: int | None
    ) -> tuple[int | None, int | None]:
        """A duration after `run_at`, or an instant (a datetime, or a text that begins with a date); not both."""
        if isinstance(value, UnsetType):
            return registered, None
        if value is None:
            return None, None
        if isinstance(value, datetime) or (isinstance(value, str) and _LOOKS_LIKE_A_DATE.match(value)):
            return None, parse_instant(value, tz=self.tz)
        return parse_duration(value), None


class _Stored:
    """Work and options as they are stored, and what makes the payload of a call's arguments."""

    __slots__ = ("lasts", "payload", "work")

    def __init__(
        self,
        work: StoredWork,
        payload: Callable[[Sequence[object], Mapping[str, object]], str | None],
        lasts: int | None = None,
    ) -> None:
        self.work = work
        self.payload = payload
        self.lasts = lasts  # µs after the instant, when it expires then


def _said(value: "T | UnsetType", default: T) -> T:
    return default if isinstance(value, UnsetType) else value


_NO_KWARGS: Mapping[str, object] = {}


def _checked_args(args: Sequence[object]) -> Sequence[object]:
    if not isinstance(args, (list, tuple)):
        raise InvalidArguments(f"args= expects a tuple such as (42,), got {type(args).__name__}: {args!r:.100}")
    return args


def _checked_kwargs(kwargs: Mapping[str, object] | None) -> Mapping[str, object]:
    if kwargs is None:
        return _NO_KWARGS
    if not isinstance(kwargs, Mapping):
        raise InvalidArguments(f"kwargs= expects a dict such as {{'item': 42}}, got {type(kwargs).__name__}")
    return kwargs


def checked_command(command: object) -> list[str]:
    """A program's name and arguments."""
    if not isinstance(command, (list, tuple)) or not command or not all(isinstance(part, str) for part in command):
        raise InvalidArguments(
            f"expected a function, a registered name 'module:function', or a program as a list of texts such as "
            f"['./open.sh', '--item', '42']; got {command!r:.200}"
        )
    if not command[0] or any("\0" in part for part in command):
        raise InvalidArguments(f"a program's name is not empty and no argument has a NUL in it; got {command!r:.200}")
    return list(command)


def _checked_env(env: object) -> dict[str, str] | None:
    if env is None:
        return None
    if not isinstance(env, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in env.items()):
        raise InvalidArguments("env= expects a mapping of texts to texts, such as {'LANG': 'C'}")
    for key in env:
        if not key or "=" in key or "\0" in key or "\0" in env[key]:
            raise InvalidArguments(f"env= has a name or value that no environment can hold: {key!r}")
    return dict(env)


def _no_program_options(said: Options) -> None:
    for word in ("cwd", "env"):
        if getattr(said, word) not in (UNSET, None):
            raise InvalidArguments(f"{word}= is for programs; a function runs in the daemon's own process")


def _queue(queue: object) -> str:
    text = _text("queue", queue)
    if not text:
        raise InvalidValue("queue= expects a name, such as 'default'; got an empty text")
    return text


def _text(word: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidValue(f"{word}= expects a text, got {value!r:.200}")
    if len(value) > _LONGEST or not value.isprintable():
        raise InvalidValue(
            f"{word}= expects at most {_LONGEST} printable characters, got {value[:60]!r} ({len(value)})"
        )
    return value


def _priority(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in PRIORITIES:
        raise InvalidValue(
            f"priority= expects a whole number from -32768 to 32767 (higher goes first), got {shown(value)}"
        )
    return value


def _conflict(value: object) -> OnConflict:
    if value not in ("error", "keep", "replace"):
        raise InvalidValue(f"on_conflict= expects 'error', 'keep' or 'replace', got {value!r:.100}")
    return value
