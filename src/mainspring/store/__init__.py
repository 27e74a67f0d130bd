"""Where tasks are kept. Knows nothing of the engine; `protocol.Store` is the port that every store fills."""
