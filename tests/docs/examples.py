"""Runs the examples of a page of the docs, so that no page shows what does not work.

How to mark them, in the words after the opening fence; what is not marked is not run:

    ```python file=shop.py       is written to shop.py in the page's directory
    ```python runnable           is run as a program of its own; it fails if it raises
    ```python runnable continued is run after all earlier runnable blocks of the page, as one program with them
    ```console                   its lines `$ mainspring ...` and `$ python ...` are run, as one bash script
    ```console norun             is not

A page has one directory, empty at first and the same for all its blocks, in their order. A command must exit with 0,
or as its comment says: `$ mainspring show 99  # exit 3`. A backslash at the end continues a line; `$ mainspring run &`
goes to the background until the end of its block, where it is told to stop. Lines without `$` show output and
are not compared: ids and instants differ.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60  # for one block; only what hangs needs them
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`]*)$")
_EXIT = re.compile(r"\s+#\s*exit\s+(\d+)\s*$")
_RUN = re.compile(r"(\w+=\S*\s+)*(mainspring|python|python3)(\s|$)")


class ExampleFailed(AssertionError):
    """An example did not do what its page says: where, what was run, and what it printed."""


@dataclass(frozen=True)
class Block:
    """A fenced block: `line` is that of its first line of text, from 1."""

    page: str
    line: int
    language: str
    marks: frozenset[str]
    file: str | None
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if opening is None:
            continue
        first = at
        while at < len(lines) and not _closes(lines[at], opening["fence"]):
            at += 1
        if at == len(lines):
            raise ExampleFailed(f"{page}:{first}: this block is never closed")
        indent = len(opening["indent"])
        body = "".join(f"{line[min(indent, len(line) - len(line.lstrip())) :]}\n" for line in lines[first:at])
        found.append(_block(page, first + 1, opening["info"], body))
        at += 1
    return found


def _closes(line: str, fence: str) -> bool:
    return line.strip().startswith(fence) and not line.strip().strip("`")


def _block(page: str, line: int, info: str, body: str) -> Block:
    words = info.split()
    language, marks = (words[0], words[1:]) if words else ("", [])
    files = [mark.removeprefix("file=") for mark in marks if mark.startswith("file=")]
    plain = frozenset(mark for mark in marks if not mark.startswith("file="))
    known = {"python": {"runnable", "continued"}, "console": {"norun"}}.get(language)
    if known is not None and not plain <= known:
        raise ExampleFailed(f"{page}:{line}: unknown marks {sorted(plain - known)}; there are {sorted(known)}")
    return Block(page, line, language, plain, files[0] if files else None, body)


def run_page(page: str, text: str, directory: Path) -> int:
    """Run what is marked on a page, in `directory`; how many blocks that were. Raises `ExampleFailed`."""
    ran = 0
    before = ""  # the runnable blocks so far, for those that continue them
    for block in blocks_of(page, text):
        if block.language == "python":
            _check_syntax(block)
        if block.file is not None:
            target = directory / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        if "runnable" in block.marks:
            program = before + block.text if "continued" in block.marks else block.text
            before += block.text
            (directory / "example.py").write_text(program)
            _run([sys.executable, "example.py"], directory, block, block.text)
            ran += 1
        elif block.language == "console" and "norun" not in block.marks:
            script = script_of(block)
            if script:
                _run(["bash", "-c", script], directory, block, script)
                ran += 1
    return ran


def script_of(block: Block) -> str:
    """The bash script for a console block; empty when it has no command of ours."""
    steps: list[str] = []
    lines = block.text.split("\n")
    at = 0
    while at < len(lines):
        number, line = block.line + at, lines[at]
        at += 1
        if not line.startswith("$ "):
            continue
        command = line[2:]
        while command.endswith("\\") and at < len(lines):
            command = f"{command[:-1]} {lines[at].removeprefix('> ').strip()}"
            at += 1
        if not _RUN.match(command):
            continue
        expected = _EXIT.search(command)
        code = int(expected[1]) if expected else 0
        command = _EXIT.sub("", command)
        said = shlex.quote(f"{block.page}:{number}: $ {command}")
        steps.append(
            f'{command}\nstatus=$?\nif [ "$status" != {code} ]; then\n'
            f'  echo {said} "exited with $status, not {code}" >&2\n  exit 1\nfi\n'
        )
    ending = "trap 'for pid in $(jobs -p); do kill -TERM \"$pid\" 2>/dev/null; done; wait' EXIT\n"
    return ending + "".join(steps) if steps else ""


def _check_syntax(block: Block) -> None:
    try:
        compile(block.text, block.place, "exec", flags=0x2000, dont_inherit=True)  # `await` outside functions is fine
    except SyntaxError as error:
        raise ExampleFailed(f"{block.page}:{block.line + (error.lineno or 1) - 1}: {error.msg}") from None


def _run(command: list[str], directory: Path, block: Block, shown: str) -> None:
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=_environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
        ending = f"exited with {process.returncode}" if process.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        ending = f"did not end within {SECONDS} s"
    if ending:
        raise ExampleFailed(f"{block.place}: this example {ending}\n{shown}\n--- it printed\n{output}")


def _environment(directory: Path) -> dict[str, str]:
    """A reader's environment: our commands on the PATH, nothing set, home and working directory the page's own."""
    scripts = os.path.dirname(sys.executable)
    return {
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "HOME": str(directory),
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
