"""The options that verbs of schedules share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

import click

from mainspring.errors import InvalidValue
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from mainspring.scheduling import ScheduleSaid

F = TypeVar("F", bound=Callable[..., object])


def daylight_options(function: F) -> F:
    """Decorates a verb with --gap and --fold; with neither of them Debian's rules hold."""
    for option in (
        click.option("--fold", type=click.Choice(["first", "second", "both"]), help="When clocks show a time twice."),
        click.option(
            "--gap", type=click.Choice(["skip", "shift"]), help="When clocks skip a time: leave it out, or later."
        ),
    ):
        function = option(function)
    return function


_RULE = {
    "misfire": click.option(
        "--misfire",
        type=click.Choice(["latest", "all", "skip"]),
        help="Of what was missed: what runs (default: latest).",
    ),
    "grace": click.option("--grace", metavar="DURATION", help="Later than this is missed (default: 1m)."),
    "catch_up": click.option(
        "--catch-up", type=int, metavar="N", help="With --misfire all: at most so many (default: 100)."
    ),
    "overlap": click.option(
        "--overlap",
        type=click.Choice(["skip", "queue", "allow", "replace"]),
        help="When the last one still runs (default: skip).",
    ),
    "keep": click.option("--keep", type=int, metavar="N", help="So many finished tasks stay in the history."),
}


def rule_options(function: F) -> F:
    """Decorates a verb with what a schedule does about occurrences that cannot run in time."""
    for option in reversed(_RULE.values()):
        function = option(function)
    return function


def take_rule(said: dict[str, object]) -> "ScheduleSaid":
    """What those options said, taken out of what all options said."""
    found = {word: said.pop(word, None) for word in _RULE}
    if isinstance(found["grace"], str):
        try:
            parse_duration(found["grace"])
        except InvalidValue as error:
            raise click.UsageError(f"--grace: {error}") from None
    return cast("ScheduleSaid", {word: value for word, value in found.items() if value is not None})
