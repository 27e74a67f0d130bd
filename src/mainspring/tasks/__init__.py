"""What is run: its name, its arguments, its options, its states, and what came of it."""
