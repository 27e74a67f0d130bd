"""Limits of the system on this process, put in the way of a store for some steps: here the kernel itself refuses."""

import os
import resource
from contextlib import contextmanager

from faulty_vfs import Calm

_BEGIN, _STEPS = 4, 3


class Limit(Calm):
    """From the `seed`-th step on, for three steps. `files`: no descriptor is free beyond `amount`; `size`: no file can
    grow beyond `amount` bytes.
    """

    patience = 6

    def __init__(self, which, amount, seed):
        super().__init__()
        self.which, self.amount = which, amount
        self.steps = range(_BEGIN + seed % 20, _BEGIN + seed % 20 + _STEPS)
        self.kind = resource.RLIMIT_FSIZE if which == "size" else resource.RLIMIT_NOFILE
        self.usual = resource.getrlimit(self.kind)
        self.tries = self.failed = 0

    def step(self, number):
        """Called before each try of a step: the third one finds that there is room again."""
        self.tries = self.tries + 1 if number in self.steps else 0
        self.failed += self.tries > 1
        self._set(number in self.steps and self.tries < 3)

    def _set(self, on):
        self.over()
        if on:
            amount = self.amount + (_lowest_free() if self.which == "files" else 0)
            resource.setrlimit(self.kind, (amount, self.usual[1]))

    @contextmanager
    def lifted(self):
        """For a look at what there is."""
        now = resource.getrlimit(self.kind)
        resource.setrlimit(self.kind, self.usual)
        yield
        resource.setrlimit(self.kind, now)

    def over(self):
        resource.setrlimit(self.kind, self.usual)


def _lowest_free():
    """The descriptor that would be opened next."""
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    return fd
