"""Fields that differ, aligned as `path  old → new`; texts of several lines as a small line diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.marks import CHANGES, Marks
from chalicelib.cli.rendering.words import counted, field_path, printable, shortened, value

_INDENT = "      "
_MOST_FIELDS = 12
_MOST_LINES = 14
_CONTEXT = 1


def difference_lines(differences: Sequence[Json], *, width: int, marks: Marks, everything: bool) -> Iterator[Text]:
    """The fields of one object. `live` is what there is now, `wanted` what it becomes.

    Bounded to a dozen fields and to one line each, unless `everything`.
    """
    shown = differences if everything else differences[:_MOST_FIELDS]
    paths = [field_path(difference["path"]) for difference in shown]
    # Half of the line for the path, or whatever the values leave: they are what one looks for.
    room = width - len(_INDENT) - 4
    left = room - max((_value_width(difference, marks) for difference in shown), default=0)
    column = min(max(map(len, paths), default=0), max(room // 2, left))
    for path, difference in zip(paths, shown, strict=True):
        yield from _field(path, difference, column, width, marks, everything=everything)
    if len(shown) < len(differences):
        more = counted(len(differences) - len(shown), "more field")
        yield Text(f"{_INDENT}  {marks.ellipsis} {more}", style="dim")


def _field(path: str, difference: Json, column: int, width: int, marks: Marks, *, everything: bool) -> Iterator[Text]:
    look = CHANGES.get(difference.get("change") or "changed", CHANGES["changed"])
    line = Text.assemble(_INDENT, (marks.of(look), look.style), " ")
    live, wanted = difference.get("live"), difference.get("wanted")
    if not difference.get("hidden") and look is CHANGES["changed"] and _is_block(live, wanted):
        line.append(marks.safe(path), "bold")
        yield line
        yield from _block(str(live), str(wanted), width, marks, everything=everything)
        return
    named = path if everything else shortened(path, column)
    line.append(marks.safe(named.ljust(column)))
    line.append("  ")
    room = 0 if everything else max(width - len(line), 20)
    line.append_text(_values(live, wanted, difference, room, marks))
    yield line


def _value_width(difference: Json, marks: Marks) -> int:
    live, wanted = difference.get("live"), difference.get("wanted")
    if difference.get("hidden") or _is_block(live, wanted):
        return len("(hidden)")
    change = difference.get("change") or "changed"
    if change == "changed":
        return len(value(live)) + len(value(wanted)) + len(marks.arrow) + 2
    return len(value(wanted if change == "added" else live))


def _values(live: Any, wanted: Any, difference: Json, room: int, marks: Marks) -> Text:
    if difference.get("hidden"):
        return Text("(hidden)", style="dim italic")
    change = difference.get("change") or "changed"
    if change != "changed":
        # Some values are not worth carrying (what kubectl last applied): then the path says it all.
        side = wanted if change == "added" else live
        shown = "" if side is None else _cut(value(side), room, marks)
        return Text(shown, style=CHANGES[change].style)
    old, new = value(live), value(wanted)
    if room:
        each = room - len(marks.arrow) - 2
        # What the shorter one leaves, the longer one may take.
        half = each // 2
        old_room = max(half, each - len(new))
        new_room = max(each - half, each - len(old))
        old, new = shortened(old, old_room), shortened(new, new_room)
    return Text.assemble((marks.safe(old), "red"), f" {marks.arrow} ", (marks.safe(new), "green"))


def _cut(text: str, room: int, marks: Marks) -> str:
    return marks.safe(shortened(text, room) if room else text)


def _is_block(live: Any, wanted: Any) -> bool:
    texts = isinstance(live, str) and isinstance(wanted, str)
    return texts and ("\n" in live.strip("\n") or "\n" in wanted.strip("\n"))


def _block(live: str, wanted: str, width: int, marks: Marks, *, everything: bool) -> Iterator[Text]:
    rows = list(difflib.unified_diff(live.splitlines(), wanted.splitlines(), n=_CONTEXT, lineterm=""))[2:]
    if not rows:
        yield Text(f"{_INDENT}    only the end of the last line differs", style="dim")
    shown = rows if everything else rows[:_MOST_LINES]
    styles = {"+": "green", "-": "red", "@": "dim cyan"}
    for number, row in enumerate(shown):
        if row.startswith("@@"):
            if number:
                yield Text(f"{_INDENT}    {marks.ellipsis}", style="dim")
            continue
        text = f"{_INDENT}    {printable(row[0])} {printable(row[1:])}".rstrip()
        if not everything and len(text) > width:
            text = text[: width - 1] + "…"
        yield Text(marks.safe(text), style=styles.get(row[0], "dim"))
    if len(shown) < len(rows):
        yield Text(f"{_INDENT}    {marks.ellipsis} {counted(len(rows) - len(shown), 'more line')}", style="dim")
