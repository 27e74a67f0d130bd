"""What a child does with the tasks that it is fed, and what it answers."""

import threading

import pytest
from child_driver import Driver, now

from mainspring.engine.child_messages import (
    Begin,
    Feed,
    Go,
    NeedPayload,
    No,
    Outcome,
    Payload,
    Stop,
    encode_feed,
)
from mainspring.store.journal import HEAD, SIZE, Journal
from mainspring.tasks.options import RetryRule
from mainspring.tasks.retry import wants
from mainspring.when.clock import SystemClock


@pytest.fixture(scope="module")
def shared():
    driver = Driver().ready()
    yield driver
    driver.close()


@pytest.fixture
def driver(shared):
    """A child, asked nothing that another test of this file could feel."""
    assert not shared._unheard
    yield shared
    assert not shared._unheard


@pytest.fixture
def fifo(tmp_path):
    import os

    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def release(fifo, word="go"):
    fifo.write_text(word)


# ── outcomes ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_result(driver):
    before = now()
    outcome = driver.run("double", "[[21],{}]", task=7)
    assert (outcome.task, outcome.token, outcome.kind, outcome.result) == (7, driver._tokens, "ok", "42")
    assert before <= outcome.started_at <= outcome.finished_at <= now()
    assert (outcome.output, outcome.retire, outcome.problem) == (None, False, None)


def test_no_result(driver):
    outcome = driver.run("nothing")
    assert (outcome.kind, outcome.result) == ("ok", None)


def test_a_result_that_cannot_be_kept(driver):
    outcome = driver.run("unkept")
    assert (outcome.kind, outcome.result) == ("unkept", None)
    assert "object" in outcome.problem.message


def test_an_exception_with_the_names_of_its_classes(driver):
    outcome = driver.run("fail", '[["gone"],{}]')
    assert outcome.kind == "error"
    assert (outcome.problem.type, outcome.problem.message) == ("Missing", "gone")
    assert "raise Missing(text)" in outcome.problem.traceback
    assert outcome.names[:2] == ("child_bodies:Missing", "builtins:LookupError")
    assert wants(rule(on=("builtins:LookupError",)), outcome.names)
    assert not wants(rule(on=("builtins:OSError",)), outcome.names)
    assert not wants(rule(never=("child_bodies:Missing",)), outcome.names)


def rule(on=("builtins:Exception",), never=()):
    return RetryRule(times=1, delay=0, factor=1, max_delay=0, jitter=False, on=on, never=never)


def test_retry_later(driver):
    outcome = driver.run("later")
    assert (outcome.kind, outcome.after) == ("later", 90_000_000)
    assert wants(rule(on=()), outcome.names)


@pytest.mark.parametrize("body", ["leave", "leave_async"])
def test_a_body_that_wants_to_exit_has_failed(driver, body):
    assert driver.run(body).problem.type == "SystemExit"
    assert driver.run("nothing").kind == "ok"


def test_arguments_that_do_not_fit_have_started(driver):
    outcome = driver.run("double", "[[],{}]")
    assert (outcome.kind, outcome.problem.type) == ("error", "TypeError")
    assert outcome.started_at
    assert driver.run("double", "[").problem.type == "InvalidArguments"


def test_a_function_that_is_not_there_has_not_started(driver):
    outcome = driver.run("no_such_function")
    assert (outcome.kind, outcome.started_at, outcome.finished_at) == ("unknown", 0, 0)
    assert "no function no_such_function" in outcome.why


def test_a_name_that_a_daemon_of_the_app_registered(driver):
    packet = encode_feed(Feed(task=1, token=1, attempt=1, run_at=0, work="named"))
    assert driver.child.feed(packet)
    assert driver.expect(Outcome).result == '"named"'


def test_a_name_that_only_the_daemons_process_registered(driver):
    def run(work, **more):
        assert driver.child.feed(encode_feed(Feed(task=1, token=1, attempt=1, run_at=0, work=work, **more)))
        return driver.expect(Outcome)

    assert run("elsewhere").kind == "unknown"
    assert run("elsewhere", payload="[[2],{}]", origin="child_bodies:double").result == "4"
    assert "No module named 'no_such_module'" in run("nowhere", origin="no_such_module:double").why
    assert "no attribute '<locals>'" in run("inner", origin="child_bodies:double.<locals>.inner").why
    assert "no function" in run("list", origin="child_bodies:kept").why
    assert "no function is registered under this name" in run("unheard").why


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_context(driver):
    at = now()
    outcome = driver.run("who", task=12, attempt=3, token=77, run_at=at, name="label")
    assert outcome.result == f'["12","label",3,77,{at / 1e6},false]'
    assert '"who"' in driver.run("who").result


