"""Tasks on real executors: the standard library's, loky's, and Dask's on a cluster of this machine."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta

import pytest
from executor_bodies import awaited, die, die_once, fail, fail_once, until_told, where

from daemons import LONG
from mainspring import Retry

pytestmark = pytest.mark.process
MANY = 40


def threads():
    return ThreadPoolExecutor(2), None


def processes():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")), None


def loky():
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(2), None


def dask():
    import dask
    from distributed import Client, LocalCluster

    # a death is Mainspring's to count
    settings = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    client = Client(cluster)

    def close():
        client.close()
        cluster.close()
        settings.__exit__(None, None, None)

    return client.get_executor(), close


@pytest.fixture(scope="module", params=[threads, processes, loky, dask], ids=lambda make: make.__name__)
def kept(request):
    executor, close = request.param()
    yield request.param.__name__, executor
    executor.shutdown()
    if close is not None:
        close()


@pytest.fixture
def kind(kept):
    return kept[0]


@pytest.fixture
def daemon(kept, threaded):
    return threaded(pool=kept[1], workers=2, grace=LONG)


def test_functions_and_coroutines(daemon, kind):
    for function in (where, awaited):
        pid, value = daemon.add_task(function, ({"a": [1, None]},)).result(timeout=LONG)
        assert value == {"a": [1, None]}
        assert (pid == os.getpid()) == (kind == "threads")


def test_an_error_is_told(daemon):
    task = daemon.add_task(fail, ("no luck",))
    task.wait(LONG)
    error = daemon.get(task.id).error
    assert (error.type, error.message) == ("ValueError", "no luck")
    assert "executor_bodies.py" in error.traceback


def test_a_retry_counts_its_attempts(daemon):
    assert daemon.add_task(fail_once, retry=Retry(1, delay=0)).result(timeout=LONG) == 2


def test_many_never_early_and_each_once(daemon):
    tasks = [daemon.add_task(where, (number,), after=0.1 + number / 1000) for number in range(MANY)]
    assert [task.result(timeout=LONG)[1] for task in tasks] == list(range(MANY))
    for task in tasks:
        found = daemon.get(task.id)
        assert found.lateness >= timedelta(0)
        assert found.attempt == 1


def test_at_most_once(daemon):
    assert daemon.add_task(where, (1,), delivery="at-most-once").result(timeout=LONG)[1] == 1


def test_a_stopped_daemon_leaves_the_executor(daemon, kept):
    daemon.stop()
    assert kept[1].submit(len, "abc").result(LONG) == 3


def test_only_a_thread_can_be_told_to_stop(threaded):
    executor, _ = threads()
    with executor:
        daemon = threaded(pool=executor, workers=1)
        task = daemon.add_task(until_told, timeout=0.05)
        task.wait(LONG)
        assert daemon.get(task.id).reason == "time limit"
        daemon.stop()


@pytest.mark.parametrize("make", [processes, loky])
def test_a_worker_that_dies_breaks_the_pool_and_what_is_due_waits(make, threaded):
    executor, _ = make()
    daemon = threaded(pool=executor, workers=1)
    lost = daemon.add_task(die)
    waiting = [daemon.add_task(where) for _ in range(3)]
    pool = daemon._engine.pool
    daemon._waiting.until(lambda: pool._health.failures >= 2 or None, LONG * 1_000_000, every=5_000)
    daemon.stop()
    executor.shutdown()
    assert daemon.get(lost.id).attempt == 1
    assert [(found.state, found.attempt) for found in map(daemon.get, [task.id for task in waiting])] == [
        ("waiting", 0)
    ] * 3

    executor, _ = make()
    with executor:
        lost.cancel()
        again = threaded(daemon.store.url, pool=executor, workers=1)
        for task in waiting:
            assert task.result(timeout=LONG)
        again.stop()


def test_a_dask_worker_that_dies_costs_its_task_an_attempt(threaded):
    executor, close = dask()
    try:
        daemon = threaded(pool=executor, workers=1)
        task = daemon.add_task(die_once)
        assert task.result(timeout=LONG) == 2
        daemon.stop()
    finally:
        close()
