"""The tests that pages name as proof are there, and links to parts of a page lead to a heading."""

import re
from pathlib import Path

import pytest

from mainspring.testing.conformance import CASES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_CASE = re.compile(r"`conformance: (\w+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s#]*)#([^)\s]+)\)")


def missing_proofs(text: str) -> list[str]:
    """Tests that are named and not there."""
    missing = []
    for file, name in _TEST.findall(text):
        path = ROOT / file
        if not path.is_file() or (name and f"def {name}(" not in path.read_text()):
            missing.append(f"{file}::{name}")
    cases = {case.__name__ for case in CASES}
    return missing + [name for name in _CASE.findall(text) if name not in cases]


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links."""
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    headings = re.findall(r"(?m)^#+ (.+)$", prose)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_are_there(page):
    assert not missing_proofs(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_heading(page):
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text())
    for target, anchor in _LINK.findall(text):
        there = page if not target else page.parent / target
        if "://" not in target and there.suffix == ".md" and there.is_file():
            assert anchor in anchors(there.read_text()), f"{target}#{anchor}"


def test_every_guarantee_names_a_test():
    page = (ROOT / "docs/reference/guarantees.md").read_text()
    for section in re.split(r"(?m)^## ", page)[1:]:
        heading = section.splitlines()[0]
        if heading != "Not guaranteed":
            assert _TEST.search(section), heading


def test_a_proof_that_is_gone_is_noticed():
    text = "`tests/docs/test_guarantees_page.py::test_gone` `conformance: gone` `tests/gone.py`"
    assert missing_proofs(text) == ["tests/docs/test_guarantees_page.py::test_gone", "tests/gone.py::", "gone"]
    here = "`tests/docs/test_guarantees_page.py::test_a_proof_that_is_gone_is_noticed` `conformance: many_at_once`"
    assert missing_proofs(here) == []


def test_headings_have_the_names_that_links_use():
    text = "# At least once\n## What `run` does: all of it\n```\n# no heading\n```\n## listener_workers\n"
    assert anchors(text) == {"at-least-once", "what-run-does-all-of-it", "listener_workers"}
