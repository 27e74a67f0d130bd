"""What a shell may complete: ids, names and queues of the store that the line names. Never makes one, never fails."""

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from mainspring.cli.session import Session
from mainspring.client import Client
from mainspring.store.rows import Filter
from mainspring.task import bare_name
from mainspring.tasks.state import State

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_MOST = 50


def _completer(read: Callable[[Client], list[tuple[str, str]]]) -> Completer:
    """Completes from pairs of a value and its description."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found: dict[str, object] = {}
        above: click.Context | None = ctx
        while above is not None:
            found = {word: above.params[word] for word in ("store", "app") if above.params.get(word)} | found
            above = above.parent
        session = Session(**{"store": None, "app": None, **found}, as_json=False, debug=False)  # type: ignore[arg-type]
        try:
            pairs = read(session.client)
        except Exception:  # noqa: BLE001  # a line that is being typed has no place for an error
            return []
        finally:
            session.close()
        return [CompletionItem(value, help=text) for value, text in pairs if value.startswith(incomplete)]

    return complete


def ids(*states: State) -> Completer:
    """The ids of tasks in these states; none: in all."""
    return _completer(
        lambda client: [
            (str(row.id), f"{row.state} {row.name or bare_name(row)}")
            for row in client.store.find(Filter(states=states, limit=_MOST))
        ]
    )


queues = _completer(lambda client: sorted({(lane.queue, "a queue") for lane in client.store.lanes()}))
schedules = _completer(lambda client: [(one.name, "a schedule") for one in client.schedules()])
listeners = _completer(lambda client: [(one.name, "a listener") for one in client.listeners()])


def words(*known: str) -> Completer:
    """Some fixed words."""
    return lambda _ctx, _param, incomplete: [CompletionItem(word) for word in known if word.startswith(incomplete)]
