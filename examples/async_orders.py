"""Coroutines as tasks, inside an asyncio program: many wait at once, each takes a worker.

python async_orders.py
"""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from mainspring import Daemon, RetryLater, context

daemon = Daemon("memory:", workers=16)


@dataclass
class Order:
    """Arrives in the task as what it is, for the parameter says so."""

    id: int
    price: Decimal


@daemon.task(timeout="5s")
async def charge(order: Order) -> Decimal:
    if order.id == 3 and context().attempt == 1:
        raise RetryLater(after="100ms", reason="the bank is busy")
    await asyncio.sleep(0.05)  # the bank
    return order.price


async def main() -> None:
    orders = [Order(number, Decimal("9.95") * number) for number in range(1, 9)]
    async with daemon:
        tasks = [await charge.aenqueue(order) for order in orders]
        charged = [await task for task in tasks]
        attempts = {task.id: task.attempt for task in tasks}
    print(f"{len(charged)} orders, {sum(charged)} in all; attempts: {attempts}")


if __name__ == "__main__":
    asyncio.run(main())
