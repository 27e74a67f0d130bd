"""Instants and distances as people read them: exact with the offset, and how far away."""

from datetime import tzinfo

from mainspring.when.instants import to_datetime

_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))


def exact(instant: int, zone: tzinfo) -> str:
    """`2026-11-27T10:00:00.250+08:00`: with milliseconds, or microseconds where there are any. Can be typed as WHEN."""
    moment = to_datetime(instant, zone)
    return moment.isoformat(timespec="microseconds" if instant % 1000 else "milliseconds")


def span(microseconds: int) -> str:
    """A length of time in at most two units: `3d 4h`, `1m 30s`, `250ms`."""
    if microseconds < 1_000:
        return f"{microseconds}us"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.3g}ms"
    if microseconds < 10_000_000:
        return f"{microseconds / 1e6:.3g}s"
    parts: list[str] = []
    rest = microseconds
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def distance(instant: int, now: int) -> str:
    """How far away an instant is: `in 2h 30m`, `3m ago`, `now`."""
    apart = instant - now
    if -1_000_000 < apart <= 0:
        return "now"
    return f"in {span(apart)}" if apart > 0 else f"{span(-apart)} ago"
