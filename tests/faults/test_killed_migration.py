"""A store of an older version is opened and killed, at each statement and each call that writes: old or new, whole."""

import pytest
from migrations import UNDO
from sweep import judged, some

pytestmark = pytest.mark.process

VERSIONS = range(1, len(UNDO) + 1)
MOST = {"statement": 45, "call": 160}  # of the oldest; those that are not reached do not count


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("by", MOST)
def test_it_is_the_old_store_or_the_new_one(ledger, version, by):
    numbers = some(range(1, MOST[by] + 1), 1 if by == "statement" and version == 1 else 11)
    points = [{"do": "migrate", "version": version, "number": number, "by": by} for number in numbers]
    reached = judged(ledger, f"migration killed at the n-th {by}", points)
    assert len(reached) < len(points), "there were more of them"
