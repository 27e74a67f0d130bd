"""How a refused value appears in an error: its repr, never longer than a line, never an error of its own."""

LONGEST = 200


def shown(value: object) -> str:
    """The repr of `value`, cut to 200 characters; a repr that fails or is too large is described instead."""
    if isinstance(value, int) and value.bit_length() > 400:
        # Python refuses to write integers of more than 4,300 digits.
        return f"an int of {value.bit_length()} bits"
    if isinstance(value, str | bytes) and len(value) > LONGEST:
        return f"{value[: LONGEST // 2]!r}… ({len(value)} long)"
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  # foreign code, and we are about to report something else
        return f"a {type(value).__name__} whose repr raises {type(error).__name__}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
