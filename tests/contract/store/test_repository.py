"""A repository on each storage: made, opened, copied; by many at once, with the wrong key, spoiled."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.domain.errors import Damaged, Malformed, NotFound, StorageUnfit, WrongKey
from chalicelib.domain.ids import new_id
from chalicelib.store import layout
from chalicelib.store.address import backend_at
from chalicelib.store.repository import Initialised, Repository
from chalicelib.store.wrappers import Passphrase, RecoveryKey
from tests.contract.store.places import InBucket, InDirectory, Place
from tests.contract.store.samples import AT, DOCUMENT, PASSPHRASE, key_of, line_of, sealed_version

APP = new_id("app", AT)


def make(place: Place) -> Initialised:
    backend = place.backend()
    return Repository.initialise_on(backend, backend, [PASSPHRASE])


def opened(place: Place, *wrappers: object) -> Repository:
    backend = place.backend()
    return Repository.on(backend, backend, list(wrappers) or [PASSPHRASE])


def test_a_version_is_read_back_by_another_process_with_the_passphrase(real_place: Place) -> None:
    sealed = sealed_version(make(real_place).repository, APP)
    other = opened(real_place)
    manifest = other.versions(APP).get(sealed.version)
    assert manifest == sealed
    objects = other.objects(manifest)
    assert objects.document() == DOCUMENT
    index = objects.load_index()
    assert len(index) == 705
    read = dict(objects.read_objects(index))
    assert read[key_of("Secret", 17)] == json.loads(line_of("Secret", 17, 600))
    assert read[key_of("ConfigMap", 3)] == json.loads(line_of("ConfigMap", 3, 600))


def test_vault_and_control_may_be_different_storages(real_place: Place, other_place: Place) -> None:
    vault, control = real_place.backend(), other_place.backend()
    repository = Repository.initialise_on(vault, control, [PASSPHRASE]).repository
    sealed_version(repository, APP)
    assert {listed.key.split("/")[0] for listed in vault.list("")} == {"vault"}
    assert {listed.key.split("/")[0] for listed in control.list("")} == {"control"}


def test_the_recovery_key_opens_everything(real_place: Place) -> None:
    made = make(real_place)
    sealed = sealed_version(made.repository, APP)
    assert made.recovery_key is not None
    typed = made.recovery_key.lower().replace("-", " ")
    assert opened(real_place, RecoveryKey.parse(typed)).versions(APP).get(sealed.version) == sealed


def test_a_wrong_passphrase_opens_nothing_and_is_said_to_be_wrong(real_place: Place) -> None:
    sealed = sealed_version(make(real_place).repository, APP)
    wrong = opened(real_place, Passphrase("incorrect horse"))
    with pytest.raises(WrongKey, match="passphrase does not open"):
        wrong.versions(APP).get(sealed.version)
    with pytest.raises(WrongKey, match="recovery key does not open"):
        opened(real_place, RecoveryKey.generate()).versions(APP).get(sealed.version)


def test_nothing_to_open_with_says_what_would(real_place: Place) -> None:
    make(real_place)
    backend = real_place.backend()
    with pytest.raises(WrongKey, match="passphrase or recovery"):
        Repository.on(backend, backend, []).keyring.application(APP)


def test_a_folder_copied_elsewhere_opens_there_with_either_key(real_place: Place, other_place: Place) -> None:
    made = make(real_place)
    sealed = sealed_version(made.repository, APP)
    real_place.copy_to(other_place, layout.vault(APP))
    assert made.recovery_key is not None
    for wrapper in (RecoveryKey.parse(made.recovery_key), PASSPHRASE):
        elsewhere = Repository.foreign(other_place.backend(), [wrapper])
        (version,) = elsewhere.versions(APP).list()
        manifest = elsewhere.versions(APP).get(version)
        assert manifest == sealed
        assert len(list(elsewhere.objects(manifest).read_objects(elsewhere.objects(manifest).read_index()))) == 705
    with pytest.raises(WrongKey):
        Repository.foreign(other_place.backend(), [Passphrase("no")]).versions(APP).get(sealed.version)


def test_a_folder_copied_into_another_repository_opens_with_its_own_key(
    real_place: Place, other_place: Place
) -> None:
    made = make(real_place)
    sealed = sealed_version(made.repository, APP)
    backend = other_place.backend()
    other = Passphrase("another")
    Repository.initialise_on(backend, backend, [other])
    real_place.copy_to(other_place, layout.vault(APP))
    repository = Repository.on(backend, backend, [other, PASSPHRASE])
    assert repository.versions(APP).get(sealed.version) == sealed
    assert repository.locations.find(sealed.version) == APP


def test_several_that_initialise_at_once_agree_and_one_gets_the_recovery_key(real_place: Place) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: make(real_place), range(4)))
    assert len({one.repository.id for one in made}) == 1
    assert sum(one.recovery_key is not None for one in made) == 1
    sealed = sealed_version(made[0].repository, APP)
    for one in made:
        assert one.repository.versions(APP).get(sealed.version) == sealed


def test_initialising_again_changes_nothing_and_needs_the_passphrase(real_place: Place) -> None:
    first = make(real_place)
    again = make(real_place)
    assert (again.repository.id, again.recovery_key) == (first.repository.id, None)
    backend = real_place.backend()
    with pytest.raises(WrongKey):
        Repository.initialise_on(backend, backend, [Passphrase("other")])


def test_applications_get_one_key_however_many_ask_at_once(real_place: Place) -> None:
    make(real_place)
    repositories = [opened(real_place) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda one: one.keyring.application(APP, create=True).segments, repositories))
    assert len(set(keys)) == 1


def test_there_is_no_repository_where_none_was_made(real_place: Place) -> None:
    with pytest.raises(NotFound, match="no repository"):
        opened(real_place)


def test_a_newer_format_is_left_alone(real_place: Place) -> None:
    make(real_place)
    real_place.write(layout.REPOSITORY, b'{"format": 2, "id": "x"}')
    with pytest.raises(StorageUnfit, match="newer release"):
        opened(real_place)


def test_spoiled_bytes_are_damage_that_names_the_key(real_place: Place) -> None:
    sealed = sealed_version(make(real_place).repository, APP)
    keys = {
        layout.segment(APP, sealed.segments[1].name),
        layout.segment(APP, sealed.index[0].name),
        layout.segment(APP, sealed.document.name),
        layout.manifest(APP, sealed.version),
        layout.root_key(1),
        layout.application_key(APP, 1),
    }
    for key in keys:
        whole = real_place.read(key)
        for how, spoiled in _spoiled(whole).items():
            real_place.write(key, spoiled)
            with pytest.raises(Damaged) as caught:
                _read_everything(opened(real_place), sealed.version)
            assert (key, how, caught.value.details["key"]) == (key, how, key)
            assert key in caught.value.message
        real_place.write(key, whole)
    _read_everything(opened(real_place), sealed.version)


def test_a_missing_segment_is_damage_that_names_the_key(real_place: Place) -> None:
    sealed = sealed_version(make(real_place).repository, APP)
    for segment in (sealed.segments[-1], sealed.index[-1], sealed.document):
        key = layout.segment(APP, segment.name)
        whole = real_place.read(key)
        real_place.backend().delete(key)
        with pytest.raises(Damaged, match="missing") as caught:
            _read_everything(opened(real_place), sealed.version)
        assert caught.value.details["key"] == key
        real_place.write(key, whole)


def test_a_segment_in_anothers_place_is_damage(real_place: Place) -> None:
    sealed = sealed_version(make(real_place).repository, APP)
    one, other = (layout.segment(APP, segment.name) for segment in sealed.segments[:2])
    real_place.write(one, real_place.read(other))
    with pytest.raises(Damaged) as caught:
        _read_everything(opened(real_place), sealed.version)
    assert caught.value.details["key"] == one


def test_a_manifest_under_another_versions_name_is_damage(real_place: Place) -> None:
    sealed = sealed_version(make(real_place).repository, APP)
    other = new_id("ver", AT + timedelta(days=1))
    real_place.write(layout.manifest(APP, other), real_place.read(layout.manifest(APP, sealed.version)))
    with pytest.raises(Damaged):
        opened(real_place).versions(APP).get(other)


def test_every_single_altered_byte_of_a_manifest_is_found(tmp_path: Path) -> None:
    directory = InDirectory(tmp_path / "repository")
    sealed = sealed_version(make(directory).repository, APP)
    key = layout.manifest(APP, sealed.version)
    whole = directory.read(key)
    repository = opened(directory)
    for place in range(0, len(whole), 7):
        directory.write(key, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            repository.versions(APP).get(sealed.version)


@pytest.mark.parametrize(
    "address",
    [
        "", "shop", "s3://", "s3://B/x", "s3://ab/x", "s3://bucket/a/../b", "s3://bucket/a b", "http://bucket",
        "file://", "file:///", "file://host/path", "file://relative/path", "file:///a/../b", "file:///a?b", "/a/b",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(Malformed, match=r".{20,}"):
        backend_at(address)


def test_a_vault_can_lie_in_a_bucket_with_object_lock(bucket: InBucket) -> None:
    locked = InBucket(bucket.server, bucket.server.make_bucket(object_lock=True))
    retention = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    bucket.server.client().put_object_lock_configuration(Bucket=locked.bucket, ObjectLockConfiguration=retention)
    vault, control = locked.backend(), bucket.backend()
    repository = Repository.initialise_on(vault, control, [PASSPHRASE]).repository
    sealed = sealed_version(repository, APP)
    repository.versions(APP).end(sealed_version(repository, APP).version, "usr-x", "asked for")
    assert list(repository.versions(APP).list()) == [sealed.version]
    _read_everything(repository, sealed.version)


def test_addresses_lead_to_their_storage(real_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in real_place.environment.items():
        monkeypatch.setenv(name, value)
    made = Repository.initialise(real_place.address, wrappers=[PASSPHRASE])
    assert Repository.open(real_place.address, wrappers=[PASSPHRASE]).id == made.repository.id
    assert made.repository.describe() == real_place.address
    assert layout.REPOSITORY in {listed.key for listed in real_place.backend().list("vault/")}
    assert isinstance(real_place, InBucket | InDirectory)


def _read_everything(repository: Repository, version: str) -> None:
    manifest = repository.versions(APP).get(version)
    objects = repository.objects(manifest)
    objects.document()
    for _ in objects.read_objects(objects.load_index()):
        pass


def _spoiled(data: bytes) -> dict[str, bytes]:
    middle = len(data) // 2
    return {
        "cut": data[:-20],
        "altered": data[:middle] + bytes([data[middle] ^ 0x20]) + data[middle + 1 :],
        "longer": data + b"x",
        "empty": b"",
    }
