"""Which machine and process this is."""

import os
import socket


def host_name() -> str:
    """The machine's name, as peers compare it."""
    return socket.gethostname()


def process_id() -> int:
    """This process."""
    return os.getpid()
