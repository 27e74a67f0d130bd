"""Time as plain values: clocks, instants, durations, triggers. Depends on the standard library alone.

Inside, every instant is an `int` of microseconds since 1970-01-01T00:00Z and every duration an `int` of
microseconds; only `clock` reads a clock, everything else is given `now`.
"""
