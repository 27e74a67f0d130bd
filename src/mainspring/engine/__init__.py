"""How it runs: one verb per file. Knows of stores only what `store.protocol` says.

The path of a task: `claimer` reserves what falls due within the horizon → `timeline` holds it → `timer` hands it to
the `pool` at its instant → `attempt` runs it and turns whatever happened into a settlement → `recorder` writes
settlements in batches, fenced by the reservation's token. `service` drives each of these loops, a step at a time.
"""
