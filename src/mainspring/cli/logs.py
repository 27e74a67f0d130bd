"""`logs`: what a task's program wrote; `-f` follows it, woken by the store."""

import click

from mainspring.cli.completing import ids
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, say
from mainspring.cli.verb import verb
from mainspring.task import Task
from mainspring.waiting import Waiting

# So much of what was shown last is looked for in newer text, whose middle may have been left out meanwhile.
_ANCHOR = 400


@verb("logs", examples="mainspring logs 42\nmainspring logs -f 42")
@click.argument("id", shell_complete=ids())
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has finished.")
def logs_verb(session: Session, id: str, follow: bool) -> int:  # noqa: A002  # the contract's word
    """Show what a task's program wrote, output and errors together. Of very long output the middle is left out."""
    client = session.client
    task = client.get(id)
    shown = Shown()

    def look() -> bool | None:
        finished = task.refresh().finished  # before the output is read: what is written last is not missed
        if not session.as_json:
            shown.show(task.output or "")
        return finished or None

    if follow:
        Waiting(client).until(look, None)
    else:
        look()
    session.answer({"id": task.id, "state": task.state.value, "output": task.output})
    if not session.as_json:
        shown.end()
        _comment(task, follow)
    return 0


def _comment(task: Task[object], follow: bool) -> None:
    """On stderr: why there is nothing, or how it ended."""
    if task.kind == "function":
        say(f"task {task.id} is a function: its daemon's log has what it logs, `mainspring show {task.id}` its error")
    elif follow:
        say(f"task {task.id} is {task.state}{f' ({task.reason})' if task.reason else ''}")
    elif not task.finished and not task.attempt:
        say(f"task {task.id} has not started yet")


class Shown:
    """Writes a growing text on stdout, each part once."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str) -> None:
        """Write what is new in `text`."""
        new = self._new(text)
        self._text = text or self._text
        if new:
            click.echo(clean(new, keep="\n\t"), nl=False)

    def end(self) -> None:
        """End the last line."""
        if self._text and not self._text.endswith("\n"):
            click.echo()

    def _new(self, text: str) -> str:
        if text.startswith(self._text):
            return text[len(self._text) :]
        anchor = self._text[-_ANCHOR:]
        at = text.rfind(anchor)
        if at >= 0:
            return text[at + len(anchor) :]
        return f"\n[... some of it is left out ...]\n{text[-_ANCHOR:]}"
