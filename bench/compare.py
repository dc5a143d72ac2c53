"""`python -m bench.compare FILE --name TOOL`: the same table for what any other tool was measured to take.

FILE is a CSV with the columns `row,limit,seconds`, or a JSON list of objects with these members: the number of the
row, the seconds of the raw limit and the seconds of the tool, measured one right after the other on the same API
server. A row that is there several times was measured several times: its ratio is the median of the pairs'.

    row,limit,seconds
    1,0.31,2.90
    1,0.30,2.71
    3a,9.8,61.0

The limits are those of `python -m bench`: a parallel, paged, raw LIST of the objects for rows 1, 2 and 4, raw creates
from 16 threads for rows 3. Whoever gives seconds of the tool alone gets no ratio: without a limit of the same machine
they say nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rows import Goal, Pairs, Row, seconds
from bench.table import render


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table: its work, the limit beside it, and the goal that Mainstay set itself."""

    work: str
    limit: str
    goal: Goal

    def row(self, number: str, pairs: Pairs) -> Row:
        """The row for what was measured. A rate's ratio is the limit's seconds by the tool's."""
        low, high = pairs.spread
        least = self.goal.direction == "least"
        return Row(
            number,
            self.work,
            f"{seconds(pairs.limit)} ({self.limit})",
            seconds(pairs.own),
            1 / pairs.times if least else pairs.times,
            self.goal,
            (1 / high, 1 / low) if least else (low, high),
        )


_LIST, _CREATE = "raw LIST", "POST from 16 threads"
LINES = {
    "1": Line("back up, first version", _LIST, Goal("most", 4, "times")),
    "2": Line("back up again, nothing changed", _LIST, Goal("most", 3, "times")),
    "3a": Line("restore, created by one manager", _CREATE, Goal("least", 0.7)),
    "3b": Line("restore, applied by one manager", _CREATE, Goal("least", 0.5)),
    "3c": Line("restore, of two managers", _CREATE, Goal("least", 0.5)),
    "4": Line("plan and restore, nothing changed", _LIST, Goal("most", 5, "times")),
}


class Unreadable(Exception):
    """The file is not as it must be; the message says where."""


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 with a sentence if the file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="a .csv or .json file")
    parser.add_argument("--name", default="the tool", help="of the tool, for the head of its column")
    given = parser.parse_args(arguments)
    try:
        rows = read(given.file)
    except (Unreadable, OSError) as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 1
    print(render(rows, given.name, machine=False))
    return 0


def read(file: Path) -> list[Row]:
    """The rows that a file tells of, in the order of the table."""
    text = file.read_text("utf-8")
    try:
        samples = json.loads(text) if file.suffix == ".json" else csv.DictReader(text.splitlines())
        return rows_of(samples)
    except ValueError as error:
        raise Unreadable(f"{file}: {error}") from error


def rows_of(samples: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows of what was measured, in pairs; `ValueError` says what is wrong with which sample."""
    found: dict[str, Pairs] = {}
    for place, sample in enumerate(samples, 1):
        number = str(sample.get("row", "")).strip()
        if number not in LINES:
            raise ValueError(f"sample {place}: there is no row {number!r}; rows are {', '.join(LINES)}")
        try:
            limit, own = float(sample["limit"]), float(sample["seconds"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"sample {place}: `limit` and `seconds` must be numbers") from None
        if limit <= 0 or own <= 0:
            raise ValueError(f"sample {place}: `limit` and `seconds` must be more than nothing")
        found.setdefault(number, Pairs()).add(limit, own)
    return [line.row(number, found[number]) for number, line in LINES.items() if number in found]


if __name__ == "__main__":
    sys.exit(main())
