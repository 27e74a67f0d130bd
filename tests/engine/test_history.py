"""What is kept of finished tasks, and for how long: forgotten by the clock, after `retention`."""

import pytest

from mainspring import Daemon, TaskNotFound


def test_finished_tasks_are_forgotten_when_their_retention_is_over(url, clock):
    daemon = Daemon(url, clock=clock, retention="1d")

    @daemon.task(name="t:f")
    def f(fail=False):
        if fail:
            raise OSError

    with daemon:
        tasks = [f.enqueue(), f.enqueue(True), f.after("1h").enqueue()]
        tasks[2].cancel()
        planned = f.after("30d").enqueue()
        clock.advance("23h")
        assert [task.refresh().state for task in tasks] == ["succeeded", "failed", "cancelled"]
        clock.advance("4h")
        for task in tasks:
            with pytest.raises(TaskNotFound, match="pruned"):
                task.refresh()
        assert daemon.find() == [planned]
    daemon.close()


def test_ten_thousand_go_in_parts(clock):
    daemon = Daemon("memory:", clock=clock, retention="1h")

    @daemon.task(name="t:f")
    def f(): ...

    with daemon:
        daemon.add_tasks([{"work": f} for _ in range(3_000)])
        assert daemon.status().counts["succeeded"] == 3_000
        clock.advance("70m")
        assert daemon.status().counts["succeeded"] == 0


def test_a_pruned_task_is_not_found_by_result_either(url, clock):
    daemon = Daemon(url, clock=clock, retention="1h")

    @daemon.task(name="t:f")
    def f(): ...

    with daemon:
        task = f.enqueue()
        clock.advance("1d")
        with pytest.raises(TaskNotFound):
            task.result()
        with pytest.raises(TaskNotFound):
            daemon.get(task.id)
    daemon.close()


def test_without_retention_history_goes_at_the_next_round(url, clock):
    daemon = Daemon(url, clock=clock, retention=0)

    @daemon.task(name="t:f")
    def f(): ...

    with daemon:
        f.enqueue()
        clock.advance("2m")
        assert daemon.find() == []
    daemon.close()


def test_find_shows_the_soonest_unfinished_and_the_newest_finished(daemon, clock):
    @daemon.task(name="t:f")
    def f(number): ...

    done = [f.enqueue(number) for number in range(3)]
    later = [f.after(hour * 3600).enqueue(hour) for hour in (3, 1, 2)]
    by_run_at = sorted(later, key=lambda task: task.run_at)
    assert daemon.find(state="waiting") == by_run_at
    assert daemon.find(state="waiting", limit=2) == by_run_at[:2]
    assert daemon.find(state=["succeeded", "failed"]) == done
    assert daemon.find(name="f", limit=100) == done + by_run_at
    assert daemon.find(name="nothing") == []
    assert daemon.find(queue="mail") == []
    assert daemon.find(kind="program") == []


@pytest.mark.parametrize("bad", [{"state": "wating"}, {"kind": "prog"}, {"limit": 0}, {"limit": "3"}])
def test_slips_in_find_are_answered_with_the_words_there_are(daemon, bad):
    from mainspring import InvalidValue

    with pytest.raises(InvalidValue, match=next(iter(bad))):
        daemon.find(**bad)
