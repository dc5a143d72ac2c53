"""What a capture has read when its turn ends is there for the next one, and only what is right of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.cluster.listing import Listing
from chalicelib.domain.errors import Cancelled, Yielded
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.version import Gap
from chalicelib.engine.capture.keeping import Keeper
from chalicelib.engine.capture.packing import Packed, PackingVisitor
from chalicelib.engine.capture.reading import Listed, mark
from chalicelib.engine.capture.rows import Row, Rows
from chalicelib.engine.lane.work import Work
from chalicelib.planning.bodies.normalise import digest
from chalicelib.store.index import read_index
from tests.unit.engine.house import House, working


def listing(kind: str) -> Listing:
    return Listing(Resource("", "v1", f"{kind.lower()}s", kind, namespaced=True), "shop")


SECRETS, MAPS, SERVICES = listing("Secret"), listing("ConfigMap"), listing("Service")
ALL = (SECRETS, MAPS, SERVICES)
#: So many bytes of content are much: of eighty of these the packer makes several segments.
MUCH = 16 * 1024


def content(place: Listing, number: int, size: int = 0) -> Body:
    """Content that does not compress, the same every time."""
    kind = place.resource.kind
    name = f"{kind.lower()}-{number:05d}"
    text = "".join(hashlib.sha256(f"{name}{part}".encode()).hexdigest() for part in range(size // 64))
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "data": {"a": text}}


@dataclass
class Remembering:
    """What else is remembered of a listing."""

    known: dict[Listing, Any] = field(default_factory=dict)

    def remembered(self, place: Listing) -> Any:
        return self.known.get(place)

    def remember(self, place: Listing, remembered: Any) -> None:
        self.known[place] = remembered


class Turn:
    """One turn of a capture."""

    def __init__(self, work: Work, memory: Remembering | None = None) -> None:
        self.work = work
        self.writer = work.repository.segment_writer(work.application.id)
        self.visitor = PackingVisitor(self.writer)
        self.keeper = Keeper(work, self.visitor, ALL, self.writer, memory)
        self.keeper.__enter__()

    def take(self, place: Listing, numbers: Iterable[int], size: int = 0, **row: Any) -> None:
        listed = self.keeper.so_far.setdefault(place, Listed())
        for number in numbers:
            body = content(place, number, size)
            key = ObjectKey("", place.resource.kind, "shop", body["metadata"]["name"])
            token = self.visitor.take(place, key, body, digest(body), b"")
            uid = f"uid-{key.name}"
            listed.selected.append(mark(uid))
            listed.run.append(
                Row(key, digest(body), uid, str(number), row.get("owner"), token, "", row.get("of", ()))
            )

    def at(self, place: Listing, token: str) -> None:
        self.keeper.so_far.setdefault(place, Listed()).following = token

    def end(self, place: Listing, gap: Gap | None = None) -> None:
        listed = self.keeper.so_far.setdefault(place, Listed())
        listed.ended, listed.following, listed.gap = True, "", gap

    def begin_anew(self, place: Listing) -> None:
        self.keeper.so_far[place].begin_anew()
        self.visitor.restart(place)

    def stop(self, reason: type[Exception] = Yielded) -> None:
        error = reason("the turn is over")
        self.keeper.__exit__(type(error), error, None)
        self.visitor.__exit__(None, None, None)

    def rows(self, place: Listing) -> list[Row]:
        return [row for run in self.keeper.so_far[place].runs for row in run]

    def finish(self) -> tuple[Packed, dict[str, tuple[Any, ...]]]:
        """What came of it, and where the index says that everything is."""
        runs = [run for listed in self.keeper.so_far.values() for run in listed.runs]
        with self.visitor:
            packed = self.visitor.finish(Rows(runs))
        reader = self.work.repository.segment_reader(self.work.application.id)
        found = {}
        for row in read_index(reader, self.work.application.id, packed.index):
            line = reader.get(row.segment, "objects")[row.offset : row.offset + row.length]
            found[row.key.name] = (row.digest, line)
        return packed, found


@pytest.fixture
def work(house: House) -> Work:
    return working(house)


def in_one_turn(work: Work, much: int) -> tuple[Packed, dict[str, tuple[Any, ...]]]:
    work.operation = work.operation.model_copy(update={"checkpoint": {}})
    turn = Turn(work)
    turn.take(SECRETS, range(much), MUCH)
    turn.take(MAPS, range(5))
    turn.take(SERVICES, range(3))
    return turn.finish()


def test_what_was_read_whole_is_packed_as_if_there_had_been_one_turn(work: Work, house: House) -> None:
    first = Turn(work)
    first.take(SECRETS, range(80), MUCH)
    first.take(MAPS, range(5))
    first.end(SECRETS)
    first.end(MAPS)
    first.stop()
    second = Turn(work)
    assert second.keeper.so_far[SECRETS].ended
    assert second.keeper.so_far[MAPS].ended
    second.take(SERVICES, range(3))
    packed, found = second.finish()
    whole, expected = in_one_turn(work, 80)
    assert found == expected
    assert packed.segments == whole.segments
    assert packed.index == whole.index
    assert packed.plain_bytes == whole.plain_bytes


@pytest.mark.parametrize("size", [0, MUCH])
def test_a_listing_goes_on_from_where_the_turn_ended(work: Work, size: int) -> None:
    for begin in (0, 30, 60):
        turn = Turn(work)
        if begin:
            assert turn.keeper.so_far[SECRETS].following == f"page-{begin}"
            assert len(turn.rows(SECRETS)) == begin
        turn.take(SECRETS, range(begin, begin + 30), size)
        turn.at(SECRETS, f"page-{begin + 30}")
        turn.stop()
    last = Turn(work)
    last.take(SECRETS, range(90, 100), size)
    last.end(SECRETS)
    _, found = last.finish()
    assert sorted(found) == [f"secret-{number:05d}" for number in range(100)]
    for number in range(100):
        body = content(SECRETS, number, size)
        assert found[body["metadata"]["name"]][0] == digest(body)


def test_a_row_comes_back_with_all_it_says(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(2), owner="uid-of-its-controller", of=("uid-of-its-controller", "uid-of-another"))
    first.take(MAPS, range(2))
    first.end(SERVICES, Gap(group="", kind="Service", namespace="shop", status=403, message="forbidden"))
    first.at(SECRETS, "page-2")
    first.end(MAPS)
    first.stop()
    second = Turn(work)
    for place in (SECRETS, MAPS):
        before = [row._replace(token=0) for run in first.keeper.so_far[place].runs for row in run]
        assert [row._replace(token=0) for row in second.rows(place)] == before
        listed = second.keeper.so_far[place]
        assert listed.earlier_selected == first.keeper.so_far[place].earlier_selected
    gap = second.keeper.so_far[SERVICES].gap
    assert gap is not None
    assert (gap.kind, gap.status) == ("Service", 403)


def test_a_listing_that_began_anew_leaves_nothing_of_what_was_read_before(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(80), MUCH)
    first.at(SECRETS, "page-80")
    first.stop()
    second = Turn(work)
    second.begin_anew(SECRETS)  # the server has forgotten the token
    second.take(SECRETS, range(5), MUCH)
    second.at(SECRETS, "page-5")
    second.stop()
    third = Turn(work)
    assert len(third.rows(SECRETS)) == 5
    third.take(SECRETS, range(5, 7), MUCH)
    third.end(SECRETS)
    _, found = third.finish()
    assert len(found) == 7


def test_content_that_was_swept_meanwhile_is_read_anew(work: Work, house: House) -> None:
    first = Turn(work)
    first.take(SECRETS, range(80), MUCH)
    first.take(MAPS, range(3))
    first.at(SECRETS, "page-80")
    first.end(MAPS)
    first.stop()
    vault = house.repository.vault
    kept = [listed.key for listed in vault.list("vault/") if "/segments/" in listed.key]
    vault.delete(kept[0])
    second = Turn(work)
    assert second.keeper.so_far[SECRETS].following == ""
    assert second.rows(SECRETS) == []
    assert len(second.rows(MAPS)) == 3  # their content lies beside the operation
    second.take(SECRETS, range(80), MUCH)
    second.end(SECRETS)
    second.stop()
    _, found = Turn(work).finish()
    assert len(found) == 83


def test_nothing_is_kept_of_another_document(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(3))
    first.end(SECRETS)
    first.stop()
    work.application = work.application.model_copy(update={"document": work.application.document + "# more\n"})
    assert Turn(work).keeper.so_far == {}


def test_nothing_is_kept_if_another_operation_ran_in_between(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(3))
    first.end(SECRETS)
    first.stop()
    known = work.checkpoint["captured"]
    work.note(captured={**known, "fence": work.fence - 1})
    assert len(Turn(work).rows(SECRETS)) == 3
    assert work.checkpoint["captured"]["fence"] == work.fence
    work.note(captured={**known, "fence": work.fence - 2})
    assert Turn(work).keeper.so_far == {}
    assert work.checkpoint["captured"] is None


def test_a_part_that_the_checkpoint_does_not_name_counts_for_nothing(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(3))
    first.end(SECRETS)
    first.stop()
    work.put_part("captured", work.next_number("captured"), [b'{"of":["half"'])  # and then the worker died
    assert len(Turn(work).rows(SECRETS)) == 3


def test_only_who_goes_back_into_the_line_keeps_anything(work: Work) -> None:
    turn = Turn(work)
    turn.take(SECRETS, range(3))
    turn.end(SECRETS)
    turn.stop(Cancelled)
    assert "captured" not in work.checkpoint


def test_a_turn_that_read_nothing_writes_nothing(work: Work) -> None:
    Turn(work).stop()
    assert "captured" not in work.checkpoint
    assert not work.moved


def test_a_turn_that_read_nothing_more_of_what_was_begun_is_seen_to_lead_nowhere(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(3))
    first.at(SECRETS, "page 2")
    first.stop()
    known = work.checkpoint["captured"]
    work.moved = False
    second = Turn(work)
    assert second.keeper.so_far[SECRETS].following == "page 2"
    second.stop()
    assert work.moved is False
    assert work.checkpoint["captured"]["parts"] == known["parts"]
    third = Turn(work)
    third.at(SECRETS, "page 3")  # a page on which nothing was taken
    third.stop()
    assert work.moved is True
    assert Turn(work).keeper.so_far[SECRETS].following == "page 3"


def test_what_is_finished_is_kept_now_and_then(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn(work)
    turn.take(SECRETS, range(80), MUCH)
    turn.end(SECRETS)
    turn.take(MAPS, range(2))
    turn.at(MAPS, "page-2")
    turn.keeper.report(1, 3)
    assert "captured" not in work.checkpoint
    monkeypatch.setattr(turn.keeper, "_kept_at", -1000.0)
    turn.keeper.report(1, 3)
    again = Turn(work)  # the worker was killed
    assert len(again.rows(SECRETS)) == 80
    assert MAPS not in again.keeper.so_far
    again.take(MAPS, range(5))
    again.take(SERVICES, range(3))
    packed, _ = again.finish()
    assert packed.segments == in_one_turn(work, 80)[0].segments


def test_what_else_is_remembered_comes_back(work: Work) -> None:
    first = Turn(work, Remembering({SECRETS: {"references": ["a"]}}))
    first.take(SECRETS, range(1))
    first.end(SECRETS)
    first.stop()
    memory = Remembering()
    Turn(work, memory)
    assert memory.known == {SECRETS: {"references": ["a"]}}


def test_what_all_turns_have_added_is_counted_once(work: Work) -> None:
    first = Turn(work)
    first.take(SECRETS, range(80), MUCH)
    first.end(SECRETS)
    first.stop()
    assert first.keeper.added_bytes == first.writer.added_bytes > 0
    second = Turn(work)
    assert second.keeper.added_bytes == first.writer.added_bytes
    second.take(MAPS, range(3))
    second.finish()
    assert second.keeper.added_bytes == first.writer.added_bytes + second.writer.added_bytes


def test_marks_of_uids_are_the_same_everywhere_and_tell_them_apart() -> None:
    assert mark("0f8fad5b-d9cb-469f-a165-70867728950e") == 0x0F8FAD5BD9CB469F
    assert mark("not-a-uuid") == mark("not-a-uuid") != mark("not-a-uuie")
    odd = "zzzzzzzz-d9cb-469f-a165-70867728950e"
    assert mark(odd) != mark(odd.replace("e", "f"))
