"""`Daemon(inline=True)`: what is due runs at once, in the thread that adds it."""

import threading

import pytest

from mainspring import Daemon, TaskFailed


@pytest.fixture
def daemon():
    with Daemon(inline=True) as daemon:
        yield daemon


def test_enqueue_runs_it_before_it_returns_in_the_same_thread(daemon):
    seen = []

    @daemon.task(name="t:f")
    def f(x):
        seen.append((x, threading.current_thread()))
        return x

    task = f.enqueue(1)
    assert seen == [(1, threading.current_thread())]
    assert task.result() == 1


def test_it_is_started_as_soon_as_it_is_made():
    daemon = Daemon(inline=True)
    assert daemon.started
    daemon.stop()
    assert not daemon.started


def test_many_and_chains(daemon):
    seen = []

    @daemon.task(name="t:down")
    def down(n):
        seen.append(n)
        if n:
            down.enqueue(n - 1)

    daemon.add_tasks([{"work": down, "args": (2,)}, {"work": down, "args": (1,)}])
    assert sorted(seen) == [0, 0, 1, 1, 2]
    with daemon.batch() as batch:
        batch.add_task(down, args=(0,)).add_task(down, args=(0,))
    assert seen[-2:] == [0, 0]


def test_errors_are_kept_and_not_raised_into_the_adder(daemon):
    @daemon.task(name="t:bad")
    def bad():
        raise OSError("no")

    task = bad.enqueue()
    with pytest.raises(TaskFailed, match="no"):
        task.result()


def test_coroutines_too(daemon):
    @daemon.task(name="t:coro")
    async def coro():
        return 5

    assert coro.enqueue().result() == 5


def test_programs_too(daemon):
    task = daemon.add_task(["/bin/sh", "-c", "echo hello; exit 3"])
    assert task.refresh().state == "failed"
    assert task.output == "hello\n"


def test_the_future_waits(daemon):
    @daemon.task(name="t:f")
    def f():
        return 1

    task = f.after("1h").enqueue()
    assert task.refresh().state == "waiting"
    assert task.run_now().result() == 1
    assert f.after("1h").enqueue().cancel() == "cancelled"


def test_from_many_threads_each_waits_for_its_own(daemon):
    lock, seen = threading.Lock(), []

    @daemon.task(name="t:f")
    def f(number):
        with lock:
            seen.append(number)
        return number

    results = []

    def add(part):
        results.extend(f.enqueue(number).result() for number in range(part, 100, 4))

    threads = [threading.Thread(target=add, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(seen) == sorted(results) == list(range(100))


def test_on_a_file_it_leaves_what_other_daemons_hold(tmp_path):
    path = str(tmp_path / "one.db")
    with Daemon(path, inline=True) as daemon:

        @daemon.task(name="t:f")
        def f():
            return 1

        assert f.enqueue().result() == 1
        assert len(daemon.status().nodes) == 1
    assert daemon.status().nodes == []
    daemon.close()
