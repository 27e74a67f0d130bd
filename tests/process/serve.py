"""A daemon of `workload` as a process. Says `ready` when it heeds signals, `alone <left>` when no other is left.

`<left>` counts programs of earlier daemons that still ran at that moment. With TICK set it has a schedule.
"""

import logging
import os
import sys
import threading

import workload
from support import programs_running, say

daemon = workload.daemon


def tell(event):
    if event.kind in ("succeeded", "failed", "cancelled", "missed"):
        workload.write("F", event.task_id, event.kind)


def alone(earlier):
    def look():
        # a node whose process was killed counts as alive until its programs are gone
        nodes = daemon.store.nodes()
        return (bool(nodes) and all(node.pid == os.getpid() for node in nodes)) or None

    daemon._waiting.until(look, None)
    say("alone", len(earlier & programs_running(os.environ["STORE"])))


if __name__ == "__main__":  # worker processes import this file
    # before anything starts: programs that an earlier daemon left, of which none may be there after its takeover
    earlier = programs_running(os.environ["STORE"])
    if os.environ.get("TICK"):
        daemon.every(os.environ["TICK"], name="tick")(workload.quick)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=os.environ.get("LEVEL", "INFO"))
    # what tasks do is noted in the ledger; here it would fill the pipe while nobody reads
    logging.getLogger("mainspring").addFilter(lambda record: not record.getMessage().startswith("task "))
    daemon.observe(tell)
    threading.Thread(target=alone, args=(earlier,), daemon=True).start()
    daemon.run()
