"""Sizes, times, paths and values in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.cli.rendering import words

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (150 * 1024, "150 KiB"),
        (20 * 1024**3, "20.0 GiB"),
        (None, "-"),
    ],
)
def test_sizes_are_in_powers_of_1024(count: int | None, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-1, "0.0 s"),
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (None, "never"),
        ("2026-11-24T11:59:58Z", "just now"),
        ("2026-11-24T11:59:30Z", "30 s ago"),
        ("2026-11-24T11:00:00Z", "1 h ago"),
        ("2026-11-23T00:00:00Z", "36 h ago"),
        ("2026-11-20T00:00:00Z", "4 d ago"),
        ("2026-11-24T13:00:00+01:00", "just now"),
    ],
)
def test_ages_have_one_unit(when: str | None, text: str) -> None:
    assert words.ago(when, NOW) == text


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("/spec/replicas", "spec.replicas"),
        ("/spec/containers/0/image", "spec.containers[0].image"),
        ("/metadata/annotations/a.b~1c", 'metadata.annotations["a.b/c"]'),
        ("/data/x~0y", 'data["x~y"]'),
        ("", ""),
    ],
)
def test_fields_are_written_as_people_write_them(pointer: str, path: str) -> None:
    assert words.field_path(pointer) == path


@pytest.mark.parametrize(
    ("given_value", "text"),
    [
        (3, "3"),
        ("3", '"3"'),
        (True, "true"),
        ("true", '"true"'),
        (None, "null"),
        ("", '""'),
        ("nginx:1.27", "nginx:1.27"),
        ("two words", "two words"),
        (" edge", '" edge"'),
        ("(hidden)", '"(hidden)"'),
        ({"a": [1, "x"]}, '{"a": [1, "x"]}'),
    ],
)
def test_a_text_is_never_mistaken_for_a_number(given_value: object, text: str) -> None:
    assert words.value(given_value) == text


def test_what_came_from_a_cluster_cannot_move_the_cursor() -> None:
    assert words.printable("a\x1b[2Jb\x07") == "a\\x1b[2Jb\\x07"
    assert words.printable("evil\u202etxt") == "evil\\u202etxt"
    assert words.value("x\x1b[31m") == "x\\x1b[31m"


@given(st.text(), st.integers(min_value=3, max_value=60))
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    short = words.shortened(text, width)
    assert len(short) == min(len(text), width)
    assert short[:1] == text[:1]
    assert short[-1:] == text[-1:] or len(text) <= width


@given(st.text())
def test_nothing_printable_holds_control_characters(text: str) -> None:
    assert all(mark in "\n\t" or (ord(mark) >= 32 and not 0x7F <= ord(mark) < 0xA0) for mark in words.printable(text))
