"""What every storage must keep."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chalicelib.domain.errors import LeaseLost, Malformed, StorageUnfit
from chalicelib.store.backend import Backend, Changed, Exists, Written
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.fitness import check_conditional_writes
from tests.contract.store.places import Place


def test_what_was_created_is_read_back(place: Place) -> None:
    backend = place.backend()
    written = backend.create("vault/a/b.json", b"\x00bytes\xff")
    found = place.backend().get("vault/a/b.json")
    assert found is not None
    assert (found.data, found.etag) == (b"\x00bytes\xff", written.etag)


def test_empty_and_large_bytes_are_read_back(place: Place) -> None:
    backend = place.backend()
    large = os.urandom(3 * 1024 * 1024)
    backend.create("empty", b"")
    backend.create("large", large)
    empty, found = backend.get("empty"), backend.get("large")
    assert empty is not None
    assert empty.data == b""
    assert found is not None
    assert found.data == large


def test_a_missing_key_is_none(place: Place) -> None:
    assert place.backend().get("vault/nothing.json") is None


def test_the_beginning_is_of_the_last_bytes_and_no_longer_than_asked_for(place: Place) -> None:
    backend = place.backend()
    first = backend.create("document", b"the first")
    assert [backend.beginning("document", most) for most in (1, 9, 100)] == [b"t", b"the first", b"the first"]
    backend.replace("document", b"another", first.etag)
    assert backend.beginning("document", 3) == b"ano"
    backend.create("empty", b"")
    assert backend.beginning("empty", 3) == b""
    assert backend.beginning("nothing", 3) is None


def test_a_key_is_created_once(place: Place) -> None:
    backend = place.backend()
    backend.create("once", b"first")
    with pytest.raises(Exists):
        backend.create("once", b"second")
    assert place.read("once") == b"first"


def test_replacing_rests_on_what_was_read(place: Place) -> None:
    backend = place.backend()
    first = backend.create("document", b"1")
    second = backend.replace("document", b"2", first.etag)
    with pytest.raises(Changed):
        backend.replace("document", b"3", first.etag)
    third = backend.replace("document", b"3", second.etag)
    found = backend.get("document")
    assert found is not None
    assert (found.data, found.etag) == (b"3", third.etag)


def test_a_missing_or_deleted_key_cannot_be_replaced(place: Place) -> None:
    backend = place.backend()
    written = backend.create("document", b"1")
    with pytest.raises(Changed):
        backend.replace("never", b"1", written.etag)
    backend.delete("document")
    with pytest.raises(Changed):
        backend.replace("document", b"2", written.etag)
    assert backend.get("document") is None


def test_a_key_that_was_replaced_is_still_there_for_create(place: Place) -> None:
    backend = place.backend()
    written = backend.create("document", b"1")
    backend.replace("document", b"2", written.etag)
    with pytest.raises(Exists):
        backend.create("document", b"3")


def test_deleting_is_idempotent_and_the_key_is_free_again(place: Place) -> None:
    backend = place.backend()
    backend.delete("document")
    written = backend.create("document", b"1")
    backend.replace("document", b"2", written.etag)
    backend.delete("document")
    backend.delete("document")
    assert backend.get("document") is None
    assert list(backend.list("document")) == []
    backend.create("document", b"another")
    found = backend.get("document")
    assert found is not None
    assert found.data == b"another"


def test_listing_is_in_the_order_of_bytes(place: Place) -> None:
    backend = place.backend()
    keys = ["a-b/x", "a.json", "a/b", "a/b-c", "a/c/d", "a0", "ab", "b", "a/é", "a/z=1", "a/Z"]
    for key in keys:
        backend.create(key, key.encode())
    assert [listed.key for listed in backend.list("")] == sorted(keys, key=str.encode)
    assert [listed.key for listed in backend.list("a/")] == ["a/Z", "a/b", "a/b-c", "a/c/d", "a/z=1", "a/é"]
    assert [listed.key for listed in backend.list("a/b")] == ["a/b", "a/b-c"]


def test_listing_goes_on_after_a_key_and_stops_at_a_limit(place: Place) -> None:
    backend = place.backend()
    for key in ("p/1", "p/2/a", "p/2/b", "p/3"):
        backend.create(key, b"")
    assert [listed.key for listed in backend.list("p/", after="p/1")] == ["p/2/a", "p/2/b", "p/3"]
    assert [listed.key for listed in backend.list("p/", after="p/2/a", limit=1)] == ["p/2/b"]
    assert [listed.key for listed in backend.list("p/", limit=3)] == ["p/1", "p/2/a", "p/2/b"]
    assert list(backend.list("p/", limit=0)) == []


def test_a_shallow_listing_leaves_folders_out_and_folders_are_named(place: Place) -> None:
    backend = place.backend()
    for key in ("p/1.json", "p/1/part", "p/2.json", "p/2/a/b", "q"):
        backend.create(key, b"")
    assert [listed.key for listed in backend.list("p/", deep=False)] == ["p/1.json", "p/2.json"]
    assert list(backend.folders("p/")) == ["1", "2"]
    assert list(backend.folders("nothing/")) == []


def test_more_than_a_page_is_listed_whole(place: Place) -> None:
    backend = place.backend()
    keys = [f"many/{number:05d}" for number in range(1005)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: backend.create(key, b"x"), keys))
    assert [listed.key for listed in backend.list("many/")] == keys
    assert [listed.key for listed in backend.list("many/", after="many/00001", limit=1002)] == keys[2:1004]


def test_sizes_and_times_are_listed_as_of_the_last_write(place: Place) -> None:
    backend = place.backend()
    written = backend.create("document", b"1")
    backend.replace("document", b"12345", written.etag)
    (listed,) = backend.list("document")
    assert listed.size == 5
    assert abs(listed.modified - backend.now()) < timedelta(seconds=30)


def test_the_clock_is_the_storages_and_goes_forward(place: Place) -> None:
    backend = place.backend()
    before = backend.now()
    written = backend.create("document", b"1")
    found = backend.get("document")
    assert found is not None
    assert before.tzinfo is UTC
    assert before <= written.at <= found.at <= backend.now()
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=30)


def test_strange_names_stay_below_the_root(real_place: Place) -> None:
    backend = real_place.backend()
    strange = ["control/names/n=%2E%2E.json", "a/b c", "a/@", "a/x@", "a/.hidden", "a/ä"]
    for key in strange:
        backend.create(key, key.encode())
    assert {listed.key for listed in backend.list("")} == set(strange)
    for key in strange:
        found = backend.get(key)
        assert found is not None
        assert found.data == key.encode()


def test_of_many_threads_one_creates(place: Place) -> None:
    backends = [place.backend() for _ in range(4)]

    def attempt(number: int, key: str) -> bool:
        try:
            backends[number % 4].create(key, os.urandom(200))
        except Exists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        for race in range(15):
            won = pool.map(attempt, range(16), [f"race/{race}"] * 16)
            assert sum(won) == 1


def test_no_update_of_many_threads_is_lost(place: Place) -> None:
    backend = place.backend()
    backend.create("counter", b"0")

    def count(_: int) -> None:
        other = place.backend() if not isinstance(backend, MemoryBackend) else backend
        for _ in range(8):
            while True:
                found = other.get("counter")
                assert found is not None
                # A token, as documents carry: the same number never means the same bytes.
                value = int(found.data.split()[0])
                try:
                    other.replace("counter", b"%d %s" % (value + 1, os.urandom(8).hex().encode()), found.etag)
                except Changed:
                    continue
                break

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert int(value_of(backend, "counter").split()[0]) == 64


def test_of_many_processes_one_creates(real_place: Place) -> None:
    racers = [_racer(real_place, "create", "race", "40") for _ in range(4)]
    won = [int(line) for racer in racers for line in _output(racer).split()]
    assert sorted(won) == list(range(40))


def test_no_update_of_many_processes_is_lost(real_place: Place) -> None:
    racers = [_racer(real_place, "count", "counter.json", "25") for _ in range(4)]
    for racer in racers:
        _output(racer)
    found = real_place.backend().get("counter.json")
    assert found is not None
    assert b'"value":100' in found.data


def test_a_guard_is_asked_before_each_write_and_can_prevent_it(place: Place) -> None:
    asked = []

    def guard() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise LeaseLost("over")

    guarded = place.backend().guarded(guard)
    written = guarded.create("document", b"1")
    guarded.replace("document", b"2", written.etag)
    assert guarded.get("document") is not None
    for write in (
        lambda: guarded.create("other", b""),
        lambda: guarded.replace("document", b"3", "x"),
        lambda: guarded.delete("document"),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert value_of(place.backend(), "document") == b"2"
    assert place.backend().get("other") is None


def test_every_storage_here_is_fit(place: Place) -> None:
    backend = place.backend()
    backend.check()
    assert list(backend.list("checks/")) == []


class _LetsEverybodyCreate(MemoryBackend):
    def create(self, key: str, data: bytes) -> Written:
        return self._put(key, data)


class _LetsEverybodyReplace(MemoryBackend):
    def replace(self, key: str, data: bytes, etag: str) -> Written:  # noqa: ARG002  # that is what is wrong with it
        return self._put(key, data)


class _ComparesSlowly(MemoryBackend):
    def replace(self, key: str, data: bytes, etag: str) -> Written:
        found = self.get(key)
        if found is None or found.etag != etag:
            raise Changed(key)
        time.sleep(0.01)
        return self._put(key, data)


@pytest.mark.parametrize(
    ("unfit", "said"),
    [
        (_LetsEverybodyCreate, "create the same key"),
        (_LetsEverybodyReplace, "replace the same bytes"),
        (_ComparesSlowly, "replace the same bytes"),
    ],
)
def test_a_storage_that_ignores_conditions_is_called_unfit(unfit: type[MemoryBackend], said: str) -> None:
    with pytest.raises(StorageUnfit, match=said):
        check_conditional_writes(unfit())


def test_keys_with_empty_parts_are_refused_by_a_directory(tmp_path: Path) -> None:
    from chalicelib.store.backends.directory import DirectoryBackend

    backend = DirectoryBackend(tmp_path / "r")
    for key in ("", "a//b", "/a", "a/"):
        with pytest.raises(Malformed):
            backend.create(key, b"")


def value_of(backend: Backend, key: str) -> bytes:
    found = backend.get(key)
    assert found is not None
    return found.data


def _racer(place: Place, *arguments: str) -> subprocess.Popen[str]:
    action, key, argument = arguments
    command = [sys.executable, "-m", "tests.contract.store.racer", action, place.address, key, argument]
    return subprocess.Popen(command, env={**os.environ, **place.environment}, stdout=subprocess.PIPE, text=True)


def _output(racer: subprocess.Popen[str]) -> str:
    output, _ = racer.communicate(timeout=120)
    assert racer.returncode == 0
    return output
