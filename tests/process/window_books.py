"""The window checker over the tasks of `workload`: what was accepted, held against what the bodies wrote themselves."""

from collections import defaultdict
from pathlib import Path

from mainspring.store.rows import Filter
from mainspring.tasks.state import State
from mainspring.testing.windows import Kill, Occurrence, Run, check
from mainspring.when.clock import SystemClock

_clock = SystemClock()


def killed(script, kills):
    """Kill it, and note when, and who died of it; the lines it had still written."""
    before = _clock.now()
    rest = script.kill()
    kills.append(Kill(before, _clock.now(), {script.pid}))
    return rest


def runs_of(path):
    """What the bodies wrote, apart: by functions, and by programs."""
    runs = {}
    for line in Path(path).read_text().splitlines():
        what, task, *rest = line.split()
        if what == "F":
            continue
        attempt, fence, at, _, name, pid, parent = rest
        which = task, attempt, fence, name, pid
        if what == "B":
            runs[which] = Run(task, int(at), None, (int(pid), int(parent)))
        else:
            runs[which] = runs[which]._replace(ended=int(at))
    apart = defaultdict(list)
    for (*_, name, _), run in runs.items():
        apart["program" if name == "sh" else "function"].append(run)
    return apart


def windows(store, path, tasks, kills):
    """Every fault. Tasks that are tried again by themselves are left out: their attempts have instants of their own."""
    runs = runs_of(path)
    rows = store.find(Filter(limit=1_000_000))
    flaky = {str(row.id) for row in rows if row.work.endswith(":flaky")}
    occurrences = [
        Occurrence(
            str(row.id),
            tasks[row.id][1] if row.id in tasks else row.run_at,
            # what was cancelled need not run, nor an at-most-once task that a kill cut off just before its body
            needed=row.state is State.SUCCEEDED,
            once=(row.name or row.work).endswith("once"),
        )
        for row in rows
        if str(row.id) not in flaky
    ]
    everyone = [kill._replace(processes=None) for kill in kills]  # a program is nobody's child by name
    programs = {run.name for run in runs["program"]}
    functions = [run for run in runs["function"] if run.name not in flaky]
    return [
        *check([one for one in occurrences if one.name not in programs], functions, kills),
        *check([one for one in occurrences if one.name in programs], runs["program"], everyone),
    ]
