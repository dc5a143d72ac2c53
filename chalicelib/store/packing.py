"""From objects' lines to segments: cut, stored while the next ones come, and where each line went."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow, SegmentRef
from chalicelib.store.cutting import MOST, Cutter, rank
from chalicelib.store.segments import SegmentWriter

#: Segments that one packer lets wait to be stored: with 256 KiB each, a few MiB of memory.
_MOST_WAITING = 8


class Packer:
    """Packs the lines of one kind, in the order in which they come. Not to be shared between threads.

    Each `add` gives a ticket (0, 1, 2, …); after `finish`, `place(ticket)` says where the line is. An `executor`
    stores the segments beside; without one they are stored here. What fails to be stored is raised by `add` or
    `finish`. A line is whatever bytes the caller gives, ended by a newline that is added here.
    """

    def __init__(self, writer: SegmentWriter, content: str = "objects", executor: Executor | None = None) -> None:
        self._writer = writer
        self._content = content
        self._executor = executor
        self._cutter = Cutter()
        #: Lines of the run that wait for their segment, with their tickets.
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._names: list[str] = []
        self._futures: list[Future[SegmentRef]] = []
        self._segment, self._offset, self._length = array("I"), array("I"), array("I")
        self._plain = 0

    def __len__(self) -> int:
        return len(self._length)

    @property
    def plain_bytes(self) -> int:
        """Bytes of the lines so far."""
        return self._plain

    @property
    def nbytes(self) -> int:
        """Bytes that the places take, for `bench`. (The lines that wait are not counted: a segment or two.)"""
        return sum(column.itemsize * len(column) for column in (self._segment, self._offset, self._length))

    def add(self, key: ObjectKey, line: bytes) -> int:
        """Take the next line; its ticket."""
        ticket = len(self._length)
        self._segment.append(0)
        self._offset.append(0)
        self._length.append(len(line))
        self._plain += len(line) + 1
        if len(line) >= MOST:
            self._store([(ticket, line)])
        else:
            for count in self._cutter.add(rank(key), len(line) + 1):
                self._take(count)
            self._waiting.append((ticket, line))
        return ticket

    def finish(self) -> list[SegmentRef]:
        """Store what waits and wait for all of it: every segment the lines went to, each once, in order."""
        for count in self._cutter.finish():
            self._take(count)
        return list({future.result().name: future.result() for future in self._futures}.values())

    def place(self, ticket: int) -> tuple[str, int, int]:
        """Segment, offset and length (without the newline) of a line. Known once its segment was cut."""
        return self._names[self._segment[ticket]], self._offset[ticket], self._length[ticket]

    def pack(self, lines: Iterable[tuple[ObjectKey, bytes, bytes]]) -> Iterator[IndexRow]:
        """`add` for a stream of (key, line, digest), then `finish`: the rows of the index, in the stream's order."""
        keys: list[tuple[ObjectKey, bytes]] = []
        for key, line, digest in lines:
            self.add(key, line)
            keys.append((key, digest))
        self.finish()
        first = len(self) - len(keys)
        for number, (key, digest) in enumerate(keys):
            yield IndexRow(key, digest, *self.place(first + number))

    def _take(self, count: int) -> None:
        self._store([self._waiting.popleft() for _ in range(count)])

    def _store(self, lines: list[tuple[int, bytes]]) -> None:
        offset = 0
        for ticket, line in lines:
            self._segment[ticket] = len(self._names)
            self._offset[ticket] = offset
            offset += len(line) + 1
        plain = b"\n".join([line for _, line in lines]) + b"\n"
        name, future = self._writer.begin(self._content, plain, self._executor)
        self._names.append(name)
        self._futures.append(future)
        if len(self._futures) > _MOST_WAITING:
            # Not more than a few in memory; and what fails is told before the cluster is read to its end.
            self._futures[-_MOST_WAITING - 1].result()
