"""`top`: the store live in the terminal, redrawn on its news; elsewhere one frame."""

import sys

import click

from mainspring.cli import frame
from mainspring.cli.overview import Overview, looks_again_in, read_overview
from mainspring.cli.screen import Screen, is_live
from mainspring.cli.session import Session
from mainspring.cli.terminal import coloured, columns, out
from mainspring.cli.verb import verb
from mainspring.client import Client

_ROWS = 20  # of each part, where the terminal does not say how many it can show
_OFTEN_US = 200_000
_SHARE = 20  # a look may take this part of the time: one that takes 50 ms is taken once a second at most
_HELP = "q quit   p pause everything, or go on"


@verb("top", examples="mainspring top\nmainspring top --app shop:daemon\nmainspring top --once\nmainspring top --json")
@click.option("--once", is_flag=True, help="One frame, and out.")
def top_verb(session: Session, once: bool) -> int:
    """Show live what runs, what is due, how late starts are, what failed, and the listeners. `q` quits.

    Redrawn on the store's news, at most five times a second, and each second while something is counted down. Where
    stdout is no terminal, or with --once, one frame is printed.
    """
    client = session.client
    if session.as_json or once or not is_live():
        now = client.clock.now()
        overview = read_overview(client, now, _ROWS)
        if not session.answer(overview):
            for line in frame.draw(overview, now, columns(), None, _signs()):
                out(_styled(line))
        return 0
    with Screen() as screen:
        Live(client, screen).run()
    return 0


class Live:
    """Looks, draws, waits; until `q`."""

    def __init__(self, client: Client, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._asking = False  # whether to pause everything
        self._going = True

    def run(self) -> None:
        """Until `q`. Bound to the store's news before the first look, so that none is missed."""
        clock, store = self._client.clock, self._client.store
        watch = store.watch()
        try:
            while self._going:
                began = clock.monotonic()
                now = clock.now()
                overview = read_overview(self._client, now, self._screen.size()[1])
                took = clock.monotonic() - began
                self._draw(overview)
                rest_until = began + max(_OFTEN_US, took * _SHARE)
                until = max(rest_until, began + looks_again_in(overview, now))
                news = False
                # news is looked at when the rest is over; keys and a new size are answered at once
                while self._going and clock.monotonic() < (rest_until if news else until):
                    fd = -1 if news else watch.fileno()
                    keys = self._screen.wait(fd, (rest_until if news else until) - clock.monotonic())
                    news = news or bool(watch.drain())
                    if self._answer(keys, overview):
                        break
                    if not news:  # else it is drawn anew in a moment
                        self._draw(overview)
        finally:
            watch.close()

    def _answer(self, keys: str, overview: Overview) -> bool:
        """Do what was pressed; True when something was changed."""
        if keys.startswith("\x1b"):  # an arrow, or a way out of a question
            keys = ""
            self._asking = False
        for key in keys:
            if self._asking:
                self._asking = False
                if key in "yY":
                    self._pause_or_resume(overview)
                    return True
            elif key in "qQ":
                self._going = False
            elif key in "pP":
                self._asking = True
        return False

    def _pause_or_resume(self, overview: Overview) -> None:
        if "*" in overview.paused:
            self._client.resume()
        else:
            self._client.pause()

    def _draw(self, overview: Overview) -> None:
        columns, lines = self._screen.size()
        # countdowns go on while the store is not looked at
        body = frame.draw(overview, self._client.clock.now(), columns, lines - 1, _signs())
        body += [[]] * (lines - 1 - len(body))
        question = "go on with everything? y/n" if "*" in overview.paused else "pause everything? y/n"
        foot = coloured(question[:columns], "yellow") if self._asking else coloured(_HELP[:columns], "bright_black")
        self._screen.show([*map(_styled, body), foot if self._screen.keys else ""])


def _styled(line: frame.Line) -> str:
    return "".join(coloured(text, colour, bold=bold) for text, colour, bold in line)


def _signs() -> frame.Signs:
    return frame.BLOCKS if (sys.stdout.encoding or "").lower().startswith("utf") else frame.ASCII
