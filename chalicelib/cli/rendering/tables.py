"""Tables and lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_GAP = 2
_LEAST = 14
# A name that goes on below is readable only if most of it stands on one line.
_LEAST_WRAPPED = 40


class Column(NamedTuple):
    """Where a terminal is too narrow, a column that may `give_way` is cut, and one that is `extra` is left out.

    One that `wraps` goes on below instead of being cut: nothing of it is lost.
    """

    title: str
    right: bool = False
    give_way: bool = False
    extra: bool = False
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A table that fits: columns two spaces apart, without lines, so that it is easy to read, to copy and to cut."""

    columns: tuple[Column, ...]
    cells: tuple[tuple[Text, ...], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Drawn for the width there is."""
        widths = fitted(self.columns, self.natural_widths(), options.max_width)
        drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_edge=False)
        places = [place for place, width in enumerate(widths) if width]
        for place in places:
            column = self.columns[place]
            title = _cut(Text(column.title))
            drawn.add_column(
                title,
                justify="right" if column.right else "left",
                width=widths[place],
                no_wrap=not column.wraps,
                overflow="fold" if column.wraps else "ellipsis",
            )
        for row in self.cells:
            drawn.add_row(*(row[place] for place in places))
        yield drawn

    def natural_widths(self) -> list[int]:
        """What each column would like."""
        return [
            max([len(column.title), *(row[place].cell_len for row in self.cells)])
            for place, column in enumerate(self.columns)
        ]


def fitted(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """The width of each column within `room`; 0 leaves one out.

    Columns that give way are cut to a readable minimum first; then extra columns are left out, the last one first;
    then, where even that is too wide, those that give way.
    """
    least = [_least(column, width) for column, width in zip(columns, natural, strict=True)]
    leave_out = [
        *(place for place, column in reversed(list(enumerate(columns))) if column.extra),
        *(place for place, column in reversed(list(enumerate(columns))) if column.give_way and not column.extra),
    ]
    kept = set(range(len(columns)))
    for place in leave_out:
        if _total(least[each] for each in kept) <= room:
            break
        kept.discard(place)
    widths = [least[place] if place in kept else 0 for place in range(len(columns))]
    spare = room - _total(width for width in widths if width)
    for place in sorted(kept):
        if spare < 0 and columns[place].wraps:
            fewer = min(-spare, max(widths[place] - _LEAST, 0))
            widths[place] -= fewer
            spare += fewer
    for place in sorted(kept):
        more = max(min(natural[place] - widths[place], spare), 0)
        widths[place] += more
        spare -= more
    return widths


def _least(column: Column, natural: int) -> int:
    if column.give_way:
        return min(natural, _LEAST)
    return min(natural, _LEAST_WRAPPED) if column.wraps else natural


def _total(widths: Iterable[int]) -> int:
    listed = list(widths)
    return sum(listed) + _GAP * (len(listed) - 1)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> Rows:
    """A table of texts."""
    return Rows(
        tuple(columns),
        tuple(
            tuple(_whole(cell) if column.wraps else _cut(cell) for column, cell in zip(columns, row, strict=True))
            for row in rows
        ),
    )


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """`Title   what is so`, one below the other; rows that say nothing are left out."""
    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False, show_edge=False)
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for title, what in rows:
        if len(what):
            drawn.add_row(title, what if isinstance(what, Text) else Text(what))
    return drawn


def _whole(what: str | Text) -> Text:
    cell = Text(what) if isinstance(what, str) else what
    cell.no_wrap, cell.overflow = False, "fold"
    return cell


def _cut(what: str | Text) -> Text:
    # A Text does not take these over from its column.
    cell = Text(what) if isinstance(what, str) else what
    cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell
