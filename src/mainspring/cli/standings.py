"""What schedules and listeners have in common on the command line: found by name, changed one after the other."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from mainspring.cli.failure import code_of
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out, say
from mainspring.cli.verb import close_name, exit_code
from mainspring.client import Client
from mainspring.errors import MainspringError, NotFound
from mainspring.standing import Listener, Schedule

H = TypeVar("H", Schedule, Listener)


def one(handles: Sequence[H], kind: str, name: str) -> H:
    """The one of this name; `NotFound` says which there are."""
    for handle in handles:
        if handle.name == name:
            return handle
    names = [handle.name for handle in handles]
    there_are = f"; there are: {', '.join(names[:10])}" if names else "; there are none"
    raise NotFound(f"there is no {kind} {name!r}{close_name(name, names) or there_are}")


def changed(
    session: Session, kind: str, names: tuple[str, ...], read: Callable[[Client], list[H]],
    change: Callable[[H], None], show: Callable[[Session, H], object], words: str,
) -> int:  # fmt: skip
    """Change each; the answer is what it is now."""

    def apply(handle: H) -> object:
        change(handle)
        handle.refresh()
        return show(session, handle)

    return _each(session, kind, names, read, apply, words)


def removed(session: Session, kind: str, names: tuple[str, ...], read: Callable[[Client], list[H]]) -> int:
    """Remove each."""

    def apply(handle: H) -> object:
        handle.remove()
        return {"name": handle.name, "removed": True}

    return _each(session, kind, names, read, apply, "is removed")


def _each(
    session: Session, kind: str, names: tuple[str, ...], read: Callable[[Client], list[H]],
    apply: Callable[[H], object], words: str,
) -> int:  # fmt: skip
    handles = read(session.client)
    answers: list[object] = []
    codes: list[int] = []
    for name in names:
        try:
            answers.append(apply(one(handles, kind, name)))
        except MainspringError as error:
            say(f"error: {error}")
            codes.append(code_of(error))
            answers.append({"name": name, "message": str(error)})
        else:
            codes.append(0)
            if not session.as_json:
                out(f"{kind} {clean(name)} {words}")
    session.answer(answers[0] if len(answers) == 1 else answers)
    return exit_code(codes)
