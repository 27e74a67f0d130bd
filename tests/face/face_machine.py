"""People, programs and misfortunes at the public face, in orders that Hypothesis finds; each answer is the model's.

One daemon at a time takes part, on a clock moved by hand, and its tasks really run. It is stopped, or dropped as by
kill -9 in any call of its store, and another one comes; the wall clock is set; the store is closed, and upgraded.
"""

import shutil
import tempfile
from contextlib import closing, contextmanager

import apsw
from face_model import LATER_US, FaceModel, Known, Start, told
from face_process import Killed, Process
from face_schedules import Schedules, Standing
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainspring import KeyInUse, Retry, RetryLater, TooLate, context
from mainspring.store.memory import MemoryStore
from mainspring.store.migrate import STEPS
from mainspring.store.rows import Filter
from mainspring.tasks.state import State
from mainspring.testing import VirtualClock
from mainspring.when.instants import to_datetime
from store.store_ages import make_older

SECOND = 1_000_000
START = 1_893_456_000  # 2030, in seconds

which = st.integers(0, 5)  # picks one of what there is, the newest first
seconds = st.sampled_from([0, 0, 0.001, 0.5, 1, 2.5, 4, 30, 90, 600])
queues = st.sampled_from(["default", "default", "mail"])
fates = st.lists(st.sampled_from(["ok", "raise", "raise", "later", "cancel", "add", "exit"]), min_size=1, max_size=4)
retries = st.none() | st.builds(
    Retry, st.integers(1, 3), delay=st.sampled_from([0, 0.5, 7]), factor=st.sampled_from([1, 3]), jitter=st.booleans()
)
sometimes = st.sampled_from([False, False, False, True])


