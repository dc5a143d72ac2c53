"""The smallest thing that keeps the promises: a dictionary. For tests; it ends with its process."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice

from chalicelib.store.backend import Blob, Changed, Exists, Guard, Listed, Written


@dataclass(frozen=True, slots=True)
class _Entry:
    data: bytes
    etag: str
    modified: datetime


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class MemoryBackend:
    """`Backend` in a dictionary. `clock` is what it takes for the storage's own clock."""

    patience = 1.0

    def __init__(self, clock: Callable[[], datetime] = _wall_clock) -> None:
        self._entries: dict[str, _Entry] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._clock = clock
        self._guard: Guard | None = None

    def describe(self) -> str:
        return "memory:"

    def check(self) -> None:
        """A dictionary under a lock needs no trial."""

    def now(self) -> datetime:
        return self._clock()

    def guarded(self, guard: Guard) -> MemoryBackend:
        view = copy.copy(self)
        view._guard = guard
        return view

    def get(self, key: str) -> Blob | None:
        entry = self._entries.get(key)
        return Blob(entry.data, entry.etag, self.now()) if entry else None

    def beginning(self, key: str, most: int) -> bytes | None:
        entry = self._entries.get(key)
        return entry.data[:most] if entry else None

    def create(self, key: str, data: bytes) -> Written:
        self._before_write()
        with self._lock:
            if key in self._entries:
                raise Exists(key)
            return self._put(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> Written:
        self._before_write()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.etag != etag:
                raise Changed(key)
            return self._put(key, data)

    def delete(self, key: str) -> None:
        self._before_write()
        with self._lock:
            self._entries.pop(key, None)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None, deep: bool = True) -> Iterator[Listed]:
        with self._lock:
            found = sorted(
                Listed(key, len(entry.data), entry.modified)
                for key, entry in self._entries.items()
                if key.startswith(prefix) and key > after and (deep or "/" not in key[len(prefix) :])
            )
        yield from islice(found, limit)

    def folders(self, prefix: str) -> Iterator[str]:
        with self._lock:
            rests = [key[len(prefix) :] for key in self._entries if key.startswith(prefix)]
        yield from sorted({rest.partition("/")[0] for rest in rests if "/" in rest})

    def _before_write(self) -> None:
        if self._guard is not None:
            self._guard()

    def _put(self, key: str, data: bytes) -> Written:
        entry = _Entry(bytes(data), f'"{next(self._numbers)}"', self.now())
        self._entries[key] = entry
        return Written(entry.etag, entry.modified)
