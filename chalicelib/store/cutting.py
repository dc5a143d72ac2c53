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
from collections.abc import Sequence

from chalicelib.domain.objects import ObjectKey

KIB = 1024
#: The least a segment holds, unless there is no more, or what stands beside it is large.
LEAST = 64 * KIB
REACH = 128 * KIB
MOST = 1024 * KIB

_NONE: Sequence[int] = ()


def rank(key: ObjectKey) -> int:
    """The rank of an object's line: 64 bits of the BLAKE2b of its identity, the four parts joined by zero bytes."""
    return int.from_bytes(hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest(), "big")


class Cutter:
    """Tells, line by line, how many of the lines that wait make up the next segment."""

    def __init__(self) -> None:
        #: The lines that wait, as (where it begins in the run, rank).
        self._lines: deque[tuple[int, int]] = deque()
        #: Lines of the last `REACH` bytes that no later line outranks; their ranks fall.
        self._higher: deque[tuple[int, int]] = deque()
        #: A line that is the highest of all before it within reach; those after it are still to come.
        self._candidate: int | None = None
        #: Where the segment that is being filled begins, and where the next line will.
        self._begin = 0
        self._end = 0

    def add(self, line_rank: int, size: int) -> Sequence[int]:
        """Take one line of at most `MOST` bytes; the counts of lines of the segments that are complete now.

        The lines of those segments are the oldest that wait; the new one waits in any case.
        """
        begin, higher = self._end, self._higher
        counts = self._cuts_before(begin, size)
        while higher and begin - higher[0][0] > REACH:
            higher.popleft()
        while higher and higher[-1][1] < line_rank:
            higher.pop()
        if not higher:
            # The run's first lines are no place to cut, nor is a line at which a segment begins already.
            self._candidate = begin if begin >= LEAST and begin > self._begin else None
        line = (begin, line_rank)
        higher.append(line)
        self._lines.append(line)
        self._end = begin + size
        return counts

    def finish(self) -> Sequence[int]:
        """The counts of the segments that are left."""
        counts = []
        if self._candidate is not None and self._end - self._candidate >= LEAST:
            counts.append(self._cut(self._candidate))
        if self._lines:
            counts.append(self._cut(self._end))
        return counts

    def _cuts_before(self, begin: int, size: int) -> Sequence[int]:
        candidate = self._candidate
        confirmed = candidate is not None and begin - candidate > REACH
        if not confirmed and begin + size - self._begin <= MOST:
            return _NONE
        counts = []
        if candidate is not None and confirmed:
            counts.append(self._cut(candidate))
        while begin + size - self._begin > MOST and self._lines:
            counts.append(self._cut(self._forced()))
        return counts

    def _forced(self) -> int:
        """Where to cut when the run got too long: the highest rank in its middle, else its end."""
        first, last = self._begin + LEAST, self._begin + MOST - REACH - LEAST
        middle = [(line_rank, begin) for begin, line_rank in self._lines if first <= begin <= last]
        return max(middle)[1] if middle else self._end

    def _cut(self, at: int) -> int:
        """The lines that begin before `at` leave; how many they were."""
        count = 0
        while self._lines and self._lines[0][0] < at:
            self._lines.popleft()
            count += 1
        self._begin = at
        if self._candidate is not None and self._candidate <= at:
            self._candidate = None
        return count
