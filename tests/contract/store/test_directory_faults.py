"""What can happen to a directory: a full disk, writers that are killed or stopped, one that wakes much later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.domain.errors import StorageFull, StorageRefused
from chalicelib.store.address import backend_at
from chalicelib.store.backend import Changed
from chalicelib.store.backends.directory import DirectoryBackend
from chalicelib.store.backends.files import ASIDE
from chalicelib.store.documents import Documents
from tests.contract.store.racer import Counter


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for one mebibyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.fail("a small file system can only be mounted by root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=200", "mainstay-test", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def backend(tmp_path: Path) -> DirectoryBackend:
    return DirectoryBackend(tmp_path / "repository")


def test_a_full_disk_is_said_to_be_full_and_nothing_is_half_written(small_disk: Path) -> None:
    backend = DirectoryBackend(small_disk / "repository")
    kept = os.urandom(300_000)
    backend.create("vault/kept", kept)
    written = backend.create("control/document", b"before")
    for attempt in (
        lambda: backend.create("vault/too-large", os.urandom(900_000)),
        lambda: backend.replace("control/document", os.urandom(900_000), written.etag),
    ):
        with pytest.raises(StorageFull, match="full"):
            attempt()
    assert [listed.key for listed in backend.list("")] == ["control/document", "vault/kept"]
    assert _value(backend, "control/document") == b"before"
    assert _value(backend, "vault/kept") == kept
    assert list((small_disk / "repository" / ASIDE).iterdir()) == []


def test_after_space_is_made_a_full_disk_is_written_again(small_disk: Path) -> None:
    backend = DirectoryBackend(small_disk / "repository")
    backend.create("large", os.urandom(800_000))
    with pytest.raises(StorageFull):
        backend.create("other", os.urandom(800_000))
    backend.delete("large")
    backend.create("other", os.urandom(800_000))
    assert [listed.key for listed in backend.list("")] == ["other"]


def test_a_disk_without_inodes_is_full_too(small_disk: Path) -> None:
    backend = DirectoryBackend(small_disk / "repository")

    def fill() -> None:
        for number in range(300):
            backend.create(f"many/{number}", b"")

    with pytest.raises(StorageFull):
        fill()
    assert len(list(backend.list("many/"))) > 50


def test_a_writer_that_is_killed_leaves_nothing_to_see(backend: DirectoryBackend, tmp_path: Path) -> None:
    backend.create("first", b"1")
    killed = subprocess.run(_racer("die", backend, "second", "100000"), check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert [listed.key for listed in backend.list("")] == ["first"]
    assert backend.get("second") is None
    backend.create("second", b"2")
    (leftover,) = (tmp_path / "repository" / ASIDE).iterdir()
    assert leftover.stat().st_size == 100_000


def test_what_killed_writers_left_is_removed_a_day_later(backend: DirectoryBackend, tmp_path: Path) -> None:
    backend.create("first", b"1")
    aside = tmp_path / "repository" / ASIDE
    old, young = aside / "old", aside / "young"
    for path in (old, young):
        path.write_bytes(b"left")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    assert backend_at(backend.describe()).now() is not None
    assert list(aside.iterdir()) == [young]


def test_a_stopped_writer_blocks_nobody_and_loses_when_it_wakes(backend: DirectoryBackend) -> None:
    written = backend.create("document", b"base")
    with _stopped(backend, "document", "of the stopped one") as stopped:
        backend.replace("document", b"of the other", written.etag)
        assert _value(backend, "document") == b"of the other"
        assert _wake(stopped) == "Changed"
    assert _value(backend, "document") == b"of the other"


def test_a_stopped_writer_that_nobody_overtook_writes_when_it_wakes(backend: DirectoryBackend) -> None:
    backend.create("document", b"base")
    with _stopped(backend, "document", "of the stopped one") as stopped:
        assert _value(backend, "document") == b"base"
        assert _wake(stopped) == "written"
    assert _value(backend, "document") == b"of the stopped one"


@pytest.mark.parametrize("writes", [2, 16, 17, 18, 40])
def test_a_writer_that_wakes_after_many_generations_changes_nothing(backend: DirectoryBackend, writes: int) -> None:
    etag = backend.create("document", b"base").etag
    etag = backend.replace("document", b"generation 1", etag).etag
    with _stopped(backend, "document", "of the stopped one") as stopped:
        for number in range(writes):
            etag = backend.replace("document", b"later %d" % number, etag).etag
        assert _wake(stopped) == "Changed"
    found = backend.get("document")
    assert found is not None
    assert (found.data, found.etag) == (b"later %d" % (writes - 1), etag)
    backend.replace("document", b"and on it goes", etag)


def test_a_writer_that_wakes_after_the_key_was_made_anew_changes_nothing(backend: DirectoryBackend) -> None:
    backend.create("document", b"base")
    with _stopped(backend, "document", "of the stopped one") as stopped:
        backend.delete("document")
        backend.create("document", b"anew")
        assert _wake(stopped) == "Changed"
    assert _value(backend, "document") == b"anew"


def test_generations_do_not_pile_up(backend: DirectoryBackend, tmp_path: Path) -> None:
    etag = backend.create("document", b"0").etag
    for number in range(100):
        etag = backend.replace("document", b"%d" % number, etag).etag
    assert len(list((tmp_path / "repository" / "document@").iterdir())) <= 16
    assert [listed.key for listed in backend.list("")] == ["document"]


def test_a_copied_directory_has_the_same_documents(backend: DirectoryBackend, tmp_path: Path) -> None:
    documents = Documents(backend)
    documents.create("counter", Counter())
    for _ in range(5):
        documents.update("counter", Counter, lambda counter: Counter(value=counter.value + 1))
    subprocess.run(["cp", "-r", tmp_path / "repository", tmp_path / "copy"], check=True)
    copied = Documents(DirectoryBackend(tmp_path / "copy"))
    assert copied.update("counter", Counter, lambda counter: Counter(value=counter.value + 1)).value == 6


def test_a_stale_tag_is_refused_even_where_the_bytes_are_the_same(backend: DirectoryBackend) -> None:
    first = backend.create("document", b"same")
    second = backend.replace("document", b"same", first.etag)
    with pytest.raises(Changed):
        backend.replace("document", b"other", first.etag)
    backend.replace("document", b"other", second.etag)


def test_a_directory_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    backend = DirectoryBackend(tmp_path / "nothing")
    assert backend.get("document") is None
    assert list(backend.list("")) == []
    with pytest.raises(StorageRefused, match="no directory"):
        backend.now()
    assert not (tmp_path / "nothing").exists()


def test_files_are_for_their_owner_only(backend: DirectoryBackend, tmp_path: Path) -> None:
    backend.create("vault/keys/1.json", b"{}")
    path = tmp_path / "repository" / "vault" / "keys" / "1.json"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def _value(backend: DirectoryBackend, key: str) -> bytes:
    found = backend.get(key)
    assert found is not None
    return found.data


def _racer(action: str, backend: DirectoryBackend, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.contract.store.racer", action, backend.describe(), *arguments]


class _stopped:  # noqa: N801  # reads as what it does
    """A process that stopped itself in the middle of replacing `key`; killed at the end whatever happens."""

    def __init__(self, backend: DirectoryBackend, key: str, data: str) -> None:
        self._process = subprocess.Popen(_racer("stop", backend, key, data), stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> subprocess.Popen[str]:
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _wake(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)
    return output.strip()
