"""A task that gives back what it was given."""

import pytest


@pytest.fixture
def echo(daemon):
    @daemon.task(name="t:echo")
    def echo(value, *, twice=False):
        return [value, value] if twice else value

    return echo
