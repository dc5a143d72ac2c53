"""Content of objects on its way into segments, as it is read.

A listing with much content is packed by itself, in the server's order, while it is being read. What little the other
listings bring is packed together at the end: a version of an ordinary application is a handful of segments, not one
for each kind.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from chalicelib.cluster.listing import Listing
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.version import IndexRow, SegmentRef
from chalicelib.engine.capture.rows import Row
from chalicelib.planning.bodies.normalise import canonical_line
from chalicelib.store.index import write_index
from chalicelib.store.packing import Packer
from chalicelib.store.segments import SegmentWriter

#: Bytes of lines from which a listing is packed by itself.
_LARGE = 256 * 1024
_UPLOADS = 8


class Places:
    """Where lines are that an earlier turn has packed: like a packer that has finished."""

    def __init__(self, segments: Iterable[SegmentRef]) -> None:
        self._segments = tuple(segments)
        self._segment, self._offset, self._length = array("I"), array("I"), array("I")

    def add(self, segment: int, offset: int, length: int) -> int:
        """One more line, in the segment of that number; its ticket."""
        for column, value in zip((self._segment, self._offset, self._length), (segment, offset, length), strict=True):
            column.append(value)
        return len(self._length) - 1

    def finish(self) -> tuple[SegmentRef, ...]:
        """The segments."""
        return self._segments

    def place(self, ticket: int) -> tuple[str, int, int]:
        """Segment, offset and length of a line."""
        return self._segments[self._segment[ticket]].name, self._offset[ticket], self._length[ticket]


@dataclass(slots=True)
class _Unit:
    """Of one listing: its lines while they are few, or the packer that takes them."""

    number: int
    lines: list[tuple[ObjectKey, bytes]] = field(default_factory=list)
    size: int = 0
    packer: Packer | Places | None = None
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
        #: Listings of which much was packed already, by earlier turns.
        self._large: set[Listing] = set()

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
        # The packer ends each line itself.
        return self._put(listing, key, canonical_line(content)[:-1])

    def _put(self, listing: Listing, key: ObjectKey, line: bytes) -> int:
        unit = self._current.get(listing)
        if unit is None:
            unit = self._current[listing] = self._unit()
            if listing in self._large:
                self._pack_alone(unit)
        if isinstance(unit.packer, Packer):
            ticket = unit.packer.add(key, line)
        else:
            ticket = len(unit.lines)
            unit.lines.append((key, line))
            unit.size += len(line)
            if unit.size >= _LARGE:
                self._pack_alone(unit)
        return unit.number << 32 | ticket

    def _unit(self) -> _Unit:
        self._units.append(_Unit(len(self._units)))
        return self._units[-1]

    def restart(self, listing: Listing) -> None:
        """What was packed of it is nobody's: it is not in the index, and a later sweep removes it."""
        unit = self._current.pop(listing, None)
        if unit is not None:
            unit.lines.clear()

    def _pack_alone(self, unit: _Unit) -> None:
        unit.packer = packer = Packer(self._writer, executor=self._pool)
        for key, line in unit.lines:
            packer.add(key, line)
        unit.lines.clear()

    # ── between two turns ───────────────────────────────────────────────────────────────────────────────

    def settle(self, listing: Listing) -> tuple[SegmentRef, ...]:
        """Store what is packed of a listing by itself; its segments. What follows of it begins a new one."""
        unit = self._current.get(listing)
        if unit is None or unit.packer is None:
            return ()
        del self._current[listing]
        self._large.add(listing)
        return tuple(unit.packer.finish())

    def line(self, token: int) -> bytes | tuple[str, int, int]:
        """An object's line, or where it is stored (once its listing is settled)."""
        unit, ticket = self._units[token >> 32], token & 0xFFFFFFFF
        if unit.packer is None:
            return unit.lines[ticket][1]
        return unit.packer.place(unit.first + ticket)

    def put_back(self, listing: Listing, key: ObjectKey, line: bytes) -> int:
        """Take a line that an earlier turn has kept; its token."""
        return self._put(listing, key, line)

    def put_back_places(self, listing: Listing, places: Places) -> int:
        """Take what an earlier turn has packed; add a ticket of `places` for the token of its line."""
        unit = self._unit()
        unit.packer = places
        self._large.add(listing)
        return unit.number << 32

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
