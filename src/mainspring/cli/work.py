"""What adding verbs have in common: `-- PROGRAM ARGS` or `--call module:function`, and the options of a task."""

import os
import re
import shlex
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeVar, cast

import click
import msgspec

from mainspring.cli.session import Session
from mainspring.cli.verb import Verb
from mainspring.errors import InvalidValue
from mainspring.when.durations import parse_duration
from mainspring.when.instants import to_datetime
from mainspring.when.wall import parse_when

if TYPE_CHECKING:
    from mainspring.adding import Said, Work
    from mainspring.shown import ShownTask, ShownWork

F = TypeVar("F", bound=Callable[..., object])

_PROGRAM = "mainspring.program"
_NAME = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")


class ProgramVerb(Verb):
    """A verb with a program after `--`, whose own options are never taken for the verb's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set aside what stands after the first `--`."""
        cut = args.index("--") if "--" in args else len(args)
        ctx.meta[_PROGRAM] = args[cut + 1 :] if cut < len(args) else None
        try:
            return super().parse_args(ctx, args[:cut])
        except click.NoSuchOption as error:
            hint = "" if cut < len(args) else " Options of a program stand after --"
            raise click.UsageError(f"{error.format_message()}{hint}", ctx) from None


class Given(msgspec.Struct, kw_only=True):
    """What the options of an adding verb said; None and empty: nothing."""

    call: str | None = None
    args: str | None = None
    kwargs: str | None = None
    name: str | None = None
    key: str | None = None
    on_conflict: str | None = None
    queue: str | None = None
    priority: int | None = None
    timeout: str | None = None
    retries: int | None = None
    expires: str | None = None
    delivery: str | None = None
    cwd: str | None = None
    env: tuple[str, ...] = ()
    wait: str | None = None
    tz: str | None = None


_OPTIONS: dict[str, Callable[[F], F]] = {
    "call": click.option("--call", metavar="MODULE:FUNC", help="A function instead of a program."),
    "args": click.option("--args", metavar="JSON", help="Its arguments, a list: '[42, \"now\"]'."),
    "kwargs": click.option("--kwargs", metavar="JSON", help="Its named arguments, an object: '{\"item\": 42}'."),
    "name": click.option("--name", help="A label."),
    "key": click.option("--key", help="Unique among unfinished tasks."),
    "on_conflict": click.option(
        "--on-conflict", type=click.Choice(["error", "keep", "replace"]), help="When the key is in use."
    ),
    "queue": click.option("--queue", help="Its queue (default: default)."),
    "priority": click.option("--priority", type=int, help="Higher goes first among what is due (default: 0)."),
    "timeout": click.option("--timeout", metavar="DURATION", help="How long an attempt may take."),
    "retries": click.option("--retries", type=int, metavar="N", help="Further attempts after a failure."),
    "expires": click.option("--expires", metavar="DURATION|WHEN", help="Not started by then: missed."),
    "delivery": click.option(
        "--delivery", type=click.Choice(["at-least-once", "at-most-once"]), help="After a lost worker."
    ),
    "cwd": click.option("--cwd", metavar="DIR", help="Where the program runs (default: here)."),
    "env": click.option(
        "--env", multiple=True, metavar="K=V", help="A variable of the program; K alone: as it is here."
    ),
    "wait": click.option("--wait", metavar="DURATION", help="When the queue is full: how long to wait for room."),
    "tz": click.option("--tz", metavar="ZONE", help="The zone of wall times (default: the local one)."),
}


def given_options(*without: str) -> Callable[[F], F]:
    """Decorates a verb with the options of `Given`, but for some."""

    def decorate(function: F) -> F:
        for word in reversed([word for word in _OPTIONS if word not in without]):
            function = _OPTIONS[word](function)
        return function

    return decorate


def program_given() -> bool:
    """Was there a -- on the line?"""
    return click.get_current_context().meta.get(_PROGRAM) is not None


