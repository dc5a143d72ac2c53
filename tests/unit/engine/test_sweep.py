"""Sweeping: when it is, what it deletes and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Conflict, LeaseLost, SegmentsGone, StorageRefused
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.domain.version import Manifest
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.lease import Lease
from chalicelib.engine.lane.running import give_up
from chalicelib.engine.lane.sweeps import Sweeps, SweepTerms, sweep_later
from chalicelib.engine.lane.work import Next, Step, Work
from chalicelib.engine.operations.backup import seal
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.store import condemned, layout, sweeping
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.segments import Present
from tests.support.synthetic import SYNTHETIC, capture, differs
from tests.unit.engine.house import House

GRACE = SweepTerms(timedelta(hours=4), timedelta(days=90))


@pytest.fixture
def sweeps(house: House) -> Sweeps:
    return sweeps_of(house)


def sweeps_of(house: House) -> Sweeps:
    """What starts sweeps, on an engine that really does them."""
    house.engine = Engine(house.repository, None, {**house.flows(), **_own()})  # type: ignore[arg-type]
    sweeps = Sweeps(house.repository, house.engine, GRACE)
    sweeps.attach()
    return sweeps


def _own() -> dict[OperationKind, Any]:
    return {kind: FLOWS[kind] for kind in (OperationKind.SWEEP, OperationKind.DELETE)}


def version(house: House, *contents: str) -> Manifest:
    """A sealed version of these contents, each a segment."""
    manifest = stored(house, *contents)
    return house.repository.versions(house.application).seal(manifest)


def stored(house: House, *contents: str) -> Manifest:
    """The same, not sealed."""
    writer = house.repository.segment_writer(house.application)
    at = house.clock.time
    return Manifest(
        application=house.application,
        version=new_id("ver", at),
        application_name="shop",
        cluster="cl-x",
        operation=new_id("op", at),
        fence=1,
        started_at=at,
        captured_at=at,
        document=writer.put("document", b"document"),
        segments=tuple(writer.put("objects", content.encode()) for content in contents),
    )


def end(house: House, version: Manifest) -> None:
    house.repository.end_version(house.application, version.version, "somebody", "asked for")
    sweep_later(house.repository, house.application)


def segments(house: House) -> int:
    return len(list(house.repository.vault.list(layout.segments(house.application))))


def swept(house: House, sweeps: Sweeps, **how: bool) -> Operation:
    """A sweep that was asked for by hand, done."""
    started = sweeps.start(house.application, "somebody", **how)
    house.engine.work(house.application)
    return house.get(started)


def test_what_no_version_needs_goes_when_the_grace_is_over(house: House, sweeps: Sweeps) -> None:
    first, second = version(house, "a", "b"), version(house, "b", "c")
    end(house, first)
    house.tick()
    assert segments(house) == 4
    house.tick(later=4 * 3600)
    assert segments(house) == 4  # a little later, with what ends meanwhile
    house.tick(later=3601)
    house.tick()
    assert segments(house) == 3
    present = Present.read(house.repository.vault, house.application).sizes
    assert {each.name for each in second.everything} == set(present)
    assert house.repository.vault.get(layout.manifest(house.application, first.version)) is None
    assert house.repository.versions(house.application).ended(first.version) is not None


def test_many_endings_are_one_sweep(house: House, sweeps: Sweeps) -> None:
    for each in [version(house, str(number)) for number in range(20)]:
        end(house, each)
        house.tick(later=60)
    assert house.later().count("sweep") == 1
    house.run_until_idle(turns=2000)
    operations = house.repository.operations
    ids = operations.list(house.application)
    kinds = [operations.get(house.application, each).kind for each in ids]
    assert kinds.count(OperationKind.SWEEP) == 1
    assert segments(house) == 0


def test_what_ends_while_a_sweep_is_to_come_is_not_forgotten(house: House, sweeps: Sweeps) -> None:
    first, second = version(house, "a"), version(house, "b")
    end(house, first)
    house.tick()
    house.tick(later=4.9 * 3600)
    end(house, second)
    house.tick()
    house.tick(later=700)
    house.tick()
    assert segments(house) == 2  # the document and the second's
    house.tick(later=6 * 3600)
    house.tick()
    assert segments(house) == 0


def test_a_sweep_by_hand_can_take_what_is_young(house: House, sweeps: Sweeps) -> None:
    end(house, version(house, "a"))
    assert swept(house, sweeps).outcome["segments"] == 0
    done = swept(house, sweeps, at_once=True)
    assert (done.state, done.outcome["segments"], done.outcome["versions"]) == (State.SUCCEEDED, 2, 1)
    assert done.outcome["bytes"] > 0
    assert segments(house) == 0


def test_what_was_uploaded_for_a_version_that_never_came_goes_too(house: House, sweeps: Sweeps) -> None:
    kept = version(house, "a")
    stored(house, "x", "y")
    house.clock.advance(4 * 3600)
    assert swept(house, sweeps).outcome["segments"] == 2
    assert house.repository.versions(house.application).segments_of(kept.version) == {
        each.name for each in kept.everything
    }


def test_what_was_just_uploaded_stays_until_its_grace_is_over(house: House, sweeps: Sweeps) -> None:
    stored(house, "x", "y")
    young = swept(house, sweeps)
    assert (young.outcome["segments"], young.outcome["waiting"]) == (0, 3)
    assert _lists(house) == []


def test_condemned_before_the_first_deletion(house: House, sweeps: Sweeps) -> None:
    end(house, version(house, "a"))
    deleted: list[tuple[str, bool]] = []
    with _watching_deletes(house, lambda key: deleted.append((key, key.rpartition("/")[2] in _condemned(house)))):
        swept(house, sweeps, at_once=True)
    of_segments = [known for key, known in deleted if key.startswith(layout.segments(house.application))]
    assert of_segments == [True, True]


def test_a_condemned_segment_is_uploaded_again_under_another_name(house: House, sweeps: Sweeps) -> None:
    first = version(house, "a")
    _condemn(house, first.segments[0].name)
    second = version(house, "a")
    assert second.segments[0].name != first.segments[0].name
    assert layout.segment_id(second.segments[0].name) == layout.segment_id(first.segments[0].name)


def test_to_be_condemned_kills_nothing_that_a_version_needs(house: House, sweeps: Sweeps) -> None:
    first = version(house, "a")
    _condemn(house, first.segments[0].name)
    house.clock.advance(10 * 3600)
    assert swept(house, sweeps, at_once=True).outcome["segments"] == 0
    reader = house.repository.segment_reader(house.application)
    assert reader.get(first.segments[0], "objects") == b"a"
    assert list(house.repository.vault.list(layout.condemned(house.application))) != []


def test_a_list_goes_when_all_its_segments_are_gone_and_it_is_old(house: House, sweeps: Sweeps) -> None:
    end(house, version(house, "a"))
    swept(house, sweeps, at_once=True)
    swept(house, sweeps, at_once=True)
    assert len(_lists(house)) == 1
    house.clock.advance(3601)
    swept(house, sweeps)
    assert _lists(house) == []


def test_a_version_sealed_after_the_first_look_is_spared(
    house: House, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper that was taken for dead: a backup counts on what it is about to condemn."""
    end(house, version(house, "a"))
    late: list[Manifest] = []
    condemn = condemned.condemn

    def sealing_first(*arguments: Any) -> None:
        late.append(version(house, "a"))
        condemn(*arguments)

    monkeypatch.setattr(condemned, "condemn", sealing_first)
    assert swept(house, sweeps, at_once=True).outcome["segments"] == 0
    reader = house.repository.segment_reader(house.application)
    assert reader.get(late[0].segments[0], "objects") == b"a"


