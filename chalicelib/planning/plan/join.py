"""Two streams in the order of their keys, read side by side: what a version holds, and what is live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow

#: A live object that has an owner in the selection but is compared nevertheless (see `ownership_roots`).
OWNED = "owned"


class LiveRow(NamedTuple):
    """One live object as the planner needs it.

    `standing` is `""` for a root; else `owned`, or the `Reason` why a version would not hold it. Rows with a reason
    matter only where the version holds the object: without them it would be taken for missing.
    """

    key: ObjectKey
    #: SHA-256 of the normalised content, 32 bytes; `b""` where it was not looked at.
    digest: bytes
    uid: str
    resource_version: str
    standing: str = ""
    #: The uids of all its owners, controlling or not.
    owners: tuple[str, ...] = ()


Pair = tuple[IndexRow | None, LiveRow | None]

_Row = TypeVar("_Row", IndexRow, LiveRow)


def join(version: Iterable[IndexRow], live: Iterable[LiveRow]) -> Iterator[Pair]:
    """Every key of either stream once, in order. Raises `ValueError` if a stream is not in order: a plan made of
    that would delete what is there."""
    wanted, here = iter(_ordered(version, "version")), iter(_ordered(live, "live state"))
    left, right = next(wanted, None), next(here, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key < right.key):
            yield left, None
            left = next(wanted, None)
        elif left is None or right.key < left.key:
            yield None, right
            right = next(here, None)
        else:
            yield left, right
            left, right = next(wanted, None), next(here, None)


def _ordered(rows: Iterable[_Row], name: str) -> Iterator[_Row]:
    last: ObjectKey | None = None
    for row in rows:
        if last is not None and row.key <= last:
            raise ValueError(f"The rows of the {name} are not in order: {row.key} after {last}.")
        last = row.key
        yield row
