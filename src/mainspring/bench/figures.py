"""What is measured, as plain values. Times in µs where nothing else is said; `late` is always started − due."""

import msgspec


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """How late tasks started: by whom, and each one's lateness, ascending."""

    late: list[int]
    lost: int = 0  # never started
    twice: int = 0  # started more than once

    @property
    def early(self) -> int:
        """How many started before their instant."""
        return sum(one < 0 for one in self.late)


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """Programs at an instant: when the attempt started, and when the program itself first looked at a clock."""

    started: Started
    own: list[int]


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks added in bulk, run and recorded, from the first add to the last outcome."""

    tasks: int
    seconds: float
    succeeded: int
    twice: int = 0

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.seconds


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Worker processes, all but one of them computing; a bare pair of processes among as many that compute."""

    workers: int
    alone: Started  # none of them computing
    crowded: Started
    bare: Started


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks at random instants while far more are due "for now" than the workers can do."""

    timed: Started
    body_ms: float  # how long each of the others has its worker
    others: int
    left: int  # of the others, when the last timed one had started


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """How long (ms) the interpreter alone takes, the import within it, and whole commands."""

    bare_ms: float
    import_ms: float
    help_ms: float
    at_ms: float


class Adds(msgspec.Struct, frozen=True, kw_only=True):
    """Durable commits a second: of the bare disk, and of `add_task` one by one from so many threads."""

    fsync: float
    one: float
    eight: float


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon with nothing due. Switches are voluntary context switches of all its threads: wake-ups."""

    pending: int
    switches_per_s: float
    cpu_ms_per_s: float
    memory_mb: float
    start_ms: float
    bytes_per_task: float | None
    others: int = 0  # more daemons on the file, with worker processes and a listener that waits: they count


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A store with so many pending tasks, written once."""

    pending: int
    seconds: float
    bytes_per_task: float | None


class Resting(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon started cold, in a fresh process: until its first task began; then with nothing due."""

    start_ms: float
    memory_mb: float
    switches_per_s: float
    cpu_ms_per_s: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks run at once; how long the log became meanwhile, and how long one transaction held the write lock."""

    flow: Flow
    log_mb: float
    longest_write_ms: float


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """The same while finished tasks are forgotten, and how late others started beside it."""

    forgotten: int
    left: int
    seconds: float
    started: Started
    log_mb: float
    longest_write_ms: float


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """A store with many pending tasks; pairs are (an empty store, the full one), measured in turns."""

    keyed: Filled
    plain: Filled  # a tenth of them, without keys
    resting: tuple[Resting, Resting]
    late: tuple[list[Started], list[Started]]
    load: tuple[Load, Load]
    history: Load  # far more of them, on the full one: what is looked at and pruned next
    looks: tuple[dict[str, float], dict[str, float]]  # ms, by what is asked for
    pruned: Pruned


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """Very many stored schedules; `started`: those that fell due while it was watched."""

    schedules: int
    start_ms: float
    started: Started


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    python: str
    system: str
    cpus: int
    load: float  # of the last minute, before the run
    filesystem: str
    version: str


class Figures(msgspec.Struct, kw_only=True):
    """One whole run; empty lists were not measured."""

    at: str
    smoke: bool
    machine: Machine
    lateness: list[Started] = []
    bare: list[Started] = []
    burst: list[Started] = []
    flow: list[Flow] = []
    adds: list[Adds] = []
    idle: list[Idle] = []
    programs: list[Programs] = []
    crowds: list[Crowd] = []
    process_burst: list[Started] = []
    process_flow: list[Flow] = []
    flow_beside: list[Flow] = []  # on threads, while another thread of the process computes
    lateness_beside: list[Started] = []
    bare_beside: list[Started] = []
    floods: list[Flood] = []
    commands: list[Commands] = []
    million: list[Started] = []
    planned: list[Planned] = []
    capacity: list[Capacity] = []


def rank(late: list[int], share: float) -> int:
    """The value at a share of an ascending list (nearest rank)."""
    return late[min(len(late) - 1, int(share * len(late)))]


def median(values: list[float]) -> float:
    """The middle one; of an even number the lower of the two, which was really measured."""
    return sorted(values)[(len(values) - 1) // 2]
