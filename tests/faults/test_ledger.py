"""The table of figures: lines of one fault are summed, and every one is there."""

from ledger import table


def test_lines_of_one_fault_are_summed():
    found = [("power", 2, 0, 1, 0, 0), ("kill", 1000, 0, 0, 0, 0), ("power", 1, 3, 1, 0, 1)]
    assert [line.split() for line in table(found)[1:]] == [
        ["power", "3", "3", "2", "0", "1"],
        ["kill", "1,000", "0", "0", "0", "0"],
    ]


def test_without_a_line_there_is_no_table():
    assert table([]) == []
