"""Sealing, ending and storing content once, on each storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest

from chalicelib.domain.errors import Conflict, Damaged, LeaseLost, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.domain.version import Manifest
from chalicelib.store import layout
from chalicelib.store.backend import Written
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.repository import Repository
from chalicelib.store.segments import SegmentWriter
from tests.contract.store.places import InBucket, Place
from tests.contract.store.samples import AT, PASSPHRASE, key_of, made_repository, sealed_version, store_version
from tests.harness.proxy import HttpProxy

APP = new_id("app", AT)


@pytest.fixture
def repository(place: Place) -> Repository:
    return made_repository(place)


def test_nothing_is_a_version_before_it_is_sealed(repository: Repository) -> None:
    manifest = store_version(repository, APP)
    versions = repository.versions(APP)
    assert (list(versions.list()), versions.exists(manifest.version)) == ([], False)
    with pytest.raises(NotFound, match="has no version"):
        versions.get(manifest.version)
    versions.seal(manifest)
    assert (list(versions.list()), versions.exists(manifest.version)) == ([manifest.version], True)
    assert repository.locations.find(manifest.version) == APP


def test_versions_are_listed_newest_first_without_the_ended_ones(repository: Repository) -> None:
    manifest = store_version(repository, APP)
    ids = [new_id("ver", AT + timedelta(hours=hours)) for hours in range(5)]
    versions = repository.versions(APP)
    for version in ids:
        versions.seal(manifest.model_copy(update={"version": version}))
    versions.end(ids[2], "usr-x", "asked for")
    assert list(versions.list()) == [ids[4], ids[3], ids[1], ids[0]]


def test_an_ended_version_is_gone_and_says_who_ended_it(repository: Repository) -> None:
    sealed = sealed_version(repository, APP)
    versions = repository.versions(APP)
    first = versions.end(sealed.version, "usr-somebody", "no longer needed")
    assert versions.end(sealed.version, "usr-other", "again") == first
    assert not versions.exists(sealed.version)
    with pytest.raises(NotFound, match=r"usr-somebody.*no longer needed"):
        versions.get(sealed.version)


def test_a_version_that_was_given_up_cannot_be_sealed_late(repository: Repository) -> None:
    manifest = store_version(repository, APP)
    versions = repository.versions(APP)
    versions.end(manifest.version, "usr-x", "cancelled")
    with pytest.raises(Conflict, match="ended before"):
        versions.seal(manifest)
    assert not versions.exists(manifest.version)


def test_a_manifest_written_by_a_stalled_worker_after_the_end_is_dead(repository: Repository, place: Place) -> None:
    sealed = sealed_version(repository, APP)
    key = layout.manifest(APP, sealed.version)
    late = place.read(key)
    repository.vault.delete(key)
    repository.versions(APP).end(sealed.version, "usr-x", "given up")
    place.write(key, late)
    assert list(repository.versions(APP).list()) == []
    with pytest.raises(NotFound):
        repository.versions(APP).get(sealed.version)


def test_sealing_twice_is_once_and_another_operation_cannot(repository: Repository) -> None:
    sealed = sealed_version(repository, APP)
    versions = repository.versions(APP)
    assert versions.seal(sealed.model_copy(update={"fence": 2})) == sealed
    with pytest.raises(Conflict, match="another operation"):
        versions.seal(sealed.model_copy(update={"operation": new_id("op", AT)}))


def test_a_seal_whose_answer_was_lost_is_a_seal(bucket: InBucket, proxy: HttpProxy) -> None:
    repository = made_repository(bucket)
    manifest = store_version(repository, APP)
    rule = proxy.lose_answer("PUT", "versions")
    assert repository.versions(APP).seal(manifest) == manifest
    assert rule.hits == 1
    assert list(repository.versions(APP).list()) == [manifest.version]


@pytest.mark.parametrize("which", ["document", "index", "segments"])
def test_a_version_whose_segment_is_missing_is_not_sealed(repository: Repository, which: str) -> None:
    manifest = store_version(repository, APP)
    segments = getattr(manifest, which)
    name = segments.name if which == "document" else segments[-1].name
    repository.vault.delete(layout.segment(APP, name))
    with pytest.raises(Damaged, match="not sealed") as caught:
        repository.versions(APP).seal(manifest)
    assert caught.value.details["key"] == layout.segment(APP, name)
    assert list(repository.versions(APP).list()) == []


def test_the_same_content_again_uploads_nothing(repository: Repository) -> None:
    first = store_version(repository, APP)
    second = store_version(repository, APP)
    assert first.added_bytes > 0
    assert second.added_bytes == 0
    assert (second.index, second.segments, second.document) == (first.index, first.segments, first.document)


def test_one_changed_object_uploads_its_neighbourhood_only(repository: Repository) -> None:
    first = store_version(repository, APP, secrets=range(3000))
    second = store_version(repository, APP, secrets=[n for n in range(3000) if n != 1500])
    unchanged = {segment.name for segment in first.segments} & {segment.name for segment in second.segments}
    assert len(first.segments) > 6
    assert len(second.segments) - len(unchanged) <= 3


def test_applications_share_no_content(repository: Repository) -> None:
    other = new_id("app", AT)
    mine, theirs = store_version(repository, APP), store_version(repository, other)
    names = {segment.name.partition("-")[0] for segment in mine.segments}
    assert names.isdisjoint(segment.name.partition("-")[0] for segment in theirs.segments)


def test_a_backup_never_counts_on_a_condemned_key(repository: Repository) -> None:
    first = sealed_version(repository, APP)
    condemned = first.segments[1]
    _condemn(repository, condemned.name)
    second = store_version(repository, APP)
    again = [segment for segment in second.segments if segment.name not in {one.name for one in first.segments}]
    assert [segment.name.partition("-")[0] for segment in again] == [condemned.name.partition("-")[0]]
    repository.vault.delete(layout.segment(APP, condemned.name))
    repository.versions(APP).seal(second)
    assert len(list(repository.objects(second).read_objects(repository.objects(second).load_index()))) == 705


def test_a_segment_that_is_condemned_meanwhile_keeps_the_version_from_being_sealed(repository: Repository) -> None:
    manifest = store_version(repository, APP)
    _condemn(repository, manifest.segments[0].name)
    with pytest.raises(Damaged, match="condemned") as caught:
        repository.versions(APP).seal(manifest)
    assert caught.value.details["key"] == layout.segment(APP, manifest.segments[0].name)


def test_content_that_comes_from_many_threads_at_once_is_stored_once(repository: Repository) -> None:
    writer = repository.segment_writer(APP)
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda n: writer.put("objects", b"content %d" % (n % 3)), range(24)))
    assert len({segment.name for segment in stored}) == 3
    assert writer.added == 3
    assert len(list(repository.vault.list(layout.segments(APP)))) == 3


def test_the_same_bytes_of_another_kind_are_another_segment(repository: Repository) -> None:
    writer = repository.segment_writer(APP)
    document, objects = writer.put("document", b"x"), writer.put("objects", b"x")
    reader = repository.segment_reader(APP)
    assert reader.get(document, "document") == b"x"
    with pytest.raises(Damaged):
        reader.get(document.name, "objects")
    assert document.name.partition("-")[0] != objects.name.partition("-")[0]


def test_an_upload_whose_answer_was_lost_is_an_upload(bucket: InBucket, proxy: HttpProxy) -> None:
    repository = made_repository(bucket)
    proxy.lose_answer("PUT", "segments", times=2)
    sealed = sealed_version(repository, APP)
    assert len(list(repository.objects(sealed).read_objects(repository.objects(sealed).load_index()))) == 705


def test_a_worker_that_lost_its_lease_uploads_and_seals_nothing(repository: Repository) -> None:
    def guard() -> None:
        raise LeaseLost("over")

    manifest = store_version(repository, APP)
    late = repository.guarded(guard)
    before = sorted(listed.key for listed in repository.vault.list(""))
    for attempt in (
        lambda: late.versions(APP).seal(manifest),
        lambda: late.segment_writer(APP).put("objects", b"new"),
        lambda: late.operations.put_part(APP, manifest.operation, "plan", 1, 0, [b"{}"]),
        lambda: late.versions(APP).end(manifest.version, "usr-x", "x"),
    ):
        with pytest.raises(LeaseLost):
            attempt()
    assert sorted(listed.key for listed in repository.vault.list("")) == before


def test_a_failed_upload_is_told_to_all_who_wait_for_it_and_tried_again_by_the_next() -> None:
    class FailsOnce(MemoryBackend):
        failing = False

        def create(self, key: str, data: bytes) -> Written:
            if self.failing and "segments" in key:
                self.failing = False
                raise LeaseLost("as the test says")
            return super().create(key, data)

    backend = FailsOnce()
    repository = Repository.initialise_on(backend, backend, [PASSPHRASE]).repository
    writer: SegmentWriter = repository.segment_writer(APP)
    backend.failing = True
    with pytest.raises(LeaseLost):
        writer.put("objects", b"content")
    segment = writer.put("objects", b"content")
    assert repository.segment_reader(APP).get(segment, "objects") == b"content"


def test_objects_come_in_the_order_of_the_index(repository: Repository) -> None:
    sealed = sealed_version(repository, APP, secrets=range(3000))
    objects = repository.objects(sealed)
    keys = [key for key, _ in objects.read_objects(objects.load_index())]
    assert keys == [key_of("ConfigMap", n) for n in range(5)] + [key_of("Secret", n) for n in range(3000)]


def test_the_manifest_and_the_segments_tell_nothing_that_is_inside(repository: Repository, place: Place) -> None:
    sealed = sealed_version(repository, APP)
    everything = b"".join(place.read(listed.key) for listed in repository.vault.list(""))
    assert b"secret-00017" not in everything
    assert b"ours" not in everything
    assert (
        Manifest.model_validate(orjson.loads(place.read(layout.manifest(APP, sealed.version)))["manifest"]) == sealed
    )


def _condemn(repository: Repository, name: str) -> None:
    data = orjson.dumps({"keys": [layout.segment(APP, name)]})
    repository.vault.create(f"{layout.condemned(APP)}01jd0000000000000000000000.json", data)
