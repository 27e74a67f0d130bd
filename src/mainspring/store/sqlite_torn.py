"""A log that breaks off. SQLite takes it up to the first page that does not fit, and says nothing of those behind it.

That is right after a power cut, for what had not been synced was promised to nobody. It is also what becomes of a log
that was damaged, and then acknowledged work is gone. Commits that lie behind the break tell that something is missing.
"""

import os
import struct
import sys
from contextlib import suppress

import apsw

_HEAD = struct.Struct(">IIII8s2I")  # magic, version, page size, number; salts; checksum
_FRAME = struct.Struct(">II8s2I")  # page, pages of the file after a commit (else 0); salts; checksum


def torn(con: apsw.Connection, path: str) -> str | None:
    """What is to be said of the log of the store at `path`, which `con` has open; None: it does not break off."""
    lost = _commits_behind(con, f"{path}-wal")
    lost = lost and _commits_behind(con, f"{path}-wal")  # somebody may have been writing just there
    if not lost:
        return None
    return (
        f"the log {path}-wal breaks off: {lost} commits behind the break cannot be read. After a power cut these are "
        f"outcomes of its last moment, and run again; without one the log is damaged, and tasks may be missing"
    )


def _commits_behind(con: apsw.Connection, log: str) -> int:
    """How many commits of this log lie behind the last that SQLite takes. SQLite has no locks on this file."""
    frames = con.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0]
    size = int(con.pragma("page_size"))
    lost = 0
    with suppress(OSError, struct.error), open(log, "rb", buffering=0) as file:
        start = file.read(_HEAD.size)
        magic, _, _, _, salts, *chain = _HEAD.unpack(start)
        known = chain == _sums(start[:24], [0, 0], big=bool(magic & 1))  # else the damage is there
        if frames:
            file.seek(_HEAD.size + (frames - 1) * (_FRAME.size + size))
            *_, first, second = _FRAME.unpack(file.read(_FRAME.size))
            chain = [first, second]
        file.seek(_HEAD.size + frames * (_FRAME.size + size))
        fits = known
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            _, commits, own, *check = _FRAME.unpack(head)
            if not fits:  # the frame at the break does not count: a kill may have left it half written
                lost += bool(commits) and (own == salts or not known)
                file.seek(size, os.SEEK_CUR)
                continue
            page = file.read(size)
            chain = _sums(head[:8] + page, chain, big=bool(magic & 1)) if len(page) == size else []
            fits = own == salts and chain == check
            if fits and commits:  # somebody commits this just now, or the log begins afresh
                return 0
    return lost


def _sums(data: bytes, chain: list[int], *, big: bool) -> list[int]:
    """SQLite's checksum of a frame, which goes on from that of the frame before."""
    first, second = chain
    words = memoryview(data).cast("I")
    if big != (sys.byteorder == "big"):
        words = memoryview(struct.pack(f"<{len(words)}I", *struct.unpack(f">{len(words)}I", data))).cast("I")
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return [first, second]
