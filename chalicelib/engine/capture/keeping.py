"""What a capture keeps between two turns, so that the next one goes on with what is missing.

Of each listing: its rows, where their content is (or the content itself, while it is little), and the server's
token of the page that comes next. A turn adds what it has read as parts `captured` beside the operation; the
checkpoint says which parts count, so half of what a dying worker wrote counts for nothing. Content that a sweep has
taken meanwhile, or a token that the server has forgotten: then that listing is read anew. Another document, or
another operation in between (a restore that went first): then everything is.

    chunk = head, then one line for each row: [namespace, name, digest, uid, resourceVersion, owner, standing, owners,
            [number of the segment, offset, length]], or without the last, and the content as the line after it
"""

from __future__ import annotations

import hashlib
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import orjson

from chalicelib.cluster.listing import Listing
from chalicelib.domain.errors import Yielded
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import Gap, SegmentRef
from chalicelib.engine.capture.packing import PackingVisitor, Places
from chalicelib.engine.capture.reading import Listed
from chalicelib.engine.capture.rows import Row, Run
from chalicelib.engine.lane.work import Work
from chalicelib.store.segments import SegmentWriter

_PART = "captured"
#: Bytes of lines in one part.
_PART_BYTES = 8 * 1024 * 1024
#: Seconds between two times that finished listings are kept in the middle of a turn: a worker may be killed.
_NOW_AND_THEN = 60.0

Json = dict[str, Any]


class Memory(Protocol):
    """What else is remembered of the content that was read."""

    def remembered(self, listing: Listing) -> Any:
        """It, as JSON has it; `None` if there is nothing."""

    def remember(self, listing: Listing, remembered: Any) -> None:
        """Take it back."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one turn read of one listing."""

    head: Json
    rows: list[tuple[list[Any], bytes]]


