"""From an error to a message on stderr and an exit code."""

import sys
import traceback
from collections.abc import Sequence

import click

from mainspring.cli.terminal import clean, say
from mainspring.errors import (
    InvalidArguments,
    InvalidValue,
    KeyInUse,
    MainspringError,
    Misuse,
    NameInUse,
    NotAStore,
    NotFound,
    QueueFull,
    StoreConflict,
    StoreNotFound,
    TaskNotFound,
    TooLate,
)

FAILED, USAGE, NOT_FOUND, CONFLICT, INTERRUPTED = 1, 2, 3, 4, 130

_CODES: tuple[tuple[type[MainspringError] | tuple[type[MainspringError], ...], int], ...] = (
    (NotAStore, FAILED),
    ((TaskNotFound, NotFound, StoreNotFound), NOT_FOUND),
    ((KeyInUse, NameInUse, QueueFull, StoreConflict, TooLate), CONFLICT),
    ((InvalidValue, InvalidArguments, Misuse), USAGE),
)


class Failure(MainspringError):
    """An error of the command line itself, with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def code_of(error: MainspringError) -> int:
    """The exit code that an error stands for."""
    if isinstance(error, Failure):
        return error.exit_code
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return FAILED


def report(error: Exception, args: Sequence[str] | None) -> int:
    """Say what went wrong; the exit code."""
    given = sys.argv[1:] if args is None else list(args)
    ours = given[: given.index("--")] if "--" in given else given
    if isinstance(error, click.Abort):
        return INTERRUPTED
    if "--debug" in ours:
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        _explain(error)
        return error.exit_code
    if isinstance(error, KeyInUse):
        say(
            f"error: the key {error.key!r} belongs to the unfinished task {error.task_id}; --on-conflict keep keeps "
            f"that one, --on-conflict replace cancels it first"
        )
        return CONFLICT
    if isinstance(error, MainspringError):
        hint = "; --wait DURATION waits for room" if isinstance(error, QueueFull) and not error.why else ""
        say(f"error: {error}{hint}")
        return code_of(error)
    if isinstance(error, OSError):
        say(f"error: {error}")
        return FAILED
    say(f"error: {type(error).__name__}: {error}\nThis is a bug in Mainspring; with --debug it shows where.")
    return FAILED


def _explain(error: click.ClickException) -> None:
    """The message; for wrong usage also how the verb is used."""
    say(f"error: {error.format_message()}")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        context = error.ctx
        say(clean(context.get_usage(), keep="\n"))
        say(f"Examples: {context.command_path} --help")
