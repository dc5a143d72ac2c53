"""A version's table of contents: one row per object, in segments of content `index`, sorted by key.

A row is a line: `[group, kind, namespace, name, digest in hex, segment, offset, length]`. The rows are cut into
segments by the objects' names, as the objects are, so an index whose neighbourhood did not change is stored already.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

import orjson

from chalicelib.domain.errors import Damaged
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow, SegmentRef
from chalicelib.store import layout
from chalicelib.store.packing import Packer
from chalicelib.store.segments import SegmentReader, SegmentWriter

CONTENT = "index"
_DIGEST_BYTES = 32
_NOWHERE = (("", ""), 0, 0, 0)


def write_index(
    writer: SegmentWriter, rows: Iterable[IndexRow], executor: Executor | None = None
) -> tuple[SegmentRef, ...]:
    """Store rows that are sorted by key, each key once (`ValueError` if they are not); the segments, in order."""
    packer = Packer(writer, CONTENT, executor)
    before: ObjectKey | None = None
    for row in rows:
        if before is not None and row.key <= before:
            raise ValueError(f"the index is not sorted: {row.key} after {before}")
        before = row.key
        packer.add(row.key, orjson.dumps([*row.key, row.digest.hex(), row.segment, row.offset, row.length]))
    return tuple(packer.finish())


def read_index(reader: SegmentReader, application: str, segments: Iterable[SegmentRef]) -> Iterator[IndexRow]:
    """The rows, sorted by key, one segment in memory at a time. `Damaged` names the segment's key."""
    for segment in segments:
        for line in reader.get(segment, CONTENT).removesuffix(b"\n").split(b"\n"):
            try:
                group, kind, namespace, name, digest, held_in, offset, length = orjson.loads(line)
                yield IndexRow(
                    ObjectKey(group, kind, namespace, name), bytes.fromhex(digest), held_in, int(offset), int(length)
                )
            except (ValueError, TypeError) as error:
                key = layout.segment(application, segment.name)
                raise Damaged(f"The index in `{key}` cannot be read.", details={"key": key}) from error


class CompactIndex:
    """An index in memory, in columns: about 50 bytes per row beside the names.

    Rows are appended in the order of their keys (`ValueError` otherwise). Iterating gives them back in that order.
    Looking up keys in that order needs no search. Safe to read from several threads.
    """

    def __init__(self) -> None:
        self._kinds: list[tuple[str, str]] = []
        #: Where the rows of each kind begin.
        self._kind_begins = array("I")
        self._names = bytearray()
        self._name_ends = array("I")
        self._digests = bytearray()
        self._segments: list[str] = []
        self._segment_numbers: dict[str, int] = {}
        self._segment = array("I")
        self._offset = array("I")
        self._length = array("I")
        self._last: ObjectKey | None = None
        #: What was looked up last: its kind, where that begins and ends, and the row after it. One value, so that
        #: threads see all of it or none.
        self._at: tuple[tuple[str, str], int, int, int] = _NOWHERE

    @classmethod
    def of(cls, rows: Iterable[IndexRow]) -> CompactIndex:
        """An index of sorted rows."""
        index = cls()
        for row in rows:
            index.append(row)
        return index

    def append(self, row: IndexRow) -> None:
        """Take the next row."""
        key = row.key
        if self._last is not None and key <= self._last:
            raise ValueError(f"the index is not sorted: {key} after {self._last}")
        if self._last is None or key[:2] != self._last[:2]:
            self._kinds.append((key.group, key.kind))
            self._kind_begins.append(len(self))
        self._last = key
        self._at = _NOWHERE
        self._names += _name(key)
        self._name_ends.append(len(self._names))
        self._digests += row.digest
        number = self._segment_numbers.setdefault(row.segment, len(self._segments))
        if number == len(self._segments):
            self._segments.append(row.segment)
        self._segment.append(number)
        self._offset.append(row.offset)
        self._length.append(row.length)

    def __len__(self) -> int:
        return len(self._name_ends)

    def __iter__(self) -> Iterator[IndexRow]:
        for group, kind in self._kinds:
            yield from self.rows_of(group, kind)

    def rows_of(self, group: str, kind: str) -> Iterator[IndexRow]:
        """The rows of one kind, in order."""
        begin, end = self._range((group, kind))
        for row in range(begin, end):
            yield self._row(group, kind, row)

    def get(self, key: ObjectKey) -> IndexRow | None:
        """The row of one object."""
        row = self._find(key)
        return None if row is None else self._row(key.group, key.kind, row)

    def digest(self, key: ObjectKey) -> bytes | None:
        """The digest of one object: less work than its row."""
        row = self._find(key)
        return None if row is None else self._digest(row)

    def __contains__(self, key: ObjectKey) -> bool:
        return self._find(key) is not None

    @property
    def nbytes(self) -> int:
        """Bytes in memory, names included."""
        columns = (self._kind_begins, self._name_ends, self._segment, self._offset, self._length)
        fixed = sum(column.itemsize * len(column) for column in columns)
        return fixed + len(self._names) + len(self._digests) + sum(len(name) + 120 for name in self._segments)

    def _find(self, key: ObjectKey) -> int | None:
        wanted, (kind, begin, end, row) = _name(key), self._at
        if kind != (key.group, key.kind):
            kind = (key.group, key.kind)
            begin, end = self._range(kind)
            row = begin
        if row >= end or self._name_of(row) != wanted:
            row = bisect_left(range(end), wanted, lo=begin, key=self._name_of)
            if row == end or self._name_of(row) != wanted:
                return None
        self._at = (kind, begin, end, row + 1)
        return row

    def _range(self, kind: tuple[str, str]) -> tuple[int, int]:
        number = bisect_left(self._kinds, kind)
        if number == len(self._kinds) or self._kinds[number] != kind:
            return 0, 0
        last = number + 1 == len(self._kinds)
        return self._kind_begins[number], len(self) if last else self._kind_begins[number + 1]

    def _digest(self, row: int) -> bytes:
        return bytes(self._digests[row * _DIGEST_BYTES : (row + 1) * _DIGEST_BYTES])

    def _name_of(self, row: int) -> bytes:
        return bytes(self._names[self._name_ends[row - 1] if row else 0 : self._name_ends[row]])

    def _row(self, group: str, kind: str, row: int) -> IndexRow:
        namespace, _, name = self._name_of(row).decode().partition("\0")
        segment = self._segments[self._segment[row]]
        key = ObjectKey(group, kind, namespace, name)
        return IndexRow(key, self._digest(row), segment, self._offset[row], self._length[row])


def _name(key: ObjectKey) -> bytes:
    # The zero byte sorts before everything, so these bytes sort as the pair does.
    return f"{key.namespace}\0{key.name}".encode()
