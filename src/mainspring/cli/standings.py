"""What schedules and listeners have in common on the command line: found by name, changed one after the other."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import click

from mainspring.cli.completing import Completer
from mainspring.cli.failure import code_of
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out, say
from mainspring.cli.verb import Verb, close_name, exit_code, verb
from mainspring.client import Client
from mainspring.engine.definitions import trigger_of
from mainspring.errors import InvalidValue, MainspringError, NotFound
from mainspring.standing import Listener, Schedule

H = TypeVar("H", bound=Schedule | Listener)


def readable(handles: Iterable[Schedule]) -> list[Schedule]:
    """Those that this version can read. The others are told; they are in nobody's way."""
    found = []
    for handle in handles:
        try:
            trigger_of(handle.standing)
        except InvalidValue as error:
            say(f"warning: {clean(str(error))}")
        else:
            found.append(handle)
    return found


class Standings(Generic[H]):
    """One kind of them, as its verbs need it. `example` is a name for the help texts."""

    def __init__(
        self, kind: str, read: Callable[[Client], list[H]], show: Callable[[Session, H], object],
        complete: Completer, example: str,
    ) -> None:  # fmt: skip
        self._kind = kind
        self._read = read
        self._show = show
        self._example = example
        self.name = click.argument("name", shell_complete=complete)
        self.names = click.argument("names", nargs=-1, required=True, metavar="NAME ...", shell_complete=complete)

    def one(self, session: Session, name: str) -> H:
        """The one of this name; `NotFound` says which there are."""
        return named(self._kind, self._read(session.client), name)

    def changed(self, session: Session, names: tuple[str, ...], change: Callable[[H], None], words: str) -> int:
        """Change each; the answer is what it is now."""

        def apply(handle: H) -> object:
            change(handle)
            handle.refresh()
            return self._show(session, handle)

        return self._each(session, names, apply, words)

    def changing(self, word: str, change: Callable[[H], None], words: str, help_: str) -> Verb:
        """The verb `word`, which does no more than to change each that is named."""

        def act(session: Session, names: tuple[str, ...]) -> int:
            return self.changed(session, names, change, words)

        return self._verb(word, act, help_)

    def removing(self, help_: str) -> Verb:
        """The verb `remove`."""

        def remove(handle: H) -> object:
            handle.remove()
            return {"name": handle.name, "removed": True}

        def act(session: Session, names: tuple[str, ...]) -> int:
            return self._each(session, names, remove, "is removed")

        return self._verb("remove", act, help_)

    def _verb(self, word: str, act: Callable[[Session, tuple[str, ...]], int], help_: str) -> Verb:
        act.__doc__ = help_
        return verb(word, examples=f"mainspring {self._kind}s {word} {self._example}")(self.names(act))

    def _each(self, session: Session, names: tuple[str, ...], apply: Callable[[H], object], words: str) -> int:
        handles = self._read(session.client)
        answers: list[object] = []
        codes: list[int] = []
        for name in names:
            try:
                answers.append(apply(named(self._kind, handles, name)))
            except MainspringError as error:
                say(f"error: {error}")
                codes.append(code_of(error))
                answers.append({"name": name, "message": str(error)})
            else:
                codes.append(0)
                if not session.as_json:
                    out(f"{self._kind} {clean(name)} {words}")
        session.answer(answers[0] if len(answers) == 1 else answers)
        return exit_code(codes)


def named(kind: str, handles: Sequence[H], name: str) -> H:
    """The one of this name; `NotFound` says which was probably meant, or which there are."""
    for handle in handles:
        if handle.name == name:
            return handle
    names = [handle.name for handle in handles]
    there_are = f"; there are: {', '.join(names[:10])}" if names else "; there are none"
    raise NotFound(f"there is no {kind} {name!r}{close_name(name, names) or there_are}")
