"""Plays the sale from outside: starts the shop, adds work as a client, kills it in the middle, checks the books."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mainspring.adding import Adder
from mainspring.client import Client
from mainspring.demo.book import Book
from mainspring.demo.books import Books, Kill, check_all, lateness
from mainspring.demo.customers import Bank, Customers, sleep_until
from mainspring.demo.plan import Order, make_orders
from mainspring.demo.show import Stage
from mainspring.errors import MainspringError
from mainspring.settings import open_store
from mainspring.store.rows import Filter
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import State
from mainspring.when.clock import SystemClock
from mainspring.when.instants import isoformat, to_datetime

_clock = SystemClock()
_S = 1_000_000
_OPENS_IN_US = 2_500_000
_LONG_TASKS_AT = 1_600_000  # after the opening: the two that will be at work when the kill comes
_KILL_AT = 2_600_000
_PATIENCE_US = 30_000_000
_LOOK_S = 0.01
# in a process of its own: one that looks at the file from outside
_CHECK_FILE = "import apsw, sys; print(apsw.Connection(sys.argv[1]).execute('PRAGMA integrity_check').get, end='')"


class GivenUp(Exception):
    """The play cannot go on; the message says why."""


def play(*, keep: bool, seed: int | None) -> int:
    """The whole demo; its exit code."""
    stage = Stage()
    seed = random.randrange(1_000_000) if seed is None else seed  # noqa: S311  # customers, not secrets
    directory = Path(tempfile.mkdtemp(prefix="mainspring-demo-"))
    sale = Sale(stage, directory, seed)
    good = False
    try:
        good = sale.play()
    except (GivenUp, MainspringError, OSError) as error:
        stage.verdict(f"{error}", good=False)
    except KeyboardInterrupt:
        stage.verdict("Interrupted.", good=False)
        return 130
    finally:
        sale.end()
        if good and not keep:
            shutil.rmtree(directory, ignore_errors=True)
            stage.say("(The store is removed; --keep keeps it, for `mainspring list --store`.)")
        else:
            stage.say(f"The store, the shop's book and its log are in {directory}")
            stage.say(f"The same customers again: mainspring demo --seed {seed}")
    return 0 if good else 1


class Sale:
    """One play. Instants in µs."""

    def __init__(self, stage: Stage, directory: Path, seed: int) -> None:
        self._stage = stage
        self._directory = directory
        self._seed = seed
        self._path = directory / "shop.db"
        self._book = Book(directory / "book")
        self._client = Client(
            open_store=lambda: open_store(self._path, create=True),
            registry=Registry(directory),
            clock=_clock,
            adder=Adder(Registry(directory), None),
        )
        self._shop: subprocess.Popen[bytes] | None = None
        self._opens_at = 0
        self._orders: list[Order] = []

    def play(self) -> bool:
        """From the first line to the last; do all books match?"""
        stage = self._stage
        self._opens_at = -(-(_clock.now() + _OPENS_IN_US) // 100_000) * 100_000  # at a full tenth of a second
        self._orders = make_orders(self._seed, self._opens_at)
        stage.title("A flash sale, played by Mainspring")
        stage.say(f"  opens at   {isoformat(self._opens_at)}, to the millisecond")
        stage.say(f"  orders     {len(self._orders)}; each is closed at its own deadline unless it is paid before")
        stage.say(f"  store      {self._path}\n")
        self._start_shop()
        self._scene(f"The shop's daemon runs: process {self._pid}, 8 workers, 1 listener.")
        self._add_what_is_planned()
        customers, bank = Customers(self._client, self._orders), Bank(self._directory, self._orders)
        customers.start()
        bank.start()
        sleep_until(self._opens_at)
        self._wait_for(lambda: self._book.has("opened"), "the sale did not open")
        (opened,) = (entry.at for entry in self._book.read() if entry.event == "opened")
        self._scene(f"The sale is open, {(opened - self._opens_at) / 1000:.2f} ms after its instant. Orders arrive.")
        kill = self._kill_in_the_middle()
        self._scene(
            f"It runs again: process {self._pid}, {(kill.over - kill.at) / 1000:.0f} ms later. The bank repeats "
            f"what\n{'':11}nobody answered; what was due meanwhile is done now."
        )
        self._until_the_last(customers, bank)
        self._scene(f"All is done. The bank had to repeat {bank.repeated} times.")
        return self._tell(self._books(kill))

    # ── acts ───────────────────────────────────────────────────────────────────────────────────────────────
    def _start_shop(self) -> None:
        """A process of its own; returns when its daemon takes part."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAINSPRING_")}
        before = self._book.count("ready")
        with open(self._directory / "log", "ab") as log:
            self._shop = subprocess.Popen(
                [sys.executable, "-m", "mainspring.demo.shop"],
                cwd=self._directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_for(lambda: self._book.count("ready") > before, "the shop's daemon did not start")

    def _add_what_is_planned(self) -> None:
        later = to_datetime(self._opens_at + _LONG_TASKS_AT)
        with self._client.batch() as batch:
            batch.add_task("shop:open_sale", at=to_datetime(self._opens_at))
            batch.add_task("shop:count_stock", at=later)
            batch.add_task("shop:send_letters", at=later, delivery="at-most-once")
        self._scene("Added: open the sale; later, count the stock and send 16 letters.")

    def _kill_in_the_middle(self) -> Kill:
        """SIGKILL while tasks run, and start again at once."""
        self._tally_until(self._opens_at + _KILL_AT)
        self._wait_for(
            lambda: bool(self._book.count("shelf") and self._book.count("letter")), "the long tasks did not start"
        )
        assert self._shop is not None
        victim = self._pid
        shelves, letters = self._book.count("shelf"), self._book.count("letter")
        at = _clock.now()
        self._shop.kill()
        self._shop.wait()
        self._scene(f"kill -9 {victim}, in the middle of everything:", loud=True)
        self._stage.say(f"{'':11}the stock was counted up to shelf {shelves} of 16, {letters} of 16 letters were out.")
        self._start_shop()
        return Kill(at, [entry.at for entry in self._book.read() if entry.event == "ready"][-1])

    def _until_the_last(self, customers: Customers, bank: Bank) -> None:
        """Everything that was added comes to its end; then the daemon is told to stop."""
        self._tally_until(max(order.closes_at for order in self._orders))
        customers.join(_PATIENCE_US / 1e6)
        bank.join(_PATIENCE_US / 1e6)
        if customers.error is not None:
            raise GivenUp(f"an order could not be placed: {customers.error}")
        unfinished = Filter(states=(State.WAITING, State.RUNNING), limit=1)
        self._wait_for(lambda: not self._client.store.find(unfinished), "some tasks never came to their end")
        self._tally()
        assert self._shop is not None
        self._shop.terminate()
        try:
            self._shop.wait(_PATIENCE_US / 1e6)
        except subprocess.TimeoutExpired:
            raise GivenUp("the daemon did not stop after SIGTERM") from None

    def end(self) -> None:
        """Leave nothing behind, however it ended."""
        if self._shop is not None and self._shop.poll() is None:
            self._shop.send_signal(signal.SIGKILL)
            self._shop.wait()
        self._client.store.close()

    # ── the books ──────────────────────────────────────────────────────────────────────────────────────────
    def _books(self, kill: Kill) -> Books:
        assert self._shop is not None
        store = self._client.store
        tasks = store.find(Filter(limit=100_000))
        attempts = {task.id: rows for task in tasks if (rows := store.attempts(task.id))}
        receipts = {
            int(file.name): len(file.read_text().splitlines()) for file in (self._directory / "receipts").iterdir()
        }
        sound = subprocess.run(
            [sys.executable, "-c", _CHECK_FILE, self._path], capture_output=True, text=True, check=False
        )
        return Books(
            opens_at=self._opens_at,
            orders=self._orders,
            entries=self._book.read(),
            tasks=tasks,
            attempts=attempts,
            receipts=receipts,
            kill=kill,
            exit_code=self._shop.returncode,
            integrity=sound.stdout or sound.stderr.strip().rpartition("\n")[2],
        )

    def _tell(self, books: Books) -> bool:
        self._stage.title("How late")
        lines = lateness(books)
        self._stage.table(lines)
        self._stage.title("The books")
        checks = check_all(books)
        self._stage.checks(checks)
        wrong = sum(bool(check.faults) for check in checks) + any(line.early for line in lines)
        self._stage.verdict("All books match." if not wrong else "The books do not match.", good=not wrong)
        return not wrong

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def _pid(self) -> int:
        assert self._shop is not None
        return self._shop.pid

    def _scene(self, text: str, *, loud: bool = False) -> None:
        self._stage.scene(_clock.now() - self._opens_at, text, loud=loud)

    def _tally(self) -> None:
        events = [entry.event for entry in self._book.read()]
        receipts = sum(1 for _ in (self._directory / "receipts").iterdir())
        placed = sum(order.placed.is_set() for order in self._orders)
        self._stage.tally(_clock.now() - self._opens_at, placed, events.count("paid"), events.count("closed"), receipts)

    def _tally_until(self, end: int) -> None:
        """How far it is, at each full second until `end`."""
        following = self._opens_at - (self._opens_at - _clock.now()) // _S * _S
        while following < end:
            sleep_until(following)
            self._tally()
            following += _S
        sleep_until(end)

    def _wait_for(self, there: Callable[[], bool], otherwise: str) -> None:
        """Wait until it is there; `GivenUp` when it does not come, or the daemon ended by itself."""
        give_up = _clock.now() + _PATIENCE_US
        while not there():
            if self._shop is not None and self._shop.poll() is not None:
                raise GivenUp(
                    f"The shop's daemon ended by itself, with exit code {self._shop.returncode}.{self._log()}"
                )
            if _clock.now() > give_up:
                raise GivenUp(f"After {_PATIENCE_US // _S} s: {otherwise}.{self._log()}")
            time.sleep(_LOOK_S)

    def _log(self) -> str:
        text = (self._directory / "log").read_text(errors="replace").strip()
        return "\n" + "\n".join(text.splitlines()[-15:]) if text else ""
