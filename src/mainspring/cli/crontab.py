"""Reads a crontab, a user's or the system's: which lines are rules, what they run, and what is wrong with the others.

Pure: nothing of it is stored here, and every line that cannot be read is told, not the first alone.
"""

import os
import re
import shlex
from collections.abc import Sequence

import msgspec

from mainspring.errors import InvalidValue
from mainspring.when.cron import Cron
from mainspring.when.instants import load_zone

_SETTING = re.compile(r"""(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*)""", re.DOTALL)
_FIELDS = re.compile(r"((?:\S+\s+){4}\S+)(?:\s+(.*))?", re.DOTALL)
_PERCENT = re.compile(r"(?<!\\)%")

_NOT_USED = {
    "MAILTO": "nothing is sent by mail: output is kept with each task, see mainspring logs ID",
    "MAILFROM": "nothing is sent by mail",
    "RANDOM_DELAY": "times are exact",
    "START_HOURS_RANGE": "times are those of the rules",
}
# What stands before the program whose name says what a line does.
_BEFORE_IT = re.compile(
    r"(?:python|perl|ruby|node|php|bash|sh|zsh)[0-9.]*|env|exec|nice|ionice|nohup|time|sudo|-.*|[0-9]+"
)
_CRONS_OWN = frozenset({"SHELL", "PATH", "HOME", "LOGNAME"})
_FED = 'printf %s "$1" | "$2" -c "$3"'


class Account(msgspec.Struct, frozen=True):
    """Whose commands they are, and where these run when the crontab does not say."""

    name: str
    home: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a crontab. `trigger` is None for `@reboot`; `command` is what is run, without a shell's help."""

    line: int
    text: str
    trigger: Cron | None
    command: list[str]
    cwd: str
    env: dict[str, str]


class Remark(msgspec.Struct, frozen=True):
    """Something about a line, counted from 1; `text` is the line, or of a setting its name."""

    line: int
    text: str
    says: str


class Crontab(msgspec.Struct, frozen=True):
    """What was read. While there are `slips`, nothing of it is to be trusted."""

    entries: list[Entry]
    slips: list[Remark]
    notes: list[Remark]


class _Slip(Exception):
    """Why a line cannot be read."""


class _Reader:
    """The settings that hold at the line that is being read, as cron has them: each from its line on."""

    def __init__(self, account: Account, tz: str, *, users: bool) -> None:
        self._account = account
        self._default_tz = self._tz = tz
        self._users = users
        self._env = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": account.home, "LOGNAME": account.name}
        self.crontab = Crontab([], [], [])

    def read(self, number: int, raw: bytes) -> None:
        """One line, without its end."""
        shown = raw.decode(errors="backslashreplace").strip()
        try:
            text = _decoded(raw)
            if not text or text.startswith("#"):
                return
            setting = _SETTING.fullmatch(text)
            if setting is None:
                self.crontab.entries.append(self._entry(number, text))
            elif says := self._set(setting[2], _value(setting[3])):
                self.crontab.notes.append(Remark(number, setting[2], says))
        except (_Slip, InvalidValue) as error:
            self.crontab.slips.append(Remark(number, shown, str(error)))

    def _set(self, name: str, value: str) -> str | None:
        """A line NAME=value; what is to be said about it."""
        if name == "CRON_TZ":
            if value:
                load_zone(value)
            self._tz = value or self._default_tz
            return None
        if name == "LOGNAME":
            return f"LOGNAME stays {self._account.name}: programs run as who runs the daemon"
        if name in ("SHELL", "HOME") and not os.path.isabs(value):
            raise _Slip(f"expected the absolute path of {name}, got {value!r}")
        self._env[name] = value
        if name in _NOT_USED:
            return f"{name} is not used: {_NOT_USED[name]}" if value else None
        if name == "TZ":
            return f"TZ is what the commands see; the rules are in {self._tz}, unless CRON_TZ or --tz says otherwise"
        if "$" in value:
            return f"{name} is kept as it is written: neither cron nor Mainspring puts values in the place of $"
        return None

    def _entry(self, number: int, text: str) -> Entry:
        when, rest = _cut(text)
        # what is wrong with the rule is said first
        trigger = None if when.lower() == "@reboot" else Cron(when, tz=self._tz)
        if self._users:
            rest = self._without_user(rest)
        if not rest:
            raise _Slip("there is no command after the fields")
        return Entry(
            line=number, text=text, trigger=trigger, command=_command(self._env["SHELL"], rest),
            cwd=self._env["HOME"], env=dict(self._env),
        )  # fmt: skip

    def _without_user(self, rest: str) -> str:
        user, *command = rest.split(None, 1) or [""]
        if user != self._account.name:
            raise _Slip(
                f"it runs as {user!r}, and this is {self._account.name!r}: a daemon runs programs as itself. "
                f"Import such lines as {user!r}, into the store of a daemon of that user"
            )
        return command[0] if command else ""


