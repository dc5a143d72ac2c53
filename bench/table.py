"""The rows as people read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from bench.rows import Row


def render(rows: Iterable[Row], tool: str = "Mainstay", *, machine: bool = True) -> str:
    """The table, then what there is to say of its rows, and of the `machine` if they were measured on it just now."""
    rows = list(rows)
    head = ("#", "work", "limit beside it", tool, "ratio", "goal", "")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [_line(head, widths), "  ".join("─" * width for width in widths)]
    text += [_line(_cells(row), widths) for row in rows]
    text += ["", *(f"{row.number}: {note}" for row in rows for note in row.notes)]
    text += [_machine()] if machine else []
    return "\n".join(text).rstrip()


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
