"""Fields that a cluster does not know: an API server drops them without a word when an object is written.

Inside one API version a newer server knows more fields than an older one. What a server knows it says in its OpenAPI
v3 documents, one for each group and version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.domain.objects import Body

#: Of every object, and read by every server alike.
_COMMON = frozenset({"apiVersion", "kind", "metadata", "status"})


class Schemas:
    """The schemas of one group and version, as the server publishes them (`/openapi/v3/…`)."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = (document.get("components") or {}).get("schemas") or {}
        self._kinds = {
            each.get("kind"): schema
            for schema in self._schemas.values()
            for each in schema.get("x-kubernetes-group-version-kind") or ()
        }

    def unknown_in(self, body: Body) -> Iterator[str]:
        """Where in an object fields stand that the server would drop: `spec.template.spec.hostnameOverride`.

        Nothing for a kind without a schema, which says nothing about its fields.
        """
        schema = self._resolved(self._kinds.get(body.get("kind")))
        known = schema.get("properties")
        if not known:
            return
        for name in sorted(body.keys() - _COMMON):
            yield from self._field(schema, name, body[name], "")

    def _field(self, schema: Mapping[str, Any], name: str, value: Any, path: str) -> Iterator[str]:
        here = f"{path}.{name}" if path else name
        known = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        if name in known:
            yield from self._value(known[name], value, here)
        elif isinstance(rest, Mapping):
            yield from self._value(rest, value, here)
        elif known and not rest and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield here
        # Without any property said, everything is taken: raw extensions, JSON.

    def _value(self, of: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, (dict, list)) or not value:
            return
        schema = self._resolved(of)
        if isinstance(value, list):
            items: Mapping[str, Any] = schema.get("items") or {}
            for number, item in enumerate(value):
                yield from self._value(items, item, f"{path}[{number}]")
            return
        if schema.get("x-kubernetes-embedded-resource"):
            value = {name: member for name, member in value.items() if name not in _COMMON}
        for name in sorted(value):
            yield from self._field(schema, name, value[name], path)

    def _resolved(self, schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """The schema itself, where another one is only referred to (alone, or in an `allOf` beside a default)."""
        found: Mapping[str, Any] = schema or {}
        while reference := found.get("$ref") or _only(found.get("allOf")):
            found = self._schemas.get(str(reference).rpartition("/")[2]) or {}
        return found


def _only(parts: Any) -> str | None:
    return parts[0].get("$ref") if isinstance(parts, list) and len(parts) == 1 else None
