"""A daemon as on another machine: a process of its own that shares nothing with the others but the server.

Its files lie in a directory of its own, so no neighbour can see its lock or its journal. Run as
`python machine.py URL LEASE LINES`; it writes a line into LINES before each body, and one after; ends at the end of
its standard input.
"""

import os
import sys
import time

from mainspring import Daemon, context


def main(url, lease, path):
    lines = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(*words):
        os.write(lines, (" ".join(map(str, words)) + "\n").encode())

    daemon = Daemon(url, workers=4, lease=lease, name="machines")

    @daemon.task(name="work")
    def work(number, seconds=0):
        told = context()
        say("began", number, os.getpid(), told.attempt, round(time.time() * 1e6) - round(told.run_at.timestamp() * 1e6))
        time.sleep(seconds)  # a sleeping body
        say("ended", number, os.getpid(), told.attempt)

    with daemon:
        say("ready", os.getpid())
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
