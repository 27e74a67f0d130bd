"""What people and programs do at the public face, in any order, has the answers and the ends that a small model says.

`STATEFUL=2000x100` goes further, and another way each time.
"""

import pytest
from face_machine import FaceMachine
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from mainspring.engine import settle
from mainspring.engine.claimer import Claimer
from mainspring.engine.responder import Responder
from mainspring.store.memory_seat import MemorySeat
from mainspring.store.rows import Release, Verdict
from mainspring.tasks.retry import next_delay
from stateful_profile import profile


class SqliteFaceMachine(FaceMachine):
    sqlite = True


@pytest.mark.parametrize(("machine", "examples"), [(FaceMachine, 60), (SqliteFaceMachine, 12)])
def test_the_face_keeps_its_word(machine, examples):
    run_state_machine_as_test(machine, settings=profile(examples, 25))


def says_it_is_cancelled(monkeypatch):
    decide = Responder._decide
    monkeypatch.setattr(
        Responder,
        "_decide",
        lambda self, request, now: (
            decide(self, request, now) if isinstance(request.demand, Release) else Verdict("done")
        ),
    )


def tries_again_early(monkeypatch):
    monkeypatch.setattr(settle, "next_delay", lambda *given: next_delay(*given) // 2)


def does_not_hear_what_is_due(monkeypatch):
    monkeypatch.setattr(Claimer, "hear", lambda self, news, now: None)


def does_not_count_what_was_lost(monkeypatch):
    monkeypatch.setattr(MemorySeat, "starts", lambda self: {})


def keeps_a_key_for_ever(monkeypatch):
    """An expiry that nobody looks at."""
    monkeypatch.setattr(settle, "missed", lambda held, now, reason: settle.withdrawn(held, now))


@pytest.mark.parametrize(
    "plant",
    [says_it_is_cancelled, tries_again_early, does_not_hear_what_is_due, does_not_count_what_was_lost,
     keeps_a_key_for_ever],
)  # fmt: skip
def test_a_planted_bug_is_found(plant, monkeypatch):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(FaceMachine, settings=settings(profile(200, 25), phases=[Phase.generate]))
