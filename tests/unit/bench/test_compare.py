"""Another tool's figures come out in the same table, by the same ratios."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import compare


def test_pairs_of_a_row_make_one_ratio_and_rates_are_turned_round(tmp_path: Path) -> None:
    file = tmp_path / "tool.csv"
    file.write_text("row,limit,seconds\n3a,10,40\n1,0.5,1\n1,0.5,2\n1,0.5,3\n")
    first, third = compare.read(file)
    assert (first.number, first.figure, first.spread, first.reached) == ("1", 4, (2, 6), True)
    assert (third.number, third.figure, third.reached) == ("3a", 0.25, False)


def test_the_table_has_the_tools_name_and_says_nothing_of_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tool.json"
    file.write_text('[{"row": "4", "limit": 0.2, "seconds": 3}]')
    assert compare.main([str(file), "--name", "Another"]) == 0
    said = capsys.readouterr().out
    assert "Another" in said.splitlines()[0]
    assert "15.00" in said
    assert "NOT reached" in said
    assert "cores" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row,limit,seconds\n9,1,1\n", "sample 1: there is no row '9'"),
        ("row,limit,seconds\n1,1,1\n1,fast,1\n", "sample 2: `limit` and `seconds` must be numbers"),
        ("row,limit,seconds\n1,0,1\n", "more than nothing"),
        ("row,seconds\n1,1\n", "must be numbers"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_place(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tool.csv"
    file.write_text(text)
    assert compare.main([str(file)]) == 1
    assert says in capsys.readouterr().err
