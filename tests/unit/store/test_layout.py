"""Keys and paths: what goes in comes out, and nothing leaves its folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Malformed
from chalicelib.store import layout
from chalicelib.store.backends.files import GENERATIONS, decode, encode, path_of

ROOT = Path("/repository")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=20))
def test_a_part_becomes_a_safe_file_name_and_back(part: str) -> None:
    name = encode(part)
    assert decode(name) == part
    assert name not in {".", ".."}
    assert not name.startswith(".")
    assert "/" not in name
    assert GENERATIONS not in name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, max_size=5))
def test_no_key_leads_out_of_the_root(parts: list[str]) -> None:
    try:
        path = path_of(ROOT, "/".join(parts))
    except Malformed:
        return
    assert ROOT in path.parents
    assert ".." not in path.parts


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a..b", "/a", ".a", "a.", "a\n", "a b", "a" * 300, "ä", "a\x00"]
)
def test_what_cannot_be_part_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        layout.part(text)


@given(st.text(max_size=200), st.text(max_size=200))
def test_different_names_have_different_keys(one: str, other: str) -> None:
    try:
        keys = layout.name("applications", one), layout.name("applications", other)
    except UnicodeEncodeError:
        return
    assert (keys[0] == keys[1]) == (one == other)
    assert all((key.count("/") == 3 and ".." not in key.removeprefix("control/names/")) or "=" in key for key in keys)


def test_moments_sort_as_their_text_does() -> None:
    at = datetime(2026, 5, 1, 23, 59, 59, 999_000, tzinfo=UTC)
    moments = [at, at + timedelta(milliseconds=1), at + timedelta(days=365)]
    texts = [layout.wake_time(moment) for moment in moments]
    assert texts == sorted(texts)
    assert texts[0] == "20260501T235959.999Z"
    assert layout.wake_time(at.astimezone(timezone(timedelta(hours=5)))) == texts[0]


@pytest.mark.parametrize(
    "name", ["", "x", "../../etc", "a" * 64, "a" * 64 + "-", "A" * 64 + "-abcd", "a" * 64 + "-ab/d"]
)
def test_only_names_of_segments_become_keys_of_segments(name: str) -> None:
    with pytest.raises(Malformed):
        layout.segment("app-01jd0000000000000000000000", name)


def test_numbers_are_read_from_key_files_only() -> None:
    assert layout.numbered("vault/keys/12.json") == 12
    assert layout.numbered("vault/app-x/key-3.json", "key-") == 3
    assert layout.numbered("vault/keys/x.json") is None
    assert layout.numbered("vault/keys/²") is None
