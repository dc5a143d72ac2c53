"""Pages of lists: an opaque cursor that says after which item the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.domain.errors import Malformed

Item = TypeVar("Item")


def cursor(last: str) -> str:
    """The cursor of the page after `last`."""
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode().rstrip("=")


def after(next_: str | None) -> str | None:
    """The last item of the page before; `Malformed` if the cursor is not one of ours."""
    if next_ is None:
        return None
    try:
        text = base64.urlsafe_b64decode(next_ + "=" * (-len(next_) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    if not text.startswith("after:"):
        raise Malformed("`next` is not what an earlier answer gave as `next`.")
    return text.removeprefix("after:")


def offset(next_: str | None) -> int:
    """The cursor of a list by number: how many items come before."""
    text = after(next_)
    if text is None:
        return 0
    if not text.isdecimal() or len(text) > 12:
        raise Malformed("`next` is not what an earlier answer gave as `next`.")
    return int(text)


def numbered(rows: list[Item], start: int, limit: int) -> tuple[list[Item], str | None]:
    """Of `limit + 1` rows, read from number `start` on, those of the page, and the cursor of the one after it."""
    return rows[:limit], cursor(str(start + limit)) if len(rows) > limit else None


def take(items: Iterable[Item], limit: int, key: Callable[[Item], str]) -> tuple[list[Item], str | None]:
    """The first `limit` items, and the cursor of the page after them if there is one more."""
    page: list[Item] = []
    for item in items:
        if len(page) == limit:
            return page, cursor(key(page[-1]))
        page.append(item)
    return page, None
