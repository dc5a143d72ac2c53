"""Reading YAML and JSON text: only what JSON can say, within limits, with errors for people."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.language.loader import load
from chalicelib.language.text import MOST_BYTES, parse


def value(text: str) -> Any:
    parsed = parse(text)
    assert not parsed.problems
    return parsed.value


def said(text: str | bytes) -> Problem:
    """The problem of a text, whether or not it could be read to its end."""
    try:
        parsed = parse(text)
    except Invalid as invalid:
        (problem,) = invalid.problems
        return problem
    (problem,) = parsed.problems
    return problem


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("012", "012"),
        ("-01", "-01"),
        ("0o14", 12),
        ("0x1F", 31),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("12", 12),
        ("-7", -7),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"12"', "12"),
        ("'true'", "true"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ('"\\ud83d\\ude00"', "😀"),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_words_without_quotes_mean_what_yaml_1_2_says(written: str, meant: object) -> None:
    found = value(f"a: {written}")["a"]
    assert found == meant
    assert type(found) is type(meant)


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert value("<<: {a: 1}") == {"<<": {"a": 1}}


# The text, then of its only problem: line, column and words of sentence or hint.
BROKEN = [
    ("a:\n\tb: 1", 2, 1, "tab"),
    ("a:\n  b: 1\n \tc: 2", 3, 2, "tab"),
    ("a: [1,\n\t2]", 2, 1, "tab"),
    ("names: [*]", 1, 10, "in quotes"),
    ("names: [*-tmp]", 1, 9, 'in quotes: "*-tmp"'),
    ("a: &x 1", 1, 4, "anchor"),
    ("a: &", 1, 5, "anchor"),
    ("a: !canary", 1, 4, '"!canary"'),
    ("a: !!python/object/apply:os.system [id]", 1, 4, "tags are not used"),
    ("a: !!set {b}", 1, 4, "tags are not used"),
    ("a: !!int x", 1, 4, "tags are not used"),
    ("a: !e!b c", 1, 4, "tag"),
    ("a: 1\nb: 2\na: 3", 3, 1, "twice: first in line 1"),
    ("? [a]\n: 1", 1, 3, "name of a field must be text"),
    ("12: a", 1, 1, '"12"'),
    ("a: 1\n---\nb: 2", 2, 1, "second document"),
    ("a: b: c", 1, 5, "in quotes"),
    ("a: 1\n b: 2", 2, 3, "indentation"),
    ("a:\n    b: 1\n  c: 2", 3, 3, "fit the lines above"),
    ("a: 'x\nb: 1", 1, 4, "does not end"),
    ('a: "\\q"', 1, 6, "backslash"),
    ("a: [1, 2\nb: 3", 2, 2, "began in line 1"),
    ("a: {b: 1\n", 2, 1, "`}`"),
    ("a: [b]]", 1, 7, "closes nothing"),
    ("a: 1\nother\n", 2, 1, "`:`"),
    ("a: @b", 1, 4, "character @"),
    ("a: %b", 1, 4, "character %"),
    ("a: - b", 1, 4, "list item"),
    ("a: b\x00", 1, 5, "U+0000"),
    ("a: 1\nb: \x1b[0m", 2, 4, "U+001B"),
    (b"a: 1\nb: caf\xe9", 2, 7, "UTF-8"),
    ('a: "\\ud83d"', 1, 4, "surrogate"),
    ("a: 99999999999999999999", 1, 4, "too large"),
    ("a: " + "9" * 6000, 1, 4, "too large"),
    ("a: .inf", 1, 4, "cannot be kept"),
    ("a: 1e999", 1, 4, "cannot be kept"),
    ("a: .nan", 1, 4, "cannot be kept"),
    ("a: 1\n...\nb", 3, 1, "after the end"),
]


@pytest.mark.parametrize(("text", "line", "column", "words"), BROKEN)
def test_broken_text_is_told_with_its_place(text: str | bytes, line: int, column: int, words: str) -> None:
    problem = said(text)
    assert words in f"{problem.message} {problem.hint}", str(problem)
    assert (problem.line, problem.column) == (line, column), str(problem)


def test_an_escape_beyond_unicode_is_an_error_of_the_document() -> None:
    assert "cannot be read" in said('a: "\\UFFFFFFFF"').message


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null", "\ufeff"])
def test_an_empty_text_says_how_to_start(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(text)
    (problem,) = caught.value.problems
    assert problem.message == "The document is empty."
    assert "apiVersion: mainstay.dev/v1" in (problem.hint or "")


@pytest.mark.parametrize(
    ("text", "what"), [("- a", "a list"), ("hello", "the text `hello`"), ("12", "the number 12")]
)
def test_a_document_is_a_mapping(text: str, what: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(text)
    assert f"not {what}." in caught.value.problems[0].message


def seconds_to_refuse(text: str | bytes, words: str) -> float:
    begin = time.perf_counter()
    with pytest.raises(Invalid) as caught:
        load(text)
    taken = time.perf_counter() - begin
    assert any(words in problem.message for problem in caught.value.problems)
    return taken


def test_two_megabytes_of_text_are_refused_before_they_are_read() -> None:
    assert seconds_to_refuse("a: b\n" * 400_000, "256 KiB is the most") < 2
    assert seconds_to_refuse(b"a: b\n" * 400_000, "256 KiB is the most") < 2


def test_the_limit_counts_bytes() -> None:
    assert "too long" in said("# " + "ä" * (MOST_BYTES // 2)).message
    assert value("a: 1 # " + "a" * (MOST_BYTES - 7)) == {"a": 1}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    assert seconds_to_refuse(BOMB, "anchors and aliases are not used here") < 10


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "{" * 200_000, "- " * 100_000, "? " * 100_000, "a: [\n" * 40_000, '{"a":' * 40_000]
)
def test_deep_text_is_refused_quickly(text: str) -> None:
    assert seconds_to_refuse(text, "More than 32 levels") < 10


def test_too_many_values_are_refused() -> None:
    assert seconds_to_refuse("[" + "a, " * 80_000 + "]", "more than 20000 values") < 30
