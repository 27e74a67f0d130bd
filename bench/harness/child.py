"""One measurement, in a process and an environment of its own: prints one line of JSON.

`python -m bench.harness.child PEER` tells what the file `bench/peers/PEER.py` has;
`python -m bench.harness.child PEER VARIANT KIND WORKERS '{"count": 100}'` measures it in the current directory.
"""

import dataclasses
import importlib
import json
import platform
import sys
from importlib.metadata import version
from typing import cast

from bench.harness.measure import KINDS, Figures, warm_up
from bench.harness.notes import Notes
from bench.harness.protocol import PeerFile


def tell(peer: PeerFile) -> dict[str, object]:
    """Its variants, the versions of what it runs on, and what has to be said."""
    variants, said = peer.variants()
    return {
        "variants": [dataclasses.asdict(variant) for variant in variants],
        "packages": {name: version(name) for name in peer.PACKAGES},
        "python": platform.python_version(),
        "said": said,
    }


def measure(peer: PeerFile, variant: str, kind: str, workers: int, numbers: dict[str, float]) -> Figures:
    """Start it, run one task, measure, stop it."""
    notes = Notes()
    with peer.session(variant, workers) as session:
        warm_up(session, notes)
        return KINDS[kind](session, notes, **numbers)


def main(name: str, *how: str) -> None:
    """What the command line says."""
    peer = cast("PeerFile", importlib.import_module(f"bench.peers.{name}"))
    if how:
        variant, kind, workers, numbers = how
        figures: object = measure(peer, variant, kind, int(workers), json.loads(numbers))
    else:
        figures = tell(peer)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
