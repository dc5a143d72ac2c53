"""Packing lines and indexing them, on a dictionary."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.cutting import MOST
from chalicelib.store.index import CompactIndex, read_index, write_index
from chalicelib.store.keys import ApplicationKey
from chalicelib.store.packing import Packer
from chalicelib.store.segments import SegmentReader, SegmentWriter

APP = "app-01jd0000000000000000000000"
KEY = ApplicationKey(APP, bytes(32))

names = st.text("abcxyz-.0é", min_size=1, max_size=12)
keys = st.builds(
    ObjectKey, st.sampled_from(["", "apps", "z.io"]), st.sampled_from(["A", "Secret", "ab"]), names, names
)


def rows_of(keys: list[ObjectKey]) -> list[IndexRow]:
    return [
        IndexRow(key, hashlib.sha256(str(key).encode()).digest(), f"{n % 7:064x}-abcdefgh", n, n * 3 + 1)
        for n, key in enumerate(sorted(keys))
    ]


@pytest.mark.parametrize("threads", [0, 4])
def test_each_line_is_found_where_its_row_says(threads: int) -> None:
    backend = MemoryBackend()
    writer, reader = SegmentWriter(backend, KEY), SegmentReader(backend, KEY)
    sizes = [100, 5_000, MOST - 1, 40_000, MOST + 5, 1, MOST] * 8
    names = [ObjectKey("", "Secret", "s", f"{n:05d}") for n in range(len(sizes))]
    lines = {name: os.urandom(size // 2).hex().encode() for name, size in zip(names, sizes, strict=True)}
    pool = ThreadPoolExecutor(threads) if threads else None
    packer = Packer(writer, executor=pool)
    rows = list(packer.pack((key, line, b"d" * 32) for key, line in lines.items()))
    if pool:
        pool.shutdown()
    assert [row.key for row in rows] == list(lines)
    for row in rows:
        plain = reader.get(row.segment, "objects")
        assert plain[row.offset : row.offset + row.length] == lines[row.key]
        assert plain[row.offset + row.length :][:1] == b"\n"
    assert {segment.name for segment in packer.finish()} == {row.segment for row in rows}
    assert packer.plain_bytes == sum(len(line) + 1 for line in lines.values())


@given(st.sets(keys), st.lists(keys), st.randoms())
def test_an_index_is_looked_up_in_any_order(held: set[ObjectKey], others: list[ObjectKey], order: Any) -> None:
    rows = {row.key: row for row in rows_of(list(held))}
    index = CompactIndex.of(rows.values())
    asked = [*sorted(held), *held, *others]
    if order.random() < 0.5:
        order.shuffle(asked)
    for key in asked:
        row = rows.get(key)
        assert index.get(key) == row
        assert index.digest(key) == (row.digest if row else None)
        assert (key in index) == (row is not None)
    for kind in {key[:2] for key in asked}:
        assert list(index.rows_of(*kind)) == [row for row in rows.values() if row.key[:2] == kind]


@pytest.mark.parametrize("changed", [0, 700, 1499])
def test_content_that_changes_changes_its_own_segment_only(changed: int) -> None:
    writer = SegmentWriter(MemoryBackend(), KEY)
    key = ObjectKey("", "Secret", "s", "")

    def pack(other: int | None) -> set[str]:
        packer = Packer(writer)
        for n in range(1500):
            packer.add(key._replace(name=f"{n:05d}"), (b"Y" if n == other else b"x") * 1000)
        return {segment.name for segment in packer.finish()}

    before, after = pack(None), pack(changed)
    assert len(before) > 3
    assert len(after - before) == 1


def test_tickets_tell_the_same_places_as_rows() -> None:
    writer = SegmentWriter(MemoryBackend(), KEY)
    packer = Packer(writer)
    key = ObjectKey("", "Secret", "s", "n")
    tickets = [packer.add(key._replace(name=str(n)), b"x" * 1000) for n in range(500)]
    packer.finish()
    other = Packer(writer)
    rows = list(other.pack((key._replace(name=str(n)), b"x" * 1000, b"") for n in range(500)))
    assert [packer.place(ticket) for ticket in tickets] == [(row.segment, row.offset, row.length) for row in rows]


@settings(max_examples=50)
@given(st.lists(keys, unique=True, max_size=60))
def test_an_index_is_read_back_as_it_was_written(found: list[ObjectKey]) -> None:
    backend = MemoryBackend()
    rows = rows_of(found)
    segments = write_index(SegmentWriter(backend, KEY), rows)
    assert list(read_index(SegmentReader(backend, KEY), APP, segments)) == rows


@given(st.lists(keys, unique=True, max_size=60), keys)
def test_a_compact_index_gives_every_row_back_and_finds_each_by_key(found: list[ObjectKey], other: ObjectKey) -> None:
    rows = rows_of(found)
    index = CompactIndex.of(rows)
    assert len(index) == len(rows)
    assert list(index) == rows
    assert [index.get(row.key) for row in rows] == rows
    assert (index.get(other) is not None) == (other in found)


def test_an_index_that_is_not_sorted_is_refused() -> None:
    one, other = rows_of([ObjectKey("", "A", "", "a"), ObjectKey("", "A", "", "b")])
    for wrong in ([other, one], [one, one]):
        with pytest.raises(ValueError, match="not sorted"):
            CompactIndex.of(wrong)
        with pytest.raises(ValueError, match="not sorted"):
            write_index(SegmentWriter(MemoryBackend(), KEY), wrong)


def test_a_row_in_memory_takes_less_than_two_hundred_bytes() -> None:
    found = [ObjectKey("", "Secret", "a-namespace", f"the-name-of-some-secret-{n:06d}") for n in range(20_000)]
    index = CompactIndex.of(rows_of(found))
    assert index.nbytes / len(index) < 120


def test_the_reader_keeps_what_it_read_within_its_bounds() -> None:
    class Counting(MemoryBackend):
        reads = 0

        def get(self, key: str):
            self.reads += 1
            return super().get(key)

    backend = Counting()
    writer = SegmentWriter(backend, KEY)
    segments = [writer.put("objects", bytes([n]) * 1000) for n in range(5)]
    reader = SegmentReader(backend, KEY, cache_bytes=3000)
    backend.reads = 0
    for segment in [*segments, *segments[2:]]:
        assert len(reader.get(segment, "objects")) == 1000
    assert backend.reads == 5
    reader.get(segments[0], "objects")
    assert backend.reads == 6


def test_what_claims_to_be_huge_is_not_decompressed() -> None:
    import zstandard

    from chalicelib.store.compression import decompress
    from chalicelib.store.sealing import BoxError

    bomb = zstandard.ZstdCompressor().compress(bytes(65 * 1024 * 1024))
    assert len(bomb) < 10_000
    stream = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100)
    for packed in (bomb, stream, b"", b"nonsense"):
        with pytest.raises(BoxError):
            decompress(packed)
