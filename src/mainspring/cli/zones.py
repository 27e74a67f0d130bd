"""Rules and their zones on the command line: what a rule says, when it runs next, in its zone and in the reader's."""

from datetime import tzinfo

import click

from mainspring.when.dst import zone_name
from mainspring.when.preview import preview, rule_zone
from mainspring.when.readable import distance, exact
from mainspring.when.triggers import Trigger


def named(zone: tzinfo) -> str:
    """The name under which a daemon finds the zone again; a zone of this machine that has none is refused."""
    name = zone_name(zone)
    if name is None or name == "localtime":  # read from a file that is no zone of the database
        raise click.UsageError("the zone of this machine has no name that a schedule could keep; say it: --tz ZONE")
    return name


def following(trigger: Trigger, now: int, count: int, local: tzinfo) -> str:
    """The next occurrences, a line each: in the rule's zone and the reader's, how far away, and what is to be said."""
    zone = rule_zone(trigger, now) or local
    lines = []
    for at, notes in preview(trigger, now, count, local):
        lines.append(f"  {both(at, zone, local)}  {distance(at, now)}")
        lines += [f"    {note}" for note in notes]
    return "\n".join(lines)


def both(instant: int, zone: tzinfo, local: tzinfo) -> str:
    """An instant in the rule's zone and, where the clocks there differ, in the reader's."""
    there, here = exact(instant, zone), exact(instant, local)
    return there if there == here else f"{there}  ({here} in {local})"
