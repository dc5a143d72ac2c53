"""Storage that is slow, refuses, loses answers, stands still, is full, is damaged, or does not open."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chalicelib.domain.errors import Damaged, MainstayError, StorageFull, WrongKey
from chalicelib.domain.operation import State
from chalicelib.store.backends.s3 import S3Access
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase
from tests.harness.access import Access
from tests.harness.proxy import HttpProxy
from tests.harness.s3 import S3Server
from tests.support import shop
from tests.support.moments import Moment
from tests.support.site import Site, open_site
from tests.support.truth import assert_as, assert_no_version_lost, assert_result_is_true, assert_succeeded
from tests.support.worker import Storage

pytestmark = pytest.mark.cluster


@pytest.fixture
def proxy(versity_s3: S3Server) -> Iterator[HttpProxy]:
    """What stands between the repository and its S3 server."""
    with HttpProxy(versity_s3.endpoint) as opened:
        yield opened


@pytest.fixture
def remote(control_plane: Access, versity_s3: S3Server, proxy: HttpProxy, tmp_path: Path) -> Iterator[Site]:
    """The shop, with its repository on S3 behind the proxy."""
    access = S3Access(proxy.endpoint, versity_s3.region, versity_s3.access_key, versity_s3.secret_key)
    storage = Storage(bucket=versity_s3.make_bucket("fault"), access=access)
    with open_site(control_plane, tmp_path, storage=storage) as site:
        yield site
        proxy.clear()


def _there_and_back(site: Site, proxy: HttpProxy, fault: Callable[[], object]) -> None:
    """A backup and a restore through a storage with a fault, beside a version that was there before."""
    site.backup()
    versions, wanted = site.versions(), site.look()
    fault()
    made = site.run("backup")
    assert_succeeded(site, made)
    proxy.clear()
    assert_no_version_lost(site, versions)
    assert site.versions().keys() == {*versions, made.outcome["version"]}
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    fault()
    done = site.run("restore", version=made.outcome["version"])
    proxy.clear()
    assert_succeeded(site, done)
    assert_result_is_true(site, done, before, wanted)
    assert_as(site, wanted)
    assert_no_version_lost(site, versions)


@pytest.mark.parametrize(
    "key",
    [
        r"/operations/op-\w+\.json",
        r"/lane\.json",
        r"/op-\w+/(plan|ledger|manifest|result)",
        r"/versions/ver-\w+\.json",
        r"/segments/",
        r"/wake/",
        r"/(notes|locations|app)",
    ],
)
def test_writes_that_took_place_and_whose_answers_were_lost_are_made_once(
    remote: Site, proxy: HttpProxy, key: str
) -> None:
    rules = []

    def lose() -> None:
        # The first, the third, the fourth and the sixth answer about such a key.
        rules.extend(proxy.lose_answer("PUT", key, skip=skip) for skip in (0, 2, 3, 5))

    _there_and_back(remote, proxy, lose)
    assert sum(rule.hits for rule in rules) >= 2


def test_a_storage_that_loses_every_fourth_request_or_answer_is_coped_with(remote: Site, proxy: HttpProxy) -> None:
    def lose() -> None:
        for skip in range(0, 400, 8):
            proxy.lose_request("PUT|GET|DELETE|HEAD", "", skip=skip)
            proxy.lose_answer("PUT|GET|DELETE|HEAD", "", skip=skip + 4)

    _there_and_back(remote, proxy, lose)


def test_a_storage_that_is_busy_is_asked_again(remote: Site, proxy: HttpProxy) -> None:
    def busy() -> None:
        for skip in range(0, 300, 6):
            proxy.answer("PUT|GET|DELETE", "", status=503, skip=skip)

    _there_and_back(remote, proxy, busy)


def test_a_slow_storage_is_waited_for(remote: Site, proxy: HttpProxy) -> None:
    _there_and_back(remote, proxy, lambda: proxy.delay("PUT|GET|DELETE|HEAD", "", seconds=0.1, times=25))


@pytest.mark.parametrize(
    "moment",
    [
        Moment("store-asked", "/segments/"),
        Moment("write-answered", "", 2),
        Moment("stored", "/ledger/"),
        Moment("store-asked", "/result-"),
    ],
    ids=str,
)
def test_a_storage_away_for_longer_than_the_lease_stops_the_work_and_it_goes_on_later(
    remote: Site, proxy: HttpProxy, moment: Moment
) -> None:
    version, wanted = remote.backup(), remote.look()
    shop.damage(remote.cluster.api, remote.namespace)
    before, versions = remote.look(), remote.versions()
    back = threading.Timer(4.5, proxy.thaw)

    def freeze() -> None:
        proxy.freeze()
        back.start()

    operation = remote.start("restore", version=version)
    done = remote.finish(operation, remote.engine((moment, freeze)))
    back.join()
    assert_succeeded(remote, done)
    assert done.attempts >= 2
    assert_result_is_true(remote, done, before, wanted)
    assert_as(remote, wanted)
    assert_no_version_lost(remote, versions)


# ── damage ──────────────────────────────────────────────────────────────────────────────────────────────────


def _alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _files(site: Site, below: str) -> list[Path]:
    folder = Path(site.storage.directory, "vault", site.application.id, below)
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("spoil", [_alter, _cut, Path.unlink], ids=["altered", "cut", "missing"])
def test_a_damaged_segment_is_named_and_nothing_is_applied(site: Site, spoil: Callable[[Path], None]) -> None:
    # Two contents too large to share a segment with the rest.
    for name in ("large-a", "large-z"):
        content = {"data": {"noise": os.urandom(150_000).hex()}}
        shop.create(site.cluster.api, site.namespace, "ConfigMap", name, content)
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    for name in ("large-a", "large-z"):
        site.cluster.api.delete(shop.path("ConfigMap", site.namespace, name))
    before = site.look()
    segments = _files(site, "segments")
    assert len(segments) >= 4
    for path in segments:
        kept = path.read_bytes()
        spoil(path)
        failed = site.run("restore", version=version)
        assert (failed.state, failed.error.code) == (State.FAILED, "damaged"), path.name
        assert path.name in failed.error.message
        assert path.name in failed.error.details["key"]
        assert_as(site, before)
        assert_result_is_true(site, failed, before, before)
        path.write_bytes(kept)
    assert site.run("restore", version=version).state is State.SUCCEEDED


def test_a_missing_segment_is_stored_again_by_the_next_backup(site: Site) -> None:
    first = site.backup()
    for path in _files(site, "segments"):
        path.unlink()
    second, wanted = site.backup(), site.look()
    with pytest.raises(Damaged, match="missing"):
        site.versions()
    shop.damage(site.cluster.api, site.namespace)
    assert site.run("restore", version=first).error.code == "damaged"
    assert site.run("restore", version=second).state is State.SUCCEEDED
    assert_as(site, wanted)


@pytest.mark.parametrize("spoil", [_alter, _cut], ids=["altered", "cut"])
def test_a_damaged_manifest_is_named_and_nothing_is_applied(site: Site, spoil: Callable[[Path], None]) -> None:
    version = site.backup()
    (manifest,) = _files(site, "versions")
    kept = manifest.read_bytes()
    spoil(manifest)
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    failed = site.run("restore", version=version)
    assert (failed.state, failed.error.code) == (State.FAILED, "damaged")
    assert version in failed.error.message
    assert_as(site, before)
    manifest.write_bytes(kept)
    assert site.run("restore", version=version).state is State.SUCCEEDED


# ── a passphrase that is not the repository's ───────────────────────────────────────────────────────────────


def test_a_worker_with_a_wrong_passphrase_takes_no_work_and_says_why(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    backend = site.storage.backend()
    wrong = site.engine(repository=Repository.on(backend, backend, [Passphrase("not the one of this repository")]))
    operations = [site.start("backup"), site.start("restore", version=version), site.start("plan", version=version)]
    with pytest.raises(WrongKey, match="passphrase"):
        wrong.tick()
    for entry in wrong.due():
        with contextlib.suppress(MainstayError):
            wrong.handle(entry)
    assert [site.operation(operation.id).state for operation in operations] == [State.QUEUED] * 3
    assert_as(site, before)
    assert site.versions() == versions
    restored = site.finish(operations[1])
    assert_succeeded(site, restored)
    assert_as(site, wanted)
    for operation in operations:
        assert site.finish(operation).state is State.SUCCEEDED


def test_a_worker_with_a_wrong_passphrase_does_not_take_over_a_restore(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    operation = site.start("restore", version=version)
    site.worker(Moment("write-answered", "", 2)).wait_killed()
    backend = site.storage.backend()
    wrong = site.engine(repository=Repository.on(backend, backend, [Passphrase("not the one of this repository")]))
    given_up = threading.Event()
    threading.Timer(4.0, given_up.set).start()
    while not given_up.wait(0.2):
        with contextlib.suppress(WrongKey):
            wrong.tick()
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert_result_is_true(site, done, before, wanted)
    assert_no_version_lost(site, versions)


# ── a full disk ─────────────────────────────────────────────────────────────────────────────────────────────


class Disk:
    """A small file system that can be filled to the last byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no room at all."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 10, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def _small_disk(path: Path) -> Iterator[Disk]:
    path.mkdir()
    if os.geteuid() != 0:
        pytest.fail("a small file system can only be mounted by root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "mainstay-test", path], check=True)
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with _small_disk(tmp_path / "disk") as opened:
        yield opened


@pytest.fixture
def local(control_plane: Access, disk: Disk, tmp_path: Path) -> Iterator[Site]:
    """The shop, with its repository on the small disk."""
    with open_site(control_plane, tmp_path, storage=Storage(directory=str(disk.path / "repository"))) as site:
        yield site
        disk.free()


def test_on_a_full_disk_nothing_is_begun_and_everything_can_be_read(local: Site, disk: Disk) -> None:
    version = local.backup()
    shop.damage(local.cluster.api, local.namespace)
    before, versions, kept = local.look(), local.versions(), local.stored()
    disk.fill()
    for kind, arguments in (("backup", {}), ("restore", {"version": version})):
        with pytest.raises(StorageFull, match="full"):
            local.start(kind, **arguments)
    assert (local.versions(), local.stored()) == (versions, kept)
    assert_as(local, before)
    disk.free()
    assert local.run("restore", version=version).state is State.SUCCEEDED


@pytest.mark.parametrize(
    "moment",
    [
        Moment("store-asked", "/segments/"),
        Moment("step-ends", "backup.capture"),
        Moment("store-asked", r"/versions/ver-.*\.json"),
        Moment("stored", r"/versions/ver-.*\.json"),
    ],
    ids=str,
)
def test_a_disk_that_fills_up_during_a_backup_leaves_a_whole_version_or_none(
    local: Site, disk: Disk, moment: Moment
) -> None:
    local.backup()
    shop.damage(local.cluster.api, local.namespace)
    before, versions = local.look(), local.versions()
    operation = local.start("backup")
    with contextlib.suppress(StorageFull):
        local.engine((moment, disk.fill)).tick()
    assert_no_version_lost(local, versions)
    disk.free()
    done = local.finish(operation)
    assert done.state is State.SUCCEEDED or done.error.code == "storage-full"
    assert_no_version_lost(local, versions)
    assert len(local.versions()) == len(versions) + (done.state is State.SUCCEEDED)
    assert_as(local, before)
    assert local.run("backup").state is State.SUCCEEDED


@pytest.mark.parametrize(
    "moment",
    [
        Moment("step-begins", "restore.safety"),
        Moment("step-begins", "restore.apply"),
        Moment("write-answered", "", 2),
        Moment("step-ends", "restore.apply"),
        Moment("step-begins", "restore.verify"),
    ],
    ids=str,
)
def test_a_disk_that_fills_up_during_a_restore_ends_in_the_version_or_as_before(
    local: Site, disk: Disk, moment: Moment
) -> None:
    version, wanted = local.backup(), local.look()
    shop.damage(local.cluster.api, local.namespace)
    before, versions = local.look(), local.versions()
    operation = local.start("restore", version=version)
    with contextlib.suppress(StorageFull):
        local.engine((moment, disk.fill)).tick()
    disk.free()
    done = local.finish(operation)
    assert_result_is_true(local, done, before, wanted)
    if done.state is State.SUCCEEDED:
        assert_as(local, wanted)
    else:
        assert (done.state, done.error.code) == (State.FAILED, "storage-full")
        assert_as(local, before)
    assert_no_version_lost(local, versions)
