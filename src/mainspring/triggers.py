"""All triggers, and the days they are combined with. `Every` and `Cron` are here too.

`a | b` is due whenever one of them is, `a - b` leaves out instants or days, `a & days` keeps those on certain days;
`.between(start, end)` and `.at_most(count)` bound one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.when.bounded import Bounded
    from mainspring.when.calendar_interval import Calendar
    from mainspring.when.cron import Cron
    from mainspring.when.dates import Dates
    from mainspring.when.days import BusinessDays, Days
    from mainspring.when.every import Every
    from mainspring.when.jitter import Jitter
    from mainspring.when.rrule import RRule
    from mainspring.when.triggers import Trigger

_HOME = {
    "Bounded": "bounded",
    "BusinessDays": "days",
    "Calendar": "calendar_interval",
    "Cron": "cron",
    "Dates": "dates",
    "Days": "days",
    "Every": "every",
    "Jitter": "jitter",
    "RRule": "rrule",
    "Trigger": "triggers",
}

__all__ = [
    "Bounded", "BusinessDays", "Calendar", "Cron", "Dates", "Days", "Every", "Jitter", "RRule", "Trigger",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'mainspring.triggers' has no attribute {name!r}")
    value = getattr(import_module(f"mainspring.when.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
