"""Adds tasks of all kinds as fast as they are run, and notes what was accepted: in $ACCEPTED, after each call returned.

`T <task> <name> <run_at µs>` for a task, `C <task> <answer> <now µs>` for a cancellation. Argument: a seed.
"""

import os
import random
import sys
import time

from support import say

from mainspring import Daemon

LEDGER = os.environ["LEDGER"]
# the run_at of a program is text in its environment: the ledger has it as it is
PROGRAM = """
task="$MAINSPRING_TASK_ID $MAINSPRING_ATTEMPT 0"
note() { echo "$1 $task $(date +%s%6N) $MAINSPRING_RUN_AT sh $$ $PPID" >> "$LEDGER"; }
note B; sleep "$0"; note E
"""
client = Daemon(os.environ["STORE"])
accepted = os.open(os.environ["ACCEPTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
choose = random.Random(int(sys.argv[1]))


def write(*words):
    os.write(accepted, (" ".join(map(str, words)) + "\n").encode())


def item():
    name = choose.choices(("quick", "short", "soon", "flaky", "once", "program"), (8, 4, 4, 3, 4, 1))[0]
    after = choose.choice((0, 0, 0.02, 0.1, 0.3)) + choose.random() * 0.01
    priority = choose.choice((0, 0, 5))
    if name == "program":
        command = ["sh", "-c", PROGRAM, choose.choice(("0", "0.02", "0.2"))]
        env = {"LEDGER": LEDGER, "STORE": os.environ["STORE"]}
        once = choose.random() < 0.3
        options = {"delivery": "at-most-once", "name": "program-once"} if once else {"name": "program"}
        return {"work": command, "after": after, "env": env, "cwd": "/", "priority": priority, **options}
    return {"work": f"workload:{name}", "after": after, "priority": priority}


say("ready")
while True:
    items = [item() for _ in range(choose.choice((1, 10, 40)))]
    tasks = client.add_tasks(items)
    for one, task in zip(items, tasks, strict=True):
        write("T", task.id, one.get("name") or one["work"].rpartition(":")[2], task.row.run_at)
    if choose.random() < 0.3:
        victim = choose.choice(tasks)
        answer = victim.cancel()
        write("C", victim.id, answer.value, time.time_ns() // 1000)
    choose.choice(tasks).wait(0.3)
