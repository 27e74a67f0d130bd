"""What may be set for one task beside its work and its instant; stored with the task as JSON."""

from functools import lru_cache
from typing import Literal

import msgspec

Delivery = Literal["at-least-once", "at-most-once"]


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


DEFAULT = TaskOptions()
_decoder = msgspec.json.Decoder(TaskOptions)


def encode_options(options: TaskOptions) -> str | None:
    """The stored form: canonical JSON, or None when nothing differs from the defaults."""
    return None if options == DEFAULT else msgspec.json.encode(options, order="deterministic").decode()


@lru_cache(maxsize=4096)
def decode_options(text: str | None) -> TaskOptions:
    """The options kept as `text`; equal texts share one value."""
    return DEFAULT if text is None else _decoder.decode(text)
