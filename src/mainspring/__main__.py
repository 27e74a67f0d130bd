"""`python -m mainspring` is the command line."""

from mainspring.cli import main

main(prog_name="mainspring")
