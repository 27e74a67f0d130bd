"""When a rule will run, as JSON shows it."""

from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from mainspring.shown import rule_words
from mainspring.when.instants import isoformat, to_datetime
from mainspring.when.triggers import Trigger


class PreviewedOccurrence(msgspec.Struct, frozen=True):
    """An instant in UTC, in the rule's zone and in the reader's, with notes where clocks are changed."""

    run_at: str
    at: str
    local: str
    notes: list[str]


class Previewed(msgspec.Struct, frozen=True):
    """A rule; `schedule` is null for one that is not stored, `zone` the rule's, `local_zone` the reader's."""

    schedule: str | None
    rule: str
    zone: str
    local_zone: str
    occurrences: list[PreviewedOccurrence]


def shown_preview(
    trigger: Trigger,
    found: Sequence[tuple[int, Sequence[str]]],
    zone: tzinfo,
    local: tzinfo,
    schedule: str | None = None,
) -> Previewed:
    """What `when.preview.preview` found: instants (µs) with their notes."""
    return Previewed(
        schedule=schedule,
        rule=rule_words(trigger),
        zone=str(zone),
        local_zone=str(local),
        occurrences=[
            PreviewedOccurrence(isoformat(at), _iso(at, zone), _iso(at, local), list(notes)) for at, notes in found
        ],
    )


def _iso(instant: int, zone: tzinfo) -> str:
    return to_datetime(instant, zone).isoformat(timespec="microseconds")
