"""What is read becomes segments: little of it together, much of it by itself; every row leads to its own bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from chalicelib.cluster.listing import Listing
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.version import SegmentRef
from chalicelib.engine.capture.packing import Packed, PackingVisitor
from chalicelib.engine.capture.rows import Row
from chalicelib.planning.bodies.normalise import digest
from chalicelib.store.index import read_index
from chalicelib.store.segments import SegmentReader, SegmentWriter
from tests.unit.engine.house import House


def listing(kind: str) -> Listing:
    return Listing(Resource("", "v1", f"{kind.lower()}s", kind, namespaced=True), "shop")


def content(kind: str, number: int, size: int = 0) -> Body:
    """Content that does not compress, the same every time."""
    name = f"{kind.lower()}-{number:05d}"
    text = "".join(hashlib.sha256(f"{name}{part}".encode()).hexdigest() for part in range(size // 64))
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "data": {"a": text}}


class Capture:
    """One capture: what was taken, and what came of it."""

    def __init__(self, house: House) -> None:
        self.writer: SegmentWriter = house.repository.segment_writer(house.application)
        self.reader: SegmentReader = house.repository.segment_reader(house.application)
        self.application = house.application
        self.visitor = PackingVisitor(self.writer)
        self.rows: dict[Listing, list[Row]] = {}
        self.bodies: dict[ObjectKey, Body] = {}

    def take(self, place: Listing, body: Body) -> None:
        key = ObjectKey("", body["kind"], "shop", body["metadata"]["name"])
        self.bodies[key] = body
        token = self.visitor.take(place, key, body, digest(body), b"")
        self.rows.setdefault(place, []).append(Row(key, digest(body), "uid", "1", None, token))

    def restart(self, place: Listing) -> None:
        self.visitor.restart(place)
        for row in self.rows.pop(place, []):
            del self.bodies[row.key]

    def finish(self) -> Packed:
        rows = sorted((row for rows in self.rows.values() for row in rows), key=lambda row: row.key)
        with self.visitor:
            packed = self.visitor.finish(rows)
        assert_readable(self, packed)
        return packed


def assert_readable(capture: Capture, packed: Packed) -> None:
    """Every row of the index leads to its own object's bytes, and nothing else is held."""
    rows = list(read_index(capture.reader, capture.application, packed.index))
    assert [row.key for row in rows] == sorted(capture.bodies)
    for row in rows:
        plain = capture.reader.get(row.segment, "objects")
        assert orjson.loads(plain[row.offset : row.offset + row.length]) == capture.bodies[row.key]
        assert row.digest == digest(capture.bodies[row.key])
    assert {row.segment for row in rows} == {segment.name for segment in packed.segments}
    assert packed.plain_bytes == sum(row.length for row in rows)


def names(segments: tuple[SegmentRef, ...]) -> set[str]:
    return {segment.name for segment in segments}


@pytest.fixture
def capture(house: House) -> Capture:
    return Capture(house)


def test_little_of_many_kinds_is_one_segment(capture: Capture) -> None:
    for kind in ("ConfigMap", "Secret", "Service", "Role"):
        for number in range(3):
            capture.take(listing(kind), content(kind, number))
    packed = capture.finish()
    assert len(packed.segments) == 1
    assert len(packed.index) == 1


def test_much_of_one_kind_is_packed_by_itself_while_it_is_read(capture: Capture) -> None:
    for number in range(80):
        capture.take(listing("ConfigMap"), content("ConfigMap", number, 16 * 1024))
    assert capture.writer.added > 0  # long before the end
    capture.take(listing("Secret"), content("Secret", 0))
    packed = capture.finish()
    assert len(packed.segments) > 2


def test_what_is_large_does_not_move_what_is_little(house: House) -> None:
    """A change among much of one kind leaves the segment with the others as it is."""
    found: list[Packed] = []
    for much in (60, 61):
        capture = Capture(house)
        for number in range(much):
            capture.take(listing("ConfigMap"), content("ConfigMap", number, 16 * 1024))
        capture.take(listing("Secret"), content("Secret", 0))
        found.append(capture.finish())
    first, second = (names(packed.segments) for packed in found)
    assert len(first & second) >= len(first) - 1


def test_listings_that_take_turns_are_not_mixed_up(capture: Capture) -> None:
    for number in range(60):
        capture.take(listing("ConfigMap"), content("ConfigMap", number, 8 * 1024))
        capture.take(listing("Secret"), content("Secret", number, 100))
    capture.finish()


def test_the_same_content_is_stored_once_however_it_is_read(house: House) -> None:
    first, second = Capture(house), None
    kinds = ["ConfigMap", "Secret", "Service"]
    for kind in kinds:
        for number in range(20):
            first.take(listing(kind), content(kind, number, 1000))
    packed = first.finish()
    second = Capture(house)
    for number in range(20):
        for kind in reversed(kinds):
            second.take(listing(kind), content(kind, number, 1000))
    again = second.finish()
    assert second.writer.added == 0
    assert (again.index, again.segments) == (packed.index, packed.segments)


@pytest.mark.parametrize("size", [10, 16 * 1024], ids=["little", "much"])
def test_a_listing_that_begins_anew_is_held_once(capture: Capture, size: int) -> None:
    for number in range(40):
        capture.take(listing("ConfigMap"), content("ConfigMap", number, size))
    capture.take(listing("Secret"), content("Secret", 0))
    capture.restart(listing("ConfigMap"))
    for number in range(5, 45):
        capture.take(listing("ConfigMap"), content("ConfigMap", number, size))
    capture.finish()
    assert len(capture.bodies) == 41


def test_a_listing_that_is_given_up_is_not_held(capture: Capture) -> None:
    capture.take(listing("ConfigMap"), content("ConfigMap", 0))
    capture.take(listing("Secret"), content("Secret", 0))
    capture.restart(listing("ConfigMap"))
    assert {key.kind for key in capture.bodies} == {"Secret"}
    capture.finish()


def test_an_object_larger_than_a_segment_is_a_segment(capture: Capture) -> None:
    capture.take(listing("ConfigMap"), content("ConfigMap", 0, 3 * 1024 * 1024))
    capture.take(listing("ConfigMap"), content("ConfigMap", 1, 100))
    packed = capture.finish()
    assert max(segment.plain for segment in packed.segments) > 3 * 1024 * 1024


def test_derived_objects_that_were_read_leave_no_row(capture: Capture) -> None:
    """What it turns out not to hold is in its segment nevertheless; a version refers to what its rows need."""
    place = listing("ConfigMap")
    capture.take(place, content("ConfigMap", 0))
    capture.take(place, content("ConfigMap", 1))
    dropped = capture.rows[place].pop()
    del capture.bodies[dropped.key]
    capture.finish()


def test_nothing_makes_an_empty_index(capture: Capture) -> None:
    packed = capture.finish()
    assert (packed.segments, packed.plain_bytes) == ((), 0)


def test_a_storage_that_fails_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.domain.errors import StorageFull

    capture = Capture(house)

    def full(*_: Any) -> Any:
        raise StorageFull("No space is left.")

    monkeypatch.setattr(capture.writer, "_store", full)
    capture.take(listing("ConfigMap"), content("ConfigMap", 0))
    with pytest.raises(StorageFull):
        capture.finish()