def test_a_manifest_that_cannot_be_read_stops_the_sweep(house: House, sweeps: Sweeps) -> None:
    kept, ended = version(house, "a"), version(house, "b")
    end(house, ended)
    key = layout.manifest(house.application, kept.version)
    house.repository.vault.delete(key)
    house.repository.vault.create(key, b"{}")
    done = swept(house, sweeps, at_once=True)
    assert (done.state, done.error and done.error.code) == (State.FAILED, "damaged")
    assert segments(house) == 3


def test_what_a_newer_release_names_in_members_of_its_own_stays(
    house: House, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = stored(house, "a")
    volume = house.repository.segment_writer(house.application).put("volume", b"of a later release")
    dump = type(manifest).model_dump

    def with_another_member(self: Manifest, **how: Any) -> dict[str, Any]:
        return {**dump(self, **how), "volumes": [{"at": volume.name}]}

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "model_dump", with_another_member)
        house.repository.versions(house.application).seal(manifest)
    assert swept(house, sweeps, at_once=True).outcome["segments"] == 0
    reader = house.repository.segment_reader(house.application)
    assert reader.get(volume, "volume") == b"of a later release"


def test_a_sweeper_that_has_lost_its_lease_deletes_nothing_more(
    house: House, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(house, version(house, "a", "b", "c"))
    check, lost = Lease.check, list[str]()

    def checked(self: Lease) -> None:
        if lost:
            raise LeaseLost("Another worker has the lane.")
        check(self)

    monkeypatch.setattr(Lease, "check", checked)
    with _watching_deletes(house, lambda key: lost.append(key) if "/segments/" in key else None):
        swept(house, sweeps, at_once=True)
    assert lost != []
    assert segments(house) == 4


def test_what_the_storage_refuses_to_delete_is_told_and_the_rest_goes(house: House, sweeps: Sweeps) -> None:
    ended = version(house, "a", "b", "c")
    end(house, ended)
    retained = layout.segment(house.application, ended.segments[0].name)

    def refuse(key: str) -> None:
        if key == retained:
            raise StorageRefused("The object is under retention.")

    with _watching_deletes(house, refuse):
        done = swept(house, sweeps, at_once=True)
    assert (done.state, done.outcome["refused"], done.outcome["segments"]) == (State.PARTIAL, 1, 3)
    assert "under retention" in done.outcome["warnings"][0]
    assert segments(house) == 1
    assert swept(house, sweeps).outcome["segments"] == 1  # condemned before: the grace is no matter


def test_what_a_paused_backup_has_written_down_stays(house: House, sweeps: Sweeps) -> None:
    old = version(house, "a")
    paused = house.start("backup")
    name = old.segments[0].name
    house.repository.operations.put_part(house.application, paused.id, "rows", 1, 0, [f'["{name}"]'.encode()])
    end(house, old)
    sweep = sweeps.start(house.application, "somebody", at_once=True)
    # In front of it, though nothing brings a sweep there.
    lane = house.repository.lanes.read(house.application)
    assert lane is not None
    turned = lane.model_copy(update={"pending": lane.pending[::-1]})
    house.repository.documents.update(layout.lane(house.application), type(lane), lambda _: turned)
    house.scripts["backup.one"] = lambda _: house.happened.append(house.get(sweep).state.value)
    house.engine.work(house.application)
    assert "succeeded" in house.happened
    assert name not in _condemned(house)
    assert house.repository.segment_reader(house.application).get(old.segments[0], "objects") == b"a"


def test_a_deleted_application_leaves_nothing_in_the_vault(house: House, sweeps: Sweeps) -> None:
    version(house, "a")
    house.start("delete")
    house.tick()
    house.tick()
    assert segments(house) == 2
    house.tick(later=6 * 3600)
    house.tick()
    assert list(house.repository.vault.list(layout.vault(house.application))) == []
    assert house.repository.applications.get(house.application).status == "deleted"


def test_the_key_goes_last(house: House, sweeps: Sweeps) -> None:
    version(house, "a")
    house.start("delete")
    house.tick()
    deleted: list[str] = []
    with _watching_deletes(house, deleted.append):
        swept(house, sweeps, at_once=True)
    in_vault = [key for key in deleted if key.startswith("vault/")]
    assert in_vault[-1] == layout.application_key(house.application, 1)
    assert in_vault[-2].endswith(".ended")


def test_versions_that_are_kept_survive_their_application(house: House, sweeps: Sweeps) -> None:
    kept = version(house, "a")
    house.start("delete", keepVersions=True)
    house.tick()
    house.run_until_idle(turns=2000)
    swept(house, sweeps, at_once=True)
    assert house.repository.objects(kept).document() == "document"


def test_operations_that_ended_long_ago_are_forgotten(house: House, sweeps: Sweeps) -> None:
    old = house.start("restore")
    house.repository.operations.put_part(house.application, old.id, "plan", 1, 0, [b"{}"])
    house.tick()
    waiting = house.start("plan")
    house.clock.advance(91 * 86400)
    young = swept(house, sweeps)
    assert young.outcome["operations"] == 1
    left = house.repository.operations.list(house.application)
    assert left == [young.id, waiting.id]
    assert [listed.key for listed in house.repository.control.list("control/") if old.id in listed.key] == []


def test_a_marker_guards_for_ninety_days(house: House, sweeps: Sweeps) -> None:
    ended = version(house, "a")
    end(house, ended)
    swept(house, sweeps, at_once=True)
    versions = house.repository.versions(house.application)
    house.clock.advance(89 * 86400)
    swept(house, sweeps)
    assert versions.ended(ended.version) is not None
    house.clock.advance(2 * 86400)
    swept(house, sweeps)
    assert versions.ended(ended.version) is None
    assert house.repository.control.get(layout.note(house.application, ended.version)) is None


def test_a_restore_goes_first(house: House, sweeps: Sweeps) -> None:
    end(house, version(house, "a"))
    started = sweeps.start(house.application, "somebody", at_once=True)

    def interrupt(key: str) -> None:
        if key.startswith(layout.segments(house.application)) and not house.happened:
            house.happened.append("restore asked for")
            house.start("restore")

    with _watching_deletes(house, interrupt):
        house.engine.work(house.application)
    assert house.happened[:2] == ["restore asked for", "restore.one"]
    assert house.get(started).state is State.SUCCEEDED
    assert segments(house) == 0


def test_either_it_is_held_or_it_ends(house: House) -> None:
    held, going = version(house, "a"), version(house, "b")
    repository, application = house.repository, house.application
    repository.notes.update(application, held.version, lambda note: note.model_copy(update={"hold": True}))
    with pytest.raises(Conflict, match="is held"):
        repository.end_version(application, held.version, "somebody", "asked for")
    assert repository.versions(application).exists(held.version)
    assert not repository.notes.get(application, held.version).ending
    repository.end_version(application, going.version, "somebody", "asked for")
    assert repository.notes.get(application, going.version).ending
    assert not repository.versions(application).exists(going.version)


def _condemned(house: House) -> frozenset[str]:
    return Present.read(house.repository.vault, house.application).condemned


def _lists(house: House) -> list[str]:
    return sorted(condemned.keys(house.repository.vault, house.application))


def _condemn(house: House, name: str) -> None:
    condemned.condemn(house.repository.vault, house.application, [name], "a test")


@contextmanager
def _watching_deletes(house: House, watch: Any) -> Iterator[None]:
    """`watch` is called with each key before it is deleted."""
    original = MemoryBackend.delete

    def delete(self: MemoryBackend, key: str) -> None:
        watch(key)
        original(self, key)

    MemoryBackend.delete = delete  # type: ignore[method-assign]
    try:
        yield
    finally:
        MemoryBackend.delete = original  # type: ignore[method-assign]


def test_a_backup_that_counted_on_what_was_condemned_uploads_it_again(house: House, sweeps: Sweeps) -> None:
    """Condemned after the backup had looked what is there, before it seals: a sweeper that was taken for dead."""
    first = _synthetic(house, seed=1)
    assert first.state is State.SUCCEEDED

    def between(work: Work) -> Next:
        following = capture(work)
        if "captures" not in work.checkpoint:
            manifest = house.repository.versions(house.application).get(str(first.outcome["version"]))
            _condemn(house, manifest.segments[0].name)
        return following

    second = _synthetic(house, seed=1, capture=between)
    assert (second.state, second.outcome["objects"]) == (State.SUCCEEDED, first.outcome["objects"])
    versions = house.repository.versions(house.application)
    assert len(list(versions.list())) == 2
    for each in versions.list():
        assert differs(house.repository, versions.get(each), seed=1) == []
    ended = versions.survey().ended
    assert len(ended) == 1  # the one that was not sealed: a manifest written late would be dead


def test_a_backup_whose_segments_go_every_time_gives_up(house: House, sweeps: Sweeps) -> None:
    def between(work: Work) -> Next:
        following = capture(work)
        present = Present.read(house.repository.vault, house.application)
        _condemn(house, next(iter(present.sizes)))
        return following

    ended = _synthetic(house, seed=1, capture=between)
    assert (ended.state, ended.error and ended.error.code) == (State.FAILED, "segments-gone")
    assert list(house.repository.versions(house.application).list()) == []
    assert len(house.repository.versions(house.application).survey().ended) == 3


def test_a_version_that_a_sweep_met_while_it_was_sealed_is_none(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Condemned between the look before and the manifest: the look after finds it."""
    manifest = stored(house, "a")
    create = MemoryBackend.create

    def condemning_first(self: MemoryBackend, key: str, data: bytes) -> Any:
        if key == layout.manifest(house.application, manifest.version):
            monkeypatch.setattr(MemoryBackend, "create", create)
            _condemn(house, manifest.segments[0].name)
        return create(self, key, data)

    monkeypatch.setattr(MemoryBackend, "create", condemning_first)
    versions = house.repository.versions(house.application)
    with pytest.raises(SegmentsGone):
        versions.seal(manifest)
    assert list(versions.list()) == []
    assert versions.survey().sealed.keys() == versions.survey().ended.keys() == {manifest.version}


def _synthetic(house: House, seed: int, **steps: Step) -> Operation:
    """A backup of the product, but for what it captures (and other `steps`); done."""
    flow = replace(SYNTHETIC, steps={**SYNTHETIC.steps, **steps})
    engine = Engine(house.repository, None, {OperationKind.BACKUP: flow})  # type: ignore[arg-type]
    started = house.start("backup", engine, seed=seed)
    engine.work(house.application)
    return house.get(started)


def test_the_draft_of_an_operation_that_is_given_up_can_never_become_a_version(house: House) -> None:
    """Its worker may wake later and write the manifest, when a sweep has taken what it names."""
    target = version(house, "a")
    manifest = stored(house, "b")
    backup = house.start("backup")
    restore = house.start("restore", version=target.version)
    operations, application = house.repository.operations, house.application

    def known(operation: Operation, **checkpoint: str) -> None:
        operations.update(
            application, operation.id, lambda found: found.model_copy(update={"checkpoint": checkpoint})
        )

    known(backup, version=manifest.version)
    known(restore, version=target.version)
    for each in (backup, restore):
        give_up(house.repository, application, each.id, Conflict("It cannot be begun."))
    versions = house.repository.versions(application)
    with pytest.raises(Conflict, match="ended before"):
        versions.seal(manifest)
    assert list(versions.list()) == [target.version]
    again = house.start("restore", version=target.version, again=True)
    known(again, version=target.version, safetyDraft=manifest.version)
    give_up(house.repository, application, again.id, Conflict("It cannot be begun."))
    assert list(versions.list()) == [target.version]


def test_a_sweep_that_needs_several_turns_gets_further_in_each(
    house: House, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_CHUNK", 5)
    end(house, version(house, *map(str, range(29))))
    started = sweeps.start(house.application, "somebody", at_once=True)
    deleted: list[str] = []
    with _watching_deletes(house, deleted.append):
        while not house.get(started).state.ended:
            budget, already = Budget(), len(deleted)

            def over(budget: Budget = budget, already: int = already) -> bool:
                return len(deleted) > already + 4

            monkeypatch.setattr(Budget, "over", property(lambda _, over=over: over()))
            house.engine.work(house.application, budget)
            house.clock.advance(31)
    done = house.get(started)
    assert (done.state, done.outcome["segments"], done.outcome["versions"]) == (State.SUCCEEDED, 30, 1)
    assert done.turns > 3
    assert done.idle_turns == 0
    assert segments(house) == 0


def test_a_sweep_whose_time_ends_while_it_reads_manifests_reads_each_once(
    house: House, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_CHUNK", 3)
    kept = [version(house, "shared", f"kept {number}") for number in range(20)]
    end(house, version(house, "shared", "ended"))
    stored(house, "of nobody")
    started = sweeps.start(house.application, "somebody", at_once=True)
    read: list[str] = []
    with _watching_gets(read):
        while not house.get(started).state.ended:
            most = len(read) + 2
            monkeypatch.setattr(Budget, "over", property(lambda _, most=most: len(read) > most))
            house.engine.work(house.application)
            house.clock.advance(31)
    done = house.get(started)
    assert (done.state, done.outcome["segments"], done.outcome["versions"]) == (State.SUCCEEDED, 2, 1)
    assert done.turns >= 6
    assert done.idle_turns == 0
    assert sorted(read) == sorted(layout.manifest(house.application, each.version) for each in kept)
    assert house.repository.operations.parts(house.application, done.id, "manifests") == []
    assert segments(house) == 22


def test_what_was_read_in_an_earlier_turn_counts_only_for_versions_that_exist(
    house: House, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_CHUNK", 2)
    versions = [version(house, f"content {number}") for number in range(8)]
    started = sweeps.start(house.application, "somebody", at_once=True)
    read: list[str] = []
    with _watching_gets(read):
        monkeypatch.setattr(Budget, "over", property(lambda _: len(read) > 4))
        house.engine.work(house.application)
    assert not house.get(started).state.ended
    for each in versions[:3]:  # they were read, and end before the next turn
        end(house, each)
    late = version(house, "content 0")  # and one of them comes again
    monkeypatch.setattr(Budget, "over", property(lambda _: False))
    house.clock.advance(31)
    house.engine.work(house.application)
    assert house.get(started).outcome["segments"] == 2
    names = {each.name for one in (*versions[3:], late) for each in one.everything}
    assert {
        each.key.rpartition("/")[2] for each in house.repository.vault.list(layout.segments(house.application))
    } == names


@contextmanager
def _watching_gets(read: list[str]) -> Iterator[None]:
    """Every manifest that is read while this is open."""
    original = MemoryBackend.get

    def get(self: MemoryBackend, key: str) -> Any:
        if "/versions/" in key and key.endswith(".json"):
            read.append(key)
        return original(self, key)

    MemoryBackend.get = get  # type: ignore[method-assign]
    try:
        yield
    finally:
        MemoryBackend.get = original  # type: ignore[method-assign]


def test_a_hold_stays_although_another_worker_seals_what_was_sealed(house: House, sweeps: Sweeps) -> None:
    """The first one died after the version was there, and somebody held it before the next one came."""
    held: list[str] = []

    def seal_twice(work: Work) -> Next:
        seal(work)
        work.leave_sealing()
        (version,) = house.repository.versions(house.application).list()
        house.repository.notes.update(
            house.application, version, lambda note: note.model_copy(update={"hold": True, "comment": "good"})
        )
        held.append(version)
        return seal(work)

    done = _synthetic(house, seed=1, seal=seal_twice)
    assert done.state is State.SUCCEEDED
    note = house.repository.notes.get(house.application, held[0])
    assert (note.hold, note.comment, note.made_by) == (True, "good", "somebody")
