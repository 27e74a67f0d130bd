"""Who comes to the sale: customers made from a seed. All instants in µs."""

import random
import threading
from dataclasses import dataclass, field

ORDERS = 200
SALE_US = 5_000_000  # how long orders arrive
RACERS = 8  # pay in the very moment in which their time ends


@dataclass
class Order:
    """One order: when it arrives, when it is closed if nobody paid, and when it is paid (None: never)."""

    number: int
    arrives_at: int
    closes_at: int
    pays_at: int | None
    placed: threading.Event = field(default_factory=threading.Event)
    answer: str | None = None  # what the shop answered to the payment


def make_orders(seed: int, opens_at: int) -> list[Order]:
    """The same customers for the same seed, in the order in which they arrive: three of five pay."""
    chance = random.Random(seed)  # noqa: S311  # customers, not secrets
    arrivals = sorted(chance.randrange(SALE_US) for _ in range(ORDERS))
    racers = set(chance.sample(range(1, ORDERS + 1), RACERS))
    orders = []
    for number, arrival in enumerate(arrivals, 1):
        arrives_at = opens_at + arrival
        closes_at = arrives_at + chance.randrange(1_500_000, 3_500_000)
        pays_at = arrives_at + chance.randrange(200_000, 1_200_000) if chance.random() < 0.6 else None
        if number in racers:
            pays_at = closes_at - chance.randrange(-500, 3_000)
        orders.append(Order(number, arrives_at, closes_at, pays_at))
    return orders
