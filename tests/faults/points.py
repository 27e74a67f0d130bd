"""A process in which every point at which something breaks gets a process of its own.

It reads one JSON line for each point, `{"do": <a name below>, ...}`, and answers with one: what was found. Imports are
paid once; each point is forked, works on files of its own and is killed, or ends; another one looks at what it left.
This process itself never opens a store.
"""

import json
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import traceback
from functools import cache, partial
from pathlib import Path

import apsw
import effects
import limits
import migrations
import planted
from effects import T
from faulty_vfs import Calm, CutAt, Disk, FailAt, KillAt, Platter

from mainspring.errors import StoreError
from mainspring.store.rows import NewNode, NewTask, Settlement
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in
from mainspring.tasks.state import CODES, State

_LONGEST = 100  # seconds for one child; what takes longer hangs
_ERRORS = {
    "EIO": lambda: apsw.IOError("the test says so"),
    "full": lambda: apsw.FullError("no space left on device"),
    "read-only": lambda: apsw.ReadOnlyError("the test says so"),
    "cannot open": lambda: apsw.CantOpenError("the test says so"),
}


class Found(dict):
    """What a point told: figures for the table, and in `wrong` what must not be."""

    def __init__(self, **figures):
        super().__init__({"lost": 0, "twice": 0, "integrity": 0, "wrong": [], "reached": True, "said": [], **figures})

    def say(self, error, path):
        """An error that somebody was told."""
        self["said"].append(f"{type(error).__name__}: {error}".replace(path, "PATH"))


def in_child(work, *given):
    """Have a process do it: what it returned, or the traceback, or how it ended."""
    out, into = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(_LONGEST)
        try:
            told = work(*given)
        except BaseException:
            told = traceback.format_exc()
        with os.fdopen(into, "wb") as file:
            pickle.dump(told, file)
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as file:
        told = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return pickle.loads(told) if told and status == 0 else signal.Signals(-status).name if status < 0 else status


# ── crash points and power cuts ────────────────────────────────────────────────────────────────────────────────


def kill(folder, seed, number, plant=None):
    """SIGKILL at the `number`-th call that writes."""
    return _crash(folder, seed, plant, KillAt(number), None)


def cut(folder, seed, number, failing=0, plant=None):
    """The power fails there, and if `failing` that sync has failed before.

    What daemons note beside the file is in mapped memory: it may be there, empty, or gone.
    """
    chance = random.Random(f"{seed}/{number}/{failing}")
    platter = Platter()
    plan = CutAt(number, platter, chance.random(), folder / "left", failing)
    return _crash(folder, seed, plant, plan, platter, chance)


def _crash(folder, seed, plant, plan, platter, chance=None):
    told = _reference(seed)
    place, book = folder / "a.db", folder / "book"
    end = in_child(_play, str(place), str(book), seed, told, plan, platter, plant)
    if end != "SIGKILL":
        return Found(reached=False, wrong=[] if end == "finished" else [end])
    if chance:
        left, nodes = folder / "left", folder / "a.db-nodes"
        if nodes.is_dir() and chance.random() < 0.7:
            shutil.copytree(nodes, left / "a.db-nodes", ignore=shutil.ignore_patterns("w-*"))
            if chance.random() < 0.5:
                for journal in left.glob("a.db-nodes/*.journal"):
                    journal.write_bytes(b"")
        place = left / "a.db"
    return in_child(_look_after, str(place), told, effects.read(book), bool(chance))


def _play(path, book, seed, told, plan, platter, plant):
    """All steps, each noted before and after. One that failed is done again, if nothing of it was kept."""
    disk = Disk(plan, platter)
    planted.plant(plant)
    found = Found()
    book = effects.Book(book)
    work = _tried(partial(effects.Work, path), plan, -1, found, path)
    for number, verb in effects.Work.steps(seed):
        book.write("begin", number)
        try:
            done = work.do(seed, number, verb)
        except StoreError:
            if verb != "reopen":
                work.store.get(1)  # whatever comes next mends what is in doubt
            if told.changed(number) and effects.contents(path) == told.states[told.ends[number + 1]]:
                plan.over()  # it was kept, as the error says it may be: what it told is not known
            done = work.do(seed, number, verb)
        book.write("done", *done)
    work.store.close()
    disk.close()
    return "finished"


