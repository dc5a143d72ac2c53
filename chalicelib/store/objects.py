"""What one version holds, read through its index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

    def read_objects(self, rows: Iterable[IndexRow]) -> Iterator[tuple[ObjectKey, dict[str, Any]]]:
        """Objects as the backup wrote them, each segment read once.

        The order is that of the rows, but for rows of one segment, which come together.
        """
        by_segment: dict[str, list[IndexRow]] = {}
        for row in rows:
            by_segment.setdefault(row.segment, []).append(row)
        for name, found in by_segment.items():
            plain = self._reader.get(name, OBJECTS)
            for row in found:
                yield row.key, self._parse(row, plain)

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