def read_crontab(data: bytes, account: Account, tz: str, *, users: bool = False) -> Crontab:
    """What a crontab says, for commands of `account`, in the zone named `tz` where no CRON_TZ holds.

    `users`: each rule names its user after the fields, as in /etc/crontab; another than the account is a slip.
    """
    reader = _Reader(account, tz, users=users)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        reader.read(number, raw)
    return reader.crontab


def names(entries: Sequence[Entry], prefix: str) -> list[str]:
    """A name for each: the prefix and the file name of its program; from the second of a name on with a number."""
    out: dict[str, None] = {}  # in their order
    for entry in entries:
        first = name = f"{prefix}{_program(entry.command[-1])}"
        number = 1
        while name in out:
            number += 1
            name = f"{first}-{number}"
        out[name] = None
    return list(out)


def _decoded(raw: bytes) -> str:
    try:
        text = raw.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise _Slip(f"it is no UTF-8 at byte {error.start + 1}") from None
    if "\0" in text:
        raise _Slip("it contains a NUL character")
    return text.lstrip(" \t")


def _value(text: str) -> str:
    """Blanks at the ends of a value count only within quotes."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0] else text


def _cut(text: str) -> tuple[str, str]:
    """The rule, and what comes after it."""
    if text.startswith("@"):
        when, *rest = text.split(None, 1)
        return when, rest[0] if rest else ""
    found = _FIELDS.fullmatch(text)
    if found is None:
        raise _Slip(f"expected five fields and a command, or NAME=value, got {len(text.split())} words")
    return found[1], found[2] or ""


def _command(shell: str, text: str) -> list[str]:
    """The program for a command: its first % ends it; what follows is what it reads, each further % a line's end."""
    command, *lines = [part.replace("\\%", "%") for part in _PERCENT.split(text)]
    if not lines:
        return [shell, "-c", command]
    fed = "\n".join(lines)
    return ["/bin/sh", "-c", _FED, "sh", fed if fed.endswith("\n") else f"{fed}\n", shell, command]


def _program(command: str) -> str:
    """The word of a command that says best what it does: the first file name that is no interpreter's."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:  # a shell knows quotes that this does not
        words = command.split()
    if words[:1] == ["cd"]:
        words = words[next((at + 1 for at, word in enumerate(words) if word in ("&&", ";") or word.endswith(";")), 0) :]
    plain = [word for word in words if "=" not in word]
    chosen = next(
        (word for word in plain if not _BEFORE_IT.fullmatch(os.path.basename(word))), (plain or ["command"])[0]
    )
    return re.sub(r"[^\w.-]+", "-", os.path.basename(chosen.rstrip(";/")))[:60].strip("-") or "command"


def as_task(entry: Entry, name: str) -> str:
    """The command line that runs it once, now. Values that may be secret are left to whoever types it."""
    said = {key: value if key in _CRONS_OWN else "•••" for key, value in entry.env.items()}
    env = [word for pair in said.items() for word in ("--env", "=".join(pair))]
    return shlex.join(["mainspring", "now", "--name", name, "--cwd", entry.cwd, *env, "--", *entry.command])
