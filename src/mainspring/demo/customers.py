"""The world around the shop: customers who place orders through a client, and a bank that never gives up."""

import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from mainspring.client import Client
from mainspring.demo.plan import Order
from mainspring.when.clock import SystemClock
from mainspring.when.instants import to_datetime

_clock = SystemClock()
_AGAIN_S = 0.02
PATIENCE_US = 30_000_000  # how long the bank repeats one payment


def sleep_until(at: int) -> None:
    """Sleep until the wall clock says `at` (µs)."""
    while (left := at - _clock.now()) > 0:
        time.sleep(left / 1e6)


class Customers(threading.Thread):
    """Places each order as it arrives: one durable task that will close it at its own deadline."""

    def __init__(self, client: Client, orders: Sequence[Order]) -> None:
        super().__init__(name="customers", daemon=True)
        self._client = client
        self._orders = orders
        self.error: Exception | None = None

    def run(self) -> None:
        """Until the last order is placed."""
        try:
            for order in self._orders:
                sleep_until(order.arrives_at)
                self._client.add_task(
                    "shop:close_order",
                    args=(order.number,),
                    at=to_datetime(order.closes_at),
                    key=f"close-{order.number}",
                )
                order.placed.set()
        except Exception as error:  # noqa: BLE001  # told at the end, with the orders that are missing
            self.error = error


class Bank(threading.Thread):
    """Sends payments, in their order, over a real socket; repeats each until the shop has answered it."""

    def __init__(self, directory: Path, orders: Sequence[Order]) -> None:
        super().__init__(name="bank", daemon=True)
        self._door = directory / "door"
        self._payers = sorted(
            (order for order in orders if order.pays_at is not None), key=lambda one: one.pays_at or 0
        )
        self._wire: socket.socket | None = None
        self.repeated = 0

    def run(self) -> None:
        """Until the last payment was answered; then it hangs up."""
        for order in self._payers:
            sleep_until(order.pays_at or 0)
            give_up = _clock.now() + PATIENCE_US
            order.placed.wait(PATIENCE_US / 1e6)
            while order.answer is None and _clock.now() < give_up:
                order.answer = self._send(order.number)
                if order.answer is None:
                    self.repeated += 1
                    self._hang_up()
                    time.sleep(_AGAIN_S)
        self._hang_up()

    def _send(self, number: int) -> str | None:
        """The shop's answer; None when nobody answers."""
        try:
            if self._wire is None:
                self._wire = socket.create_connection(("127.0.0.1", int(self._door.read_text())), timeout=10)
            self._wire.sendall(f"{number}\n".encode())
            return self._read_line(self._wire)
        except (OSError, ValueError):
            return None

    @staticmethod
    def _read_line(wire: socket.socket) -> str | None:
        line = b""
        while not line.endswith(b"\n"):
            got = wire.recv(64)
            if not got:
                return None
            line += got
        return os.fsdecode(line).strip()

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
