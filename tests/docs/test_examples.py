"""Every example of the docs works; and the runner of examples notices one that does not."""

import os
import re
from pathlib import Path

import examples
import pytest
from examples import ExampleFailed, blocks_of, run_page, script_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), *(path for path in [ROOT / "README.md"] if path.exists())]
OTHERS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_examples_of_a_page_work(page, tmp_path):
    run_page(name(page), page.read_text(), tmp_path)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name)
def test_links_lead_somewhere(page):
    broken = broken_links(page.read_text(), page.parent)
    assert not broken, f"{name(page)}: {broken}"


def broken_links(text: str, directory: Path) -> list[str]:
    """Relative links to files that are not there; code is no link."""
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    targets = [link.partition("#")[0] for link in _LINK.findall(prose) if "://" not in link]
    return [target for target in targets if target and not (directory / target).exists()]


# ── the runner itself ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "there.md").touch()
    text = "[a](there.md#part) [b](gone.md) [c](https://example.org/x) [d](#here)\n```\n[e](code.md)\n```\n"
    assert broken_links(text, tmp_path) == ["gone.md"]


def page(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def test_a_page_without_blocks_runs_nothing(tmp_path):
    assert run_page("p.md", "# Title\n\nText with `code`.\n", tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_blocks_and_their_lines():
    text = page("text", "```python runnable", "a = 1", "```", "", "- item", "  ````console norun", "  $ x", "  ````")
    first, second = blocks_of("p.md", text)
    assert (first.place, first.language, first.marks, first.text) == ("p.md:3", "python", {"runnable"}, "a = 1\n")
    assert (second.place, second.language, second.marks, second.text) == ("p.md:8", "console", {"norun"}, "$ x\n")


def test_files_programs_and_commands_share_the_page_s_directory(tmp_path):
    text = page(
        "```python file=pack/shop.py",
        "price = 42",
        "```",
        "```python runnable",
        "from pack.shop import price",
        "open('price', 'w').write(str(price))",
        "```",
        "```python runnable continued",
        "open('price', 'a').write(f' {price}')",
        "```",
        "```console",
        "$ python -c 'import sys; \\",
        '> sys.exit(open("price").read() != "42 42")\'',
        "some output",
        "$ python -c 'raise SystemExit(3)'  # exit 3",
        "$ rm -rf price",
        "```",
    )
    assert run_page("p.md", text, tmp_path) == 3
    assert (tmp_path / "price").read_text() == "42 42"


def test_our_command_is_on_the_path(tmp_path):
    block = blocks_of("p.md", page("```console", "$ A=1 mainspring --help", "```"))[0]
    assert "A=1 mainspring --help\n" in script_of(block)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (page("```python runnable", "x = 1", "raise ValueError('oh')", "```"), r"(?s)p.md:2: .*ValueError: oh"),
        (page("```python runnable", "import nowhere", "```"), "nowhere"),
        (page("```python", "x = 1", "def", "```"), "p.md:3: invalid syntax"),
        (page("```console", "$ python -c 1", "$ python -c 'exit(4)'", "```"), r"p.md:3: .* exited with 4, not 0"),
        (page("```console", "$ python -c 'exit(0)'  # exit 2", "```"), "exited with 0, not 2"),
        (page("```console", "$ mainspring-gone", "$ python -c 'exit(5)'", "```"), "exited with 5"),
        (page("```python runable", "x = 1", "```"), "unknown marks.*runable"),
        (page("```python", "x = 1"), "never closed"),
    ],
)
def test_an_example_that_does_not_work_is_noticed(text, words, tmp_path):
    with pytest.raises(ExampleFailed, match=words):
        run_page("p.md", text, tmp_path)


def test_what_is_not_marked_is_not_run(tmp_path):
    text = page("```python", "raise ValueError", "```", "```console norun", "$ python -c 'exit(1)'", "```")
    assert run_page("p.md", text, tmp_path) == 0


def test_top_level_await_is_an_example_too(tmp_path):
    assert run_page("p.md", page("```python", "await task", "```"), tmp_path) == 0


def test_an_example_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "SECONDS", 0.5)
    text = page("```python runnable", "import threading", "threading.Event().wait()", "```")
    with pytest.raises(ExampleFailed, match="did not end"):
        run_page("p.md", text, tmp_path)


def test_a_command_in_the_background_ends_with_its_block(tmp_path):
    waiting = 'import signal,os; print(os.getpid(), file=open("pid", "w"), flush=True); signal.pause()'
    (tmp_path / "wait.py").write_text(waiting)
    reading = "import os\nwhile not os.path.exists('pid') or not open('pid').read(): pass"
    (tmp_path / "read.py").write_text(reading)
    text = page("```console", "$ python wait.py &", "$ python read.py", "```")
    assert run_page("p.md", text, tmp_path) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
