"""What HTTP can do: one table. Routes, documents and rights are made from it, and it is checked against the verbs of
the command line.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from mainspring.client import Client
from mainspring.web.roles import Role

Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query, or no body."""


class Call(msgspec.Struct, Generic[Q, B], frozen=True):
    """One request, decoded and checked: texts of its path, query and body. `programs`: may be added here."""

    client: Client
    path: Mapping[str, str]
    query: Q
    body: B
    programs: bool = False


class Operation(NamedTuple):
    """A verb over HTTP. `verb` is its name on the command line; `answer` is the type of what it answers with."""

    verb: str
    method: str
    path: str
    role: Role
    summary: str
    handler: Callable[[Call[Any, Any]], object]  # of `query` and `body`, which are decoded before it is called
    answer: object
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] = Nothing
    status: int = 200

    @property
    def id(self) -> str:
        """Unique: `tasks-cancel`."""
        return f"{self.method.lower()}-{self.path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}"


def table() -> tuple[Operation, ...]:
    """All of them. What is more special stands before what would also match it."""
    from mainspring.web import adding, looking, standings, steering

    return (*looking.OPERATIONS, *adding.OPERATIONS, *steering.OPERATIONS, *standings.OPERATIONS)
