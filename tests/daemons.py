"""What the tests of daemons share: gates at which bodies wait, and waiting for what is no news."""

import threading

START = "2030-01-01T00:00:00+00:00"
LONG = 60  # seconds: what is waited for comes at once, or the test has failed


class Gate:
    """Bodies wait at it; the test waits until they are there, and lets them on."""

    def __init__(self):
        self.arrived = threading.Semaphore(0)
        self.opened = threading.Event()
        self.inside = 0
        self.most = 0  # at one time
        self._lock = threading.Lock()

    def wait(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.arrived.release()
        try:
            assert self.opened.wait(LONG), "nobody opened the gate"
        finally:
            with self._lock:
                self.inside -= 1

    def await_arrivals(self, count=1):
        for _ in range(count):
            assert self.arrived.acquire(timeout=LONG), "nobody came to the gate"

    def open(self):
        self.opened.set()


def until(daemon, look):
    """What `look` finds, looked for at each news of the store of `daemon` and, for what is no news, every 5 ms."""
    found = daemon._waiting.until(lambda: look() or None, LONG * 1_000_000, every=5_000)
    assert found, "it never came"
    return found
