"""How far the state machines of the tests go: short and always the same, or as far as `STATEFUL` says."""

import os

from hypothesis import HealthCheck, settings


def profile(examples, steps):
    """`examples` of `steps` each, the same ones every time; with `STATEFUL=2000x100` as many, and others each time."""
    asked = os.environ.get("STATEFUL")
    if asked:
        examples, steps = (int(part) for part in asked.split("x"))
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=not asked,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=bool(asked),
    )
