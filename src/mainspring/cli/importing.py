"""`import crontab`: the rules of a crontab as schedules, all or none; again, and they agree with the file again."""

import os
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from mainspring.cli.crontab import Account, Crontab, Remark, as_task, names, read_crontab
from mainspring.cli.failure import NOT_FOUND, USAGE, Failure
from mainspring.cli.scheduling import rule_options, take_rule
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out, say
from mainspring.cli.verb import Verbs, common_options, verb
from mainspring.cli.zones import following, named
from mainspring.client import Client
from mainspring.engine.definitions import schedule_of
from mainspring.errors import NameInUse
from mainspring.shown import ShownSchedule, rule_words, shown_schedule
from mainspring.standing import reconcile
from mainspring.store.rows import Standing
from mainspring.when.triggers import decode_trigger

if TYPE_CHECKING:
    from mainspring.scheduling import ScheduleSaid

_NEXT = 3


class ImportedSchedule(ShownSchedule, frozen=True, kw_only=True):
    """A schedule, the line it is from, and what became of it: `added`, `changed` or `kept`."""

    line: int
    outcome: str


class Imported(msgspec.Struct, frozen=True):
    """What an import did, or with `dry_run` would do."""

    file: str
    dry_run: bool
    schedules: list[ImportedSchedule]
    removed: list[str]
    notes: list[Remark]


@click.group("import", cls=Verbs, no_args_is_help=False, params=common_options())
def import_verb(**_: object) -> None:
    """Take over schedules from elsewhere."""


