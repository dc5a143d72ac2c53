"""Which fields of an object a cluster would drop and which values it would not read, by the schemas it publishes."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.elsewhere.schemas import Schemas

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
                        "replicas": {"type": "integer", "format": "int32"},
                        "ratio": {"type": "number"},
                        "paused": {"type": "boolean"},
                        "port": {"allOf": [ref("IntOrString")]},
                        "either": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, STRING]},
                        "size": {"allOf": [ref("Quantity")], "default": {}},
                        "any": {"description": "of any shape"},
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
                "IntOrString": {"oneOf": [{"type": "integer"}, STRING], "format": "int-or-string"},
                "Quantity": {"oneOf": [STRING, {"type": "number"}]},
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
    return list(
        SCHEMAS.unknown_in({"apiVersion": "v1", "kind": kind, "metadata": {"name": "one"}, "spec": spec, **more})
    )


def misfits(spec: Any, kind: str = "Web", **more: Any) -> list[str]:
    return list(
        SCHEMAS.misfits_in({"apiVersion": "v1", "kind": kind, "metadata": {"name": "one"}, "spec": spec, **more})
    )


def test_what_is_known_is_not_named() -> None:
    spec = {"image": "web:1", "selector": {"app": "web"}, "ports": [{"number": 80}], "limits": {"cpu": {"most": "1"}}}
    assert unknown(spec, status={"odd": 1}) == []


def test_unknown_fields_are_named_by_their_place() -> None:
    spec = {"ports": [{"number": 80}, {"number": 81, "name": "x"}], "limits": {"cpu": {"least": "1"}}, "host": "a"}
    assert unknown(spec, data={}) == ["data", "spec.host", "spec.limits.cpu.least", "spec.ports[1].name"]
    assert unknown({}, metadata={"name": "one", "label": {"a": "b"}}) == ["metadata.label"]


def test_free_form_content_may_have_any_field() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"odd": 1}}
    assert unknown({"raw": {"any": {"thing": 1}}, "free": {"known": "a", "odd": 1}}) == []
    assert unknown({"pod": pod}) == ["spec.pod.spec.odd"]


def test_a_kind_without_a_schema_says_nothing() -> None:
    assert unknown({"odd": 1}, kind="Silent") == []
    assert unknown({"odd": 1}, kind="Nowhere") == []
    assert misfits(1, kind="Silent") == misfits(1, kind="Nowhere") == []
    body = {"apiVersion": "v1", "kind": "Web", "metadata": {}, "spec": {"odd": 1}}
    assert list(Schemas({}).unknown_in(body)) == []
    assert list(Schemas({}).misfits_in(body)) == []


FITTING: list[dict[str, Any]] = [
    {},
    {"image": "web:1", "replicas": 3, "ratio": 0.5, "paused": True, "selector": {"app": "web"}},
    {"port": 80, "either": 80, "size": 1, "any": 1, "limits": {"cpu": {"most": "1"}}, "ports": [{"number": 80}]},
    {"port": "http", "either": "half", "size": "1Gi", "any": ["x"], "ports": []},
    {"image": None, "replicas": None, "ports": None, "size": None},
    {"raw": {"anything": ["x"]}, "free": {"known": "x", "other": 5}, "unknown": {"x": 1}},
]


@pytest.mark.parametrize("spec", FITTING)
def test_values_of_the_types_that_fields_take_are_no_misfits(spec: dict[str, Any]) -> None:
    assert misfits(spec) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("x", "`spec` takes a mapping, not text"),
        ({"image": 1}, "`spec.image` takes text, not a number"),
        ({"image": ["x"]}, "`spec.image` takes text, not a list"),
        ({"replicas": "3"}, "`spec.replicas` takes a number, not text"),
        ({"replicas": True}, "`spec.replicas` takes a number, not `true` or `false`"),
        ({"ratio": {}}, "`spec.ratio` takes a number, not a mapping"),
        ({"paused": "yes"}, "`spec.paused` takes `true` or `false`, not text"),
        ({"paused": 1}, "`spec.paused` takes `true` or `false`, not a number"),
        ({"ports": "x"}, "`spec.ports` takes a list, not text"),
        ({"ports": {}}, "`spec.ports` takes a list, not a mapping"),
        ({"ports": [{"number": 80}, "x"]}, "`spec.ports[1]` takes a mapping, not text"),
        ({"ports": [{"number": "80"}]}, "`spec.ports[0].number` takes a number, not text"),
        ({"selector": {"app": 1}}, "`spec.selector.app` takes text, not a number"),
        ({"selector": []}, "`spec.selector` takes a mapping, not a list"),
        ({"limits": {"cpu": {"most": 1}}}, "`spec.limits.cpu.most` takes text, not a number"),
        ({"port": {}}, "`spec.port` takes text or a number, not a mapping"),
        ({"either": True}, "`spec.either` takes text or a number, not `true` or `false`"),
        ({"size": []}, "`spec.size` takes text or a number, not a list"),
        ({"free": {"known": 5}}, "`spec.free.known` takes text, not a number"),
        ({"raw": "x"}, "`spec.raw` takes a mapping, not text"),
    ],
)
def test_a_value_that_the_server_would_not_read_is_told_by_place_and_sort(spec: Any, said: str) -> None:
    assert misfits(spec) == [said]


def test_the_sorts_of_values_are_told_and_never_the_values() -> None:
    assert "hidden" not in str(misfits({"ports": "hidden", "selector": {"a": ["hidden"]}}))
