"""What a cluster says of the fields of its kinds: which it knows, and what each takes.

Fields that it does not know an API server drops without a word when an object is written: inside one API version a
newer server knows more of them than an older one. Values of another type than a field takes it refuses to read. Both
it says in its OpenAPI v3 documents, one for each group and version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.domain.objects import Body
from chalicelib.planning.elsewhere.shapes import METADATA, needs

#: Of every object, and read by every server alike. What may be in the metadata is known without a schema.
_COMMON = frozenset({"apiVersion", "kind", "metadata", "status"})

_Schema = Mapping[str, Any]
_NUMBER = (int, float)
#: What a value of each type is in Python (a boolean is no number), and in words.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "object": ((dict,), "a mapping"),
    "array": ((list,), "a list"),
    "string": ((str,), "text"),
    "integer": (_NUMBER, "a number"),
    "number": (_NUMBER, "a number"),
    "boolean": ((bool,), "`true` or `false`"),
    "int-or-string": ((*_NUMBER, str), "text or a number"),
}


class Schemas:
    """The schemas of one group and version, as the server publishes them (`/openapi/v3/…`)."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = (document.get("components") or {}).get("schemas") or {}
        self._kinds = {
            each.get("kind"): schema
            for schema in self._schemas.values()
            for each in schema.get("x-kubernetes-group-version-kind") or ()
        }

    # ── fields that are not known ───────────────────────────────────────────────────────────────────────

    def unknown_in(self, body: Body) -> Iterator[str]:
        """Where in an object fields stand that the server would drop: `spec.template.spec.hostnameOverride`.

        Nothing but of the metadata for a kind without a schema, which says nothing about its fields.
        """
        yield from (f"metadata.{name}" for name in sorted(body["metadata"].keys() - METADATA))
        schema = self._resolved(self._kinds.get(body.get("kind")))
        known = schema.get("properties")
        if not known:
            return
        for name in sorted(body.keys() - _COMMON):
            yield from self._field(schema, name, body[name], "")

    def _field(self, schema: _Schema, name: str, value: Any, path: str) -> Iterator[str]:
        here = _below(path, name)
        known = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        if name in known:
            yield from self._value(known[name], value, here)
        elif isinstance(rest, Mapping):
            yield from self._value(rest, value, here)
        elif known and not rest and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield here
        # Without any property said, everything is taken: raw extensions, JSON.

    def _value(self, of: _Schema, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, (dict, list)) or not value:
            return
        schema = self._resolved(of)
        if isinstance(value, list):
            items: _Schema = schema.get("items") or {}
            for number, item in enumerate(value):
                yield from self._value(items, item, f"{path}[{number}]")
            return
        if schema.get("x-kubernetes-embedded-resource"):
            value = {name: member for name, member in value.items() if name not in _COMMON}
        for name in sorted(value):
            yield from self._field(schema, name, value[name], path)

    # ── values that do not fit ──────────────────────────────────────────────────────────────────────────

    def misfits_in(self, body: Body) -> Iterator[str]:
        """Where in an object values stand of a type that the server does not read there, in words and without the
        values. What is null, and kinds and fields without a schema, pass."""
        known = self._resolved(self._kinds.get(body.get("kind"))).get("properties") or {}
        for name in sorted(known.keys() & body.keys() - {"apiVersion", "kind", "metadata"}):
            yield from self._misfits(known[name], body[name], name)

    def _misfits(self, of: _Schema, value: Any, path: str) -> Iterator[str]:
        schema = self._resolved(of)
        types, words = _TYPES.get(_type_of(schema), ((object,), ""))
        if value is None:
            return
        if not isinstance(value, types) or (isinstance(value, bool) and types != (bool,) and object not in types):
            yield needs(path, words, value)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._misfits(schema.get("items") or {}, item, f"{path}[{number}]")
        elif isinstance(value, dict):
            known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
            for name in sorted(value):
                of_name = known.get(name, rest)
                if isinstance(of_name, Mapping):
                    yield from self._misfits(of_name, value[name], _below(path, name))

    def _resolved(self, schema: _Schema | None) -> _Schema:
        """The schema itself, where another one is only referred to (alone, or in an `allOf` beside a default)."""
        found: _Schema = schema or {}
        while reference := found.get("$ref") or _only(found.get("allOf")):
            found = self._schemas.get(str(reference).rpartition("/")[2]) or {}
        return found


def _type_of(schema: _Schema) -> str:
    """The type of a schema's values; `""` where they may be anything."""
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return "int-or-string"
    if "type" in schema:
        return str(schema["type"])
    # Quantities, which a manifest may write as numbers.
    either = {str(each.get("type")) for each in schema.get("oneOf") or ()}
    return "int-or-string" if either and either <= {"integer", "number", "string"} else ""


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _only(parts: Any) -> str | None:
    return parts[0].get("$ref") if isinstance(parts, list) and len(parts) == 1 else None
