"""The dicts of `add_tasks`, checked key by key."""

import difflib
from collections.abc import Iterable, Mapping
from itertools import islice

from mainspring.adding import Options, Spec
from mainspring.errors import InvalidArguments

MOST = 100_000
_SPEC = ("work", "args", "kwargs", "at", "after")
_KEYS = (*_SPEC, *Options.__struct_fields__)


def specs_of(items: Iterable[Mapping[str, object]]) -> list[Spec]:
    """One spec for each; an unknown key is an error with a suggestion."""
    out = [_spec(index, item) for index, item in enumerate(islice(items, MOST + 1))]
    if len(out) > MOST:
        raise InvalidArguments(f"add_tasks takes at most {MOST:,} items in one commit, got more: add them in parts")
    return out


def _spec(index: int, item: Mapping[str, object]) -> Spec:
    if not isinstance(item, Mapping) or "work" not in item:
        raise InvalidArguments(f"add_tasks expects dicts with at least 'work'; item {index} is {item!r:.200}")
    for key in item:
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidArguments(f"item {index} has an unknown key {key!r}{hint}; known: {', '.join(_KEYS)}")
    said = {key: value for key, value in item.items() if key not in _SPEC}
    spec = {key: value for key, value in item.items() if key in _SPEC}
    return Spec(**spec, options=Options(**said))  # type: ignore[arg-type]  # the adder checks each value
