"""Who may do what over HTTP. A role may do all that those before it may."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import NamedTuple

from mainspring.errors import InvalidValue


class Role(IntEnum):
    """A viewer looks, an operator steers what there is, an admin adds and removes work."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As it is written in files and documents."""
        return self.name.lower()


class Visitor(NamedTuple):
    """Somebody who was let in."""

    name: str
    role: Role


# From the headers of a request (lower case, the last of each name) to who it is from; None: nobody.
Authorize = Callable[[Mapping[str, str]], Visitor | None]


def role_of(word: str) -> Role:
    """The role of a word; raises `InvalidValue`."""
    for role in Role:
        if role.word == word.lower():
            return role
    raise InvalidValue(f"expected a role ({', '.join(role.word for role in Role)}), got {word!r:.60}")