def calls(folder, seed):
    """How many calls there are of each kind, and altogether of those that write."""
    plan = Calm()
    end = in_child(_counted, str(folder / "a.db"), str(folder / "book"), seed, plan)
    return Found(wrong=[end]) if isinstance(end, str) else Found(**end)


def _counted(path, book, seed, plan):
    _play(path, book, seed, None, plan, None, None)
    return {**plan.calls, "writing": plan.writes}


@cache
def _reference(seed):
    with tempfile.TemporaryDirectory() as folder:
        return in_child(effects.reference, os.path.join(folder, "a.db"), seed)


def _look_after(path, told, book, power):
    """Open what is left as anybody would, compare it with the book, and go on working with it."""
    found = Found()
    if not power and told.allowed(book, power=False)[0]:  # what SIGKILL leaves is no damage, and nothing is missing
        found["wrong"] += [finding.says for finding in findings_in(path)]
    try:
        store = SqliteStore(path)
    except StoreError as error:
        return Found(integrity=1, wrong=[f"it cannot be opened: {error}"])
    first, last = told.allowed(book, power=power)
    rows = effects.contents(path)
    place = told.place(rows, first, last)
    if place is None:
        found["integrity"] += 1
        before = told.states[first]
        differs = {name: set(rows.get(name, ())) ^ set(before.get(name, ())) for name in rows}
        found["wrong"].append(f"something is half done: by {told.verbs[: book.begun][-1:]} {differs}")
    elif place < first:
        found["lost"] += 1
        found["wrong"].append(f"after {told.verbs[: len(book.acknowledged)][-3:]} it is as before: {place} < {first}")
    elif place > last:
        found["wrong"].append(f"it is farther than anybody went: {place} > {last}")
    else:
        found["twice"] = told.undone(book, place)
    wrong = go_on(store, book.newest)
    store.close()
    said = [finding.says for finding in findings_in(path)]
    found["integrity"] += bool(said)
    found["wrong"] += wrong + said
    return found


def go_on(store, newest=0):
    """Whoever comes next takes over, runs everything that is left, and adds more; what was wrong."""
    now = T + 1_000 * effects.SECOND
    for node in store.nodes():
        if not node.alive and store.take_over(node.id, now) is None:
            return [f"{node} could not be taken over"]
    store.pause("mail", paused=False)
    seat = store.join(NewNode(host="h", pid=2, version="1", workers=2, started_at=now))
    [last] = store.add([NewTask(run_at=now, work="m:f0")], now)
    held = store.reserve(seat.node, [lane.id for lane in store.lanes()], after=0, until=now, limit=10_000)
    ended = [
        Settlement(task.id, held.token, CODES[State.SUCCEEDED], False, task.attempt + 1, 0, None, None, now, now, "1")
        for task in held.tasks
    ]
    refused = store.record(ended)
    counts = store.stats().counts
    store.leave(seat.node)
    wrong = [f"the token {held.token} came after {newest}"] * (held.token <= newest)
    wrong += [f"{refused} were refused"] * bool(refused)
    wrong += [f"what is left does not run: {counts}"] * bool(counts[State.WAITING] + counts[State.RUNNING])
    return wrong + ["what was added is not there"] * (store.get(last.id) is None)


# ── an older store that is brought up ──────────────────────────────────────────────────────────────────────────


def migrate(folder, version, number, by):
    """SIGKILL at the `number`-th call that writes, or before the `number`-th statement (`by`), of opening it."""
    path = folder / "a.db"
    told = _older(version)
    path.write_bytes(told["file"])
    end = in_child(_opened, str(path), number, by)
    if end != "SIGKILL":
        return Found(reached=False, wrong=[] if end == "opened" else [end])
    return in_child(_look_at_migrated, str(path), told)


def _opened(path, number, by):
    disk = Disk(KillAt(number if by == "call" else 0))
    if by == "statement":
        migrations.killed_at_statement(number)
    SqliteStore(path).close()
    disk.close()
    return "opened"


