"""What is wrong is told in the house's words, not in pydantic's, and without what was given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, core_schema

from chalicelib.domain.document.backup import Keep, Schedule
from chalicelib.domain.problems import problems_of, sentence_of
from chalicelib.services.models.applications import ApplicationRegistration
from chalicelib.services.models.clusters import ClusterSettings
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.versions import VersionsQuery
from chalicelib.settings import Settings

TWO_WORDS = (
    "namespaces.A B: its name must be a namespace's name: at most 63 lower-case letters, digits and `-`, "
    "with a letter or digit at both ends"
)
CODE = Path(__file__).parents[2] / "chalicelib"


def told(model: type[BaseModel], given: Any, under: str = "") -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return [str(problem) for problem in problems_of(caught.value, model, under=under)]


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
def test_no_kind_of_error_is_told_in_pydantics_words(kind: str) -> None:
    context = {
        **dict.fromkeys(("gt", "ge", "lt", "le", "min_length", "max_length"), 3),
        "pattern": "^a$",
        "expected": "'a' or 'b'",
        "error": ValueError("it is wrong"),
    }
    details = {"type": kind, "loc": (), "msg": "Input should be valid", "ctx": context}
    sentence = sentence_of(cast("ErrorDetails", details))
    assert sentence.startswith("it ")
    assert not sentence.endswith(".")
    assert "valid" not in sentence


@pytest.mark.parametrize(
    ("model", "given", "sentences"),
    [
        (RestoreRequest, {"mod": "exact"}, ["mod: there is no such field (did you mean `mode`?)"]),
        (RestoreRequest, {"mode": "most"}, ["mode: it must be `exact`, `merge` or `missing`"]),
        (RestoreRequest, {"only": "x", "consent": [1]}, ["only: it must be a list", "consent.0: it must be text"]),
        (RestoreRequest, {"only": [""]}, ["only.0: it must have one character at least"]),
        (
            RestoreRequest,
            {"namespaces": {"A B": "c"}},
            [TWO_WORDS],
        ),
        (
            ClusterSettings,
            {
                "eks": {
                    "name": "a b",
                    "region": "frankfurt",
                    "roleArn": "admin",
                    "endpoint": "x",
                    "proxy": "socks://x",
                }
            },
            [
                "eks.name: it must be a cluster's name at AWS: letters, digits, `-` and `_`, 100 at most",
                "eks.region: it must be a region of AWS such as `eu-central-1`",
                "eks.roleArn: it must be the ARN of a role such as `arn:aws:iam::123456789012:role/mainstay`",
                "eks.endpoint: it must be an address such as `https://1A2B.gr7.eu-central-1.eks.amazonaws.com`",
                "eks.proxy: it must be an address such as `http://proxy.example.com:3128`",
            ],
        ),
        (
            ApplicationRegistration,
            {"name": "two\nlines"},
            ["name: it must be one line of text, without tabs and other control characters"],
        ),
        (RestoreRequest, [], ["it must be a JSON object"]),
        (ClusterSettings, {"connections": 65}, ["connections: it must be at most 64"]),
        (
            VersionsQuery,
            {"appId": "a", "after": "2026-11-25T09:30:00"},
            ["after: it must be a moment such as 2026-11-25T09:30:00Z, with its time zone"],
        ),
        (PageQuery, {"limit": "few"}, ["limit: it must be a whole number"]),
        (PageQuery, {"next": ["a", "b"]}, ["next: it is given more than once"]),
        (
            Keep,
            {"last": "x", "lastGood": 3},
            ["last: it must be a whole number", "lastGood: it must be true or false"],
        ),
        (Keep, {"last": 0}, ["these rules keep nothing: give at least one of them a number above 0"]),
        (Schedule, {"every": 5}, ["every: it must be a duration such as `30s`, `5m` or `1h`"]),
        (Schedule, {"every": "1h", "cron": "* * * * *"}, ["`every` and `cron` exclude each other: keep one of them"]),
        (
            Settings,
            {"MAINSTAY_TICK_SECONDS": "0.1", "MAINSTAY_REPOSITORY": "x"},
            [
                "MAINSTAY_REPOSITORY: it must be `s3://bucket/prefix` or `file:///absolute/path`",
                "MAINSTAY_TICK_SECONDS: it must be at least 0.5",
            ],
        ),
    ],
)
def test_each_place_is_told_with_what_belongs_there(model: type[BaseModel], given: Any, sentences: list[str]) -> None:
    assert told(model, given) == sentences


def test_where_a_model_is_a_part_of_something_its_places_are_told_as_parts_of_that() -> None:
    assert told(RestoreRequest, {"mode": 3}, "options")[0].startswith("options.mode: ")
    assert told(RestoreRequest, [], "options") == ["options: it must be a JSON object"]


def test_what_was_given_is_not_repeated() -> None:
    assert "hunter2" not in str(told(Settings, {"MAINSTAY_REPOSITORY": "hunter2", "MAINSTAY_WORKERS": "hunter2"}))


def test_nobody_reads_a_regular_expression() -> None:
    """Forms have words for people (`domain.forms`); a pattern given to pydantic itself has none."""
    bare = [
        path.relative_to(CODE).as_posix()
        for path in CODE.rglob("*.py")
        if re.search(r"(?:\bField|StringConstraints)\([^()]*\bpattern=", path.read_text(encoding="utf-8"))
    ]
    assert bare == []


def test_nobody_reads_pydantics_own_words() -> None:
    quoting = [
        path.relative_to(CODE).as_posix()
        for path in CODE.rglob("*.py")
        if re.search(r"""\[["']msg["']\]""", path.read_text(encoding="utf-8"))
    ]
    assert quoting == []
