"""Where in a text each part of it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

#: The way to a part: names of fields and numbers of list items (from 0).
Path = tuple[str | int, ...]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Place(NamedTuple):
    """A place in a text. Both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Places:
    """Where the name of each field (or each item of a list) stands, where its value starts, and how scalars
    without quotes were written."""

    names: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    sources: dict[Path, str] = field(default_factory=dict)

    def of_name(self, path: Path) -> Place:
        """Where the field's name stands, or that of the nearest part around it that is in the text."""
        return self._nearest(self.names, path)

    def of_value(self, path: Path) -> Place:
        """Where the value starts, or the nearest part around it that is in the text."""
        return self._nearest(self.values, path)

    @staticmethod
    def _nearest(places: dict[Path, Place], path: Path) -> Place:
        for length in range(len(path), 0, -1):
            if path[:length] in places:
                return places[path[:length]]
        return places.get((), Place(1, 1))


def show_path(path: Path) -> str:
    """Such as `spec.state.objects[0].labels`; names that would confuse it are in quotes and brackets."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_NAME.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{step[:80]}"]')
    return "".join(parts)
