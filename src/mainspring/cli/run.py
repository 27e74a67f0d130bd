"""`run`: the daemon in the foreground, with a line on stderr for each event."""

from typing import TYPE_CHECKING

import click

from mainspring.cli.session import Session
from mainspring.cli.verb import verb
from mainspring.setting_values import from_text
from mainspring.settings import load_settings, set_flags

if TYPE_CHECKING:
    from mainspring.app import Daemon

_FLAGS = ("workers", "listener_workers", "pool", "max_pending", "when_full", "full_timeout", "grace")


@verb(
    "run",
    examples="""
        mainspring run
        mainspring run shop:daemon --workers 16
        mainspring run --store /var/lib/shop.db --log-format json
        mainspring run shop:daemon --queues mail=2,reports
    """,
)
@click.argument("target", required=False, metavar="[APP]")
@click.option("--workers", metavar="N", help="How many tasks run at once (default: 8).")
@click.option("--listener-workers", metavar="N", help="Workers for listeners (default: 4).")
@click.option("--pool", metavar="threads|processes", help="What tasks run on (default: processes).")
@click.option("--queues", multiple=True, metavar="NAME[=N],...", help="Serve only these, N of each at once.")
@click.option("--max-pending", metavar="N", help="How many tasks may be due and wait (default: any number).")
@click.option("--when-full", metavar="block|refuse", help="What adding to a full queue does (default: block).")
@click.option("--full-timeout", metavar="DURATION", help="How long it waits for room (default: no end).")
@click.option("--grace", metavar="DURATION", help="How long running tasks may take to end at a stop (default: 20s).")
@click.option("--log-format", type=click.Choice(["text", "json"]), default=None, help="How events are written.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True,
    help="debug also shows each success.",
)  # fmt: skip
def run_verb(
    session: Session, target: str | None, queues: tuple[str, ...], log_format: str | None, log_level: str, **said: str
) -> int:
    """Run the daemon, in the foreground, until SIGINT or SIGTERM; then let what runs end. A second signal hurries.

    APP is module:attribute, or a module with one Daemon; without it, the daemon runs programs and the functions of
    modules under the current directory. A setting in the app's code wins over a flag.
    """
    from mainspring.cli.eventlog import set_up_logging

    if target is not None and session.app_flag is not None and target != session.app_flag:
        raise click.UsageError(f"{target} and --app {session.app_flag}: name one app")
    flags = {word: from_text(word, value) for word in _FLAGS if (value := said.get(word)) is not None}
    if queues:
        flags["queues"] = from_text("queues", ",".join(queues))
    daemon = _daemon(session, target, flags)
    set_up_logging(as_json=log_format == "json" or (session.as_json and log_format is None), level=log_level.upper())
    daemon.run()
    return 0


def _daemon(session: Session, target: str | None, flags: dict[str, object]) -> "Daemon":
    """The app's Daemon, or a bare one; the flags hold where its code says nothing."""
    from mainspring.app import Alone, Daemon
    from mainspring.cli.apps import import_here, load_app
    from mainspring.cli.terminal import say

    set_flags({"store": session.store_flag, **flags})
    settings = load_settings({})  # a bad flag is said before the app's code runs
    spec = target or session.app_flag or (settings.app if session.store_flag is None else None)
    if spec is None:
        import_here()
        # a name of its own, so that no app's schedules are taken for its own that are gone from the code
        daemon = Daemon(name="mainspring run")
        daemon.alone = Alone()
        return daemon
    daemon = load_app(spec)
    daemon.alone = Alone(spec)
    session.check_store(daemon, spec)
    for word in flags:
        if daemon.settings.origins[word].startswith("argument"):
            flag = word.replace("_", "-")
            say(f"warning: --{flag} is not used: the code of {spec} says {word}= itself")
    return daemon
