"""Verifying, measuring and sweeping a vault, on each storage."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import orjson
import pytest

from chalicelib.domain.errors import Damaged, SegmentsGone
from chalicelib.domain.ids import new_id
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import Manifest
from chalicelib.engine.operations.mending import repair
from chalicelib.engine.operations.verifying import Verified, Verifier, applications
from chalicelib.planning.bodies.normalise import digest
from chalicelib.store import condemned, layout
from chalicelib.store.index import write_index
from chalicelib.store.packing import Packer
from chalicelib.store.repository import Repository
from chalicelib.store.statistics import measure
from chalicelib.store.sweeping import Sweep, Swept
from tests.contract.store.places import InBucket, Place
from tests.contract.store.samples import AT, PASSPHRASE, made_repository
from tests.harness.proxy import HttpProxy

APP = new_id("app", AT)

#: What only reads, and by means that have a suite of their own, is tried on one storage.
anywhere = pytest.mark.parametrize("place", ["directory"], indirect=True)


@pytest.fixture
def repository(place: Place) -> Repository:
    return made_repository(place)


def stored(repository: Repository, **kinds: int) -> Manifest:
    """Not sealed: a few objects of each kind, in the state that the number says; a segment for each kind."""
    writer = repository.segment_writer(APP)
    rows, segments = [], []
    for kind in sorted(kinds):
        packer = Packer(writer)
        rows += packer.pack(_line(kind, kinds[kind], number) for number in range(3))
        segments += packer.finish()
    return Manifest(
        application=APP,
        version=new_id("ver", AT),
        application_name="shop",
        cluster="cl-x",
        operation=new_id("op", AT),
        fence=1,
        started_at=AT,
        captured_at=AT,
        objects=len(rows),
        plain_bytes=sum(row.length for row in rows),
        document=writer.put("document", b"text"),
        index=write_index(writer, rows),
        segments=tuple(segments),
    )


def sealed(repository: Repository, **kinds: int) -> Manifest:
    return repository.versions(APP).seal(stored(repository, **kinds))


def _line(kind: str, state: int, number: int) -> tuple[ObjectKey, bytes, bytes]:
    content = hashlib.shake_128(f"{kind}{state}{number}".encode()).hexdigest(200)
    body = {"kind": kind, "metadata": {"name": f"n{number}"}, "data": content}
    line = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return ObjectKey("", kind, "shop", f"n{number}"), line, digest(body)


def verified(repository: Repository, *, quick: bool = False) -> Verified:
    return Verifier(repository, APP).look(quick=quick)


def repaired(repository: Repository) -> dict[str, str]:
    """What became of each key that is damaged."""
    verifier = Verifier(repository, APP)
    found = verifier.look()
    repair(repository, verifier, found)
    return {damage.key: damage.repair for damage in found.damages}


def cut(place: Place, key: str) -> None:
    place.write(key, place.read(key)[:-1])


def flip(place: Place, key: str) -> None:
    data = bytearray(place.read(key))
    data[len(data) // 2] ^= 1
    place.write(key, bytes(data))


# ── verify ───────────────────────────────────────────────────────────────────────────────────────────────────


@anywhere
def test_what_is_whole_is_told_so(repository: Repository) -> None:
    first, second = sealed(repository, A=1, B=1), sealed(repository, A=1, B=2)
    found = verified(repository)
    assert (found.damages, found.affected) == ([], [])
    names = {segment.name for each in (first, second) for segment in each.everything}
    assert (found.versions, found.segments) == (2, len(names))
    assert applications(repository) == [APP]


@anywhere
def test_a_flipped_bit_names_the_objects_and_versions_it_takes_along(repository: Repository, place: Place) -> None:
    first, second, third = sealed(repository, A=1, B=1), sealed(repository, A=1, B=2), sealed(repository, A=2, B=2)
    key = layout.segment(APP, first.segments[0].name)
    flip(place, key)
    found = verified(repository)
    assert [(damage.key, sorted(damage.versions)) for damage in found.damages] == [
        (key, sorted([first.version, second.version]))
    ]
    assert third.version not in found.affected
    assert len(found.damages[0].objects) == 3
    assert all("n" in each and "A" in each for each in found.damages[0].objects)
    assert verified(repository, quick=True).damages == []  # it is as long as it was


@anywhere
@pytest.mark.parametrize("quick", [False, True])
def test_what_is_missing_or_cut_is_found_by_a_quick_look_too(
    repository: Repository, place: Place, *, quick: bool
) -> None:
    version = sealed(repository, A=1, B=1)
    gone, short = (layout.segment(APP, segment.name) for segment in version.segments)
    repository.vault.delete(gone)
    cut(place, short)
    assert [damage.key for damage in verified(repository, quick=quick).damages] == sorted([gone, short])


@anywhere
def test_a_damaged_index_document_and_manifest_are_found(repository: Repository, place: Place) -> None:
    one, two, three = sealed(repository, A=1), sealed(repository, A=2), sealed(repository, A=3)
    keys = [
        layout.segment(APP, one.index[0].name),
        layout.segment(APP, two.document.name),
        layout.manifest(APP, three.version),
    ]
    for key in keys:
        flip(place, key)
    found = verified(repository)
    assert [damage.key for damage in found.damages] == sorted(keys)
    by_key = {damage.key: damage.versions for damage in found.damages}
    assert by_key[keys[0]] == {one.version}
    assert by_key[keys[1]] == {one.version, two.version}
    assert by_key[keys[2]] == {three.version}


@anywhere
def test_an_index_that_leads_elsewhere_is_found(repository: Repository) -> None:
    """Everything is authentic, and yet wrong: a fault of the program that wrote it."""
    writer = repository.segment_writer(APP)
    manifest = stored(repository, A=1)
    rows = list(repository.objects(manifest).read_index())
    wrong = [rows[0]._replace(digest=bytes(32)), rows[1]._replace(offset=rows[1].offset + 1), rows[2]]
    manifest = manifest.model_copy(update={"index": write_index(writer, wrong)})
    repository.versions(APP).seal(manifest)
    found = verified(repository)
    assert [sorted(damage.objects) for damage in found.damages] == [[str(rows[0].key), str(rows[1].key)]]


@anywhere
def test_verifying_changes_nothing(repository: Repository, place: Place) -> None:
    flip(place, layout.segment(APP, sealed(repository, A=1).segments[0].name))
    before = [(each.key, each.modified) for each in repository.vault.list("")]
    verified(repository)
    assert [(each.key, each.modified) for each in repository.vault.list("")] == before


def test_what_was_damaged_unnoticed_is_in_the_next_version_too_and_once_condemned_is_stored_again_and_mended(
    repository: Repository, place: Place
) -> None:
    damaged = sealed(repository, A=1, B=1)
    key = layout.segment(APP, damaged.segments[0].name)
    flip(place, key)
    assert sealed(repository, A=1, B=1).segments == damaged.segments  # nothing is read to make a version
    assert repaired(repository) == repaired(repository) == {key: "condemned"}
    assert len(condemned.keys(repository.vault, APP)) == 1  # once
    later = sealed(repository, A=1, B=1)
    assert later.segments[0].name != damaged.segments[0].name
    assert later.segments[1] == damaged.segments[1]
    assert later.version not in verified(repository).affected
    assert repaired(repository) == {key: "mended"}
    assert verified(repository).damages == verified(repository, quick=True).damages == []
    reader = repository.segment_reader(APP)
    assert reader.get(damaged.segments[0], "objects") == reader.get(later.segments[0], "objects")


@anywhere
def test_a_list_that_cannot_be_read_gives_way_to_one_of_everything_that_is_there(
    repository: Repository, place: Place
) -> None:
    """Whatever stood on it, nobody counts on it from now on; and what versions need stays."""
    version = sealed(repository, A=1)
    condemned.condemn(repository.vault, APP, [version.segments[0].name], "a test")
    (key,) = condemned.keys(repository.vault, APP)
    cut(place, key)
    with pytest.raises(Damaged):
        sealed(repository, A=1)
    assert repaired(repository) == {key: "mended"}
    later = sealed(repository, A=1)
    names, before = ({each.name for each in one.everything} for one in (later, version))
    assert names.isdisjoint(before)
    assert swept(repository).segments == 0
    assert verified(repository).damages == []


@anywhere
def test_a_segment_that_is_gone_is_never_put_back_under_its_name(repository: Repository) -> None:
    """A name that is used twice could be one that a sweeper is about to delete."""
    damaged = sealed(repository, A=1)
    key = layout.segment(APP, damaged.segments[0].name)
    repository.vault.delete(key)
    sealed(repository, A=1)
    assert repaired(repository) == {key: "condemned"}
    assert repository.vault.get(key) is None


@anywhere
def test_what_can_be_read_and_is_wrong_is_not_said_to_be_mended(repository: Repository) -> None:
    writer = repository.segment_writer(APP)
    manifest = stored(repository, A=1)
    rows = [row._replace(digest=bytes(32)) for row in repository.objects(manifest).read_index()]
    repository.versions(APP).seal(manifest.model_copy(update={"index": write_index(writer, rows)}))
    assert repaired(repository) == {layout.segment(APP, manifest.segments[0].name): "condemned"}


# ── stats ────────────────────────────────────────────────────────────────────────────────────────────────────


@anywhere
def test_statistics_add_up(repository: Repository) -> None:
    first, second = sealed(repository, A=1, B=1), sealed(repository, A=1, B=2)
    stored(repository, A=7)
    size = measure(repository, APP)
    newest, oldest = size.versions
    assert {newest.version, oldest.version} == {first.version, second.version}
    assert newest.objects == 6
    assert size.plain_bytes == first.plain_bytes + second.plain_bytes
    every = {segment.name: segment.stored for each in (first, second) for segment in each.everything}
    assert size.needed_bytes == sum(every.values())
    assert size.unneeded_segments == 2  # an object and the index: the document is shared
    assert size.stored_bytes == size.needed_bytes + size.unneeded_bytes
    shared = first.document.stored + first.segments[0].stored
    assert newest.unique_bytes + oldest.unique_bytes + shared == size.needed_bytes
    assert size.ratio is not None


# ── sweep ────────────────────────────────────────────────────────────────────────────────────────────────────


def swept(repository: Repository, grace: timedelta = timedelta(0)) -> Swept:
    sweep = Sweep(repository, APP, grace)
    found = sweep.find()
    doomed = sweep.doomed(found)
    sweep.condemn(found, doomed, "a test")
    sweep.delete(sweep.spare_new(found, doomed), lambda _done, _total: None)
    sweep.tidy(found, lambda _done, _total: None)
    return sweep.done


def test_a_sweep_leaves_what_versions_need_and_nothing_else(repository: Repository) -> None:
    gone, kept = sealed(repository, A=1, B=1), sealed(repository, A=1, B=2)
    stored(repository, A=3)
    repository.end_version(APP, gone.version, "somebody", "asked for")
    assert swept(repository, timedelta(hours=1)).segments == 0
    assert swept(repository).segments == 4  # B and the index of `gone`; A and the index of what was never sealed
    assert {each.key.rpartition("/")[2] for each in repository.vault.list(layout.segments(APP))} == {
        segment.name for segment in kept.everything
    }
    assert verified(repository).damages == []
    assert repository.vault.get(layout.manifest(APP, gone.version)) is None
    assert repository.versions(APP).ended(gone.version) is not None
    assert swept(repository).segments == 0


@anywhere
def test_what_ends_and_is_swept_while_it_is_verified_is_no_damage(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = sealed(repository, A=1)
    kept = sealed(repository, A=2)
    lost = layout.segment(APP, kept.segments[0].name)

    def meanwhile(_: Verifier) -> list[Damaged]:
        """The manifests are read, the segments not yet."""
        repository.end_version(APP, gone.version, "somebody", "asked for")
        assert swept(repository).segments == 2
        repository.vault.delete(lost)
        return []

    monkeypatch.setattr(Verifier, "_unreadable_lists", meanwhile)
    assert [damage.key for damage in verified(repository).damages] == [lost]


def test_a_deletion_whose_answer_was_lost_is_a_deletion(bucket: InBucket, proxy: HttpProxy) -> None:
    repository = made_repository(bucket)
    repository.end_version(APP, sealed(repository, A=1).version, "somebody", "asked for")
    lost = proxy.lose_answer("DELETE", "segments", times=2)
    assert swept(repository).segments == 3
    assert lost.hits == 2
    assert list(repository.vault.list(layout.segments(APP))) == []


def test_condemning_whose_answer_was_lost_is_once(bucket: InBucket, proxy: HttpProxy) -> None:
    repository = made_repository(bucket)
    stored(repository, A=1)
    lost = proxy.lose_answer("PUT", "condemned")
    assert swept(repository).segments == 3
    assert lost.hits == 1
    assert len(condemned.keys(repository.vault, APP)) == 1


def test_a_backup_that_looked_before_a_sweep_cannot_seal_what_that_took(repository: Repository) -> None:
    """Paused after it found segments of a version that is no more; a sweep; then it goes on."""
    repository.end_version(APP, sealed(repository, A=1).version, "somebody", "asked for")
    paused = stored(repository, A=1)
    assert swept(repository).segments == 3
    with pytest.raises(SegmentsGone):
        repository.versions(APP).seal(paused)
    again = sealed(repository, A=1)
    assert {segment.name for segment in again.everything}.isdisjoint(segment.name for segment in paused.everything)
    assert verified(repository).damages == []


def test_two_sweeps_at_once_take_what_one_takes(repository: Repository) -> None:
    kept, gone = sealed(repository, A=1), sealed(repository, A=2)
    repository.end_version(APP, gone.version, "somebody", "asked for")
    one, other = (Sweep(repository, APP, timedelta(0)) for _ in range(2))
    looks = [(each, each.find()) for each in (one, other)]
    for sweep, found in looks:
        doomed = sweep.doomed(found)
        sweep.condemn(found, doomed, "a test")
        sweep.delete(sweep.spare_new(found, doomed), lambda _done, _total: None)
    for sweep, found in looks:
        sweep.tidy(found, lambda _done, _total: None)
    assert list(repository.versions(APP).list()) == [kept.version]
    assert verified(repository).damages == []


def test_a_folder_copied_elsewhere_is_swept_there_and_stays_here(
    repository: Repository, place: Place, other_place: Place
) -> None:
    kept, gone = sealed(repository, A=1), sealed(repository, A=2)
    place.copy_to(other_place, "vault/")
    copy = Repository.on(other_place.backend(), other_place.backend(), [PASSPHRASE])
    copy.end_version(APP, gone.version, "somebody", "only there")
    assert swept(copy).segments == 2
    assert verified(copy).damages == verified(repository).damages == []
    assert set(repository.versions(APP).list()) == {kept.version, gone.version}
