"""Watch a folder: whatever is put into it is counted, and then moved to `done` in it. Until Ctrl-C.

    python watch_folder.py inbox

The listener only notices. The work is a task: it survives a kill, is tried again, and keeps no other listener waiting.
"""

import sys
from pathlib import Path

from mainspring import Daemon, Retry

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "inbox").resolve()
daemon = Daemon(folder / "tasks.db")


@daemon.listener(pause="200ms")
def watch() -> None:
    """One look at the folder is one turn. A file that is there still has the key of its task: it is not added twice."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("tasks.db"):
            count.options(key=f"file {path.name}", on_conflict="keep").enqueue(path.name)


@daemon.task(retry=Retry(5, delay="1s", on=(OSError,)))
def count(name: str) -> int:
    """May run twice, after a kill: then the file is gone already, and there is nothing left to do."""
    path = folder / name
    if not path.exists():
        return 0
    lines = len(path.read_bytes().splitlines())
    path.rename(folder / "done" / name)
    print(f"{name}: {lines} lines\n", end="", flush=True)  # one piece: several workers print
    return lines


if __name__ == "__main__":
    (folder / "done").mkdir(parents=True, exist_ok=True)
    daemon.run()
