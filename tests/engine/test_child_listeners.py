"""Listeners run in children: functions take turns, coroutines share a loop, and what dies comes back."""

import os

import listener_bodies as bodies
import pytest
from child_driver import on_path
from child_site import ChildSite, Still
from listener_parts import HOUR, LONG, change

from mainspring.engine import child_post
from mainspring.tasks.codec import encode_call


@pytest.fixture
def site():
    one = ChildSite()
    yield one
    one.stop()


# ── functions ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_function_is_called_again_and_again_in_another_process(site):
    site.listen("tell", bodies.tell)
    site.run()
    site.until(lambda: len(site.lines) >= 3)
    (line,) = set(site.lines)
    name, text = line
    word, pid, rest = text.split(" ", 2)
    assert (name, word, rest) == ("tell", "turn", "'' tell 1 None False")
    assert int(pid) != os.getpid()
    assert site.made == [(0, "listeners")]
    state, turns, restarts, error = site.fact("tell")
    assert (state, restarts, error) == ("up", 0, None)
    assert turns >= 3


def test_no_listener_no_child(site):
    site.run()
    site.until(lambda: True)
    site.places.step(site.clock.now())
    assert site.made == []


def test_arguments_that_are_too_large_for_a_packet(site):
    payload = encode_call(("x" * 1_000_000,), {})
    site.listen("function", bodies.size, payload=payload, pause=HOUR)
    site.listen("coroutine", bodies.size_async, payload=payload)
    site.run()
    site.until(lambda: len(site.lines) == 2)
    assert sorted(site.lines) == [("coroutine", "size 1000000"), ("function", "size 1000000")]


def test_fifteen_on_three_workers_take_fair_turns(site):
    for number in range(15):
        site.listen(f"one{number}", bodies.count, payload=encode_call((number,), {}), pause=0)
    site.clock = Still()
    one = site.run(workers=3)
    site.until(lambda: len(site.lines) >= 15 * 20)
    with site.places.turns._lock:  # all at one moment
        counts = [listener.turns for listener in one._held.values()]
    assert len(counts) == 15
    assert max(counts) - min(counts) <= 1
    assert sorted(site.made) == [(0, "listeners"), (1, "listeners"), (2, "listeners")]


def test_without_a_pause_turns_are_taken_many_at_a_time_and_all_are_counted(site):
    site.listen("many", bodies.fail_at, payload=encode_call((5000,), {}), pause=0)
    site.run()
    site.until(lambda: site.said("stays"))
    assert site.fact("many") == ("up", 5001, 1, "ValueError: at 5000")


def test_a_stop_is_noticed_between_turns_without_a_pause(site):
    site.listen("many", bodies.first, pause=0)
    one = site.run()
    site.until(lambda: site.said("first"))
    one.ask_stop()
    assert one.join(LONG)
    assert site.places.turns.busy() == 0
    assert len(site.made) == 1
    assert len(site.lines) == 1


def test_what_it_writes_is_logged_by_the_line(site, capfd):
    site.listen("writes", bodies.writes, pause=HOUR)
    site.run()
    site.until(lambda: site.said("unended"))
    texts = [text for name, text in site.lines if name == "writes"]
    assert texts[:3] == ["one", "two", "to stderr"]
    assert texts[3].endswith("mainspring.task: logged")
    assert texts[4:] == ["unended"]
    assert "from a thread" in capfd.readouterr().err


# ── failures ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("body", "error"), [(bodies.fail, "ValueError"), (bodies.fail_async, "SystemExit")])
def test_one_that_raises_is_started_again(site, caplog, body, error):
    site.listen("fails", body)
    site.run()
    site.until(lambda: site.fact("fails") and site.fact("fails")[2] >= 2)
    state, turns, restarts, last = site.fact("fails")
    assert state in {"backing-off", "up"}
    assert last == f"{error}: bad {restarts}"
    assert turns in {restarts, restarts + 1}
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "listener fails failed (1 in a row)" in warnings[0]
    assert "Traceback" in warnings[0]
    assert body.__name__ in warnings[0]
    assert len(site.made) == 1, "the child goes on"


@pytest.mark.parametrize(("how", "words"), [("exit", "exited with code 3"), ("segfault", "was killed by SIGSEGV")])
def test_one_that_dies_comes_back_in_another_child(site, tmp_path, how, words):
    site.listen("dies", bodies.crash, payload=encode_call((str(tmp_path / "flag"), how), {}))
    site.listen("other", bodies.stay)
    site.run()
    site.until(lambda: site.said("back 2"))
    assert site.said("dies"), "what it wrote last is not lost"
    assert site.fact("dies")[2:] == (1, f"WorkerLost: the worker process {words}")
    site.until(lambda: site.said("stays", "other"))
    assert site.fact("other")[1:3] == (1, 0), "one that has a child of its own notices nothing"


def test_a_coroutine_that_kills_its_loop_fails_all_and_all_come_back(site, tmp_path):
    site.listen("dies", bodies.crash_async, payload=encode_call((str(tmp_path / "flag"),), {}))
    site.listen("other", bodies.stay_async)
    site.run()
    site.until(lambda: site.said("stays dies"))
    site.until(lambda: site.said("stays other") and site.fact("other")[0] == "up")
    assert site.fact("dies")[2:] == (1, "WorkerLost: the worker process exited with code 3")
    assert site.fact("other")[2] in {0, 1}, "1 unless it was fed after the death"
    assert [role for _, role in site.made] == ["coroutines", "coroutines"]


