"""The wake index: everything that must happen later, ordered by time.

An entry is a key, `control/wake/<time>/<app>/<reason>-<random>`, and what is due is the beginning of one listing.
It is a hint: who finds it looks at the documents, writes the next entry before deleting this one, and deletes only
the very key that was read. So whatever happens in between, somebody looks again; at worst once too often.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from chalicelib.domain.errors import Malformed
from chalicelib.domain.ids import parse_id
from chalicelib.store import layout
from chalicelib.store.backend import Backend
from chalicelib.store.once import write_once

_REASON = re.compile(r"[a-z](?:[a-z-]{0,38}[a-z])?")
_KEY = re.compile(
    rf"{layout.WAKE}(?P<time>\d{{8}}T\d{{6}}\.\d{{3}}Z)/(?P<application>app-[0-9a-z]{{26}})/(?P<reason>[a-z-]+)-[0-9a-f]+"
)
_EMPTY = b"{}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: when to look at which application, and why. `payload` is the reason's own."""

    key: str
    at: datetime
    application: str
    reason: str
    payload: Mapping[str, Any] = field(default_factory=dict)


class WakeIndex:
    """What must happen later."""

    def __init__(self, control: Backend) -> None:
        self._control = control

    def add(self, at: datetime, application: str, reason: str, payload: Mapping[str, Any] | None = None) -> Entry:
        """Write that `application` is to be looked at from `at` on. `reason`: lower-case letters and dashes."""
        if _REASON.fullmatch(reason) is None:
            raise Malformed(f"{reason[:60]!r} is not a reason to wake.")
        random = secrets.token_hex(8)
        key = f"{layout.WAKE}{layout.wake_time(at)}/{parse_id(application, 'app')}/{reason}-{random}"
        data = orjson.dumps(dict(payload)) if payload else _EMPTY
        # The key is random: if it exists, an earlier attempt wrote it and its answer was lost.
        write_once(self._control, key, data)
        return Entry(key, at, application, reason, dict(payload or {}))

    def due(self, now: datetime, *, limit: int = 1000) -> Iterator[Entry]:
        """What is due at `now` (the storage's clock), oldest first. Reads only that part of the index."""
        latest = layout.wake_time(now)
        for listed in self._control.list(layout.WAKE, limit=limit):
            match = _KEY.fullmatch(listed.key)
            if match is None:
                continue
            if match["time"] > latest:
                return
            entry = self._read(match, listed.size)
            if entry is not None:
                yield entry

    def find(self, key: str) -> Entry | None:
        """The entry with this key; `None` if somebody was through with it, or if it is no key of an entry."""
        match = _KEY.fullmatch(key)
        blob = self._control.get(key) if match is not None else None
        return self._entry(match, blob.data) if match is not None and blob is not None else None

    def remove(self, entry: Entry) -> None:
        """Delete exactly this entry."""
        self._control.delete(entry.key)

    def _read(self, match: re.Match[str], size: int) -> Entry | None:
        if size <= len(_EMPTY):
            return self._entry(match, _EMPTY)
        blob = self._control.get(match[0])
        return self._entry(match, blob.data) if blob is not None else None  # another worker was through with it

    def _entry(self, match: re.Match[str], data: bytes) -> Entry:
        payload: dict[str, Any] = {}
        # Should its bytes be damaged, the application is looked at all the same.
        with contextlib.suppress(ValueError):
            payload = dict(orjson.loads(data))
        return Entry(match[0], _moment(match["time"]), match["application"], match["reason"], payload)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
