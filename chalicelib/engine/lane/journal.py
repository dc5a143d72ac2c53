"""What a step finds out, line by line, kept beside its operation: the next turn goes on from there.

Lines are facts that stay true however late they come: what a manifest names, that a segment was whole. So it does no
harm if one comes twice, or from a worker that was taken for dead, and nothing has to say which of them count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType

from chalicelib.domain.errors import Yielded
from chalicelib.engine.lane.work import Work

#: Bytes of lines in one part, and seconds after which they are kept in the middle of a turn: a worker may be killed.
_PART_BYTES = 4 * 1024 * 1024
_NOW_AND_THEN = 60.0


class Journal:
    """The lines of one operation under one name. Use as a context: leaving it because the operation goes back into
    the line keeps what there is. Safe to add to from several threads."""

    def __init__(self, work: Work, name: str) -> None:
        self._work = work
        self._name = name
        self._lines: list[bytes] = []
        self._bytes = 0
        self._kept_at = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, Yielded):
            self._keep()

    def earlier(self) -> Iterator[bytes]:
        """The lines that earlier turns have kept, and those of this one."""
        operation = self._work.operation
        yield from self._work.repository.operations.read_lines(operation.application, operation.id, self._name)
        yield from list(self._lines)

    def add(self, line: bytes) -> None:
        """One more line: one JSON text."""
        with self._lock:
            self._lines.append(line)
            self._bytes += len(line)

    def forget(self) -> None:
        """Nobody needs the lines any more."""
        with self._lock:
            self._lines, self._bytes = [], 0
        if f"{self._name}Lines" in self._work.checkpoint:
            operation = self._work.operation
            self._work.repository.operations.remove_parts(operation.application, operation.id, self._name)

    def settle(self) -> None:
        """Between two pieces of work: keep what there is, if it is much or was not done for a while."""
        if self._bytes >= _PART_BYTES or time.monotonic() - self._kept_at >= _NOW_AND_THEN:
            self._keep()

    def _keep(self) -> None:
        self._kept_at = time.monotonic()
        with self._lock:
            lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            self._work.put_part(self._name, self._work.next_number(self._name), lines)
            # That it is written down is what tells that this turn got somewhere.
            told = f"{self._name}Lines"
            self._work.note(**{told: self._work.checkpoint.get(told, 0) + len(lines)})
