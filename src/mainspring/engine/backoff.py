"""How long a listener that failed is left alone before it is started again."""

from zlib import crc32

FIRST_US = 100_000
MOST_US = 30_000_000
HEALTHY_US = 60_000_000  # a body that ran this long before it failed: its failures count from one again
_JITTER = 0.2


def delay_us(name: str, failures: int) -> int:
    """The wait (µs) after the `failures`-th failure in a row (1, 2, ...): doubling, capped, up to a fifth shorter.

    How much shorter follows from the name and the count alone: listeners that fail together, because what they all
    need is down, do not come back together, and the same run gives the same waits.
    """
    assert failures >= 1
    full = min(FIRST_US << min(failures - 1, 20), MOST_US)
    share = crc32(f"{name}:{failures}".encode()) / 0xFFFF_FFFF
    return full - int(full * _JITTER * share)