def chosen_work(
    session: Session, given: Given, words: tuple[str, ...], hint: str = ""
) -> "tuple[Work, list[object], dict[str, object]]":
    """The work and its arguments. `words`: what stood before `--` too much; `hint`: what belongs before it."""
    ctx = click.get_current_context()
    program = ctx.meta.get(_PROGRAM)
    if words:
        came = shlex.join(words)
        raise click.UsageError(
            f"unexpected {came!r}: write -- before the program: {ctx.command_path} {hint}-- {came}", ctx
        )
    if given.call is not None:
        if program:
            raise click.UsageError("--call and a program after -- were both given; leave one out")
        _refuse(given.cwd or given.env, "--cwd and --env are for programs; a function runs in the daemon's process")
        return _call(session, given.call, given.args, given.kwargs)
    _refuse(given.args or given.kwargs, "--args and --kwargs are for --call; a program's arguments stand after --")
    if not program:
        raise click.UsageError("say what to run: -- PROGRAM [ARG ...], or --call module:function")
    return list(program), [], {}


def _call(
    session: Session, name: str, args: str | None, kwargs: str | None
) -> "tuple[Work, list[object], dict[str, object]]":
    """A function and its arguments, read as they would be when it runs: by its annotations, where it is known here."""
    import json

    from mainspring.tasks.codec import decode_call

    known = session.adding_client.registry.get(name)
    if known is None and not _NAME.fullmatch(name):
        raise click.UsageError(
            f"--call expects module:function, such as shop:open_sale (or with --app a name that is registered there), "
            f"got {name!r}"
        )
    call = [
        _json("--args", args, list, "a list such as '[42]'"),
        _json("--kwargs", kwargs, dict, "an object such as '{\"item\": 42}'"),
    ]
    plan = None if known is None else known.plan
    positional, named = decode_call(json.dumps(call), plan)
    return name, list(positional), named


def chosen_options(given: Given, now: int, zone: tzinfo) -> "Said":
    """The options that were said, as `add_task` takes them."""
    said: dict[str, object] = {
        word: value
        for word in ("name", "key", "on_conflict", "queue", "priority", "timeout", "delivery", "cwd")
        if (value := getattr(given, word)) is not None
    }
    if given.retries is not None:
        said["retry"] = given.retries or None
    if given.expires is not None:
        said["expires"] = _expires(given.expires, now, zone)
    if given.env:
        said["env"] = _environment(given.env, os.environ)
    return cast("Said", said)


def _expires(text: str, now: int, zone: tzinfo) -> object:
    """A duration after the task's instant, or an instant."""
    try:
        parse_duration(text)
    except InvalidValue:
        return to_datetime(parse_when(text, now=now, tz=zone))
    return text


def _environment(pairs: tuple[str, ...], here: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals and name not in here:
            raise click.UsageError(f"--env {name}: expected NAME=VALUE; {name} alone is not set here")
        found[name] = value if equals else here[name]
    return found


J = TypeVar("J", list[object], dict[str, object])


def _json(flag: str, text: str | None, kind: type[J], example: str) -> J:
    """A JSON text of the command line; what is wrong with it is shown at its place."""
    import json

    if text is None:
        return kind()
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, allow_nan=False)  # 1e400 was read as infinity
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.strip() else text
        start = max(0, error.colno - 40)
        raise click.UsageError(
            f"{flag} is not valid JSON: {error.msg} at column {error.colno}\n"
            f"  {line[start : start + 70]}\n  {' ' * (error.colno - 1 - start)}^"
        ) from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{flag} is not valid JSON: {error}") from None
    if not isinstance(value, kind):
        raise click.UsageError(f"{flag} expects {example}, got {text!r:.100}")
    return value


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _refuse(said: object, why: str) -> None:
    if said:
        raise click.UsageError(why)


def what(shown: "ShownTask | ShownWork") -> str:
    """What is run, in a line: a command, or a call."""
    if shown.command is not None:
        return shlex.join(shown.command)
    parts = [_short(value) for value in shown.args or []]
    parts += [f"{name}={_short(value)}" for name, value in (shown.kwargs or {}).items()]
    return f"{shown.function}({', '.join(parts)})"


def _short(value: object) -> str:
    text = "•••" if value == "•••" else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
