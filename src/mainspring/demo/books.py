"""What must be true in the end: book, bank, receipts and store held side by side.

Everything here is computed from values, so that each check can be shown to fail.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mainspring.demo.book import Entry
from mainspring.demo.plan import Order
from mainspring.store.rows import AttemptRow, TaskRow
from mainspring.tasks.state import State

LOST = "worker lost"


@dataclass(frozen=True)
class Kill:
    """The outage: `at` the signal was sent, `over` the next daemon was ready (µs)."""

    at: int
    over: int


@dataclass(frozen=True)
class Books:
    """Everything that is known at the end."""

    opens_at: int
    orders: Sequence[Order]
    entries: Sequence[Entry]  # the shop's book
    tasks: Sequence[TaskRow]  # all of the store
    attempts: Mapping[int, Sequence[AttemptRow]]  # of each task that has any which did not end it
    receipts: Mapping[int, int]  # order → lines of its receipt on disk
    kill: Kill
    exit_code: int  # of the second daemon, after SIGTERM
    integrity: str  # what SQLite says of its file

    def numbers(self, event: str) -> Counter[int]:
        """How often `event` happened to each number."""
        return Counter(entry.number for entry in self.entries if entry.event == event)

    def of(self, name: str) -> list[TaskRow]:
        """The tasks of a function, or of a label."""
        return [task for task in self.tasks if name in (task.name, task.work.rpartition(":")[2])]


@dataclass(frozen=True)
class Check:
    """A sentence that must be true, and what speaks against it."""

    name: str
    faults: list[str]


@dataclass(frozen=True)
class Line:
    """Lateness of one step: how many, p50, p99, maximum (µs; None: there were none), and how many were early."""

    name: str
    count: int
    figures: tuple[int | None, int | None, int | None]
    early: int


def check_all(books: Books) -> list[Check]:
    """Every check, in the order in which they are told."""
    paid, closed = books.numbers("paid"), books.numbers("closed")
    letters = books.numbers("letter")
    late = sum(order.answer == "too late" for order in books.orders)
    return [
        Check("the sale opened once, not before its instant", _opening(books)),
        Check(
            f"no order lost: {len(books.orders)} = {len(paid)} paid + {len(closed)} closed",
            _orders(books, paid, closed),
        ),
        Check("no order closed twice, none before its own deadline", _closings(books, closed)),
        Check(f"the bank heard the truth each time ({late} paid too late, not booked)", _answers(books, paid)),
        Check(f"one receipt for each payment, written by a program ({len(books.receipts)})", _receipts(books, paid)),
        Check("the count of the stock was interrupted and went on (worker lost)", _count(books)),
        Check(f"no letter went out twice: at most once, so after {len(letters)} it stays lost", _letters(books)),
        Check("the store agrees with the shop's book, task by task", _store(books, paid, closed)),
        Check("the daemon stopped in order, and SQLite finds its file sound", _end(books)),
    ]


# ── lateness ───────────────────────────────────────────────────────────────────────────────────────────────────


def lateness(books: Books) -> list[Line]:
    """How late each step was. What the kill interrupted or kept waiting is a line of its own."""
    deadlines = {order.number: order.closes_at for order in books.orders}
    opened = [(books.opens_at, entry.at) for entry in books.entries if entry.event == "opened"]
    closed = [
        (deadlines[entry.number], entry.at)
        for entry in books.entries
        if entry.event == "closed" and entry.number in deadlines
    ]
    receipts = [(task.run_at, task.started_at) for task in books.of("receipt") if task.started_at is not None]

    def apart(pair: tuple[int, int]) -> bool:
        due, started = pair
        return due <= books.kill.over and started >= books.kill.at

    return [
        line_of("the sale opens", opened),
        line_of("unpaid orders are closed", [pair for pair in closed if not apart(pair)]),
        line_of("receipts, by a shell program", [pair for pair in receipts if not apart(pair)]),
        line_of("kept waiting by the kill", [pair for pair in closed + receipts if apart(pair)]),
    ]


def line_of(name: str, pairs: Sequence[tuple[int, int]]) -> Line:
    """The line of (due, started) pairs."""
    late = sorted(started - due for due, started in pairs)
    last = len(late) - 1

    def rank(share: float) -> int | None:
        return late[min(last, int(share * len(late)))] if late else None

    return Line(name, len(late), (rank(0.5), rank(0.99), rank(1.0)), sum(value < 0 for value in late))


# ── the checks ─────────────────────────────────────────────────────────────────────────────────────────────────


def _opening(books: Books) -> list[str]:
    times = [entry.at for entry in books.entries if entry.event == "opened"]
    faults = [] if len(times) == 1 else [f"it opened {len(times)} times"]
    return faults + [f"it opened {books.opens_at - at} µs early" for at in times if at < books.opens_at]


def _orders(books: Books, paid: Counter[int], closed: Counter[int]) -> list[str]:
    faults = []
    for order in books.orders:
        if not order.placed.is_set():
            faults.append(f"order {order.number} was never placed")
        elif order.number not in paid and order.number not in closed:
            faults.append(f"order {order.number} was neither paid nor closed")
        elif order.number in paid and order.number in closed:
            faults.append(f"order {order.number} was paid and closed all the same")
    known = {order.number for order in books.orders}
    return faults + [f"order {number} came out of nowhere" for number in sorted((set(paid) | set(closed)) - known)]


def _closings(books: Books, closed: Counter[int]) -> list[str]:
    deadlines = {order.number: order.closes_at for order in books.orders}
    faults = [f"order {number} was closed {times} times" for number, times in closed.items() if times > 1]
    for entry in books.entries:
        early = deadlines.get(entry.number, 0) - entry.at
        if entry.event == "closed" and early > 0:
            faults.append(f"order {entry.number} was closed {early} µs early")
    return faults


def _answers(books: Books, paid: Counter[int]) -> list[str]:
    faults = [f"the payment of order {number} was booked {times} times" for number, times in paid.items() if times > 1]
    for order in books.orders:
        expected = None if order.pays_at is None else "paid" if order.number in paid else "too late"
        if order.answer != expected:
            faults.append(f"order {order.number}: the bank heard {order.answer!r}, the book says {expected!r}")
    return faults


def _receipts(books: Books, paid: Counter[int]) -> list[str]:
    faults = [f"order {number} is paid and has no receipt" for number in sorted(set(paid) - set(books.receipts))]
    faults += [f"order {number} has a receipt and is not paid" for number in sorted(set(books.receipts) - set(paid))]
    faults += [f"a receipt started {task.run_at - task.started_at} µs early" for task in books.of("receipt")
               if task.started_at is not None and task.started_at < task.run_at]  # fmt: skip
    tries = {task.key: task.attempt for task in books.of("receipt")}
    for number, lines in books.receipts.items():
        # a second line is honest only where a second attempt is recorded: its first worker was killed
        if lines > tries.get(f"receipt-{number}", 0):
            faults.append(f"the receipt of order {number} was written {lines} times")
    return faults


def _count(books: Books) -> list[str]:
    shelves = books.numbers("shelf")
    faults = [f"shelf {number} was counted {times} times" for number, times in shelves.items() if times > 1]
    for task in books.of("count_stock"):
        lost = [one.reason for one in books.attempts.get(task.id, ())]
        if (task.state, task.attempt, lost) != (State.SUCCEEDED, 2, [LOST]):
            faults.append(
                f"expected attempt 2 to succeed after [{LOST!r}], got attempt {task.attempt} {task.state}, {lost}"
            )
    return faults or _once(books, "count_stock")


def _letters(books: Books) -> list[str]:
    faults = [
        f"letter {number} went out {times} times" for number, times in books.numbers("letter").items() if times > 1
    ]
    faults += [
        f"expected attempt 1 to have failed as 'lost', got {task.attempt} {task.state} {task.reason}"
        for task in books.of("send_letters")
        if (task.state, task.reason, task.attempt) != (State.FAILED, "lost", 1)
    ]
    return faults or _once(books, "send_letters")


def _once(books: Books, name: str) -> list[str]:
    found = len(books.of(name))
    return [] if found == 1 else [f"there are {found} tasks {name}"]


def _store(books: Books, paid: Counter[int], closed: Counter[int]) -> list[str]:
    faults = []
    expected: dict[str, State] = {f"close-{number}": State.CANCELLED for number in paid}
    expected |= {f"close-{number}": State.SUCCEEDED for number in closed}
    expected |= {f"receipt-{number}": State.SUCCEEDED for number in paid}
    found = Counter(task.key for task in books.tasks if task.key is not None)
    faults += [f"there are {found[key]} tasks {key}" for key in expected if found[key] != 1]
    faults += [f"the task {key} came out of nowhere" for key in found if key not in expected]
    for task in books.tasks:
        state = State.SUCCEEDED if task.key is None else expected.get(task.key, task.state)
        if task.state is not state and task.work != "shop:send_letters":
            faults.append(f"task {task.id} ({task.key or task.work}) is {task.state} ({task.reason}), not {state}")
        lost = [one for one in books.attempts.get(task.id, ()) if one.reason == LOST]
        if task.state is State.SUCCEEDED and task.attempt != len(lost) + 1:
            faults.append(
                f"task {task.id} ({task.key or task.work}) took {task.attempt} attempts, {len(lost)} were lost"
            )
    return faults


def _end(books: Books) -> list[str]:
    faults = [] if books.exit_code == 0 else [f"the daemon's exit code is {books.exit_code}"]
    return faults + ([] if books.integrity == "ok" else [f"PRAGMA integrity_check: {books.integrity}"])