@verb(
    "crontab",
    examples="""
        crontab -l > my.crontab
        mainspring import crontab my.crontab --dry-run
        mainspring import crontab my.crontab --name-prefix web- --tz Asia/Shanghai
        crontab -l | mainspring import crontab -
        mainspring import crontab /etc/crontab --system
    """,
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Show what would be added, and change nothing.")
@click.option("--name-prefix", "prefix", metavar="P", default="cron-", show_default=True, help="Names begin with it.")
@click.option("--tz", metavar="ZONE", help="The zone of the rules before a CRON_TZ line (default: the local one).")
@click.option("--system", is_flag=True, help="Each rule names its user after the fields, as in /etc/crontab.")
@rule_options
def crontab_verb(
    session: Session, file: str, dry_run: bool, prefix: str, tz: str | None, system: bool, **said: object
) -> int:
    """Make a schedule of each rule in a crontab (-: standard input), with its environment, in the home directory.

    All or none: when a line cannot be read, every such line is told and nothing is imported. Importing the same file
    again makes the schedules agree with it: new rules are added, changed ones changed, those gone from it removed.
    """
    path = file if file == "-" else os.path.realpath(file)
    if not system and (path == "/etc/crontab" or os.path.dirname(path) == "/etc/cron.d"):
        raise click.UsageError(f"the rules of {file} name a user each: add --system")
    account = _account()
    crontab = read_crontab(_read(file), account, named(session.zone(tz)), users=system)
    _refuse_slips(file, crontab)
    client = session.client if dry_run else session.adding_client
    stored = {one.name: one for one in _stored(client, dry_run=dry_run)}
    app, now = f"crontab:{path}", client.clock.now()
    lines, wanted = _standings(client, crontab, prefix, take_rule(said), app, now)
    _refuse_conflicts(stored, wanted, app)
    outcomes = [_outcome(stored.get(one.name), one) for one in wanted]
    gone = sorted(one.name for one in stored.values() if one.app == app and one.name not in {w.name for w in wanted})
    if not dry_run:
        reconcile(client, app, wanted, now)
    shown = Imported(
        file=path,
        dry_run=dry_run,
        schedules=[
            ImportedSchedule(**msgspec.structs.asdict(shown_schedule(one, client.registry)), line=line, outcome=outcome)
            for line, one, outcome in zip(lines, wanted, outcomes, strict=True)
        ],
        removed=gone,
        notes=[*crontab.notes, *_reboots(crontab, prefix)],
    )
    if not session.answer(shown):
        _tell(session, shown, wanted, now)
    for note in shown.notes:
        say(f"line {note.line}: {note.says}")
    if not dry_run and wanted:
        session.warn_if_nobody_runs()
    return 0


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        raise Failure(f"there is no file {file!r}; crontab -l > {file} writes a user's", NOT_FOUND) from None


def _account() -> Account:
    """Who runs this; where the machine does not know, as the environment says."""
    try:
        import pwd

        entry = pwd.getpwuid(os.getuid())
    except (ImportError, KeyError):
        return Account(os.environ.get("LOGNAME", ""), os.path.expanduser("~"))
    return Account(entry.pw_name, os.environ.get("HOME") or entry.pw_dir)


def _refuse_slips(file: str, crontab: Crontab) -> None:
    """Every line that is wrong, with what is wrong with it; nothing is imported then."""
    if not crontab.slips:
        return
    count = len(crontab.slips)
    told = [f"{count} line{'s' if count > 1 else ''} of {file} cannot be read; nothing is imported"]
    for slip in crontab.slips:
        told.append(f"line {slip.line}: {slip.text}")
        told += [f"  {line}" for line in slip.says.splitlines()]
    raise Failure("\n".join(told), USAGE)


def _stored(client: Client, *, dry_run: bool) -> list[Standing]:
    """The schedules of the store; none where looking finds no store."""
    try:
        return client.store.standings("schedule")
    except Failure as error:
        if dry_run and error.exit_code == NOT_FOUND:
            return []
        raise


def _standings(
    client: Client, crontab: Crontab, prefix: str, rule: "ScheduleSaid", app: str, now: int
) -> tuple[list[int], list[Standing]]:
    """The lines of the rules, and their schedules, checked and not yet stored."""
    rules = [(entry, entry.trigger) for entry in crontab.entries if entry.trigger is not None]
    labels = names([entry for entry, _ in rules], prefix)
    standings = [
        client.new_schedule(
            entry.command,
            trigger,
            (),
            None,
            {"name": name, "cwd": entry.cwd, "env": entry.env, **rule},
            now,
            app=app,
        )
        for (entry, trigger), name in zip(rules, labels, strict=True)
    ]
    return [entry.line for entry, _ in rules], standings


def _refuse_conflicts(stored: dict[str, Standing], wanted: list[Standing], app: str) -> None:
    taken = [one.name for one in wanted if one.name in stored and stored[one.name].app != app]
    if taken:
        owner = stored[taken[0]].app or "the command line"
        raise NameInUse(
            f"there is a schedule {taken[0]!r} already, of {owner}; nothing is imported: remove it first, or choose "
            f"other names with --name-prefix"
        )


def _outcome(stored: Standing | None, wanted: Standing) -> str:
    if stored is None:
        return "added"
    same = msgspec.structs.replace(schedule_of(stored), resume_at=None) == schedule_of(wanted)
    return "kept" if same else "changed"


def _reboots(crontab: Crontab, prefix: str) -> list[Remark]:
    """What to do about the rules for the start of the machine, which is no instant."""
    entries = [entry for entry in crontab.entries if entry.trigger is None]
    return [
        Remark(
            entry.line,
            entry.text,
            f"@reboot is not imported, for a start is no instant. What starts the daemon can add it as a task each "
            f"time (ExecStartPost= of its service): {as_task(entry, name)}",
        )
        for entry, name in zip(entries, names(entries, prefix), strict=True)
    ]


def _tell(session: Session, shown: Imported, wanted: list[Standing], now: int) -> None:
    local = session.zone()
    would = "would be " if shown.dry_run else ""
    for one, standing in zip(shown.schedules, wanted, strict=True):
        trigger = decode_trigger(schedule_of(standing).trigger)
        words = one.outcome if one.outcome == "kept" else f"{would}{one.outcome}"
        out(f"line {one.line}: {clean(one.name)} {words}: {clean(rule_words(trigger))}")
        if shown.dry_run:
            out(f"  {clean((one.command or [''])[-1])}")
            out(following(trigger, now, _NEXT, local))
    for name in shown.removed:
        out(f"{clean(name)} {would}removed: it is gone from the file")
    if not shown.schedules and not shown.removed:
        out("there are no rules in it")


import_verb.add_command(crontab_verb)
