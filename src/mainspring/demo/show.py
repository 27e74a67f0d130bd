"""What the demo prints: a story with a clock that is zero at the opening, a table, a list of checks. 80 columns."""

import os
import sys
from collections.abc import Sequence

from mainspring.demo.books import Check, Line

_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"


class Stage:
    """Prints. Colours only on a terminal that wants them."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def say(self, text: str = "") -> None:
        """A line, shown at once also in a pipe."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def title(self, text: str) -> None:
        """A heading."""
        self.say(f"\n{self._in(_BOLD, text)}\n")

    def scene(self, since_opening: int, text: str, *, loud: bool = False) -> None:
        """A line of the story; `since_opening` in µs."""
        self.say(f"{self._clock(since_opening)}  {self._in(_YELLOW, text) if loud else text}")

    def tally(self, since_opening: int, orders: int, paid: int, closed: int, receipts: int) -> None:
        """How far it is."""
        text = f"{orders:4} orders  {paid:4} paid  {closed:4} closed  {receipts:4} receipts"
        self.say(f"{self._clock(since_opening)}  {self._in(_DIM, text)}")

    def table(self, lines: Sequence[Line]) -> None:
        """How late each step was, in milliseconds."""
        head = f"  {'started late by, in ms':<36}{'count':>6}{'p50':>9}{'p99':>9}{'max':>9}{'early':>7}"
        self.say(self._in(_DIM, head))
        for line in lines:
            figures = "".join(f"{'–' if value is None else format(value / 1000, '.2f'):>9}" for value in line.figures)
            early = self._in(_RED, f"{line.early:>7}") if line.early else f"{line.early:>7}"
            self.say(f"  {line.name:<36}{line.count:>6}{figures}{early}")

    def checks(self, checks: Sequence[Check]) -> None:
        """What was checked, and what is wrong."""
        for check in checks:
            mark = self._in(_RED, "✗") if check.faults else self._in(_GREEN, "✓")
            self.say(f"  {mark} {check.name}")
            for fault in check.faults[:10]:
                self.say(f"      {self._in(_RED, fault)}")
            if len(check.faults) > 10:
                self.say(f"      {self._in(_RED, f'and {len(check.faults) - 10} more')}")

    def verdict(self, text: str, *, good: bool) -> None:
        """The last word."""
        self.say(f"\n{self._in(_GREEN if good else _RED, text)}")

    def _clock(self, since_opening: int) -> str:
        return self._in(_DIM, f"{since_opening / 1e6:+7.2f} s")

    def _in(self, style: str, text: str) -> str:
        return f"\033[{style}m{text}\033[0m" if self._colours else text
