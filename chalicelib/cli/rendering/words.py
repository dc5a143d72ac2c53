"""Sizes, counts, times and values in words."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` with control and direction characters spelt out (`\\x1b`); newlines and tabs stay."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def on_one_line(text: str) -> str:
    """`printable`, with line breaks and tabs become spaces: what somebody wrote, in a row of a table."""
    return printable(" ".join(text.split()))


def size(count: float | None) -> str:
    """Bytes for people, in powers of 1024: `0 B`, `1.5 KiB`, `20 GiB`."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError


def counted(count: int, one: str, many: str = "") -> str:
    """`1 object`, `2 objects`, `1,234 objects`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def moment(text: str | None) -> datetime | None:
    """A time as the API writes it (RFC 3339), or `None`."""
    return datetime.fromisoformat(text) if text else None


def seconds_between(start: str | None, end: datetime | str | None) -> float | None:
    """Seconds from one time of the API to another, if both are known."""
    first = moment(start)
    last = moment(end) if isinstance(end, str) else end
    return (last - first).total_seconds() if first is not None and last is not None else None


def duration(seconds: float | None) -> str:
    """Two units at most: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return "-"
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, below, below_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name} {rest} {below_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def age(text: str | None, now: datetime) -> str:
    """How long ago, as kubectl writes it in tables: `5s`, `12m`, `3h`, `9d`; `-` if never."""
    seconds = seconds_between(text, now)
    if seconds is None:
        return "-"
    number, unit = _one_unit(seconds)
    return f"{number}{unit[0]}"


def ago(text: str | None, now: datetime) -> str:
    """`3 h ago`, `12 min ago`, `just now`, `never`."""
    seconds = seconds_between(text, now)
    if seconds is None:
        return "never"
    number, unit = _one_unit(seconds)
    return "just now" if seconds < 5 else f"{number} {unit} ago"


def _one_unit(seconds: float) -> tuple[int, str]:
    # Hours up to two days: `30 h` says more than `1 d`.
    for unit, name, least in ((86400, "d", 2 * 86400), (3600, "h", 3600), (60, "min", 60)):
        if seconds >= least:
            return int(seconds // unit), name
    return max(int(seconds), 0), "s"


def local_time(text: str | None) -> str:
    """A time of the API in the reader's own zone, to the second: `2026-11-24 21:32:25`."""
    when = moment(text)
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when else "-"


def when(text: str | None, now: datetime) -> str:
    """Both: `2026-11-24 21:32:25, 3 h ago`."""
    return f"{local_time(text)}, {ago(text, now)}" if text else "never"


_PLAIN_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def field_path(pointer: str) -> str:
    """A JSON Pointer as people write fields: `spec.containers[0].image`, `metadata.annotations["a.b/c"]`."""
    if not pointer.startswith("/"):
        return printable(pointer)
    out = ""
    for token in pointer[1:].split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        if name.isdigit():
            out += f"[{name}]"
        elif name.startswith("[") and name.endswith("]"):
            out += printable(name)  # an item of a list, named by its key: `[name=web]`
        elif _PLAIN_WORD.fullmatch(name):
            out += f".{name}" if out else name
        else:
            out += f"[{json.dumps(printable(name), ensure_ascii=False)}]"
    return out


def value(given: Any) -> str:
    """A value of an object on one line, unmistakable: `3` is a number, `"3"` a text, `nginx:1.27` needs no quotes."""
    if given is None:
        return "null"
    if isinstance(given, str):
        quoted = json.dumps(given, ensure_ascii=False)
        return printable(quoted if _needs_quotes(given) else given)
    return printable(json.dumps(given, ensure_ascii=False, separators=(", ", ": ")))


def _needs_quotes(text: str) -> bool:
    if not text or text != text.strip() or any(mark in text for mark in '"\n\t\r\\'):
        return True
    return text in {"true", "false", "null", "(hidden)"} or (text[0] in "[{-+.0123456789" and _is_json(text))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def shortened(text: str, width: int) -> str:
    """`text` cut to `width` characters in the middle: both ends of an image or a path tell something."""
    if len(text) <= width:
        return text
    head = max((width - 1) * 2 // 3, 1)
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}" if width > 2 else text[:width]
