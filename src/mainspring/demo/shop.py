"""The shop of the demo, as a user of Mainspring would write it.

Run it in a directory of its own: `python -m mainspring.demo.shop`.
"""

import os
import socket
import time

from mainspring import Daemon, context
from mainspring.demo.book import Book

SHELVES = LETTERS = 16  # a fifth of a second each

daemon = Daemon("shop.db", workers=8, name="shop")
book = Book("book")


# ── what happens at an instant ─────────────────────────────────────────────────────────────────────────────────


@daemon.task(name="shop:open_sale")
def open_sale() -> None:
    """The doors open, on the millisecond."""
    if not book.has("opened"):
        book.write("opened")


@daemon.task(name="shop:close_order")
def close_order(order: int) -> None:
    """The time to pay is over. Delivery is at least once: a second attempt looks whether the first came this far."""
    if context().attempt == 1 or not book.has("closed", order):
        book.write("closed", order)


@daemon.task(name="shop:count_stock")
def count_stock() -> int:
    """Takes a while. If its worker dies, the next attempt goes on where this one was."""
    for shelf in range(book.count("shelf"), SHELVES):
        book.write("shelf", shelf)
        time.sleep(0.2)
    return SHELVES


@daemon.task(name="shop:send_letters", delivery="at-most-once")
def send_letters() -> None:
    """Takes a while, and nobody wants a letter twice: better lost than repeated."""
    for letter in range(LETTERS):
        book.write("letter", letter)
        time.sleep(0.2)


# ── what goes on all the time ──────────────────────────────────────────────────────────────────────────────────


@daemon.listener(pause=0)
def read_payments() -> None:
    """One turn: wait for the bank to call, then take each payment as it comes, until the bank hangs up."""
    try:
        line, _ = door().accept()
    except TimeoutError:
        return  # nobody called for a while; the next turn waits again
    with line, line.makefile("r") as messages:
        for message in messages:
            answer = take_payment(int(message))
            line.sendall(f"{answer}\n".encode())  # only now may the bank forget it


def take_payment(order: int) -> str:
    """Book a payment once, however often the bank repeats it; after a kill at any line the repetition does the rest."""
    if book.has("paid", order):
        return "paid"
    (closing,) = daemon.find(key=f"close-{order}")
    if closing.cancel() != "cancelled" and closing.refresh().state != "cancelled":
        return "too late"  # it was closed, or is being closed: cancel tells the truth
    if not daemon.find(key=f"receipt-{order}"):
        daemon.add_task(receipt(order), name="receipt", key=f"receipt-{order}", after="1s")
    book.write("paid", order)
    return "paid"


def receipt(order: int) -> list[str]:
    """A program: a task like any other."""
    return ["sh", "-c", 'echo "order $1 is paid" >> "receipts/$1"', "receipt", str(order)]


# ── the rest is no concern of Mainspring ───────────────────────────────────────────────────────────────────────

_door: socket.socket | None = None


def door() -> socket.socket:
    """The socket that the bank calls; its port stands in the file `door`."""
    global _door  # noqa: PLW0603  # one for the process, opened by the first turn
    if _door is None:
        _door = socket.create_server(("127.0.0.1", 0))
        _door.settimeout(0.25)
        with open("door.new", "w", encoding="ascii") as file:
            file.write(str(_door.getsockname()[1]))
        os.replace("door.new", "door")
    return _door


def main() -> None:
    """Run until told to stop."""
    os.makedirs("receipts", exist_ok=True)
    daemon.start()
    book.write("ready")
    daemon.run()


if __name__ == "__main__":
    main()