def test_coroutines_run_on_one_loop(driver):
    assert driver.run("add", "[[1,2],{}]").result == "3"
    assert driver.run("around", "[[1],{}]").result == "2"
    assert driver.run("loop_id").result == driver.run("loop_id").result


def test_signals(driver):
    assert driver.run("signals").result == "true"


# ── the start ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_never_early(driver):
    for ahead in (0, 50, 300, 900, 2_500, 20_000):
        at = now() + ahead
        assert driver.run("nothing", run_at=at).started_at >= at


def test_many_instants_one_after_the_other(driver):
    start = now() + 1_000
    instants = [start + 100 * number for number in range(100)]
    for number, at in enumerate(instants):
        driver.feed("nothing", task=number, run_at=at)
    outcomes = [driver.expect(Outcome, task=number) for number in range(100)]
    assert all(outcome.started_at >= at for outcome, at in zip(outcomes, instants, strict=True))


def test_an_instant_far_ahead_is_not_waited_for(driver):
    outcome = driver.run("nothing", run_at=now() + 10_000_000)
    assert (outcome.kind, outcome.started_at) == ("not-started", 0)
    assert "clock was set back" in outcome.why


def test_past_two_thirds_of_its_daemons_lease_nothing_starts(driver):
    journal = Journal(driver.map)
    boot = SystemClock().boottime()
    journal.trust(0, boot - 1)
    outcome = driver.run("remember")
    assert (outcome.kind, outcome.started_at) == ("not-started", 0)
    assert "stood still" in outcome.why
    journal.trust(driver._tokens, boot + 3_600_000_000)  # it was renewed; what it had been fed before is not its own
    assert driver.run("remember", token=driver._tokens).kind == "not-started"
    assert driver.run("remember").kind == "ok"


def test_at_most_once_asks_at_the_instant_and_then_begins(driver):
    at = now() + 2_000
    token = driver.feed("double", "[[4],{}]", task=5, run_at=at, once=True)
    asked = driver.expect(Begin, Outcome)
    assert isinstance(asked, Begin)
    assert (asked.task, asked.token) == (5, token)
    assert asked.now >= at
    assert driver.child.current() is None or driver.child.current()[1] != token
    answered = now()
    driver.child.control(Go(5, token))
    outcome = driver.expect(Outcome)
    assert outcome.result == "8"
    assert outcome.started_at >= answered  # its lateness has the recording in it
    assert driver.child.current() == (5, token, asked.now)  # the same start as in the store


def test_at_most_once_that_may_not_begin_is_dropped_without_a_word(driver):
    token = driver.feed("remember", '[["refused"],{}]', task=5, once=True)
    driver.expect(Begin)
    driver.child.control(No(5, token))
    assert "refused" not in driver.run("remember").result
    assert not driver._unheard


def test_asked_to_stop_before_the_start(driver):
    for _ in range(20):  # unless this process is held up for nearly a second
        at = now() + 900_000
        token = driver.feed("nothing", task=5, run_at=at)
        driver.child.control(Stop(5, token, "cancelled"))
        outcome = driver.expect(Outcome)
        if outcome.kind == "not-started" and now() < at:
            break
    else:
        pytest.fail("it always started")


def test_stop_is_for_the_task_that_it_names(driver):
    driver.child.control(Stop(5, 12_345))
    assert driver.run("who", task=5).result.endswith("false]")


# ── asking to stop ─────────────────────────────────────────────────────────────────────────────────────────────
def test_a_body_sees_that_it_is_asked_to_stop(driver):
    token = driver.feed("until_asked", task=8)
    driver.started(8)
    driver.child.control(Stop(8, token, "time limit"))
    assert driver.expect(Outcome).result == '"asked"'


def test_a_coroutine_is_cancelled(driver):
    token = driver.feed("asleep", task=8)
    driver.started(8)
    driver.child.control(Stop(8, token))  # only told: it has time for a good end
    driver.child.control(Stop(8, token, "cancelled"))
    outcome = driver.expect(Outcome)
    assert (outcome.kind, outcome.problem.type) == ("error", "CancelledError")
    token = driver.feed("stubborn", task=9)
    driver.started(9)
    driver.child.control(Stop(9, token, "cancelled"))
    assert driver.expect(Outcome).kind in ("ok", "error")  # error: it was cancelled before its first step
    assert driver.run("add", "[[1,2],{}]").result == "3"


