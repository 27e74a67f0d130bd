"""The pytest plugin: its fixtures, as a project's own tests use them."""

import pytest

pytest_plugins = ["pytester"]

SHOP = """
from mainspring import Daemon

daemon = Daemon("shop.db", name="shop")
not_a_daemon = 5


@daemon.task(name="shop:work")
def work(n):
    return 1 // n
"""


@pytest.fixture
def project(pytester):
    pytester.makepyfile(shop=SHOP)
    pytester.syspathinsert()
    return pytester


def outcomes(project, text, **expected):
    project.makepyfile(test_it=text)
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    result.assert_outcomes(**expected)
    return result


def test_the_clock_and_the_daemon_belong_together(mainspring_clock, mainspring_daemon):
    assert mainspring_daemon.clock is mainspring_clock
    assert mainspring_daemon.started
    assert mainspring_clock.time.isoformat() == "2030-01-01T00:00:00+00:00"


@pytest.mark.mainspring(start="2031-01-01T00:00:00Z", raising=True)
class TestMarks:
    def test_a_class_says_where_the_clock_stands(self, mainspring_clock):
        assert mainspring_clock.time.year == 2031

    @pytest.mark.mainspring(start="2032-01-01T00:00:00Z")
    def test_the_nearest_mark_goes_first(self, mainspring_clock, mainspring_daemon):
        assert mainspring_clock.time.year == 2032

        @mainspring_daemon.task(name="t:bad")
        def bad():
            raise ValueError("bad")

        bad.enqueue()
        with pytest.raises(Exception, match="bad"):
            mainspring_clock.advance("1h")


def test_the_configured_app_is_the_daemon_and_is_new_in_each_test(project):
    project.makeini("[pytest]\nmainspring_app = shop:daemon\n")
    outcomes(
        project,
        """
        import shop

        def test_one(mainspring_daemon, mainspring_clock):
            assert mainspring_daemon is shop.daemon
            task = shop.work.after("1h").enqueue(1)
            assert task.id == "1"
            mainspring_clock.advance("1h")
            assert task.result() == 1

        def test_two(mainspring_daemon):
            assert shop.work.after("1h").enqueue(1).id == "1"

        def test_three():
            assert not shop.daemon.started
        """,
        passed=3,
    )
    assert not list(project.path.glob("shop.db*"))


def test_a_mark_says_which_app(project):
    outcomes(
        project,
        """
        import pytest, shop

        @pytest.mark.mainspring(app="shop:daemon")
        def test_it(mainspring_daemon):
            assert mainspring_daemon is shop.daemon
        """,
        passed=1,
    )


def test_a_failure_in_a_task_is_in_the_report(project):
    result = outcomes(
        project,
        """
        import pytest, shop

        @pytest.mark.mainspring(app="shop:daemon", raising=True)
        def test_it(mainspring_daemon, mainspring_clock):
            shop.work.after("1h").enqueue(0)
            mainspring_clock.advance("1d")
        """,
        failed=1,
    )
    result.stdout.fnmatch_lines(["*ZeroDivisionError*", "*work, attempt 1*", "*return 1 // n*"])


def test_what_a_mark_does_not_know_is_an_error(project):
    result = outcomes(
        project,
        """
        import pytest

        @pytest.mark.mainspring(app="shop:not_a_daemon")
        def test_other(mainspring_daemon): ...

        @pytest.mark.mainspring(app="shop:gone")
        def test_gone(mainspring_daemon): ...

        @pytest.mark.mainspring(began="2030")
        def test_word(mainspring_clock): ...

        @pytest.mark.mainspring("2030-01-01T00:00Z")
        def test_bare(mainspring_clock): ...
        """,
        errors=4,
    )
    for words in (
        "*expects a Daemon as module:attribute*'shop:not_a_daemon' is 5*",
        "*'shop:gone' is None*",
        "*expects start=, raising= and app=, got ?'began'?*",
        "*expects start=, raising= and app=, got ?'2030-01-01T00:00Z'?*",
    ):
        result.stdout.fnmatch_lines([words])


def test_an_asynchronous_test_needs_no_other_fixture(project):
    outcomes(
        project,
        """
        import asyncio

        def test_it(mainspring_daemon, mainspring_clock):
            @mainspring_daemon.task(name="t:f")
            async def f():
                return 7

            async def main():
                task = await f.after("1h").aenqueue()
                await mainspring_clock.aio.advance("1h")
                return await task

            assert asyncio.run(main()) == 7
        """,
        passed=1,
    )
