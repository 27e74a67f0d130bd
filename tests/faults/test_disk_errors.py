"""The disk refuses a call, or some, and then takes everything again: nothing is lost, half done or done twice.

Each step that failed is looked at, done again until it succeeds, and in the end everything is as if nothing had failed.
"""

import pytest
from sweep import LONG, calls, judged, seeds, some

pytestmark = [pytest.mark.process, pytest.mark.timeout(900 if LONG else 120)]

SEEDS = seeds(4)
KINDS = ("xOpen", "xRead", "xWrite", "xSync", "xTruncate", "xDelete")
SAID = {
    "EIO": "the disk did not take",
    "full": "is full; nothing was stored",
    "read-only": "no permission to write",
    "cannot open": "cannot be opened",
}
MANY = frozenset({"xRead", "xWrite", "xSync"})  # of which there are some hundreds


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", ["EIO", "full", "read-only", "cannot open"])
def test_the_nth_call_of_each_kind_fails(ledger, seed, error):
    """Also with one or two more after it; of writes every other one is made by half."""
    counts = calls(seed)
    points = [
        {"do": "fail", "seed": seed, "kind": kind, "number": n, "error": error, "more": n % 3}
        for kind in {"cannot open": ["xOpen"], "read-only": ["xWrite"]}.get(error, KINDS)
        for n in some(range(1, counts.get(kind, 0) + 1), 24 if kind in MANY else 5)
    ]
    found = judged(ledger, f"{error} at the n-th call", points)
    said = {text for one in found for text in one["said"]}
    assert any(SAID[error] in text for text in said)
    assert all(text.startswith(("StoreError: the ", "StoreError: no permission")) for text in said), said


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("which", ["size", "files"])
def test_the_system_itself_refuses_for_a_while(ledger, seed, which):
    """`size`: no file may grow beyond some bytes; `files`: all but some descriptors are taken."""
    amounts = range(0, 600_000, 20_000) if which == "size" else range(12)
    points = [{"do": "limit", "seed": seed, "which": which, "amount": amount} for amount in some(amounts, 4)]
    judged(ledger, f"limit of {which}", points)
