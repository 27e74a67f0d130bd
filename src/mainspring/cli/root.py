"""`mainspring`: which verbs there are, and what becomes of errors. Verbs are imported when they are used.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict or too late, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from mainspring.cli.verb import Verbs, common_options
from mainspring.version import __version__

FAMILIES: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "run": ("run", "run the daemon, in the foreground"),
    },
    "Add": {
        "at": ("adding", "add a task for an instant"),
        "after": ("adding", "add a task for later"),
        "now": ("adding", "add a task that is due now"),
        "every": ("repeating", "add a schedule: a task every so often"),
        "cron": ("repeating", "add a schedule in cron's words"),
        "listen": ("repeating", "add a listener: a program without an end"),
    },
    "Look": {
        "list": ("looking", "what waits and runs, or has finished"),
        "next": ("upcoming", "what will run, tasks and schedules in order"),
        "show": ("looking", "everything about tasks"),
        "why": ("looking", "why a task waits, was late, was tried again, missed"),
        "logs": ("logs", "what a task's program wrote; -f follows"),
        "status": ("status", "daemons, workers, counts, lateness"),
        "top": ("top", "the same live, with what runs, is due and failed"),
        "web": ("web", "the same over HTTP: a JSON API"),
        "doctor": ("doctor", "check this machine and the store"),
    },
    "Steer": {
        "cancel": ("steering", "cancel tasks"),
        "reschedule": ("steering", "give a waiting task another instant"),
        "run-now": ("steering", "make waiting tasks due now"),
        "retry": ("steering", "let tasks that did not succeed run again"),
        "pause": ("steering", "start nothing more, of a queue or at all"),
        "resume": ("steering", "end a pause"),
        "schedules": ("schedules", "list, show, preview, change, pause, remove, ..."),
        "listeners": ("listeners", "list, show, remove, pause, resume, restart"),
        "import": ("importing", "crontab FILE: its rules as schedules"),
    },
    "Keep": {
        "store": ("store", "check, back up, restore, compact, export, import"),
    },
    "More": {
        "demo": ("more", "a flash sale on the millisecond"),
        "bench": ("more", "measure this machine"),
        "completion": ("more", "completion for bash, zsh or fish"),
    },
}
VERBS = {name: place for family in FAMILIES.values() for name, place in family.items()}

_HELP = """Run any function or program at any instant, from a durable queue in one file.

\b
  mainspring run &                              a daemon on ./mainspring.db
  mainspring at 10:00 -- ./open.sh --item 42    a program at ten o'clock
  mainspring list                               what waits

Each verb has its own help with examples: mainspring at --help
"""


class Root(Verbs):
    """The verbs, without importing any before it is called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Alone it prints its help."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All verbs, family by family."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb, imported now."""
        place = VERBS.get(cmd_name)
        if place is None:
            return None
        module = import_module(f"mainspring.cli.{place[0]}")
        found = getattr(module, cmd_name.replace("-", "_") + "_verb")
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The verbs by family, from the table alone."""
        for family, verbs in FAMILIES.items():
            with formatter.section(family):
                formatter.write_dl([(name, text) for name, (_, text) in verbs.items()], col_max=12)

    def main(  # type: ignore[override]  # the process ends here, with the exit codes of this program
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "mainspring",
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: object,
    ) -> object:
        """Run a verb and exit. Errors are one message on stderr; a traceback only with --debug."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        for stream in (sys.stdout, sys.stderr):
            if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
                reconfigure(errors="backslashreplace")
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            # whoever read has seen enough; the interpreter must not complain at its end either
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(1)
        except Exception as error:  # noqa: BLE001  # whatever it was, it ends as a message and a code
            from mainspring.cli.failure import report

            sys.exit(report(error, args))
        sys.exit(code if isinstance(code, int) else 0)


main = Root(
    name="mainspring",
    help=_HELP,
    params=common_options(),
    invoke_without_command=False,
    no_args_is_help=False,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
main = click.version_option(__version__, "-V", "--version", prog_name="mainspring", message="%(prog)s %(version)s")(
    main
)


@main.result_callback()
def _exit_code(code: object, **_: object) -> int:
    """A verb's own answer is the exit code; none is success."""
    return code if isinstance(code, int) else 0
