"""The document's rewrites: which objects they mean, what they change, and what they say if they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.document.restore import Rewrite
from chalicelib.domain.objects import ObjectKey
from chalicelib.planning.normalise import copy_of
from chalicelib.planning.rewrite import Rewrites, merge

KEY = ObjectKey("networking.k8s.io", "Ingress", "shop", "web")
BODY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"tier": "front"}},
    "spec": {"ingressClassName": "outer", "tls": [{"hosts": ["a"]}]},
}


def rewritten(*rules: dict[str, Any], key: ObjectKey = KEY) -> tuple[dict[str, Any], Rewrites]:
    rewrites = Rewrites(
        tuple(Rewrite.model_validate(rule) for rule in rules), {("networking.k8s.io", "Ingress"): "ingresses"}
    )
    return rewrites.apply(key, {"tier": "front"}, copy_of(BODY)), rewrites


CLASS = {"spec": {"ingressClassName": "inner", "tls": None}}


@pytest.mark.parametrize(
    "match",
    [
        {"kind": "Ingress"},
        {"kind": "ingresses.networking.k8s.io"},
        {"name": "w*"},
        {"namespace": "shop"},
        {"labels": "tier=front"},
        {"kind": "Ingress", "name": "web", "namespace": "shop", "labels": "tier in (front, back)"},
    ],
)
def test_a_rule_changes_what_meets_every_condition(match: dict[str, str]) -> None:
    found, rewrites = rewritten({"match": match, "mergePatch": CLASS})
    assert found["spec"] == {"ingressClassName": "inner"}
    assert rewrites.problems == list(rewrites.unmet) == []


@pytest.mark.parametrize(
    "match", [{"kind": "Service"}, {"name": "db"}, {"namespace": "copy"}, {"kind": "Ingress", "labels": "tier=back"}]
)
def test_a_rule_leaves_everything_else_and_says_that_it_meant_nothing(match: dict[str, str]) -> None:
    found, rewrites = rewritten({"match": match, "mergePatch": CLASS})
    assert found == BODY
    assert "means no object of the version" in next(iter(rewrites.unmet))


def test_rules_are_applied_one_after_the_other() -> None:
    first = {"match": {"kind": "Ingress"}, "mergePatch": {"metadata": {"labels": {"step": "1"}}}}
    second = {
        "match": {"kind": "Ingress"},
        "jsonPatch": [
            {"op": "test", "path": "/metadata/labels/step", "value": "1"},
            {"op": "move", "from": "/metadata/labels/step", "path": "/metadata/labels/done"},
            {"op": "remove", "path": "/spec/tls"},
        ],
    }
    found, rewrites = rewritten(first, second)
    assert found["metadata"]["labels"] == {"tier": "front", "done": "1"}
    assert found["spec"] == {"ingressClassName": "outer"}
    assert rewrites.problems == []


def test_a_patch_that_does_not_fit_changes_nothing_and_is_told_without_values() -> None:
    rule = {
        "match": {"kind": "Ingress"},
        "jsonPatch": [
            {"op": "add", "path": "/spec/new", "value": 1},
            {"op": "test", "path": "/spec/ingressClassName", "value": "secret"},
        ],
    }
    found, rewrites = rewritten(rule)
    assert found == BODY
    what = "operation 2 (`test` at `/spec/ingressClassName`) cannot be done."
    assert rewrites.problems == [f"Rewrite 1 of the document does not fit {KEY}: {what}"]


@pytest.mark.parametrize(
    "patch",
    [
        {"mergePatch": {"metadata": {"name": "other"}}},
        {"mergePatch": {"metadata": {"namespace": None}}},
        {"mergePatch": {"metadata": None}},
        {"jsonPatch": [{"op": "replace", "path": "", "value": []}]},
        {"jsonPatch": [{"op": "copy", "from": "/kind", "path": "/apiVersion/x"}]},
    ],
)
def test_what_an_object_is_called_cannot_be_changed(patch: dict[str, Any]) -> None:
    found, rewrites = rewritten({"match": {"kind": "Ingress"}, **patch})
    assert found == BODY
    assert len(rewrites.problems) == 1


def test_empty_labels_are_none() -> None:
    found, _ = rewritten({"match": {"kind": "Ingress"}, "mergePatch": {"metadata": {"labels": {"tier": None}}}})
    assert "labels" not in found["metadata"]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the examples of RFC 7386
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, "bar", "bar"),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_are_those_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result
