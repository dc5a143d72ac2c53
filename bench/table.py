"""The rows as people read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from bench.rows import Row

_HEAD = ("#", "work", "limit beside it", "Mainstay", "ratio", "goal", "")


def render(rows: Iterable[Row]) -> str:
    """The table, then what there is to say of its rows."""
    rows = list(rows)
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    text = [_line(_HEAD, widths), "  ".join("─" * width for width in widths)]
    text += [_line(_cells(row), widths) for row in rows]
    text += ["", *(f"{row.number}: {note}" for row in rows for note in row.notes), _machine()]
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    figure = row.goal.show(row.figure)
    if row.spread is not None:
        figure += f" ({row.goal.show(row.spread[0])}–{row.goal.show(row.spread[1])})"
    verdict = "reached" if row.reached else "NOT reached"
    return row.number, row.work, row.limit, row.measured, figure, str(row.goal), verdict


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _machine() -> str:
    return (
        f"Ratios are medians of pairs (least–greatest). {os.cpu_count()} cores, shared by API server, etcd, client; "
        f"load average now {os.getloadavg()[0]:.1f}."
    )
