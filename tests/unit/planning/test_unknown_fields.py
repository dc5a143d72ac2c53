"""Which fields of an object a cluster would drop, by the schemas it publishes."""

from __future__ import annotations

from typing import Any

from chalicelib.planning.unknown_fields import Schemas

STRING = {"type": "string"}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS = Schemas(
    {
        "components": {
            "schemas": {
                "Web": {
                    "type": "object",
                    "properties": {"apiVersion": STRING, "kind": STRING, "metadata": {}, "spec": ref("Spec")},
                    "x-kubernetes-group-version-kind": [{"group": "", "kind": "Web", "version": "v1"}],
                },
                "Spec": {
                    "type": "object",
                    "properties": {
                        "image": STRING,
                        "selector": {"type": "object", "additionalProperties": STRING},
                        "limits": {"type": "object", "additionalProperties": ref("Limit")},
                        "ports": {"type": "array", "items": {"allOf": [ref("Port")], "default": {}}},
                        "raw": {"type": "object"},
                        "free": {
                            "type": "object",
                            "properties": {"known": STRING},
                            "x-kubernetes-preserve-unknown-fields": True,
                        },
                        "pod": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "properties": {"name": STRING}}},
                            "x-kubernetes-embedded-resource": True,
                        },
                    },
                },
                "Limit": {"type": "object", "properties": {"most": STRING}},
                "Port": {"type": "object", "properties": {"number": {"type": "integer"}}},
                "Silent": {
                    "type": "object",
                    "x-kubernetes-group-version-kind": [{"group": "", "kind": "Silent", "version": "v1"}],
                },
            }
        }
    }
)


def unknown(spec: Any, kind: str = "Web", **more: Any) -> list[str]:
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "one", "odd": 1}, "spec": spec, **more}
    return list(SCHEMAS.unknown_in(body))


def test_what_is_known_is_not_named() -> None:
    spec = {"image": "web:1", "selector": {"app": "web"}, "ports": [{"number": 80}], "limits": {"cpu": {"most": "1"}}}
    assert unknown(spec, status={"odd": 1}) == []


def test_unknown_fields_are_named_by_their_place() -> None:
    spec = {"ports": [{"number": 80}, {"number": 81, "name": "x"}], "limits": {"cpu": {"least": "1"}}, "host": "a"}
    assert unknown(spec, data={}) == ["data", "spec.host", "spec.limits.cpu.least", "spec.ports[1].name"]


def test_free_form_content_may_have_any_field() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"odd": 1}}
    assert unknown({"raw": {"any": {"thing": 1}}, "free": {"known": "a", "odd": 1}}) == []
    assert unknown({"pod": pod}) == ["spec.pod.spec.odd"]


def test_a_kind_without_a_schema_says_nothing() -> None:
    assert unknown({"odd": 1}, kind="Silent") == []
    assert unknown({"odd": 1}, kind="Nowhere") == []
    assert list(Schemas({}).unknown_in({"apiVersion": "v1", "kind": "Web", "spec": {"odd": 1}})) == []
