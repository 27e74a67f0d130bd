"""Listeners steered: paused, removed, restarted, changed under way, and stepped by hand on a virtual clock."""

import threading

import msgspec
from listener_parts import LONG, SECOND, Obedient, change

from mainspring.engine.backoff import delay_us
from mainspring.engine.definitions import encode, listener_of
from mainspring.engine.turns import LEAST_PAUSE_US


def test_paused_it_stops_and_resumed_it_runs_again(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    site.supervisor()
    site.until(lambda: one.inside == 1)
    change(site, "one", paused=True)
    site.until(lambda: site.row("one").holder is None)
    assert (one.inside, site.state("one")) == (0, "paused")
    change(site, "one", paused=False)
    site.until(lambda: one.inside == 1)
    assert one.begun == 2


def test_removed_it_stops(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    supervisor = site.supervisor()
    site.until(lambda: one.inside == 1)
    site.store.remove("listener", "one")
    site.until(lambda: supervisor.facts() == [])
    assert one.inside == 0


def test_restarted_it_ends_before_it_begins_anew(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    site.supervisor()
    site.until(lambda: one.inside == 1)
    definition = listener_of(site.row("one"))
    change(site, "one", definition=encode(msgspec.structs.replace(definition, generation=1)))
    site.until(lambda: one.begun == 2 and one.inside == 1)
    assert site.status("one").restarts == 0, "asked for, it is no failure"


def test_a_function_nobody_knows_is_left_alone_until_somebody_does(site, caplog):
    one = Obedient(site.bell)
    site.listen("later.on")
    supervisor = site.supervisor()
    supervisor.step(site.clock.now())
    assert supervisor.facts() == []
    assert "later.on" in caplog.text
    site.registry.add(one.body(), "later.on")
    site.until(lambda: one.inside == 1)


def test_what_is_stored_of_a_stopping_one_is_not_lost_when_its_row_changes(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    supervisor = site.supervisor()
    site.until(lambda: one.inside == 1)
    change(site, "one", app="shop")  # the supervisor's version is stale now
    supervisor.ask_stop()
    assert supervisor.join(LONG)
    supervisor.close()
    row = site.row("one")
    assert (row.app, row.holder, site.state("one")) == ("shop", None, "down")


# ── the virtual clock ──────────────────────────────────────────────────────────────────────────────────────
def test_by_hand_each_step_is_one_turn_of_those_that_are_due(site):
    here, counts = threading.current_thread(), {"quick": 0, "slow": 0, "hot": 0, "poll": 0}

    def body(name):
        def count():
            assert threading.current_thread() is here
            counts[name] += 1

        return count

    async def poll():
        counts["poll"] += 1

    site.listen("quick", body("quick"))
    site.listen("slow", body("slow"), pause=SECOND)
    site.listen("hot", body("hot"), pause=0)
    site.listen("poll", poll, pause=SECOND)
    supervisor = site.supervisor(manual=True)
    now = site.clock.now()
    supervisor.step(now)
    assert counts == {"quick": 1, "slow": 1, "hot": 1, "poll": 1}
    assert supervisor.step(now) == now + LEAST_PAUSE_US
    site.clock.advance(10_000)
    supervisor.step(site.clock.now())
    assert counts == {"quick": 2, "slow": 1, "hot": 2, "poll": 1}
    site.clock.advance(SECOND)
    supervisor.step(site.clock.now())
    assert counts == {"quick": 3, "slow": 2, "hot": 3, "poll": 2}


def test_by_hand_a_failure_backs_off_in_virtual_time(site):
    def fail():
        raise ValueError("always")

    site.listen("fail", fail)
    supervisor = site.supervisor(manual=True)
    for failures in range(1, 12):
        now = site.clock.now()
        while (wanted := supervisor.step(now)) <= now:
            pass
        assert supervisor.facts()[0][3] == failures
        due = now + delay_us("fail", failures)
        while wanted < due:  # writes of its status come in between
            site.clock.advance(wanted - site.clock.now())
            wanted = supervisor.step(site.clock.now())
        assert supervisor.facts()[0][3] == failures
        site.clock.advance(due - site.clock.now())
    assert site.status("fail").state == "backing-off"