class Keeper:
    """Keeps what a capture reads. Use as a context around the reading, with `so_far` as what was read.

    Leaving it because the operation goes back into the line keeps what there is; any other way keeps nothing more.
    """

    def __init__(
        self,
        work: Work,
        visitor: PackingVisitor,
        listings: Iterable[Listing],
        writer: SegmentWriter,
        memory: Memory | None = None,
    ) -> None:
        self._work = work
        self._visitor = visitor
        self._listings = {_place(listing): listing for listing in listings}
        self._writer = writer
        self._memory = memory
        self._document = hashlib.sha256(work.application.document.encode()).hexdigest()
        #: Listings whose end is kept.
        self._done: set[Listing] = set()
        #: Where the others go on, as far as that is kept.
        self._following: dict[Listing, str] = {}
        self._kept_at = time.monotonic()
        #: Bytes that the writer had added when that was last written down.
        self._counted = 0
        self.so_far: dict[Listing, Listed] = {}

    def __enter__(self) -> Keeper:
        known = self._work.checkpoint.get(_PART)
        if known is None:
            return self
        goes_on = self._goes_on(known)
        now = {**known, "fence": self._work.fence} if goes_on else None
        # Not noted: to take something up again is no progress yet.
        self._work.save(checkpoint={**self._work.checkpoint, _PART: now})
        if goes_on:
            for chunk in _chunks(self._lines(known["parts"])):
                self._put_back(chunk)
        return self

    def _goes_on(self, known: Json) -> bool:
        """Whether what was kept still counts: the document is the same, and nobody else held the lane since. A
        restore that went first has changed the application: half of a version would be from before it."""
        fence = self._work.fence
        return bool(known["document"] == self._document and known["fence"] in {fence, fence - 1})

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, Yielded):
            self._keep(self.so_far)

    def report(self, done: int, total: int) -> None:
        """Tell how many listings are finished, and keep those, if that was not done for a while."""
        self._work.report(done, total, "kinds")
        if time.monotonic() - self._kept_at >= _NOW_AND_THEN:
            self._keep({listing: listed for listing, listed in self.so_far.items() if listed.ended})

    @property
    def added_bytes(self) -> int:
        """Bytes that this capture has added to the repository, in all its turns."""
        return int(self._work.checkpoint.get("addedBytes", 0)) + self._writer.added_bytes - self._counted

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, what: Mapping[Listing, Listed]) -> None:
        self._kept_at = time.monotonic()
        new = [listing for listing, listed in what.items() if self._has_news(listing, listed)]
        if not new:
            return
        work = self._work
        numbers = []
        for lines in _parted(line for listing in new for line in self._chunk(listing, what[listing])):
            number = work.next_number(_PART)
            work.put_part(_PART, number, lines)
            numbers.append(number)
        known = work.checkpoint.get(_PART)
        parts = [*(known["parts"] if known is not None else ()), [work.fence, numbers]]
        work.note(
            **{_PART: {"document": self._document, "fence": work.fence, "parts": parts}},
            addedBytes=self.added_bytes,
        )
        self._counted = self._writer.added_bytes
        for listing in new:
            listed = what[listing]
            listed.earlier.append(listed.run)
            listed.earlier_selected.extend(listed.selected)
            listed.run, listed.selected, listed.anew = Run(), array("Q"), False
            self._following[listing] = listed.following
            if listed.ended:
                self._done.add(listing)

    def _has_news(self, listing: Listing, listed: Listed) -> bool:
        """Whether there is more than what is kept: keeping the same again would look as if it got further."""
        if listing in self._done:
            return False
        moved_on = listed.following != self._following.get(listing, "")
        return listed.ended or listed.anew or moved_on or len(listed.run) > 0

    def _chunk(self, listing: Listing, listed: Listed) -> Iterator[bytes]:
        segments = self._visitor.settle(listing)
        numbers = {segment.name: number for number, segment in enumerate(segments)}
        yield orjson.dumps(
            {
                "of": _place(listing),
                "anew": listed.anew,
                "following": listed.following,
                "ended": listed.ended,
                "gap": listed.gap.model_dump(mode="json", by_alias=True) if listed.gap else None,
                "rows": len(listed.run),
                "selected": listed.selected.tobytes().hex(),
                "segments": [segment.model_dump(mode="json", by_alias=True) for segment in segments],
                "remembered": self._memory.remembered(listing) if self._memory is not None else None,
            }
        )
        for row in listed.run:
            at = self._visitor.line(row.token)
            line = [
                *row.key[2:],
                row.digest.hex(),
                row.uid,
                row.resource_version,
                row.owner,
                row.standing,
                row.owners,
            ]
            if isinstance(at, bytes):
                yield orjson.dumps(line)
                yield at
            else:
                yield orjson.dumps([*line, [numbers[at[0]], *at[1:]]])

    # ── putting back ────────────────────────────────────────────────────────────────────────────────────

    def _lines(self, parts: Iterable[tuple[int, list[int]]]) -> Iterator[bytes]:
        work = self._work
        operations, application = work.repository.operations, work.application.id
        for fence, numbers in parts:
            for part in operations.parts(application, work.operation.id, _PART, fence=fence):
                if part.number in numbers:
                    yield from operations.lines_of(application, part)

    def _put_back(self, chunk: _Chunk) -> None:
        head = chunk.head
        listing = self._listings.get(tuple(head["of"]))
        if listing is None:
            return  # its kind is no longer served
        segments = [SegmentRef.model_validate(each) for each in head["segments"]]
        listed = self.so_far.setdefault(listing, Listed())
        if head["anew"]:
            self._void(listing)
            listed = self.so_far[listing]
        elif listed.anew:
            return  # it goes on from what is lost
        if not all(self._writer.has(segment.name) for segment in segments):
            self._void(listing)
            self.so_far[listing].anew = True
            return
        run = Run()
        tokens = self._tokens(listing, chunk, segments)
        for (line, _), token in zip(chunk.rows, tokens, strict=True):
            namespace, name, digest, uid, version, owner, standing, owners = line[:8]
            key = ObjectKey(listing.resource.group, listing.resource.kind, namespace, name)
            run.append(Row(key, bytes.fromhex(digest), uid, version, owner, token, standing, tuple(owners)))
        listed.earlier.append(run)
        listed.earlier_selected.frombytes(bytes.fromhex(head["selected"]))
        listed.following, listed.ended = head["following"], head["ended"]
        self._following[listing] = listed.following
        listed.gap = Gap.model_validate(head["gap"]) if head["gap"] else None
        if self._memory is not None and head["remembered"] is not None:
            self._memory.remember(listing, head["remembered"])
        if listed.ended:
            self._done.add(listing)

    def _void(self, listing: Listing) -> None:
        self._visitor.restart(listing)
        self._done.discard(listing)
        self._following.pop(listing, None)
        self.so_far[listing] = Listed()

    def _tokens(self, listing: Listing, chunk: _Chunk, segments: list[SegmentRef]) -> Iterator[int]:
        places = Places(segments)
        base = self._visitor.put_back_places(listing, places) if segments else 0
        for line, content in chunk.rows:
            if len(line) > 8:
                yield base + places.add(*line[8])
            else:
                key = ObjectKey(listing.resource.group, listing.resource.kind, line[0], line[1])
                yield self._visitor.put_back(listing, key, content)


def _place(listing: Listing) -> tuple[str, str, str]:
    return listing.path, listing.label_selector, listing.field_selector


def _parted(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line) + 1
        if size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _chunks(lines: Iterator[bytes]) -> Iterator[_Chunk]:
    for line in lines:
        head = orjson.loads(line)
        rows = []
        for _ in range(head["rows"]):
            row = orjson.loads(next(lines))
            rows.append((row, b"" if len(row) > 8 else next(lines)))
        yield _Chunk(head, rows)
