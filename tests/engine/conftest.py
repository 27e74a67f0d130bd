"""Listeners on a clock set by hand, and programs with a witness of their end."""

import os

import pytest
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
