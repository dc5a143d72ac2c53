"""What one version holds, read through its index."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

import orjson

from chalicelib.domain.errors import Damaged
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow, Manifest
from chalicelib.store import layout
from chalicelib.store.index import CompactIndex, read_index
from chalicelib.store.segments import SegmentReader

OBJECTS = "objects"
DOCUMENT = "document"
#: Segments that are fetched ahead of the one that is read.
_AHEAD = 4


class VersionObjects:
    """The index, the document's text and the objects of one version. Everything read is verified (`Damaged`)."""

    def __init__(self, reader: SegmentReader, manifest: Manifest) -> None:
        self._reader = reader
        self._manifest = manifest

    def document(self) -> str:
        """The document's text as it was."""
        return self._reader.get(self._manifest.document, DOCUMENT).decode()

    def read_index(self) -> Iterator[IndexRow]:
        """The rows, sorted by key, one segment of the index in memory."""
        return read_index(self._reader, self._manifest.application, self._manifest.index)

    def load_index(self) -> CompactIndex:
        """The whole index in memory, to look up keys in."""
        return CompactIndex.of(self.read_index())

    def read_object(self, row: IndexRow) -> dict[str, Any]:
        """The line of one object: `{"object": …, …}` as the backup wrote it."""
        return self._parse(row, self._reader.get(row.segment, OBJECTS))

    def read_objects(
        self, rows: Iterable[IndexRow], executor: Executor | None = None
    ) -> Iterator[tuple[ObjectKey, dict[str, Any]]]:
        """The lines of many objects, each segment read once; an `executor` fetches the next few ahead.

        The order is that of the rows, but for rows of one segment, which come together.
        """
        by_segment: dict[str, list[IndexRow]] = {}
        for row in rows:
            by_segment.setdefault(row.segment, []).append(row)
        for name, plain in self._fetch(list(by_segment), executor):
            for row in by_segment[name]:
                yield row.key, self._parse(row, plain)

    def _fetch(self, names: list[str], executor: Executor | None) -> Iterator[tuple[str, bytes]]:
        if executor is None:
            for name in names:
                yield name, self._reader.get(name, OBJECTS)
            return
        ahead = deque((name, executor.submit(self._reader.get, name, OBJECTS)) for name in names[:_AHEAD])
        for following in [*names[_AHEAD:], *[None] * len(ahead)]:
            name, future = ahead.popleft()
            if following is not None:
                ahead.append((following, executor.submit(self._reader.get, following, OBJECTS)))
            yield name, future.result()

    def _parse(self, row: IndexRow, plain: bytes) -> dict[str, Any]:
        line = plain[row.offset : row.offset + row.length]
        try:
            parsed = orjson.loads(line) if len(line) == row.length else None
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        # The segment is authentic, so it is the row that leads elsewhere.
        key = layout.segment(self._manifest.application, row.segment)
        raise Damaged(f"{row.key} is not where the index says in `{key}`.", details={"key": key})
