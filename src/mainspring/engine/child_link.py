"""In a child: its ends of the channels, and the small thread that listens to the daemon and sleeps otherwise."""

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Never

from mainspring.engine.child_messages import (
    Answer,
    ControlMessage,
    End,
    Frames,
    Go,
    NeedPayload,
    No,
    Output,
    Payload,
    Setup,
    Stop,
    framed,
)
from mainspring.engine.child_output import Capture

_CHUNK = 64 * 1024
_TELL_MS = 250  # between two messages with the output so far


class Link:
    """One child's way to its daemon. `output` is what the running task writes."""

    def __init__(self, feed: int, answers: int, control: int) -> None:
        self.feed = socket.socket(fileno=feed)
        self._answers = socket.socket(fileno=answers)
        self._control = socket.socket(fileno=control)
        self._frames = Frames()
        self._heard: list[ControlMessage] = []
        self._sending = threading.RLock()  # again by the same thread: a finalizer that prints, run by the collector
        self._bell, bell = os.pipe()
        self._bell_end = bell
        self.output = Capture(lambda: os.write(bell, b"!"))
        self.replies: SimpleQueue[Go | No | Payload] = SimpleQueue()
        self.on_stop: Callable[[Stop], None] | None = None  # set when there can be something to stop
        self.ended = threading.Event()  # the daemon said `End`
        self.forked = False  # this is the child of a fork: not ours any more

    def setup(self) -> Setup:
        """The first message; waits for it. What came with it is heard by `listen`."""
        while not self._heard:
            self._heard = self._frames.control(self._read())
        setup = self._heard.pop(0)
        assert isinstance(setup, Setup), "the setup comes first"
        return setup

    def listen(self) -> None:
        """Start to listen."""
        threading.Thread(target=self._listen, name="mainspring-control", daemon=True).start()
        os.register_at_fork(after_in_child=self._forget)

    def send(self, answer: Answer) -> None:
        """Tell the daemon; waits while it has not read what was told before."""
        data = framed(answer)
        with self._sending:
            self._answers.sendall(data)

    def payload(self, task: int, token: int) -> str | None:
        """Ask for the arguments that were too large to be fed, piece by piece; None when they are withheld."""
        pieces: list[str] = []
        at = 0
        while True:
            self.send(NeedPayload(task, token, at))
            piece = self.replies.get()
            if not isinstance(piece, Payload):
                return None
            pieces.append(piece.text)
            at += len(piece.text)
            if piece.last:
                return "".join(pieces)

    def _listen(self) -> None:
        try:
            self._hear_all()
        except BaseException:  # noqa: BLE001  # deaf, it could neither be stopped nor notice the daemon's end
            sys.excepthook(*sys.exc_info())
            die()

    def _hear_all(self) -> Never:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        for message in self._heard:
            self._hear(message)
        while True:
            ready = [fd for fd, _ in poll.poll(_TELL_MS if self.output.ticking else None)]
            if self._bell in ready:
                os.read(self._bell, _CHUNK)
            if self._control.fileno() in ready:
                for message in self._frames.control(self._read()):
                    self._hear(message)
            elif not ready:
                self._tell_output()

    def _read(self) -> bytes:
        """The next bytes from the daemon. When there will be none it is dead, and everything here is to end."""
        try:
            data = self._control.recv(_CHUNK)
        except ConnectionError:
            data = b""
        return data or die()

    def _hear(self, message: ControlMessage) -> None:
        if isinstance(message, Stop):
            if self.on_stop is not None:
                self.on_stop(message)
        elif isinstance(message, Go | No | Payload):
            self.replies.put(message)
        elif isinstance(message, End):
            self.ended.set()
            self.feed.shutdown(socket.SHUT_RD)  # wakes who waits for a task

    def _tell_output(self) -> None:
        """Send what the task has written since the last time; ring again when there was nothing."""
        output = self.output
        output.ticking = False
        with self._sending:  # whoever sends the outcome has said before that the task is over
            owner = output.owner
            text = None if owner is None else output.news()
            if owner is not None and text is not None:
                output.ticking = True
                self._answers.sendall(framed(Output(*owner, text)))

    def _forget(self) -> None:
        """After a fork the channels stay with the child that the daemon knows: it alone decides when they close."""
        self.forked = True
        self.output.forget()
        for one in (self.feed, self._answers, self._control):
            one.close()
        os.close(self._bell)
        os.close(self._bell_end)


def die() -> Never:
    """End this process and all that it has started and that is still in its group, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")
