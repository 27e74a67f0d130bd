"""What went wrong, as `application/problem+json` (RFC 9457): every error of the face has its status and its code."""

import re

import msgspec

from mainspring import errors
from mainspring.errors import MainspringError

_STATUS: tuple[tuple[type[MainspringError], int], ...] = (
    (errors.NotAStore, 503),
    (errors.StoreNotFound, 503),
    (errors.TaskNotFound, 404),
    (errors.NotFound, 404),
    (errors.UnknownFunction, 422),
    (errors.NotAllowed, 403),
    (errors.QueueFull, 429),
    (errors.KeyInUse, 409),
    (errors.NameInUse, 409),
    (errors.TooLate, 409),
    (errors.StoreConflict, 409),
    (errors.Misuse, 422),
    (errors.InvalidValue, 422),
    (errors.InvalidArguments, 422),
    (errors.StoreError, 503),
)
TITLES = {
    400: "Not understood", 401: "Who are you?", 403: "Not allowed", 404: "Not found", 405: "Not this method",
    409: "Conflict", 413: "Too much", 415: "Not JSON", 421: "Not this host", 422: "Refused", 429: "No room",
    500: "A bug in Mainspring", 503: "The store is not available",
}  # fmt: skip
TYPE = "application/problem+json"


class HttpProblem(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is for programs and stays as it is; `detail` says what was expected, what came, what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class Refused(Exception):
    """A request that the face never sees."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem(status, code, detail)


def problem(status: int, code: str, detail: str) -> HttpProblem:
    """The document."""
    return HttpProblem(
        type=f"urn:mainspring:{code}", title=TITLES.get(status, "Refused"), status=status, code=code, detail=detail
    )


def problem_of(error: Exception) -> HttpProblem:
    """What an error is to somebody who asked over HTTP. Of an unknown one nothing is told but that it happened."""
    if isinstance(error, Refused):
        return error.problem
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return problem(status, code_of(type(error)), str(error))
    if isinstance(error, MainspringError):
        return problem(422, code_of(type(error)), str(error))
    return problem(500, "bug", f"{type(error).__name__}; the log of the server has more")


def code_of(kind: type[MainspringError]) -> str:
    """`TaskNotFound` is `task-not-found`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
