"""How long others wait for this daemon when they hear nothing of it, and what it does when it was silent for longer.

While it holds anything, a daemon renews its lease: it writes into its journal, which is shared memory, until when it
may be taken for alive. No I/O, and nobody is woken. A process that stands still (SIGSTOP, a machine that sleeps, a
debugger) renews nothing; when its lease has ended, another daemon of the store may take what it holds. So what it had
reserved before does not start any more once two thirds of the lease are over: whoever starts something asks the journal
(`Journal.covers`) right before. When it goes on, what has not started goes back, and is reserved anew; for what ran the
store decides, which refuses the outcome of a reservation that was lost.

Where the store is on another machine, others see the lease that the store knows of: then it counts from when what the
store heard last was sent (`Journal.contact`), and when the store loses sight of this daemon nothing starts until it is
back and has begun anew.

Leases count on the boot-time clock, which goes on while the machine sleeps and which nobody can set, from the moment
before the renewal is written. After Gray and Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed
file cache consistency" (1989): the holder must stop before the grantor lets go.
"""

import logging
import threading
from collections.abc import Callable

from mainspring.store.journal import Journal
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")


class Lease:
    """The step that renews it, on the thread that does no I/O. `length` in µs; None: there is no lease.

    `holding` tells whether the daemon holds anything; `lapsed` is called, on either thread, when it was silent for so
    long that what it holds may be another's.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        length: int | None,
        *,
        wake: Callable[[], None],
        holding: Callable[[], bool],
        lapsed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._length = length
        self._wake = wake
        self._holding = holding
        self._lapsed = lapsed
        self._lock = threading.Lock()
        self._renewed_at: int | None = None  # None: it has none, because nothing is held
        self._newest = 0  # the token of the newest reservation
        self._floor = 0  # what was reserved under this token, or before, does not start any more
        self._lapses = 0
        self._cuts = 0  # how often the store had lost sight of it, as far as that is dealt with
        journal.length = length or 0

    def begin(self) -> int:
        """Something is about to be reserved: have a good lease. How often it has lapsed until now, for `accept`."""
        if self._length is not None:
            self._renew()
        return self._lapses

    def accept(self, token: int, lapses: int) -> bool:
        """Take in what was reserved since `begin`. False: it was silent meanwhile, and it may be another's already."""
        self._newest = max(self._newest, token)  # first: a lapse that is noticed from here on counts it as lost
        if self._length is not None:
            self._renew()
        return self._lapses == lapses

    def step(self, now: int) -> int | None:
        """Renew it when a third of it is over, as long as anything is held."""
        if self._length is None or self._renewed_at is None:
            return None
        if self._clock.boottime() >= self._renewed_at + self._length // 3 and not self._holding():
            with self._lock:
                self._renewed_at = None
                self._journal.lease = 0
            return None
        boot = self._renew()
        return now + max(self._renewed_at + self._length // 3 - boot, self._length // 30)

    def _renew(self) -> int:
        """Renew it if it is time, which may be too late; the boot-time instant at which this was looked at."""
        assert self._length is not None
        with self._lock:
            boot = self._clock.boottime()
            begun = self._renewed_at is None
            contact = self._journal.contact
            cuts = 0 if contact is None else contact.cuts
            heard = boot if contact is None else min(boot, contact.heard)
            back = cuts != self._cuts and heard > 0
            since = boot if begun and not back else heard
            silent = 0 if self._renewed_at is None else boot - self._renewed_at
            if not begun and not back and since <= self._renewed_at:  # type: ignore[operator]  # it has one
                return boot  # the store has heard nothing since
            lapsed = back or silent >= self._length * 2 // 3
            if lapsed:
                self._lapses += 1
                self._floor = self._newest
            if begun or lapsed or silent >= self._length // 3:
                self._renewed_at = since
                self._journal.lease = since + self._length
                self._journal.trust(self._floor, since + self._length * 2 // 3)
            if back and contact is not None:
                self._cuts = cuts
                self._journal.cut = False
                if contact.cuts != cuts:  # in this very moment: once more, then
                    self._journal.cut = True
        if begun:
            self._wake()
        if lapsed:
            self._tell(silent, back=back)
            self._lapsed()
        return boot

    def _tell(self, silent: int, *, back: bool) -> None:
        if back:
            log.warning("the store had lost sight of this daemon: what had not started goes back")
        else:
            log.warning(
                "this daemon stood still for %.1f s, too long for its lease of %.1f s: what had not started goes back",
                silent / 1e6, (self._length or 0) / 1e6,
            )  # fmt: skip
