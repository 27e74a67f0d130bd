"""A virtual clock with several daemons and clients: they move together, and each task runs once."""

from datetime import UTC, datetime, timedelta

from mainspring import Daemon

T0 = datetime(2030, 1, 1, tzinfo=UTC)


def test_several_daemons_on_one_clock_move_together(tmp_path, clock):
    seen = []
    shop = Daemon(str(tmp_path / "a.db"), clock=clock)
    mail = Daemon(str(tmp_path / "b.db"), clock=clock)

    @mail.task(name="t:send")
    def send(order):
        seen.append(("sent", order, clock.time - T0))

    @shop.task(name="t:sell")
    def sell(order):
        seen.append(("sold", order, clock.time - T0))
        send.after("1m").enqueue(order)

    with shop, mail:
        sell.after("1h").enqueue(1)
        clock.advance("2h")
    assert seen == [("sold", 1, timedelta(hours=1)), ("sent", 1, timedelta(hours=1, minutes=1))]


def test_two_daemons_share_one_store_and_each_task_runs_once(tmp_path, clock):
    seen = []
    daemons = [Daemon(str(tmp_path / "one.db"), clock=clock, name=f"d{number}") for number in range(2)]

    def note(number):
        seen.append(number)

    for daemon in daemons:
        daemon.task(name="t:note")(note)
    with daemons[0], daemons[1]:
        for number in range(20):
            daemons[number % 2].add_task("t:note", (number,), after=number)
        clock.advance("1m")
        assert sorted(seen) == list(range(20))
        assert daemons[0].status().counts["succeeded"] == 20


def test_a_client_of_the_same_store_is_heard_when_time_passes(tmp_path, clock):
    daemon = Daemon(str(tmp_path / "one.db"), clock=clock)
    client = Daemon(str(tmp_path / "one.db"), clock=clock)

    @daemon.task(name="t:double")
    def double(x):
        return 2 * x

    with daemon:
        task = client.add_task("t:double", (21,), after="1h")
        clock.advance("1h")
        assert task.result() == 42


def test_a_stopped_daemon_is_not_moved_along(clock, tmp_path):
    daemon = Daemon(str(tmp_path / "one.db"), clock=clock)

    @daemon.task(name="t:f")
    def f(): ...

    with daemon:
        task = f.after("1h").enqueue()
    clock.advance("2h")
    assert task.refresh().state == "waiting"
    with daemon:
        assert task.refresh().state == "succeeded"
        assert task.lateness == timedelta(hours=1)


def test_one_steers_what_another_one_holds(tmp_path, clock):
    """Nobody but the thread of the test would answer: it does not wait for itself."""
    worker, client, web = (Daemon(str(tmp_path / "one.db"), clock=clock, name=name) for name in ("w", "c", "web"))
    told = []

    @worker.task(name="t:note")
    def note(number):
        if number == 3:
            told.append(client.cancel(tasks[2].id))  # from inside a body, too

    with worker, web:
        tasks = [note.after("3s").enqueue(number) for number in range(3)]
        clock.advance("1s")
        assert tasks[0].refresh().row.holder is not None
        told += [client.cancel(tasks[0].id), web.cancel(tasks[1].id)]
        client.pause()
        client.resume()
        note.enqueue(3)
        clock.advance("1h")
    assert told == ["cancelled", "cancelled", "cancelled"]
    assert [task.refresh().state for task in tasks] == ["cancelled"] * 3
