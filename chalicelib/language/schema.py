"""The language as a JSON Schema, with which editors complete and check documents while they are written.

The schema says what can be said about one field at a time, and some of the rules between fields; the loader
says the rest. It never refuses what the loader accepts.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from chalicelib.domain.document import Document
from chalicelib.domain.fields import show_duration

#: Where the schema is published; its number is the language's version.
SCHEMA_ID = "https://mainstay.dev/schema/application-v1.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Rules between fields, by model: what pydantic cannot put into a schema.
_RULES: dict[str, dict[str, Any]] = {
    "Scope": {"anyOf": [{"required": ["namespaces"]}, {"required": ["kinds"]}]},
    "PodRef": {"oneOf": [{"required": ["labels"]}, {"required": ["name"]}]},
    "Rewrite": {"oneOf": [{"required": ["mergePatch"]}, {"required": ["jsonPatch"]}]},
    "Backup": {"not": {"required": ["every", "cron"]}},
    "Drill": {"oneOf": [{"required": ["every"]}, {"required": ["cron"]}]},
    "Match": {"minProperties": 1},
}


class _Generator(GenerateJsonSchema):
    """Pydantic's own generator would show durations in ISO 8601, which documents do not use."""

    def encode_default(self, dft: Any) -> Any:
        return show_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """The schema of documents (JSON Schema 2020-12). The same at every call."""
    generated = Document.model_json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    definitions = {name: _tidy(part) | _RULES.get(name, {}) for name, part in generated.pop("$defs").items()}
    root = _tidy(generated)
    root["title"] = "Application of Mainstay"
    return {"$schema": DIALECT, "$id": SCHEMA_ID, **root, "$defs": dict(sorted(definitions.items()))}


def _tidy(part: Any) -> Any:
    """Without what says nothing: titles made of names, defaults of null, and null as an alternative (the loader
    refuses empty fields)."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {
        name: {member: _tidy(value) for member, value in content.items()} if name == "properties" else _tidy(content)
        for name, content in part.items()
        if name != "title" and not (name == "default" and content is None)
    }
    alternatives = kept.get("anyOf", [])
    if {"type": "null"} in alternatives:
        kept.pop("anyOf")
        (alternative,) = [option for option in alternatives if option != {"type": "null"}]
        kept = alternative | kept
    description = kept.get("description")
    if isinstance(description, str):
        # Docstrings are wrapped and may have paragraphs for programmers below the first.
        kept["description"] = " ".join(description.split("\n\n")[0].split())
    return kept


def as_text() -> str:
    """The schema as it is published: `python -m chalicelib.language.schema > docs/schema/application-v1.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(as_text(), end="")
