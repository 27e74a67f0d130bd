"""Reminders: one command adds them, another shows each when its time has come.

python reminder.py 10m drink some tea
python reminder.py 2026-11-27T10:00:00+08:00 the sale opens
python reminder.py list
python reminder.py run
"""

import sys

from mainspring import Daemon, InvalidValue, Task

daemon = Daemon("reminders.db", name="reminders")


@daemon.task(retry=3)
def remind(text: str) -> None:
    print(f"\a{text}", flush=True)


def add(when: str, text: str) -> Task[None]:
    """Add a reminder: `when` is a duration from now, or an instant."""
    try:
        call = remind.after(when)
        return call.enqueue(text)
    except InvalidValue:
        return remind.at(when).enqueue(text)


def main(words: list[str]) -> None:
    if words == ["run"]:
        daemon.run()  # until Ctrl-C; what is due by then and has not run stays in the file
    elif words == ["list"]:
        for task in daemon.find(state="waiting"):
            print(task.id, task.run_at.astimezone().isoformat(" ", "seconds"))
    elif len(words) > 1:
        task = add(words[0], " ".join(words[1:]))
        print(f"reminder {task.id} at {task.run_at.astimezone().isoformat(' ', 'seconds')}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
