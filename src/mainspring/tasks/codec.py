"""Arguments and results as JSON: what arrives equals what was passed, or it is refused.

Plain values (None, bool, int, float, str, list, dict) take one look and one encode; everything else goes through
`tagged` (types that JSON has no word for) and `models` (classes that an annotation brings back). Every refusal is
an `InvalidArguments` that names the path, what came, and what to do. Nothing is unpickled or imported.
"""

from collections.abc import Mapping, Sequence
from math import isfinite

import msgspec

from mainspring.errors import InvalidArguments
from mainspring.tasks.callplan import CallPlan, Slot
from mainspring.tasks.models import Convert, same
from mainspring.tasks.secrets import MASK, is_secret_name
from mainspring.tasks.tagged import MAX_BYTES, MAX_DEPTH, MAX_INT, MIN_INT, TooMuch, Walk, from_json
from mainspring.when.shown import shown

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_call = msgspec.json.Decoder(tuple[tuple[object, ...], dict[str, object]]).decode


def encode_call(args: Sequence[object], kwargs: Mapping[str, object], plan: CallPlan | None = None) -> str | None:
    """The JSON array `[args, kwargs]`, or None when both are empty.

    With the function's `plan`, its annotations decide what can be brought back, and secret arguments are marked
    so that `display_call` hides them; the signature is `plan.bind`'s to check.
    """
    if not args and not kwargs:
        return None
    bare = plan.plain if plan is not None else not kwargs or not any(map(is_secret_name, kwargs))
    if bare and not kwargs and _are_scalars(args):
        try:
            data = _encode((args, _NO_KWARGS))
        except UnicodeEncodeError:
            data = b""  # the walk says where
        if 0 < len(data) <= MAX_BYTES:
            return data.decode()
    try:
        text = _fast([list(args), dict(kwargs)], -2) if bare else None
        if text is not None:
            return text
        positional = [_argument(value, _slot(plan, index)) for index, value in enumerate(args)]
        named = {_name(key): _argument(value, _slot(plan, key)) for key, value in kwargs.items()}
    except TooMuch:
        raise _too_large("the arguments take") from None
    return _text([positional, named], "the arguments take")


def decode_call(text: str | None, plan: CallPlan | None = None) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments kept as `text`; with the function's `plan`, brought back by its annotations."""
    if text is None:
        return (), {}
    positional, named = _call(text)
    if '"$' in text:
        positional = tuple([from_json(value) for value in positional])
        named = {key: from_json(value) for key, value in named.items()}
    if plan is None or plan.plain:
        return positional, named
    args = tuple(_bring_back(value, plan.slot(index)) for index, value in enumerate(positional))
    return args, {key: _bring_back(value, plan.slot(key)) for key, value in named.items()}


def encode_result(value: object, plan: CallPlan | None = None) -> str:
    """The JSON of what a task returned; with the function's `plan`, its return annotation may bring it back."""
    return _encode_one(value, Slot("the result", None if plan is None else plan.returns), "the result takes")


def decode_result(text: str, plan: CallPlan | None = None) -> object:
    """The result kept as `text`; without the function's `plan`, records arrive as dicts."""
    return _bring_back(decode(text), Slot("the result", None if plan is None else plan.returns))


def encode(value: object) -> str:
    """One value as JSON text."""
    return _encode_one(value, Slot("the value"), "the value takes")


def decode(text: str) -> object:
    """The value kept as `text`."""
    value = _parse(text)
    return from_json(value) if '"$' in text else value


