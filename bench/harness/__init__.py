"""Measures schedulers beside each other on the same work: `python -m bench.harness`, or `make bench-peers`.

`plan.py` decides what is measured in which order; each measurement is a process of its own (`child.py`), in the
environment of the peer, that prints one line of JSON. What runs there (`protocol.py`, `measure.py`, `notes.py`,
`usage.py`, and the files in `bench/peers`) uses the standard library and the peer alone.
"""
