"""Content of objects on its way into segments, as it is read.

A listing with much content is packed by itself, in the server's order, while it is being read. What little the other
listings bring is packed together at the end: a version of an ordinary application is a handful of segments, not one
for each kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from chalicelib.cluster.listing import Listing
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.version import IndexRow, SegmentRef
from chalicelib.engine.reading import Row
from chalicelib.planning.normalise import canonical_line
from chalicelib.store.index import write_index
from chalicelib.store.packing import Packer
from chalicelib.store.segments import SegmentWriter

#: Bytes of lines from which a listing is packed by itself.
_LARGE = 256 * 1024
_UPLOADS = 8


@dataclass(slots=True)
class _Unit:
    """One listing: its lines while they are few, or the packer that takes them."""

    number: int
    lines: list[tuple[ObjectKey, bytes]] = field(default_factory=list)
    size: int = 0
    packer: Packer | None = None
    #: Ticket of its first line in the packer.
    first: int = 0


class PackingVisitor:
    """Packs what is read. Use as a context: leaving it ends the uploads."""

    keeps_raw = False

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._pool = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="upload")
        self._units: list[_Unit] = []
        self._current: dict[Listing, _Unit] = {}

    def __enter__(self) -> PackingVisitor:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def misses(self, key: ObjectKey) -> bool:  # noqa: ARG002
        """Only what belongs to the version has a row."""
        return False

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:  # noqa: ARG002
        """Pack one object; the token says where it will be found."""
        unit = self._current.get(listing)
        if unit is None:
            unit = self._current[listing] = _Unit(len(self._units))
            self._units.append(unit)
        # The packer ends each line itself.
        line = canonical_line(content)[:-1]
        if unit.packer is not None:
            ticket = unit.packer.add(key, line)
        else:
            ticket = len(unit.lines)
            unit.lines.append((key, line))
            unit.size += len(line)
            if unit.size >= _LARGE:
                self._pack_alone(unit)
        return unit.number << 32 | ticket

    def restart(self, listing: Listing) -> None:
        """What was packed of it is nobody's: it is not in the index, and a later sweep removes it."""
        unit = self._current.pop(listing, None)
        if unit is not None:
            unit.lines.clear()

    def _pack_alone(self, unit: _Unit) -> None:
        unit.packer = Packer(self._writer, executor=self._pool)
        for key, line in unit.lines:
            unit.packer.add(key, line)
        unit.lines.clear()

    def finish(self, rows: Iterable[Row]) -> Packed:
        """Store the rest and the index of `rows`, which are sorted by key."""
        together = Packer(self._writer, executor=self._pool)
        for unit in sorted((each for each in self._units if each.lines), key=lambda each: each.lines[0][0]):
            unit.packer, unit.first = together, len(together)
            for key, line in unit.lines:
                together.add(key, line)
            unit.lines.clear()
        packers = {id(unit.packer): unit.packer for unit in self._units if unit.packer is not None}
        segments = {ref.name: ref for packer in packers.values() for ref in packer.finish()}
        told = _Told()
        index = write_index(self._writer, told.of(map(self._index_row, rows)), self._pool)
        return Packed(
            index=index,
            segments=tuple(ref for name, ref in segments.items() if name in told.segments),
            plain_bytes=told.bytes,
        )

    def _index_row(self, row: Row) -> IndexRow:
        unit = self._units[row.token >> 32]
        assert unit.packer is not None  # noqa: S101  # `finish` has packed them all
        segment, offset, length = unit.packer.place(unit.first + (row.token & 0xFFFFFFFF))
        return IndexRow(row.key, row.digest, segment, offset, length)


@dataclass(slots=True)
class _Told:
    """What the rows of an index come to as they go by: there are too many to keep."""

    segments: set[str] = field(default_factory=set)
    bytes: int = 0

    def of(self, rows: Iterable[IndexRow]) -> Iterator[IndexRow]:
        """The rows."""
        for row in rows:
            self.segments.add(row.segment)
            self.bytes += row.length
            yield row


@dataclass(frozen=True, slots=True)
class Packed:
    """Where everything is: the segments of the index in order, those of the objects, and bytes of their lines."""

    index: tuple[SegmentRef, ...]
    segments: tuple[SegmentRef, ...]
    plain_bytes: int
