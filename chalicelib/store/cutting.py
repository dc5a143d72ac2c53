"""Where a run of lines is cut into segments: a rule that depends on the lines' names and sizes around the cut only.

Each line has a rank, a hash of its name. A segment begins at a line whose rank is the highest among all lines that
begin within `REACH` bytes before or after it (a *local maximum*). So
  - two cuts are never nearer than `REACH`, and on average twice that apart (256 KiB);
  - whether a line is a cut depends on its neighbourhood alone and not, as with cutting "every so many bytes", on
    where the cut before was: what is inserted, changed or removed alters the segment it lies in and at most the
    segments to the left and right of it, and the rest of the repository's content stays as it is;
  - the content of an object never moves a cut, only its size can, by pushing a line out of another's reach.

A line of more than `MOST` bytes is a segment of its own and no part of the run. Should no cut come for `MOST`
bytes (ranks that rise for so long are rare), the highest rank in the middle of the run is cut at, and the next
local maximum brings the run back in step.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from chalicelib.domain.objects import ObjectKey

KIB = 1024
#: The least a segment holds, unless there is no more, or what stands beside it is large.
LEAST = 64 * KIB
REACH = 128 * KIB
MOST = 1024 * KIB


def rank(key: ObjectKey) -> int:
    """The rank of an object's line: 64 bits of the BLAKE2b of its identity, the four parts joined by zero bytes."""
    return int.from_bytes(hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest(), "big")


@dataclass(slots=True)
class Cutter:
    """Tells, line by line, how many of the lines that wait make up the next segment."""

    _begins: deque[int] = field(default_factory=deque)
    _ranks: deque[int] = field(default_factory=deque)
    #: Lines of the last `REACH` bytes that no later line outranks: their begins and ranks, ranks falling.
    _higher: deque[tuple[int, int]] = field(default_factory=deque)
    _candidate: int | None = None
    _begin: int = 0
    _end: int = 0

    def add(self, line_rank: int, size: int) -> Iterator[int]:
        """Take one line of at most `MOST` bytes; yields the counts of the segments that are complete now.

        The counts are of lines in the order they were added, the oldest first; the new line waits in any case.
        """
        begin = self._end
        if self._candidate is not None and begin - self._candidate > REACH:
            yield self._cut(self._candidate)
        while begin + size - self._begin > MOST and self._begins:
            yield self._cut(self._forced())
        if self._is_highest_before(line_rank, begin):
            # The run's first lines are no place to cut, nor is a line at which a segment begins already.
            self._candidate = begin if begin >= LEAST and begin > self._begin else None
        self._begins.append(begin)
        self._ranks.append(line_rank)
        self._end = begin + size

    def finish(self) -> Iterator[int]:
        """The counts of the segments that are left."""
        if self._candidate is not None and self._end - self._candidate >= LEAST:
            yield self._cut(self._candidate)
        if self._begins:
            yield self._cut(self._end)

    def _is_highest_before(self, line_rank: int, begin: int) -> bool:
        while self._higher and begin - self._higher[0][0] > REACH:
            self._higher.popleft()
        while self._higher and self._higher[-1][1] < line_rank:
            self._higher.pop()
        highest = not self._higher
        self._higher.append((begin, line_rank))
        return highest

    def _forced(self) -> int:
        """Where to cut when the run got too long: the highest rank in its middle, else its end."""
        last = self._begin + MOST - REACH - LEAST
        middle = [
            (line_rank, begin)
            for begin, line_rank in zip(self._begins, self._ranks, strict=True)
            if self._begin + LEAST <= begin <= last
        ]
        return max(middle)[1] if middle else self._end

    def _cut(self, at: int) -> int:
        """The lines that begin before `at` leave; how many they were."""
        count = 0
        while self._begins and self._begins[0] < at:
            self._begins.popleft()
            self._ranks.popleft()
            count += 1
        self._begin = at
        if self._candidate is not None and self._candidate <= at:
            self._candidate = None
        return count
