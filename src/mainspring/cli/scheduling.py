"""The options that verbs of schedules share."""

from collections.abc import Callable
from typing import TypeVar

import click

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
