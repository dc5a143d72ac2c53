"""Symbols and colours, one table for all output."""

from __future__ import annotations

from typing import NamedTuple


class Look(NamedTuple):
    """How one verb or change is drawn. `ascii` stands in where a terminal knows no more."""

    mark: str
    ascii: str
    style: str
    title: str
    #: As in "3 to create".
    summary: str


VERBS: dict[str, Look] = {
    "create": Look("+", "+", "green", "Create", "to create"),
    "update": Look("~", "~", "yellow", "Update", "to update"),
    "replace": Look("±", "#", "magenta", "Replace", "to replace"),
    "delete": Look("−", "-", "red", "Delete", "to delete"),
    "keep": Look("=", "=", "cyan", "Keep as it is", "kept"),
    "skip": Look("·", ".", "dim", "Skip", "skipped"),
}

CHANGES: dict[str, Look] = {
    "added": Look("+", "+", "green", "Added", "added"),
    "changed": Look("~", "~", "yellow", "Changed", "changed"),
    "removed": Look("−", "-", "red", "Removed", "removed"),
}

STATES: dict[str, str] = {
    "succeeded": "green",
    "complete": "green",
    "active": "green",
    "done": "green",
    "equal": "green",
    "partial": "yellow",
    "queued": "cyan",
    "running": "cyan",
    "backing-up": "cyan",
    "restoring": "cyan",
    "rolling-back": "magenta",
    "failed": "red",
    "damaged": "red",
    "broken": "red",
    "undo-failed": "red",
    "differs": "red",
    "missing": "red",
    "cancelled": "dim",
    "inactive": "dim",
    "undone": "magenta",
}


class Marks:
    """The symbols that the output's encoding can carry."""

    def __init__(self, *, unicode: bool) -> None:
        self.unicode = unicode
        self.arrow = "→" if unicode else "->"
        self.dot = " · " if unicode else ", "
        self.ellipsis = "…" if unicode else "..."
        self.effect = "↳" if unicode else ">"
        self.dash = "—" if unicode else "-"

    def of(self, look: Look) -> str:
        """The symbol of a verb or change."""
        return look.mark if self.unicode else look.ascii

    def safe(self, text: str) -> str:
        """`text` in what the encoding can carry."""
        return text if self.unicode else text.replace("…", "...").encode("ascii", "backslashreplace").decode()
