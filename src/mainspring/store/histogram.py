"""How late starts were, counted in buckets that grow by a tenth: small, mergeable, and exact to 5 %.

A bucket holds what lies between one power of `GROWTH` and the next, so a value read back from it is off by at most
(GROWTH - 1) / (GROWTH + 1), wherever it lies: the rule of DDSketch (Masson, Rim, Lee, VLDB 2019), and the promise that
HdrHistogram keeps with sub-buckets of powers of two. Two histograms become one by adding their counts; nothing is lost
by it. The largest value of each bucket is kept too, so that the maximum is exact.

Counts lie in windows: short ones for what is recent, longer ones for what is older, none for what is older than a day.
"""

import math
from collections.abc import Iterable

import msgspec

GROWTH = 1.1
PER_E = 1 / math.log(GROWTH)  # buckets for each factor of e

SECOND = 1_000_000
# Lengths of windows, in seconds, and for how long they are kept before they are folded into the next (the last ones:
# before they are forgotten).
WINDOWS = ((10, 600), (60, 3_600), (600, 86_400))
FINEST = WINDOWS[0][0]
FOLD_US = 60 * SECOND  # how often older windows are folded, while something starts
MOST_ROWS = 100_000  # of the whole store: the oldest windows beyond that are forgotten before their time


def bucket_of(late: int) -> int:
    """The bucket of a lateness in µs."""
    return int(math.log(max(1, late)) * PER_E)


def value_of(bucket: int) -> float:
    """What stands for the values of a bucket, in µs: off by less than 5 % from any of them."""
    return 2 * GROWTH ** (bucket + 1) / (GROWTH + 1)


class Spread(msgspec.Struct):
    """One histogram, to be added to and read. `most`: the largest value of each bucket, µs."""

    counts: dict[int, int] = msgspec.field(default_factory=dict)
    most: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts.values())

    @property
    def max(self) -> int | None:
        """The largest value, exactly; None of none."""
        filled = [self.most[bucket] for bucket, count in self.counts.items() if count > 0]
        return max(filled, default=None)

    def add(self, bucket: int, count: int, most: int) -> None:
        """Count `count` values of a bucket, the largest of which was `most` µs."""
        self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.most[bucket] = max(most, self.most.get(bucket, 0))

    def merge(self, others: Iterable["Spread"]) -> None:
        """Count what the others counted."""
        for other in others:
            for bucket, count in other.counts.items():
                self.add(bucket, count, other.most[bucket])

    def at(self, share: float) -> float | None:
        """The value (µs) that `share` of all values do not exceed (nearest rank), within 5 %; None of none."""
        rest = math.ceil(share * self.count)
        for bucket in sorted(self.counts):
            rest -= self.counts[bucket]
            if rest <= 0 and self.counts[bucket] > 0:
                return min(value_of(bucket), float(self.most[bucket]))
        return None
