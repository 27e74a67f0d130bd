"""What the tests of the pool of processes run in it, beside `child_bodies`."""

import os
import time

from child_bodies import daemon, wait_at

from mainspring import context, stopping


def perhaps_wait(path):
    """A short body, unless it is given a FIFO."""
    return wait_at(path) if path else None


def die_the_first_time():
    if context().attempt == 1:
        os._exit(7)
    return context().attempt


def die_late(path):
    """Says that it is there, waits, and dies with its process."""
    with open(path, "w") as fifo:
        fifo.write("here")
    with open(path) as fifo:
        fifo.read()
    os._exit(7)


def note(path):
    """Appends a byte: whoever counts them knows how often a body began."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b".")
    os.close(fd)


def note_and_die(path):
    note(path)
    os._exit(7)


def stop_when_asked(path):
    note(path)
    while not stopping():
        time.sleep(0.001)  # a sleeping body
    return "stopped"


def started_at():
    return time.time_ns() // 1000


def adds_another():
    return daemon.add_task("child_bodies:double", [21]).id


def fence():
    return context().fence


def babble():
    """Writes to what is the daemon's and its own process's alone."""
    import socket
    import stat

    for fd in range(3, 4096):  # as many as a process with much open may have given it
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                with socket.socket(fileno=os.dup(fd)) as one:
                    one.send(b"\xff" * 64)
        except OSError:
            pass
    if context().attempt == 1:
        time.sleep(60)  # a sleeping body
    return context().attempt
