"""Listeners on a clock set by hand, programs with a witness of their end, executors that wait for the test."""

import os
from functools import partial

import pytest
from executor_fakes import Exact, Vague
from listener_parts import Site
from program_parts import Witness

from mainspring.engine.programs import Programs


@pytest.fixture
def site():
    one = Site()
    yield one
    one.stop()


@pytest.fixture
def programs():
    one = Programs()
    yield one
    one.stop(0)


@pytest.fixture
def witness(tmp_path):
    one = Witness(tmp_path)
    yield one
    os.close(one.fd)


@pytest.fixture(params=[Exact, Vague])
def executor(request):
    return request.param()


@pytest.fixture
def exact():
    return Exact()


@pytest.fixture
def vague():
    return Vague()


@pytest.fixture
def start(threaded):
    """Makes daemons with two workers and hardly any grace."""
    return partial(threaded, workers=2, grace=0.01)
