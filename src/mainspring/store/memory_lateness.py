"""How late starts were, counted beside the memory store's tasks: what a trigger does in the database, in plain code."""

from itertools import pairwise

from mainspring.store.histogram import FINEST, FOLD_US, MOST_ROWS, SECOND, WINDOWS, bucket_of
from mainspring.store.rows import LateRow

_Cell = tuple[int, int, int, str, int]  # length and start of the window in seconds, lane, schedule, bucket


class LateCounts:
    """Counts and largest values by window, lane, schedule and bucket."""

    def __init__(self) -> None:
        self._cells: dict[_Cell, tuple[int, int]] = {}
        self._folded = 0

    def count(self, started_at: int, run_at: int, lane: int, schedule: str | None, by: int = 1) -> None:
        """Count a start against the instant it was due; `by` -1: it was counted before, at another instant."""
        if started_at < run_at:
            return
        late = started_at - run_at
        start = started_at // (FINEST * SECOND) * FINEST
        self._add((FINEST, start, lane, schedule or "", bucket_of(late)), by, late)
        if started_at // FOLD_US > self._folded:
            self._folded = started_at // FOLD_US
            self._fold(started_at // SECOND)

    def _add(self, cell: _Cell, count: int, most: int) -> None:
        before, largest = self._cells.get(cell, (0, 0))
        self._cells[cell] = (before + count, max(most, largest))

    def _fold(self, second: int) -> None:
        """Make one window of several older ones, and forget those older than a day."""
        for (length, kept), (longer, _) in pairwise(WINDOWS):
            before = (second - kept) // longer * longer
            for cell in [cell for cell in self._cells if cell[0] == length and cell[1] < before]:
                count, most = self._cells.pop(cell)
                self._add((longer, cell[1] // longer * longer, *cell[2:]), count, most)
        last, kept = WINDOWS[-1]
        for cell in [cell for cell in self._cells if cell[0] == last and cell[1] < second - kept - last]:
            del self._cells[cell]
        if len(self._cells) > MOST_ROWS:
            oldest = sorted((cell[1] for cell in self._cells), reverse=True)[MOST_ROWS]
            self._cells = {cell: value for cell, value in self._cells.items() if cell[1] > oldest}

    def rows(self, since: int, *, apart: bool) -> list[LateRow]:
        """See `Store.lateness`."""
        found: dict[tuple[int, int, int, str, int], tuple[int, int]] = {}
        second = since // SECOND
        for (length, start, lane, schedule, bucket), (count, most) in sorted(self._cells.items(), key=_by_start):
            if start > second - length:
                window = (start * SECOND, length * SECOND) if apart else (0, 0)
                before, largest = found.get((*window, lane, schedule, bucket), (0, 0))
                found[*window, lane, schedule, bucket] = (before + count, max(most, largest))
        return [
            LateRow(start, length, lane, schedule or None, bucket, count, most)
            for (start, length, lane, schedule, bucket), (count, most) in found.items()
            if count > 0
        ]


def _by_start(item: tuple[_Cell, tuple[int, int]]) -> tuple[object, ...]:
    length, start, *rest = item[0]
    return (start, *rest, length)
