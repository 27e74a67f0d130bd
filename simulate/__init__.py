"""The deterministic simulation: daemons on one store, in virtual time, with everything going wrong that can.

`python -m simulate --seeds 100`. What a seed does it does again, to the last step.
"""
