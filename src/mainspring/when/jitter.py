"""`Jitter`: each occurrence of a trigger somewhat later, by an amount that the occurrence itself decides."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import Wrapping, check_size, kept, kept_us, taken
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.shown import shown
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger

_LONGEST_SEED = 200


class Jitter(Wrapping):
    """The instants of `of`, each later by something between nothing and `most`, never as late as the next one.

    By how much is computed from the instant and `seed`, so that every process and every restart agree. Give schedules
    that should not start together different seeds.
    """

    __slots__ = ("_most", "_seed")

    _most: int  # µs
    _seed: str

    KIND: Final = "jitter"

    def __init__(self, of: Trigger, most: float | str | timedelta, *, seed: str = "") -> None:
        taken(of)
        longest = parse_duration(most)
        if longest == 0:
            raise InvalidValue(
                f"expected a jitter of more than nothing, got {shown(most)}; without it use the trigger itself"
            )
        came: object = seed
        if not isinstance(came, str) or len(came) > _LONGEST_SEED:
            raise InvalidValue(f"expected a seed of at most {_LONGEST_SEED} characters, got {shown(seed)}")
        self._set(_of=of, _most=longest, _seed=seed)
        check_size(self)

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        nominal = self._of.next_us(after - self._most - 1)
        if nominal is None:
            return None
        if nominal <= after:
            # Each comes before the next one's nominal instant: of those up to now only the last can be still to come.
            nominal = self._last(nominal, after)
            moved = self._moved(nominal)
            if moved > after:
                return moved
            following = self._of.next_us(after)
            if following is None:
                return None
            nominal = following
        return self._moved(nominal)

    def _last(self, first: int, until: int) -> int:
        """The last nominal instant up to `until`, by bisection; `first` is one."""
        low, high = first, until
        while low < high:
            middle = (low + high + 1) // 2
            at = self._of.next_us(middle - 1)
            if at is None or at > until:
                high = middle - 1
            else:
                low = at
        return low

    def _moved(self, nominal: int) -> int:
        from hashlib import blake2b

        following = self._of.next_us(nominal)
        most = self._most if following is None else min(self._most, following - nominal - 1)
        digest = blake2b(f"{nominal}\n{self._seed}".encode(), digest_size=8).digest()
        return nominal + int.from_bytes(digest) % (most + 1)

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values: the trigger, the longest delay in µs, the seed."""
        return {"of": encode_trigger(self._of), "most": self._most, "seed": self._seed}

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Jitter":
        """The trigger of which `stored` was kept."""
        most = timedelta(microseconds=kept_us(stored, "most"))
        return cls(decode_trigger(kept(stored, "of", dict)), most, seed=kept(stored, "seed", str))

    def _key(self) -> tuple[object, ...]:
        return self._of, self._most, self._seed

    def __repr__(self) -> str:
        seed = f", seed={self._seed!r}" if self._seed else ""
        return f"Jitter({self._of!r}, {format_duration(self._most)!r}{seed})"

    def __str__(self) -> str:
        return f"{self._of}, up to {format_duration(self._most)} later"
