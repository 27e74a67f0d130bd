"""What came of a run, as plain values that are kept as JSON, and the sums over it."""

import msgspec

MAINSPRING = "mainspring"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. Loads are of the last minute."""

    python: str
    system: str
    cpus: int
    filesystem: str
    load_before: float
    load_after: float = 0.0


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of one peer: see `bench.harness.protocol.Variant`; `file` is its file in `bench/peers`."""

    file: str
    key: str
    title: str
    durable: str
    how: str
    outcomes: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: its figures (times in µs where the name ends so), or why there are none."""

    key: str
    kind: str
    round: int
    figures: dict[str, float] = {}
    failed: str | None = None


class Results(msgspec.Struct, kw_only=True):
    """One run."""

    at: str
    conditions: str
    commit: str  # of Mainspring; "-dirty" when files differed from it
    minutes: float
    workers: int
    sizes: dict[str, dict[str, float]]  # for each kind
    rounds: int
    machine: Machine
    packages: dict[str, str]
    said: list[str]
    peers: list[Peer]
    measured: list[Measured]

    def values(self, key: str, kind: str, figure: str) -> list[float]:
        """This figure of a peer in every round that has it."""
        return [
            one.figures[figure]
            for one in self.measured
            if (one.key, one.kind) == (key, kind) and one.failed is None and figure in one.figures
        ]

    def median(self, key: str, kind: str, figure: str) -> float | None:
        """The middle round's (of an even number the lower one, which was really measured); None: never measured."""
        values = sorted(self.values(key, kind, figure))
        return values[(len(values) - 1) // 2] if values else None

    def total(self, key: str, kind: str, figure: str) -> float:
        """The sum over rounds, for counts."""
        return sum(self.values(key, kind, figure))

    def ratio(self, ours: str, theirs: str, kind: str, figure: str) -> float | None:
        """How many times theirs is ours; None where one is missing or ours is 0."""
        mine, other = self.median(ours, kind, figure), self.median(theirs, kind, figure)
        return None if not mine or other is None else other / mine

    def ours(self) -> list[Peer]:
        """The variants of Mainspring."""
        return [peer for peer in self.peers if peer.file == MAINSPRING]

    def others(self) -> list[Peer]:
        """All the rest."""
        return [peer for peer in self.peers if peer.file != MAINSPRING]
