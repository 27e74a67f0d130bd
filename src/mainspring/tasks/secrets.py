"""Which arguments are secret, and how they are shown: `•••`, everywhere."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Final, TypeVar

T = TypeVar("T")

MASK: Final = "•••"

_WORDS: Final = (
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
)
# What carries credentials by itself; as the first part of a name they are innocent (`cookie_banner`, `bearer_of_news`).
_CARRIERS: Final = ("authorization", "bearer", "cookie", "cookies", "credential", "credentials", "jwt", "passcode")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class SecretMark:
    """What `Secret[...]` leaves in an annotation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "secret"


Secret = Annotated[T, SecretMark()]
"""`Secret[str]` is a `str` for the function and for type checkers; shown, it is `•••`."""


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a parameter of this name is taken for a secret: `password`, `github_token`, `apiKey`, `SECRET_SALT`,
    `X-Api-Key`, `authorization`, `set_cookie`.
    """
    plain = _HUMP.sub("_", name).replace("-", "_").lower()
    bare = plain.removesuffix("_header")
    if any(bare == word or bare.endswith(f"_{word}") for word in _CARRIERS):
        return True
    return any(plain == word or plain.startswith(f"{word}_") or plain.endswith(f"_{word}") for word in _WORDS)


def redact_env(env: Mapping[str, str]) -> dict[str, str]:
    """The names of a program's variables, every value `•••`."""
    return dict.fromkeys(env, MASK)