@cache
def _older(version):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.db")
        made = in_child(migrations.make, path, version)
        assert made == version, made
        file = Path(path).read_bytes()
        old = in_child(migrations.kept, path)
        assert in_child(_opened, path, 0, "call") == "opened"
        return {"file": file, "old": old, "new": in_child(migrations.kept, path)}


def _look_at_migrated(path, told):
    """What the kill left is the old store or the new one; then it is opened, and is the new one."""
    found = Found()
    for schemas in ((told["old"][1], told["new"][1]), (told["new"][1],)):
        rows, schema, whole = migrations.kept(path)
        found["lost"] += rows != told["old"][0]
        found["integrity"] += whole != "ok"
        found["wrong"] += ["it is neither old nor new"] * (schema not in schemas)
        store = SqliteStore(path, create=False)
    found["wrong"] += [f"{name}: {found[name]}" for name in ("lost", "integrity") if found[name]]
    found["wrong"] += go_on(store)
    store.close()
    found["wrong"] += [finding.says for finding in findings_in(path)]
    return found


# ── errors of the disk ─────────────────────────────────────────────────────────────────────────────────────────


def fail(folder, seed, kind, number, error, more=0):
    """The `number`-th call of a kind fails, and the `more` after it."""
    return _healed(folder, seed, FailAt(kind, number, _ERRORS[error](), more))


def limit(folder, seed, which, amount):
    """The system itself refuses: from some step on, for three steps."""
    return _healed(folder, seed, limits.Limit(which, amount, seed))


def _healed(folder, seed, plan):
    found = in_child(_play_on, str(folder / "a.db"), seed, _reference(seed), plan)
    return found if isinstance(found, dict) else Found(wrong=[found])


def _play_on(path, seed, told, plan):
    """All steps; one that failed is looked at, and done again when nothing of it was kept."""
    disk = Disk(plan)
    found = Found()
    work = _tried(partial(effects.Work, path), plan, -1, found, path)
    for number, verb in effects.Work.steps(seed):
        first, last = told.ends[number : number + 2]
        for _ in range(plan.patience):
            plan.step(number)
            try:
                work.do(seed, number, verb)
                break
            except StoreError as error:
                found.say(error, path)
            if verb != "reopen":  # whatever comes next mends what is in doubt
                _tried(partial(work.store.get, 1), plan, number, found, path)
            disk.plan, failing = Calm(), plan
            with plan.lifted():
                rows = effects.contents(path)
            disk.plan = failing
            place = told.place(rows, first, last)
            if place is None or not first <= place <= last:
                found["wrong"].append(f"{verb} failed, and left what it must not: {place} of {first} to {last}")
                found["lost"] += place is not None and place < first
                return found
            if place == last and told.changed(number):
                disk.plan = Calm()
                plan.over()
                return _end(path, work, found)  # it was kept, as the error says it may be: what it told is not known
        else:
            found["wrong"].append(f"{verb} still fails: {found['said'][-1]}")
            return found
    found["reached"] = bool(plan.failed)
    disk.plan = Calm()
    plan.over()
    if effects.contents(path) != told.states[-1]:
        found["wrong"].append("in the end it is not what was done")
    return _end(path, work, found)


def _tried(call, plan, number, found, path):
    """What it returns when the fault is over."""
    for _ in range(plan.patience):
        plan.step(number)
        try:
            return call()
        except StoreError as error:
            found.say(error, path)
    return call()


def _end(path, work, found):
    work.die(None)
    found["wrong"] += go_on(work.store, work.newest)
    work.store.close()
    said = [finding.says for finding in findings_in(path)]
    found["integrity"] += bool(said)
    found["wrong"] += said
    return found


if __name__ == "__main__":
    points = {work.__name__: work for work in (calls, kill, cut, migrate, fail, limit)}
    for line in sys.stdin:
        wanted = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            told = points[wanted.pop("do")](Path(folder), **wanted)
        sys.stdout.write(json.dumps(told if isinstance(told, dict) else Found(wrong=[str(told)])) + "\n")
        sys.stdout.flush()
