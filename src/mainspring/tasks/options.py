"""What may be set for one task beside its work and its instant; stored with the task as JSON."""

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.errors import InvalidValue

if TYPE_CHECKING:
    from mainspring.tasks.retry import Retry

Delivery = Literal["at-least-once", "at-most-once"]
Misfire = Literal["latest", "all", "skip"]
Overlap = Literal["skip", "queue", "allow", "replace"]


class RetryRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a failed attempt is followed by another; `mainspring.Retry` as it is stored.

    `on` and `never` are names of exception classes (`module:qualname`), matched against the names of the raised
    exception's class and its bases, so that nothing has to be imported to decide. Durations in microseconds.
    """

    times: int
    delay: int = 1_000_000
    factor: float = 2.0
    max_delay: int = 3_600_000_000
    jitter: bool = True
    on: tuple[str, ...] = ("builtins:Exception",)
    never: tuple[str, ...] = ()


class TaskOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options of one task. All defaults together are stored as NULL.

    `bare` says that whoever added the task did not know the function's registration (a client that named it by
    text): what is not set here is then taken from the registration when the task runs.
    """

    retry: RetryRule | None = None
    timeout: int | None = None  # µs of monotonic time, for each attempt
    delivery: Delivery = "at-least-once"
    bare: bool = False
    expires: int | None = None  # µs after run_at, where it was said so: it goes along when the task is rescheduled
    # of a schedule's occurrence: what becomes of it when it starts later than `grace` (µs), or beside another one
    misfire: Misfire = "latest"
    grace: int = 60_000_000
    overlap: Overlap = "skip"


DEFAULT = TaskOptions()
_decoder = msgspec.json.Decoder(TaskOptions)


def encode_options(options: TaskOptions) -> str | None:
    """The stored form: canonical JSON, or None when nothing differs from the defaults."""
    return None if options == DEFAULT else msgspec.json.encode(options, order="deterministic").decode()


@lru_cache(maxsize=4096)
def decode_options(text: str | None) -> TaskOptions:
    """The options kept as `text`; equal texts share one value."""
    return DEFAULT if text is None else _decoder.decode(text)


def build_options(
    defaults: TaskOptions = DEFAULT,
    *,
    retry: "int | Retry | UnsetType | None" = UNSET,
    timeout: float | timedelta | str | UnsetType | None = UNSET,
    delivery: Delivery | UnsetType = UNSET,
    bare: bool = False,
) -> TaskOptions:
    """The options of one task: what is said here, else `defaults` (what the function was registered with).

    `timeout` is a duration, or None for no limit; `retry` is a number, a `Retry`, or None for none. Raises
    `InvalidValue`, also for an at-most-once task with a retry.
    """
    from mainspring.tasks.retry import as_retry

    options = TaskOptions(
        retry=defaults.retry if isinstance(retry, UnsetType) else as_retry(retry),
        timeout=defaults.timeout if isinstance(timeout, UnsetType) else _timeout(timeout),
        delivery=defaults.delivery if isinstance(delivery, UnsetType) else _delivery(delivery),
        bare=bare,
    )
    if options.delivery == "at-most-once" and options.retry is not None:
        raise InvalidValue(
            "an at-most-once task is never started a second time, so it cannot have a retry; give it retry=None, or "
            "delivery='at-least-once'"
        )
    return options


def complete_options(options: TaskOptions, registered: TaskOptions) -> TaskOptions:
    """`options` as they hold when the task runs: those of a `bare` task completed from the function's registration.

    At-most-once wins over a retry, wherever either was said: starting too seldom was asked for.
    """
    if not options.bare:
        return options
    delivery = registered.delivery if options.delivery == DEFAULT.delivery else options.delivery
    retry = registered.retry if options.retry is None else options.retry
    return msgspec.structs.replace(
        options,
        retry=None if delivery == "at-most-once" else retry,
        timeout=registered.timeout if options.timeout is None else options.timeout,
        delivery=delivery,
        bare=False,
    )


def _timeout(value: float | timedelta | str | None) -> int | None:
    from mainspring.when.durations import parse_duration

    if value is None:
        return None
    timeout = parse_duration(value)
    if timeout <= 0:
        raise InvalidValue(f"timeout= expects a duration longer than nothing, or None for no limit, got {value!r}")
    return timeout


def _delivery(value: object) -> Delivery:
    if value == "at-least-once":
        return "at-least-once"
    if value == "at-most-once":
        return "at-most-once"
    raise InvalidValue(f"delivery= expects 'at-least-once' or 'at-most-once', got {value!r}")
