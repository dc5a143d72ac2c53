"""Condemned lists: the names of segments that nobody may count on any more, whether they are still there or not.

A sweep writes one before it deletes anything (`docs/sweep.md`); whoever finds a segment damaged may write one, so
that the next backup stores the content again. To be condemned kills nothing: what a version refers to stays.

    vault/<app>/condemned/<ulid>.json = {"keys": ["vault/<app>/segments/<hh>/<name>", …], "by": "…"}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from chalicelib.domain.errors import Damaged
from chalicelib.domain.ids import ulid
from chalicelib.store import layout
from chalicelib.store.backend import Backend, Listed
from chalicelib.store.once import write_once

#: Names in one list: about 1 MB.
_MOST = 8000


@dataclass(frozen=True, slots=True)
class CondemnedList:
    """One list: its key, when it was written (the storage's clock), and the names on it."""

    key: str
    written: datetime
    names: frozenset[str]


def lists(backend: Backend, application: str) -> Iterator[CondemnedList]:
    """Every list of an application. `Damaged` names one that cannot be read: what is on it is not known."""
    for listed in backend.list(layout.condemned(application)):
        found = _read(backend, listed)
        if found is not None:
            yield found


def unreadable(backend: Backend, application: str) -> Iterator[Damaged]:
    """What is wrong with each list that cannot be read."""
    for listed in backend.list(layout.condemned(application)):
        try:
            _read(backend, listed)
        except Damaged as error:
            yield error


def _read(backend: Backend, listed: Listed) -> CondemnedList | None:
    blob = backend.get(listed.key)
    if blob is None:
        return None  # a sweep that is through with it removes it
    try:
        keys = orjson.loads(blob.data)["keys"]
        names = frozenset(str(key).rpartition("/")[2] for key in keys)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"The list `{listed.key}` cannot be read.", details={"key": listed.key}) from error
    return CondemnedList(listed.key, listed.modified, names)


def keys(backend: Backend, application: str) -> frozenset[str]:
    """The keys of the lists there are, unread: one request."""
    return frozenset(listed.key for listed in backend.list(layout.condemned(application)))


def condemn(backend: Backend, application: str, names: Collection[str], by: str) -> None:
    """Condemn segments. When this returns, whoever looks sees it."""
    ordered = sorted(names)
    for start in range(0, len(ordered), _MOST):
        told = {"keys": [layout.segment(application, name) for name in ordered[start : start + _MOST]], "by": by}
        # The name is new: what is there is this very write, whose answer was lost.
        write_once(backend, layout.condemned_list(application, ulid(backend.now())), orjson.dumps(told))
