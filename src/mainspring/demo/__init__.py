"""The demo: a flash sale on the millisecond, killed once in the middle, that checks its own books.

`shop.py` is what a user of Mainspring writes. `director.py` plays everything around it: customers, a bank, a kill.
`books.py` says what must be true in the end, `show.py` prints it.
"""

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Play the sale; 0 when all books match, 1 when they do not (what is wrong is printed), 2 for a wrong call."""
    import argparse

    from mainspring.demo.director import play

    parser = argparse.ArgumentParser(prog="mainspring demo", description="Play a flash sale and check its books.")
    parser.add_argument("--keep", action="store_true", help="keep the directory with the store and the shop's book")
    parser.add_argument("--seed", type=int, default=None, help="play the same customers again")
    try:
        said = parser.parse_args(argv)
    except SystemExit as exit_:  # argparse has said what is wrong, or shown its help
        return exit_.code if isinstance(exit_.code, int) else 2
    return play(keep=said.keep, seed=said.seed)