def test_when_no_child_can_start_each_listener_says_why(site, tmp_path, caplog):
    mended = tmp_path / "mended"
    text = f"import os\nif not os.path.exists({str(mended)!r}):\n    raise OSError('no such device')\n"
    (tmp_path / "broken.py").write_text(text)
    site.listen("function", bodies.stay)
    site.listen("coroutine", bodies.stay_async)
    site.run(setup=on_path(tmp_path, app="broken"))
    for name in ("function", "coroutine"):
        site.until(lambda: site.fact(name) and site.fact(name)[2])  # noqa: B023
        assert site.fact(name)[3] == "WorkerLost: no worker process can start: OSError: no such device"
    assert "the next try is in" in caplog.text
    mended.touch()
    site.until(lambda: site.said("stays", "function") and site.said("stays coroutine"))


def test_a_script_without_a_guard_is_not_started_again_and_again(site, tmp_path, caplog):
    script = tmp_path / "script.py"
    script.write_text("from mainspring import Daemon\nDaemon('x.db').start()\n")
    site.listen("function", bodies.stay)
    site.run(workers=1, setup=on_path(tmp_path, app=None, main=str(script)))
    site.until(lambda: site.fact("function") and site.fact("function")[2] >= 3)
    assert "__name__" in site.fact("function")[3]
    assert len(site.made) == 1
    assert "the next try" not in caplog.text


def test_a_child_that_has_grown_is_replaced(site):
    site.listen("grows", bodies.grows, pause=1000)
    site.run(max_memory=60 * bodies.ONE_MIB)
    site.until(lambda: len({text for _, text in site.lines}) >= 2)
    assert site.fact("grows")[2:] == (0, None)


def test_one_that_does_not_end_when_it_is_to_be_replaced_is_killed(site, monkeypatch):
    monkeypatch.setattr(child_post, "LEAVE_US", 1000)
    site.listen("grows", bodies.grows_with_a_thread, pause=1000)
    site.run(max_memory=60 * bodies.ONE_MIB)
    site.until(lambda: len({text for _, text in site.lines}) >= 2)
    assert site.fact("grows")[2:] == (0, None)


# ── coroutines ─────────────────────────────────────────────────────────────────────────────────────────────
def test_coroutines_share_one_child_and_their_turns_are_counted(site):
    for number in range(20):
        site.listen(f"one{number}", bodies.ticks, pause=1000)
    one = site.run(workers=1)
    site.until(lambda: len(one.facts()) == 20 and min(turns for _, _, turns, _, _ in one.facts()) >= 5)
    assert len({text.split()[2] for _, text in site.lines}) == 1
    assert all(text.split()[1] == name for name, text in site.lines)
    assert site.made == [(1, "coroutines")]
    assert one.busy() == 0


# ── stop ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("body", "word"), [(bodies.stay, "asked"), (bodies.stay_async, "cancelled True")], ids=["function", "coroutine"]
)
def test_a_pause_asks_and_one_that_heeds_is_not_killed(site, body, word):
    site.listen("stays", body)
    site.run()
    site.until(lambda: site.lines)
    change(site, "stays", paused=True)
    site.look()
    site.until(lambda: site.state("stays") == "paused")
    assert site.said(word)
    assert site.status("stays").restarts == 0
    change(site, "stays", paused=False)
    site.look()
    site.until(lambda: site.fact("stays") and len([text for _, text in site.lines if "stays" in text]) == 2)


@pytest.mark.parametrize("body", [bodies.hold, bodies.deaf_async], ids=["function", "coroutine"])
def test_one_that_does_not_heed_is_killed_after_the_grace(site, body):
    site.listen("stays", body)
    site.run(grace=1000)
    site.until(lambda: site.lines)
    change(site, "stays", paused=True)
    site.look()
    site.until(lambda: site.state("stays") == "paused")
    assert site.status("stays").restarts == 0
    change(site, "stays", paused=False)
    site.look()
    site.until(lambda: sum(text == "stays" for _, text in site.lines) == 2)


def test_a_coroutine_that_does_not_heed_takes_no_other_with_it(site):
    site.listen("deaf", bodies.deaf_async)
    site.listen("other", bodies.stay_async)
    one = site.run(grace=1)
    site.until(lambda: site.said("stays") and site.said("stays other"))
    change(site, "deaf", paused=True)
    site.look()
    site.until(lambda: site.said("not heeded"))
    site.places.step(site.clock.now())  # the grace is over
    assert site.fact("deaf")[0] == "stopping"
    assert site.fact("other") == ("up", 1, 0, None)
    one.ask_stop()
    assert one.join(0)
    assert len(site.made) == 1


@pytest.mark.parametrize("body", [bodies.hold, bodies.deaf_async], ids=["function", "coroutine"])
def test_the_end_of_the_daemon_kills_what_is_left_after_the_grace(site, caplog, body):
    site.listen("stays", body)
    one = site.run()
    site.until(lambda: site.lines)
    one.ask_stop()
    assert one.join(0)
    one.close()
    assert (site.row("stays").holder, site.state("stays")) == (None, "down")
    assert "left behind" not in caplog.text
    assert "another one" not in caplog.text


def test_one_that_heeds_within_the_grace_ends_by_itself(site):
    site.listen("function", bodies.stay)
    site.listen("coroutine", bodies.stay_async)
    one = site.run()
    site.until(lambda: site.said("stays") and site.said("stays coroutine"))
    one.ask_stop()
    assert one.join(LONG)
    one.close()
    assert site.said("asked", "function")
    assert site.said("cancelled True", "coroutine")
