"""Two pictures as SVG, both on a logarithmic axis, one line for each peer, ours first and in colour."""

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BOTTOM = 760, 250, 90, 56, 34, 40
_OURS, _THEIRS = "#0b6bcb", "#6e7781"


def spans(title: str, lines: Sequence[tuple[str, float, float]]) -> str:
    """From the first to the second value of each line, a dot at both ends."""
    axis = _Axis([value for _, *both in lines for value in both])
    parts = []
    for row, (name, low, high) in enumerate(lines):
        y, colour = _TOP + _ROW * row + _ROW / 2, _colour(name)
        left, right = axis.x(low), axis.x(high)
        parts.append(
            f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="4"/>'
            f'<circle cx="{left:.1f}" cy="{y}" r="6" fill="#ffffff" stroke="{colour}" stroke-width="3"/>'
            f'<circle cx="{right:.1f}" cy="{y}" r="6" fill="{colour}"/>'
            f'<text x="{right + 12:.1f}" y="{y + 4}">{_number(low)} – {_number(high)}</text>'
        )
    return _picture(title, [name for name, *_ in lines], axis, parts)


def bars(title: str, lines: Sequence[tuple[str, float]]) -> str:
    """A bar for each line."""
    axis = _Axis([value for _, value in lines])
    parts = []
    for row, (name, value) in enumerate(lines):
        y, right = _TOP + _ROW * row + _ROW / 2, axis.x(value)
        parts.append(
            f'<rect x="{_LEFT}" y="{y - 9}" width="{right - _LEFT:.1f}" height="18" fill="{_colour(name)}"/>'
            f'<text x="{right + 8:.1f}" y="{y + 4}">{_number(value)}</text>'
        )
    return _picture(title, [name for name, _ in lines], axis, parts)


class _Axis:
    """Whole decades that hold all values."""

    def __init__(self, values: Sequence[float]) -> None:
        logs = [math.log10(max(value, 1e-3)) for value in values]
        self.low = math.floor(min(logs))
        self.high = max(math.floor(max(logs)) + 1, self.low + 1)

    def x(self, value: float) -> float:
        share = (math.log10(max(value, 1e-3)) - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _picture(title: str, names: Sequence[str], axis: _Axis, parts: Sequence[str]) -> str:
    base = _TOP + _ROW * len(names)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {base + _BOTTOM}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{base + _BOTTOM}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="17" font-weight="600">{escape(title)}</text>',
    ]
    for decade in range(axis.low, axis.high + 1):
        x = axis.x(10.0**decade)
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base}" stroke="#d0d7de"/>'
            f'<text x="{x:.1f}" y="{base + 20}" text-anchor="middle">{10.0**decade:,g}</text>'
        )
    for row, name in enumerate(names):
        y = _TOP + _ROW * row + _ROW / 2 + 4
        lines.append(f'<text x="{_LEFT - 12}" y="{y}" text-anchor="end">{escape(name)}</text>')
    return "\n".join([*lines, *parts, "</svg>\n"])


def _colour(name: str) -> str:
    return _OURS if name.startswith("Mainspring") else _THEIRS


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
