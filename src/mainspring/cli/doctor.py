"""`doctor`: looks at this machine and the store, says what is not as it should be, and what to do."""

from mainspring.cli.checks import Check, machine, outboxes, store
from mainspring.cli.failure import FAILED
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, coloured, out
from mainspring.cli.verb import verb

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@verb("doctor", examples="mainspring doctor\nmainspring doctor --app shop:daemon --json")
def doctor_verb(session: Session) -> int:
    """Check this machine and the store; exit code 1 when something fails."""
    checks = [*machine(), *store(session), *outboxes(session)]
    failed = any(check.level == "fail" for check in checks)
    if not session.answer({"ok": not failed, "checks": checks}):
        for check in checks:
            _line(check)
    return FAILED if failed else 0


def _line(check: Check) -> None:
    out(f"{coloured(f'{check.level:<4}', _COLOURS[check.level])}  {check.name:<9} {clean(check.found)}")
    if check.advice is not None:
        out(f"{'':16}{clean(check.advice)}")
