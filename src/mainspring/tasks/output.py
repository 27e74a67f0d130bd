"""What a program wrote, kept within a limit: its beginning, its end, and a line that says how much is missing between.

A `Tail` takes bytes as they come, from one thread, and gives text to any thread. It never splits a character: neither
where the middle was cut out, nor where one stream's bytes stop inside a character and the other stream's follow.
"""

import threading

LIMIT = 64 * 1024
HEAD = 16 * 1024


class Tail:
    """Bounded capture: at most `limit` bytes, of which the first `head` are the beginning of the output."""

    def __init__(self, limit: int = LIMIT, head: int = HEAD) -> None:
        assert 0 <= head < limit
        self.written = 0  # bytes so far, kept or not; only grows, so equal numbers mean equal text
        self._lock = threading.Lock()
        self._head_limit = head
        self._tail_limit = limit - head
        self._head = bytearray()
        self._tail = bytearray()
        self._held: dict[str, bytes] = {}  # by stream: the first bytes of a character whose rest has not come yet
        self._told = 0

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Add what `stream` wrote. An unfinished character waits for its rest, so that streams can interleave."""
        with self._lock:
            data = self._held.pop(stream, b"") + data
            rest = _unfinished(data)
            if rest:
                self._held[stream] = data[-rest:]
                data = data[:-rest]
            self._add(data)

    def finish(self) -> None:
        """Nothing more will come: characters that were never finished are shown as replacement characters."""
        with self._lock:
            for data in self._held.values():
                self._add(data)
            self._held.clear()

    def text(self) -> str:
        """What is kept, as UTF-8; what is no UTF-8, and NUL (not every store can keep it), as U+FFFD."""
        with self._lock:
            head, tail, written = bytes(self._head), bytes(self._tail[-self._tail_limit :]), self.written
        if written == len(head) + len(tail):
            return _decode(head + tail)
        # the cut may have gone through a character on either side; what is left of it goes too
        head = head[: len(head) - _unfinished(head)]
        tail = tail[_continuations(tail) :]
        left_out = written - len(head) - len(tail)
        return f"{_decode(head)}\n[... {left_out:,} bytes left out ...]\n{_decode(tail)}"

    def news(self) -> str | None:
        """The text if anything was written since the last call, else None: for one reader."""
        if self.written == self._told:
            return None
        self._told = self.written
        return self.text()

    def _add(self, data: bytes) -> None:
        self.written += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._tail_limit :]
        if len(self._tail) > 2 * self._tail_limit:  # cut seldom: each cut moves what is kept
            del self._tail[: -self._tail_limit]


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")


def _unfinished(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not complete (0 to 3)."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if 0xF0 <= byte < 0xF5 else 3 if 0xE0 <= byte < 0xF0 else 2 if 0xC2 <= byte < 0xE0 else 1
            return back if length > back else 0
    return 0


def _continuations(data: bytes) -> int:
    """How many bytes at the start are the rest of a character (0 to 3)."""
    count = 0
    while count < min(3, len(data)) and data[count] & 0xC0 == 0x80:
        count += 1
    return count
