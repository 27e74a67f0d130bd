"""A flash sale: it opens at an instant, and orders that are not paid in time are closed.

python flash_sale_small.py
"""

from datetime import UTC, datetime, timedelta

from mainspring import Daemon, context

daemon = Daemon("memory:")  # a path instead, and all of it survives a kill


@daemon.task
def open_sale(item: int) -> None:
    say(f"item {item} is on sale, {late()} after the instant")


@daemon.task
def close_order(order: int) -> None:
    say(f"order {order} was not paid and is closed, {late()} after its time")


def late() -> str:
    run_at = context().run_at
    assert run_at is not None  # only a listener has none
    return f"{(datetime.now(UTC) - run_at) / timedelta(milliseconds=1):.1f} ms"


def say(text: str) -> None:
    """Several workers print: the line and its end in one piece, or lines would mix."""
    print(f"{text}\n", end="")


def place(order: int) -> None:
    """Close it in half a second. The key finds the task again, and there is only one for each order."""
    close_order.options(key=f"order-{order}").after("500ms").enqueue(order)


def pay(order: int) -> bool:
    """Pay, unless it is too late: the answer of `cancel` is true also in the moment in which the task starts."""
    waiting = daemon.find(key=f"order-{order}", state="waiting")
    paid = any(task.cancel() for task in waiting)
    say(f"order {order} is paid" if paid else f"order {order}: too late to pay")
    return paid


if __name__ == "__main__":
    with daemon:
        opening = datetime.now(UTC) + timedelta(seconds=1)
        open_sale.at(opening).enqueue(42).result()
        for order in (1, 2, 3):
            place(order)
        pay(2)
        for task in daemon.find(name="close_order", state="waiting"):
            task.wait()
        pay(3)
