"""A histogram of lateness as SVG: logarithmic buckets, one step line for each series, p50 and p99 marked."""

import math
from collections.abc import Sequence
from html import escape

from mainspring.bench.figures import rank

Series = tuple[str, list[int]]  # name, lateness in µs

_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 84, 56
_COLOURS = ("#0b6bcb", "#b45309")
_DASHES = ("", "6 4")
_PER_DECADE = 12  # buckets
_TICKS = (1, 2, 5)


def histogram(title: str, series: Sequence[Series]) -> str:
    """The picture of at most two series, none empty."""
    pooled = sorted(max(late, 1) for _, values in series for late in values)
    low = math.floor(math.log10(pooled[0]) * _PER_DECADE) / _PER_DECADE
    high = math.ceil(math.log10(pooled[-1] + 1) * _PER_DECADE) / _PER_DECADE
    count = max(1, round((high - low) * _PER_DECADE))
    shares = [_shares(values, low, count) for _, values in series]
    top = _nice(max(max(one) for one in shares))

    def x(log: float) -> float:
        return _LEFT + (log - low) / (count / _PER_DECADE) * (_WIDTH - _LEFT - _RIGHT)

    def y(share: float) -> float:
        return _HEIGHT - _BOTTOM - share / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_head(title)]
    parts += [_level(y(top * step / 4), top * step / 4) for step in range(5)]
    parts += [_tick(x(math.log10(us)), us) for us in _ticks(low, low + count / _PER_DECADE)]
    for index, ((name, values), share) in enumerate(zip(series, shares, strict=True)):
        edges = [x(low + bucket / _PER_DECADE) for bucket in range(count + 1)]
        parts.append(_steps(edges, [y(one) for one in share], y(0), index))
        parts.append(_legend(name, sorted(values), index))
    parts.append("</svg>\n")
    return "\n".join(parts)


def _shares(values: Sequence[int], low: float, count: int) -> list[float]:
    """How much of the values, in percent, is in each bucket."""
    buckets = [0] * count
    for value in values:
        buckets[min(count - 1, max(0, int((math.log10(max(value, 1)) - low) * _PER_DECADE)))] += 1
    return [bucket * 100 / len(values) for bucket in buckets]


def _nice(most: float) -> float:
    """The top of the axis: the next of 4, 8, 20, 40, 60, 80, 100."""
    return next((float(top) for top in (4, 8, 12, 20, 28, 40, 60, 80) if top >= most), 100.0)


def _ticks(low: float, high: float) -> list[int]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    every = [step * 10**decade for decade in decades if decade >= 0 for step in _TICKS]
    return [us for us in every if low <= math.log10(us) <= high]


# ── elements ───────────────────────────────────────────────────────────────────────────────────────────────────


def _head(title: str) -> str:
    middle, base = (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12
    side = (_TOP + _HEIGHT - _BOTTOM) / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n'
        f'<text x="{_LEFT}" y="26" font-size="17" font-weight="600">{escape(title)}</text>\n'
        f'<text x="{middle}" y="{base}" text-anchor="middle">late by (milliseconds, logarithmic)</text>\n'
        f'<text x="16" y="{side}" text-anchor="middle" transform="rotate(-90 16 {side})">share of starts</text>'
    )


def _level(y: float, share: float) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:g} %</text>'
    )


def _tick(x: float, us: int) -> str:
    base = _HEIGHT - _BOTTOM
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 5}" stroke="#1f2328"/>'
        f'<text x="{x:.1f}" y="{base + 20}" text-anchor="middle">{us / 1000:g}</text>'
    )


def _steps(edges: Sequence[float], heights: Sequence[float], base: float, index: int) -> str:
    points = [f"M {edges[0]:.1f} {base:.1f}"]
    for left, right, height in zip(edges, edges[1:], heights, strict=False):
        points.append(f"L {left:.1f} {height:.1f} L {right:.1f} {height:.1f}")
    points.append(f"L {edges[-1]:.1f} {base:.1f}")
    colour, dash = _COLOURS[index], _DASHES[index]
    return (
        f'<path d="{" ".join(points)}" fill="{colour}" fill-opacity="0.14" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>'
    )


def _legend(name: str, values: Sequence[int], index: int) -> str:
    y = 50 + 20 * index
    figures = ", ".join(
        f"{word} {rank(list(values), share) / 1000:.2f} ms" for word, share in (("p50", 0.5), ("p99", 0.99))
    )
    return (
        f'<line x1="{_LEFT}" x2="{_LEFT + 34}" y1="{y - 4}" y2="{y - 4}" stroke="{_COLOURS[index]}" stroke-width="3" '
        f'stroke-dasharray="{_DASHES[index]}"/>'
        f'<text x="{_LEFT + 44}" y="{y}">{escape(name)}: {figures}</text>'
    )
