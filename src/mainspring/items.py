"""The dicts of `add_tasks`, checked key by key."""

import difflib
from collections.abc import Iterable, Mapping
from itertools import islice

from mainspring.adding import Options, Spec
from mainspring.errors import InvalidArguments

MOST = 100_000
_SPEC = {"work", "args", "kwargs", "at", "after"}
_KEYS = ("work", "args", "kwargs", "at", "after", *Options.__struct_fields__)


def specs_of(items: Iterable[Mapping[str, object]]) -> list[Spec]:
    """One spec for each; an unknown key is an error with a suggestion."""
    known: dict[tuple[object, ...], Options] = {}
    out = [_spec(index, item, known) for index, item in enumerate(islice(items, MOST + 1))]
    if len(out) > MOST:
        raise InvalidArguments(f"add_tasks takes at most {MOST:,} items in one commit, got more: add them in parts")
    return out


def _spec(index: int, item: Mapping[str, object], known: dict[tuple[object, ...], Options]) -> Spec:
    """`known`: the options of the items before; what is said alike is one value, and looked at once."""
    if not isinstance(item, Mapping) or "work" not in item:
        raise InvalidArguments(f"add_tasks expects dicts with at least 'work'; item {index} is {item!r:.200}")
    if item.keys() <= _SPEC:
        return Spec(**item)  # type: ignore[arg-type]  # the adder checks each value
    for key in item:
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidArguments(f"item {index} has an unknown key {key!r}{hint}; known: {', '.join(_KEYS)}")
    said = {key: value for key, value in item.items() if key not in _SPEC}
    spec = {key: value for key, value in item.items() if key in _SPEC}
    alike = tuple((key, type(value), value) for key, value in said.items())  # 1 and True are equal, and not the same
    try:
        options = known.get(alike)
    except TypeError:  # a value that cannot be looked up, such as a dict
        return Spec(**spec, options=Options(**said))  # type: ignore[arg-type]
    if options is None:
        options = known[alike] = Options(**said)  # type: ignore[arg-type]
    return Spec(**spec, options=options)  # type: ignore[arg-type]
