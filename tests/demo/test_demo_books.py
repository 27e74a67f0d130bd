"""The demo's checks: silent when all is well, and each of them speaks when its own promise is broken."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mainspring.demo import main
from mainspring.demo.book import Book, Entry
from mainspring.demo.books import LOST, Books, Kill, check_all, lateness, line_of
from mainspring.demo.plan import ORDERS, Order, make_orders
from mainspring.demo.show import Stage
from mainspring.store.rows import AttemptRow, TaskRow
from mainspring.tasks.state import Kind, State

T = 1_800_000_000_000_000


def task(number, work, state, *, key=None, name=None, run_at=T, started_at=T + 100, attempt=1, reason=None):
    kind = Kind.PROGRAM if work == "sh" else Kind.FUNCTION
    return TaskRow(
        number, kind, work, "default", 0, state, reason, run_at, T, started_at, T, attempt, 0, 0, name, None, None, key,
        None, None, None, None, None,
    )  # fmt: skip


def order(number, *, closes_at, pays_at=None, answer=None):
    one = Order(number, T, closes_at, pays_at, answer=answer)
    one.placed.set()
    return one


@pytest.fixture
def books():
    """Order 1 is paid, order 2 is closed, order 3 is paid too late; the kill came at T + 2000, until T + 3000."""
    return Books(
        opens_at=T,
        orders=[
            order(1, closes_at=T + 900, pays_at=T + 5, answer="paid"),
            order(2, closes_at=T + 1000),
            order(3, closes_at=T + 2500, pays_at=T + 2500, answer="too late"),
        ],
        entries=[
            Entry("ready", 0, T - 50, 7),
            Entry("opened", 0, T + 30, 7),
            Entry("paid", 1, T + 6, 7),
            Entry("closed", 2, T + 1040, 7),
            Entry("shelf", 0, T + 1500, 7),
            Entry("letter", 0, T + 1500, 7),
            Entry("ready", 0, T + 3000, 8),
            Entry("closed", 3, T + 3100, 8),
            Entry("shelf", 1, T + 3200, 8),
        ],
        tasks=[
            task(1, "shop:open_sale", State.SUCCEEDED),
            task(2, "shop:count_stock", State.SUCCEEDED, attempt=2),
            task(3, "shop:send_letters", State.FAILED, reason="lost"),
            task(4, "shop:close_order", State.CANCELLED, key="close-1", attempt=0, reason="cancelled"),
            task(5, "shop:close_order", State.SUCCEEDED, key="close-2"),
            task(6, "shop:close_order", State.SUCCEEDED, key="close-3"),
            task(7, "sh", State.SUCCEEDED, key="receipt-1", name="receipt", run_at=T + 100, started_at=T + 150),
        ],
        attempts={
            2: [AttemptRow(1, T + 1500, T + 3000, LOST, None)],
            3: [AttemptRow(1, T + 1500, T + 3000, LOST, None)],
        },
        receipts={1: 1},
        kill=Kill(T + 2000, T + 3000),
        exit_code=0,
        integrity="ok",
    )


def faults(books):
    return [fault for check in check_all(books) for fault in check.faults]


def without(books, event, number):
    return replace(books, entries=[one for one in books.entries if (one.event, one.number) != (event, number)])


def also(books, *entry):
    return replace(books, entries=[*books.entries, Entry(*entry)])


def changed(books, number, **fields):
    import msgspec

    return replace(
        books, tasks=[msgspec.structs.replace(one, **fields) if one.id == number else one for one in books.tasks]
    )


def test_nothing_is_wrong_when_all_is_well(books):
    assert faults(books) == []


BROKEN = {
    "it opened 0 times": lambda b: without(b, "opened", 0),
    "it opened 2 times": lambda b: also(b, "opened", 0, T + 60, 8),
    "it opened 5 µs early": lambda b: also(without(b, "opened", 0), "opened", 0, T - 5, 7),
    "order 2 was neither paid nor closed": lambda b: without(b, "closed", 2),
    "order 1 was paid and closed all the same": lambda b: also(b, "closed", 1, T + 950, 7),
    "order 9 came out of nowhere": lambda b: also(b, "closed", 9, T + 950, 7),
    "order 4 was never placed": lambda b: replace(b, orders=[*b.orders, Order(4, T, T + 1, None)]),
    "order 2 was closed 2 times": lambda b: also(b, "closed", 2, T + 1200, 8),
    "order 2 was closed 1 µs early": lambda b: also(without(b, "closed", 2), "closed", 2, T + 999, 7),
    "the payment of order 1 was booked 2 times": lambda b: also(b, "paid", 1, T + 8, 7),
    "the bank heard None": lambda b: replace(b, orders=[replace(b.orders[0], answer=None), *b.orders[1:]]),
    "the bank heard 'paid'": lambda b: replace(b, orders=[*b.orders[:2], replace(b.orders[2], answer="paid")]),
    "order 1 is paid and has no receipt": lambda b: replace(b, receipts={}),
    "order 2 has a receipt and is not paid": lambda b: replace(b, receipts={1: 1, 2: 1}),
    "the receipt of order 1 was written 2 times": lambda b: replace(b, receipts={1: 2}),
    "a receipt started 7 µs early": lambda b: changed(b, 7, started_at=T + 93),
    "shelf 0 was counted 2 times": lambda b: also(b, "shelf", 0, T + 3300, 8),
    "expected attempt 2 to succeed": lambda b: changed(b, 2, attempt=1),
    f"after ['{LOST}'], got attempt 2 succeeded, []": lambda b: replace(b, attempts={3: b.attempts[3]}),
    "letter 0 went out 2 times": lambda b: also(b, "letter", 0, T + 3300, 8),
    "expected attempt 1 to have failed as 'lost'": lambda b: changed(b, 3, state=State.SUCCEEDED, reason=None),
    "there are 0 tasks send_letters": lambda b: replace(b, tasks=[one for one in b.tasks if one.id != 3]),
    "there are 0 tasks close-2": lambda b: replace(b, tasks=[one for one in b.tasks if one.id != 5]),
    "there are 2 tasks close-2": lambda b: replace(b, tasks=[*b.tasks, b.tasks[4]]),
    "the task close-8 came out of nowhere": lambda b: changed(b, 5, key="close-8"),
    "task 4 (close-1) is succeeded": lambda b: changed(b, 4, state=State.SUCCEEDED),
    "task 5 (close-2) took 2 attempts, 0 were lost": lambda b: changed(b, 5, attempt=2),
    "the daemon's exit code is -9": lambda b: replace(b, exit_code=-9),
    "PRAGMA integrity_check: row 3 missing": lambda b: replace(b, integrity="row 3 missing"),
}


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_wrong_is_said(books, said):
    assert said in "\n".join(faults(BROKEN[said](books)))


def test_a_receipt_may_be_written_twice_where_its_first_worker_was_lost(books):
    twice = changed(replace(books, receipts={1: 2}), 7, attempt=2)
    twice = replace(twice, attempts={**twice.attempts, 7: [AttemptRow(1, T + 150, T + 3000, LOST, None)]})
    assert faults(twice) == []


def test_lateness_keeps_the_outage_apart(books):
    opening, closing, receipts, outage = lateness(books)
    assert (opening.count, opening.figures) == (1, (30, 30, 30))
    assert (closing.count, closing.figures) == (1, (40, 40, 40))
    assert (receipts.count, receipts.figures) == (1, (50, 50, 50))
    assert (outage.count, outage.figures) == (1, (600, 600, 600))


def test_percentiles_and_early_ones():
    line = line_of("x", [(0, late) for late in range(-2, 98)])
    assert (line.count, line.figures, line.early) == (100, (48, 97, 97), 2)
    assert line_of("x", []).figures == (None, None, None)


def test_the_same_seed_brings_the_same_customers():
    def seen(seed):
        return [(one.arrives_at, one.closes_at, one.pays_at) for one in make_orders(seed, T)]

    assert seen(5) == seen(5) != seen(6)


@pytest.mark.parametrize("seed", range(20))
def test_customers_make_sense(seed):
    orders = make_orders(seed, T)
    assert [one.number for one in orders] == list(range(1, ORDERS + 1))
    assert all(T <= one.arrives_at < one.closes_at for one in orders)
    payers = [one for one in orders if one.pays_at is not None]
    assert ORDERS // 3 < len(payers) < ORDERS
    assert all(one.pays_at > one.arrives_at for one in payers)


def test_a_book_has_what_was_written(tmp_path):
    book = Book(tmp_path / "book")
    assert book.read() == []
    book.write("paid", 3)
    Book(tmp_path / "book").write("closed", 4)
    assert [(one.event, one.number) for one in book.read()] == [("paid", 3), ("closed", 4)]
    assert book.has("paid", 3)
    assert not book.has("paid", 4)
    assert book.count("closed") == 1


def test_what_is_printed_fits_a_terminal(books, capsys):
    stage = Stage()
    stage.table(lateness(books))
    stage.checks(check_all(books))
    stage.tally(1_000_000, 200, 120, 80, 120)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "\033" not in out


def test_at_most_ten_faults_are_told(books, capsys):
    lost = replace(books, entries=[], orders=[order(number, closes_at=T + 1) for number in range(1, 31)])
    Stage().checks(check_all(lost))
    assert "and 20 more" in capsys.readouterr().out


def test_a_wrong_call_is_no_play(capsys):
    assert main(["--nonsense"]) == 2
    assert main(["--help"]) == 0
    assert "--keep" in capsys.readouterr().out


def test_the_tutorial_shows_the_code_that_runs():
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "tutorials" / "flash-sale.md").read_text()
    code = "".join((root / "src" / "mainspring" / "demo" / name).read_text() for name in ("shop.py", "customers.py"))
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", page)
    assert len(blocks) == 8
    lines = [line.strip() for line in code.splitlines()]
    for block in blocks:
        shown = [line.strip() for line in block.splitlines() if line.strip()]
        missing = [line for line in shown if line not in lines]
        assert not missing, missing
