"""What is wrong in a document, with the line where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.words import printable

_WIDEST = 100


def problem_lines(name: str, source: str, problems: Sequence[Json]) -> Iterator[Text]:
    """Each problem as compilers show it: place, sentence, the source's line with a caret, and a hint."""
    rows = source.splitlines()
    for number, problem in enumerate(problems):
        if number:
            yield Text()
        line, column = problem.get("line"), problem.get("column")
        place = ":".join(str(part) for part in (name, line, column) if part is not None)
        what = Text.assemble((f"{place}: ", "bold"), ("problem: ", "bold red"))
        if problem.get("path"):
            what.append(f"{printable(problem['path'])}: ", style="cyan")
        what.append(printable(problem["message"]))
        yield what
        if line is not None and 0 < line <= len(rows):
            yield from _excerpt(rows[line - 1], line, column)
        if problem.get("hint"):
            yield Text.assemble("  ", ("hint: ", "bold green"), printable(problem["hint"]))


def _excerpt(row: str, line: int, column: int | None) -> Iterator[Text]:
    start = max((column or 1) - _WIDEST // 2, 0) if len(row) > _WIDEST else 0
    # A tab is as wide as the terminal likes; one space keeps the caret where it belongs.
    text = printable(row[start : start + _WIDEST].replace("\t", " ")).rstrip()
    gutter = f"{line:5} | "
    yield Text.assemble((gutter, "dim"), text)
    if column is not None and column - 1 - start <= len(text):
        caret = " " * (column - 1 - start) + "^" * _word_at(text, column - 1 - start)
        yield Text.assemble((" " * 5 + " | ", "dim"), (caret, "bold red"))


def _word_at(text: str, place: int) -> int:
    end = place
    while end < len(text) and text[end] not in " :,]}#":
        end += 1
    return max(end - place, 1)