def redact(
    plan: CallPlan | None, args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[list[object], dict[str, object]]:
    """A copy of the arguments to be shown: `•••` in place of each secret one."""
    return (
        [MASK if _slot(plan, index).secret else value for index, value in enumerate(args)],
        {key: MASK if _slot(plan, key).secret else value for key, value in kwargs.items()},
    )


def display_call(text: str | None, plan: CallPlan | None = None) -> tuple[list[object], dict[str, object]]:
    """Stored arguments to be shown, as JSON values (tags and all); secrets are `•••` even without a plan."""
    if text is None:
        return [], {}
    positional, named = _call(text)
    return redact(plan, [_masked(value) for value in positional], {key: _masked(value) for key, value in named.items()})


def _encode_one(value: object, slot: Slot, takes: str) -> str:
    try:
        text = _fast(value) if slot.convert is None else None
        if text is not None:
            return text
        return _text(_argument(value, slot), takes)
    except TooMuch:
        raise _too_large(takes) from None


def _fast(value: object, depth: int = 0) -> str | None:
    """The text of a plain value; None when it is not plain, too large or not encodable: the walk says why."""
    if not _is_plain(value, depth, [MAX_BYTES]):
        return None
    try:
        data = _encode(value)
    except UnicodeEncodeError:
        return None
    return data.decode() if len(data) <= MAX_BYTES else None


_NO_KWARGS: dict[str, object] = {}


def _are_scalars(values: Sequence[object]) -> bool:
    """`_is_plain` for what nearly all calls are, without a walk."""
    for value in values:
        kind = type(value)
        if kind is int:
            if not MIN_INT <= value <= MAX_INT:  # type: ignore[operator]
                return False
        elif kind is float:
            if not isfinite(value):  # type: ignore[arg-type]
                return False
        elif kind is not str and kind is not bool and value is not None:
            return False
    return True


def _is_plain(value: object, depth: int, room: list[int]) -> bool:
    """Whether JSON gives `value` back as it is. `depth`: levels above it; `room`: counts down the bytes it takes."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return MIN_INT <= value <= MAX_INT  # type: ignore[operator]
    if kind is float:
        return isfinite(value)  # type: ignore[arg-type]
    if depth >= MAX_DEPTH:
        return False
    depth += 1
    if kind is list:
        items: list[object] = value  # type: ignore[assignment]
        room[0] -= len(items) + 1
        if room[0] < 0:
            raise TooMuch
        for item in items:  # noqa: SIM110  # a loop: all() over a generator takes twice as long
            if not _is_plain(item, depth, room):
                return False
        return True
    if kind is dict:
        mapping: dict[object, object] = value  # type: ignore[assignment]
        room[0] -= len(mapping) + 1
        if room[0] < 0:
            raise TooMuch
        for key, item in mapping.items():
            if type(key) is not str or key[:1] == "$" or not _is_plain(item, depth, room):
                return False
        return True
    return False


def _argument(value: object, slot: Slot) -> object:
    """What is kept of one argument; refused when its annotation does not bring it back equal."""
    tagged = Walk(slot.name, hidden=slot.secret, models=slot.convert is not None).json(value)
    if slot.convert is not None:
        _check_return(value, tagged, slot, slot.convert)
    return {"$secret": tagged} if slot.secret else tagged


def _check_return(value: object, tagged: object, slot: Slot, convert: Convert) -> None:
    came = f"a {type(value).__name__}" if slot.secret else f"{shown(value)} of type {type(value).__name__}"
    try:
        arrived = convert(from_json(tagged))
        equal = same(value, arrived)
    except Exception as error:  # noqa: BLE001  # constructors and == of the user's classes may raise anything
        raise InvalidArguments(
            f"{slot.name}: expected a value that the annotation can bring back, got {came}, "
            f"but that fails with {_said(error, slot)}; pass what the annotation names"
        ) from (None if slot.secret else error)
    if not equal:
        arrives = f"a {type(arrived).__name__}" if slot.secret else shown(arrived)
        raise InvalidArguments(
            f"{slot.name}: expected a value that arrives equal, got {came}, which would arrive as {arrives}; "
            f"pass what the annotation names, and give its class an == that compares what it holds"
        )


def _bring_back(value: object, slot: Slot) -> object:
    if slot.convert is None:
        return value
    try:
        return slot.convert(value)
    except Exception as error:  # noqa: BLE001  # as above
        came = "a secret" if slot.secret else shown(value)
        raise InvalidArguments(
            f"{slot.name}: expected what the annotation names, the store has {came}, "
            f"and bringing it back fails with {_said(error, slot)}; was the class changed after the task was added?"
        ) from (None if slot.secret else error)


def _said(error: Exception, slot: Slot) -> str:
    # The text of an error in a constructor often quotes the value.
    return type(error).__name__ if slot.secret else f"{type(error).__name__}: {error}"


def _slot(plan: CallPlan | None, key: int | str) -> Slot:
    if plan is not None:
        return plan.slot(key)
    return Slot(f"args[{key}]") if isinstance(key, int) else Slot(key, secret=is_secret_name(key))


def _name(key: object) -> str:
    if type(key) is not str:
        raise InvalidArguments(f"kwargs: expected names of type str, got {shown(key)} of type {type(key).__name__}")
    return Walk("kwargs").text(key)


def _masked(value: object) -> object:
    return MASK if isinstance(value, dict) and value.keys() == {"$secret"} else value


def _text(value: object, takes: str) -> str:
    data = _encode(value)
    if len(data) > MAX_BYTES:
        raise _too_large(takes, f"{len(data):,}")
    return data.decode()


def _too_large(takes: str, size: str = f"more than {MAX_BYTES:,}") -> InvalidArguments:
    return InvalidArguments(
        f"{takes} {size} bytes as JSON, the limit is {MAX_BYTES:,} (1 MiB); "
        f"keep large data in a file or a database and pass where it is"
    )


def _call(text: str) -> tuple[tuple[object, ...], dict[str, object]]:
    try:
        return _decode_call(text)
    except (msgspec.DecodeError, RecursionError):
        _parse(text)  # says what is wrong when it is no JSON at all
        raise InvalidArguments(f"the stored arguments are not [args, kwargs]: {shown(text)}") from None


def _parse(text: str) -> object:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArguments(f"the stored value is no JSON that can be read: {error}: {shown(text)}") from None