class FaceMachine(RuleBasedStateMachine):
    """The rules; a subclass says which store."""

    sqlite = False

    @initialize()
    def begin(self):
        self.folder = tempfile.mkdtemp()
        self.url = f"{self.folder}/s.db" if self.sqlite else None
        self.memory = MemoryStore()
        self.clock = VirtualClock(START)
        self.model = FaceModel(self.clock.now())
        self.schedules = Schedules()
        self.notes: list[Start] = []  # what bodies wrote since the last look
        self.process = self.new_process()
        self.start()

    def teardown(self):
        if hasattr(self, "process"):
            self.process.stop()
            self.memory.close()
            shutil.rmtree(self.folder)

    # ── what runs ──────────────────────────────────────────────────────────────────────────────────────────
    def new_process(self):
        return Process(self.url, self.memory, self.clock, self.declare)

    def declare(self, daemon):
        @daemon.task(name="face:work")
        def work(fates):
            told = context()
            place = len(self.notes)
            self.notes.append(Start(int(told.task_id), told.attempt, self.clock.now()))
            match fates[min(told.attempt, len(fates)) - 1]:
                case "raise":
                    raise TimeoutError("as it was told")
                case "exit":
                    raise SystemExit(3)
                case "later":
                    raise RetryLater(LATER_US / SECOND)
                case "cancel":
                    assert daemon.cancel(told.task_id) == "stopping"
                    raise InterruptedError
                case "add":
                    child = daemon.add_task("face:work", (["ok"],), after=LATER_US / SECOND, name="child")
                    self.notes[place] = Start(int(told.task_id), told.attempt, self.clock.now(), int(child.id))

        @daemon.task(name="face:tick")
        def tick():
            told = context()
            self.schedules.starts.append((int(told.task_id), told.attempt, self.clock.now()))

    @property
    def daemon(self):
        return self.process.daemon

    @property
    def store(self):
        return self.daemon.store

    def taken(self):
        notes, self.notes = self.notes, []
        return notes

    @contextmanager
    def at_once(self):
        """Whatever is done: what it makes due runs before it returns, and the model is told first what was done."""
        dead = any(not node.alive for node in self.store.nodes())
        asked = []
        yield asked.append
        if dead and not self.model.runs and all(node.alive for node in self.store.nodes()):
            self.model.settle_lost()  # somebody asked for what a dead daemon held
        for change in asked:
            change()
        self.model.pass_until(self.clock.now(), self.taken())

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    @rule(
        after=seconds, ago=sometimes, queue=queues, priority=st.integers(-1, 1), fates=fates, retry=retries,
        key=st.sampled_from([None, None, "k", "l"]), conflict=st.sampled_from(["error", "keep", "replace"]),
        lasts=st.sampled_from([None, None, None, 1, 60]), once=sometimes,
    )  # fmt: skip
    def add(self, after, ago, queue, priority, fates, retry, key, conflict, lasts, once):
        at = self.clock.now() + int(after * SECOND) * (-1 if ago else 1)
        said = {"queue": queue, "priority": priority, "key": key, "on_conflict": conflict, "expires": lasts}
        said |= {"delivery": "at-most-once"} if once else {"retry": retry}
        owner, task = self.model.owner(key), None
        there = owner is not None and owner.state is State.RUNNING  # lost, and nobody knows yet
        with self.at_once() as then:
            try:
                task = self.daemon.add_task("face:work", (fates,), at=to_datetime(at), **said)
            except (KeyInUse, TooLate) as error:
                task = error

            def tell():
                owner = self.model.owner(key)
                if owner is not None and conflict == "error":
                    assert isinstance(task, KeyInUse), task
                elif owner is not None and conflict == "keep":
                    assert int(task.id) == owner.id
                elif owner is not None and not self.model.cancel(owner, "replaced"):
                    assert there, task
                    assert isinstance(task, TooLate), task
                else:
                    known = Known(
                        int(task.id), at, queue, key, tuple(fates), None if once else retry,
                        None if lasts is None else lasts * SECOND, once,
                    )  # fmt: skip
                    self.model.add(known)

            then(tell)

    @rule(after=seconds, every=st.sampled_from([45, 600]), queue=queues)
    def add_schedule(self, after, every, queue):
        if len(self.schedules.living()) == 2:
            oldest = self.schedules.living()[0]
            oldest.gone = True
            self.schedule(oldest).remove()
        name = f"s{len(self.schedules.all)}"
        interval = every * SECOND
        self.schedules.all.append(Standing(name, interval, queue, (self.clock.now() // interval + 1) * interval))
        with self.at_once():
            self.daemon.add_schedule("face:tick", every, name=name, queue=queue)

    def schedule(self, one):
        return next(schedule for schedule in self.daemon.schedules() if schedule.name == one.name)

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: self.model.tasks)
    @rule(which=which, verb=st.sampled_from(["cancel", "reschedule", "run_now", "retry", "retry"]), after=seconds)
    def steer(self, which, verb, after):
        tasks = list(self.model.tasks.values())
        if verb == "retry":
            tasks = [one for one in tasks if one.state is not State.WAITING] or tasks
        task = tasks[-1 - which % len(tasks)]
        known = self.daemon.get(str(task.id))
        with self.at_once() as then:
            try:
                answer = known.reschedule(after=after) if verb == "reschedule" else getattr(known, verb)()
            except (TooLate, KeyInUse) as error:
                answer = error

            def tell():
                match verb:
                    case "cancel":
                        assert answer == ("cancelled" if self.model.cancel(task) else "too-late")
                    case "retry":
                        try:
                            assert self.model.again(task) != isinstance(answer, TooLate), answer
                        except KeyError:
                            assert isinstance(answer, KeyInUse), answer
                    case _:
                        run_at = self.model.now + (int(after * SECOND) if verb == "reschedule" else 0)
                        assert self.model.move(task, run_at) != isinstance(answer, TooLate), answer

            then(tell)

    @rule(queue=st.sampled_from(["default", "mail", None]))
    def pause_or_resume(self, queue):
        paused = self.model.paused
        queue = next(iter(paused)) if paused else queue  # else nothing would run for most of the time
        with self.at_once() as then:
            (self.daemon.resume if paused else self.daemon.pause)(queue)
            then(lambda: paused.discard(queue) if paused else paused.add(queue))

    @precondition(lambda self: self.schedules.living())
    @rule(which=which, verb=st.sampled_from(["pause", "resume", "resume", "run_now"]))
    def steer_schedule(self, which, verb):
        living = self.schedules.living()
        one = living[which % len(living)]
        with self.at_once():
            getattr(self.schedule(one), verb)()
        if verb != "run_now":
            one.paused = verb == "pause"

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────
    @rule(after=seconds, jump=sometimes)
    def advance(self, after, jump):
        """Let time pass, or go to the next moment at which anything happens."""
        before, finished = self.clock.now(), self.schedules.finished(self.store)
        fired = self.clock.run_to_next() if jump else self.clock.advance(after)
        assert fired is None or fired == self.clock.time
        self.model.pass_until(self.clock.now(), self.taken())
        if self.model.runs:
            self.schedules.check_in_time(self.store, self.model, before, finished)

    @rule(after=seconds, back=st.booleans())
    def set_the_clock(self, after, back):
        with self.at_once() as then:
            self.clock.step(-after if back else after)
            then(lambda: setattr(self.model, "now", self.clock.now()))

    # ── processes ──────────────────────────────────────────────────────────────────────────────────────────
    def start(self):
        self.process.start()
        self.model.take_over()
        self.model.pass_until(self.clock.now(), self.taken())

    @precondition(lambda self: not self.model.runs)
    @rule()
    def start_again(self):
        self.start()

    @precondition(lambda self: self.model.runs)
    @rule(another=st.booleans())
    def stop(self, another):
        self.process.stop()
        self.model.runs = False
        if another:
            self.process = self.new_process()
            self.start()

    @precondition(lambda self: self.model.runs)
    @rule(
        only=st.sampled_from([None, "record", "record", "reserve"]), calls=st.integers(0, 3), after=st.booleans(),
        length=seconds,
    )  # fmt: skip
    def kill(self, only, calls, after, length):
        """While time goes on, in one of its next calls of the store; or between two turns."""
        way = self.process.way
        way.only, way.left, way.after = only, calls if only else 5 * calls, after
        try:
            self.clock.advance(length) if length else self.clock.run_to_next()
        except Killed:
            pass
        self.process.die()
        self.process = self.new_process()
        self.model.pass_until(self.clock.now(), self.taken(), crashed=True)
        rows = {row.id: row for row in self.store.find(Filter(limit=100_000))}
        for row in rows.values():
            if row.name == "child" and row.id not in self.model.tasks:  # its adder died before it could note it
                self.model.add(Known(row.id, row.run_at))
        self.model.crash({id_: rows[id_] for id_ in self.model.tasks})

    @rule(version=st.integers(1, len(STEPS)))
    def upgrade(self, version):
        """All processes end, and the file is one of an older program: what is in it is as it was."""
        ran = self.model.runs
        self.process.stop()
        self.model.runs = False
        if self.sqlite:
            with closing(apsw.Connection(self.url)) as con:
                make_older(con, version)
        if ran:
            self.start()

    # ── what always holds ──────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def all_is_as_the_model_says(self):
        if not hasattr(self, "process"):
            return
        assert self.clock.now() == self.model.now
        rows = {row.id: row for row in self.store.find(Filter(limit=100_000)) if row.schedule is None}
        assert rows.keys() == self.model.tasks.keys()
        for id_, task in self.model.tasks.items():
            if task.state is not State.RUNNING:
                assert told(rows[id_]) == task.told(), (rows[id_], task)
        self.schedules.check(self.store, self.model)

    @invariant()
    def whoever_looks_is_answered(self):
        if hasattr(self, "process"):
            for task in self.daemon.find(limit=8):
                why = task.why()
                assert why.question
                assert repr(task)
                assert all(one.text for one in why.because)
            counts = self.daemon.status().counts
            assert sum(counts.values()) >= len(self.model.tasks)
