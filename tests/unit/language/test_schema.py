"""The published JSON Schema agrees with the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from chalicelib.language.complaints import model_at
from chalicelib.language.loader import load
from chalicelib.language.schema import as_text, json_schema
from tests.unit.language.samples import EVERYTHING, JSON, LEAST, RIGHT_PARTS, with_spec

PUBLISHED = Path(__file__).parents[3] / "docs" / "schema" / "application-v1.json"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


def as_editors_read_it(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else yaml.safe_load(text)


def test_the_published_schema_is_up_to_date() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == as_text(), (
        "run: python -m chalicelib.language.schema > docs/schema/application-v1.json"
    )


@pytest.mark.parametrize("text", [LEAST, EVERYTHING, JSON, *map(with_spec, RIGHT_PARTS.values())])
def test_the_schema_accepts_what_the_loader_accepts(text: str, validator: jsonschema.Draft202012Validator) -> None:
    shown = load(text).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert list(validator.iter_errors(shown)) == []


@pytest.mark.parametrize(
    "text",
    [
        LEAST.replace("namespaces", "namespace"),
        LEAST.replace("{name: shop}", "{}"),
        LEAST.replace("kind: Application", "kind: Deployment"),
        with_spec("restore: {mode: exactly}"),
        with_spec("backup: {every: hourly}"),
        with_spec("backup: {every: 1h, cron: 0 3 * * *}"),
        with_spec("restore: {rewrite: [{match: {kind: A}}]}"),
        with_spec("restore: {health: {checks: [{pod: {}, command: [id]}]}}"),
    ],
)
def test_the_schema_refuses_common_mistakes(text: str, validator: jsonschema.Draft202012Validator) -> None:
    assert list(validator.iter_errors(as_editors_read_it(text)))


def test_every_field_has_a_description_for_editors() -> None:
    schema = json_schema()
    for name, part in {"": schema, **schema["$defs"]}.items():
        assert part["description"].endswith("."), name
        for field, content in part["properties"].items():
            named = schema["$defs"][content["$ref"].rpartition("/")[2]] if "$ref" in content else {}
            assert (content | named)["description"].endswith("."), f"{name}.{field}"


def test_defaults_are_shown_as_a_document_would_write_them() -> None:
    assert json_schema()["$defs"]["Hook"]["properties"]["timeout"]["default"] == "30s"


def test_a_part_of_a_document_has_its_model() -> None:
    model = model_at(("spec", "restore", "health", "checks", 0, "pod"))
    assert model is not None
    assert model.__name__ == "PodRef"
    assert model_at(("spec", "nothing", "there")) is None