# ── what is fed and not read ───────────────────────────────────────────────────────────────────────────────────
def test_what_is_not_read_is_taken_back_in_order(driver, fifo):
    driver.feed("wait_at", f'[["{fifo}"],{{}}]', task=1)
    driver.started(1)
    packets = [driver.packet("double", f"[[{number}],{{}}]", task=number) for number in range(2, 7)]
    assert all(driver.child.feed(packet) for packet in packets)
    assert driver.child.take_back() == packets
    assert driver.child.take_back() == []
    assert driver.child.feed(packets[0])
    release(fifo)
    assert driver.expect(Outcome).result == '"go"'
    assert driver.expect(Outcome, task=2).result == "4"


def test_a_full_buffer_refuses(driver, fifo):
    driver.feed("wait_at", f'[["{fifo}"],{{}}]', task=1)
    driver.started(1)
    fed = []
    while driver.child.feed(packet := driver.packet("nothing", task=len(fed) + 2)):
        fed.append(packet)
    assert len(fed) > 50
    assert driver.child.take_back() == fed
    release(fifo)
    assert driver.expect(Outcome).kind == "ok"


def test_what_runs_is_known_without_a_message(driver, fifo):
    before = now()
    token = driver.feed("wait_at", f'[["{fifo}"],{{}}]', task=30)
    task, noted, started_at = driver.started(30)
    assert (task, noted) == (30, token)
    release(fifo)
    assert before <= started_at == driver.expect(Outcome).started_at


# ── large ones ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("sign", ["x", "é", "😀"])
def test_a_large_payload_is_asked_for(driver, sign):
    count = 1_000_000 // len(sign.encode())
    payload = f'[["{sign * count}"],{{}}]'
    packet = driver.packet("size", payload, task=3)
    assert len(packet) < 1_000
    assert driver.child.feed(packet)
    needed = driver.expect(NeedPayload, Outcome)
    assert (needed.task, needed.token) == (3, driver._tokens)
    driver.child.control(Payload(needed.task, needed.token, payload))
    assert driver.expect(Outcome).result == str(count)
    assert not driver._unheard, "one request is one answer for who uses the handle"


def test_a_payload_that_just_fits_is_not_asked_for(driver):
    payload = f'[["{"x" * 65_400}"],{{}}]'
    assert driver.run("size", payload).result == "65400"


def test_a_withheld_payload_drops_the_task(driver):
    driver.feed("size", f'[["{"x" * 100_000}"],{{}}]', task=3)
    driver.expect(NeedPayload)
    driver.child.control(No(3, driver._tokens))
    assert driver.run("nothing").kind == "ok"


def test_a_large_result(driver):
    assert len(driver.run("much", "[[1000000],{}]").result) == 1_000_002


# ── the journal ────────────────────────────────────────────────────────────────────────────────────────────────
def test_parts_of_a_journal_do_not_meet():
    journal = Journal(bytearray(SIZE))
    parts = [journal.part(index, 3) for index in range(3)]
    assert [part.last() for part in parts] == [None, None, None]
    for turn in range(25_000):  # more than a part holds
        parts[1].note(turn, 1, turn + 5)
    parts[0].note(1, 2, 3)
    parts[2].note(4, 5, 6)
    assert [part.last() for part in parts] == [(1, 2, 3), (24_999, 1, 25_004), (4, 5, 6)]
    found = set(journal.started())
    assert {(1, 2, 3), (4, 5, 6)} <= found
    assert 65_536 // 3 - 1 <= len(found) - 2 <= 65_536 // 3
    assert (24_999, 1, 25_004) in found
    assert min(task for task, token, _ in found if token == 1) == 25_000 - (len(found) - 2)


def test_a_torn_entry_is_not_the_last_start():
    buffer = bytearray(SIZE)
    part = Journal(buffer).part(0, 2)
    part.note(1, 2, 3)
    buffer[HEAD] ^= 0xFF
    assert part.last() is None


def test_a_successor_writes_on_behind_what_its_predecessor_has_written():
    journal = Journal(bytearray(SIZE))
    first = journal.part(1, 2)
    for number in range(10):
        first.note(number, 1, number)
    second = journal.part(1, 2)
    second.resume()
    assert second.last() is None
    second.note(100, 2, 100)
    assert {task for task, _, _ in journal.started()} == {*range(10), 100}
    assert second.last() == (100, 2, 100)


def test_current_may_be_asked_by_any_thread(driver):
    driver.run("nothing", task=41)
    found = []
    thread = threading.Thread(target=lambda: found.append(driver.child.current()))
    thread.start()
    thread.join()
    assert found[0][0] == 41
