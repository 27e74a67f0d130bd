"""What must hold of every schedule's occurrences, whatever happened: each is one task, or in one stretch missed."""

from collections import Counter
from dataclasses import dataclass

from mainspring.store.rows import Filter
from mainspring.tasks.state import FINISHED, State


@dataclass
class Standing:
    """A schedule as its adder knows it."""

    name: str
    interval: int  # µs
    queue: str
    first: int  # its first occurrence
    paused: bool = False
    gone: bool = False

    def grid(self, after, until):
        """Its instants after `after` and up to `until`."""
        return range((after // self.interval + 1) * self.interval, until + 1, self.interval)


class Schedules:
    """All there ever were, and the starts of their tasks."""

    def __init__(self):
        self.all: list[Standing] = []
        self.starts: list[tuple[int, int, int]] = []  # task, attempt, instant

    def living(self):
        return [one for one in self.all if not one.gone]

    def rows(self, store, one):
        return store.find(Filter(schedule=one.name, limit=100_000))

    def finished(self, store):
        """Which occurrences have come to an end."""
        return {
            (one.name, row.occurrence) for one in self.all for row in self.rows(store, one) if row.state in FINISHED
        }

    def check(self, store, model):
        """None is lost, none is there twice, none started early or more often than its row tells."""
        starts = Counter(task for task, _, _ in self.starts)
        first = {(task, attempt): at for task, attempt, at in self.starts}
        assert len(first) == len(self.starts), "an attempt was started twice"
        for one in self.all:
            rows = self.rows(store, one)
            stretches = [range(row.occurrence, row.missed_until + 1, one.interval) for row in rows if row.missed_count]
            assert all(len(stretch) == row.missed_count for stretch, row in
                       zip(stretches, [row for row in rows if row.missed_count], strict=True))  # fmt: skip
            single = Counter(at for stretch in stretches for at in stretch)
            single.update(
                row.occurrence for row in rows
                if row.occurrence is not None and not row.missed_count and row.state is not State.CANCELLED
            )  # fmt: skip
            assert not single or max(single.values()) == 1, f"{one.name}: an occurrence is there twice: {single}"
            for row in rows:
                lost = starts[row.id] - row.attempt
                assert lost in ((0,) if model.runs else (0, 1)), f"{row} was started {starts[row.id]} times"
                began = [at for (task, _), at in first.items() if task == row.id]
                assert all(at >= (row.occurrence or 0) for at in began), f"{row} started early: {began}"
            if model.runs and not one.paused and not one.gone and not {one.queue, None} & model.paused:
                told = set(single) | {row.occurrence for row in rows}
                lost = [at for at in one.grid(one.first - 1, model.now) if at not in told]
                assert not lost, f"{one.name}: nothing is known of {lost[:3]}"
                late = [row for row in rows if row.state is State.WAITING and row.run_at <= model.now]
                assert not late, f"{one.name}: is due and waits: {late[0]}"

    def check_in_time(self, store, model, before, finished):
        """Time went by itself: what came due was started at its instant."""
        for one in self.living():
            if one.paused or {one.queue, None} & model.paused:
                continue
            found = {row.occurrence: row for row in self.rows(store, one) if row.state is State.SUCCEEDED}
            for at in one.grid(max(before, one.first - 1), model.now):
                if (one.name, at) not in finished:
                    assert at in found, f"{one.name}: {at} did not run"
                    assert found[at].started_at == at, f"{one.name}: {at} started at {found[at].started_at}"
