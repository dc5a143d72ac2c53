"""The document's rewrites: which objects they mean, what they change, and what they say if they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.document.restore import Rewrite
from chalicelib.domain.objects import ObjectKey
from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.elsewhere.rewrite import Rewrites, merge

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


def test_copies_that_multiply_are_stopped_before_they_fill_the_memory() -> None:
    copies = [{"op": "copy", "from": "/spec", "path": f"/spec/x{number}"} for number in range(100)]
    found, rewrites = rewritten({"match": {"kind": "Ingress"}, "jsonPatch": copies})
    assert found == BODY
    assert "makes more of it than an API server takes" in rewrites.problems[0]


def test_what_lies_too_deep_in_itself_is_told_and_not_stumbled_over() -> None:
    deep: dict[str, Any] = {}
    for _ in range(28):
        deep = {"a": deep}
    longer = "/a" * 28
    adds = [{"op": "add", "path": f"/spec{longer * number}/a", "value": deep} for number in range(1, 30)]
    first = {"op": "add", "path": "/spec/a", "value": deep}
    found, rewrites = rewritten({"match": {"kind": "Ingress"}, "jsonPatch": [first, *adds]})
    assert found == BODY
    assert "cannot be done" in rewrites.problems[0]


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


# ── what comes of a patch is an object that can be read ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"metadata": {"labels": "x"}}, "`metadata.labels` takes a mapping of names to texts, not text."),
        ({"metadata": {"labels": {"tier": 5}}}, "`metadata.labels.tier` takes text, not a number."),
        (
            {"metadata": {"annotations": ["x"]}},
            "`metadata.annotations` takes a mapping of names to texts, not a list.",
        ),
        (
            {"metadata": {"annotations": {"a": True}}},
            "`metadata.annotations.a` takes text, not `true` or `false`.",
        ),
        ({"metadata": {"finalizers": "x"}}, "`metadata.finalizers` takes a list of texts, not text."),
        ({"metadata": {"finalizers": [{"a": 1}]}}, "`metadata.finalizers[0]` takes text, not a mapping."),
        (
            {"metadata": {"ownerReferences": {"a": 1}}},
            "`metadata.ownerReferences` takes a list of mappings, not a map",
        ),
        ({"metadata": {"ownerReferences": ["x"]}}, "`metadata.ownerReferences[0]` takes a mapping, not text."),
        (
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap"}]}},
            "`metadata.ownerReferences[0].name` takes text, not nothing.",
        ),
        ({"spec": "x"}, "`spec` takes a mapping, not text."),
        ({"spec": ["x"]}, "`spec` takes a mapping, not a list."),
        ({"spec": {"tls": "x"}}, "`spec.tls` takes a list, not text."),
        ({"spec": {"tls": {"hosts": 1}}}, "`spec.tls` takes a list, not a mapping."),
        ({"spec": {"tls": ["x"]}}, "`spec.tls[0]` takes a mapping, not text."),
        ({"spec": {"ingressClassName": {"a": 1}}}, "`spec.ingressClassName` takes text, not a mapping."),
    ],
)
def test_a_patch_that_leaves_no_object_of_its_shape_changes_nothing_and_is_told(patch: Any, said: str) -> None:
    found, rewrites = rewritten({"match": {"kind": "Ingress"}, "mergePatch": patch})
    assert found == BODY
    (problem,) = rewrites.problems
    assert problem.startswith(f"Rewrite 1 of the document does not fit {KEY}: {said}")


def test_only_the_first_few_values_that_do_not_fit_are_told() -> None:
    labels = dict.fromkeys("abcde", 1)
    _, rewrites = rewritten({"match": {"kind": "Ingress"}, "mergePatch": {"metadata": {"labels": labels}}})
    (problem,) = rewrites.problems
    assert "labels.c" in problem
    assert "labels.d" not in problem
    assert problem.endswith(" (and 2 more).")


def test_a_custom_object_may_become_of_another_shape_but_for_what_every_object_has() -> None:
    key = ObjectKey("charts.example.com", "Release", "shop", "web")
    body = {
        "apiVersion": "charts.example.com/v1",
        "kind": "Release",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"values": {"hosts": ["a"]}},
    }
    free, odd = (
        Rewrites((Rewrite.model_validate({"match": {"kind": "Release"}, "mergePatch": patch}),))
        for patch in ({"spec": {"values": {"hosts": {"a": 1}}}}, {"spec": 1})
    )
    assert free.apply(key, {}, copy_of(body))["spec"] == {"values": {"hosts": {"a": 1}}}
    assert odd.apply(key, {}, copy_of(body)) == body
    assert "`spec` takes a mapping, not a number." in odd.problems[0]


def test_what_the_cluster_would_not_read_is_told_of_the_rule_that_brings_it_about() -> None:
    def misfits(body: dict[str, Any]) -> list[str]:
        return [f"`spec.{name}` is odd" for name in body["spec"] if name in {"old", "new"}]

    def rule(name: str) -> Rewrite:
        return Rewrite.model_validate({"match": {"kind": "Ingress"}, "mergePatch": {"spec": {name: 1}}})

    rewrites = Rewrites((rule("fine"), rule("new")), misfits=misfits)
    body = copy_of(BODY)
    body["spec"]["old"] = 1
    assert rewrites.apply(KEY, {}, body)["spec"] == {**body["spec"], "fine": 1}
    assert rewrites.problems == [f"Rewrite 2 of the document does not fit {KEY}: `spec.new` is odd."]


METADATA = {"name": "web", "namespace": "shop"}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "add", "path": "/metadata/uid", "value": "abc"}],
        [{"op": "add", "path": "/metadata/resourceVersion", "value": "5"}],
        [{"op": "replace", "path": "/metadata", "value": {**METADATA, "creationTimestamp": "now"}}],
        [
            {"op": "add", "path": "/spec/kept", "value": {**METADATA, "generation": 4}},
            {"op": "move", "from": "/spec/kept", "path": "/metadata"},
        ],
    ],
)
def test_what_one_incarnation_had_cannot_be_set(operations: list[dict[str, Any]]) -> None:
    found, rewrites = rewritten({"match": {"kind": "Ingress"}, "jsonPatch": operations})
    assert found == BODY
    assert "it is no part of what is restored." in rewrites.problems[0]


def test_who_owns_which_fields_stays_as_it_was_whatever_becomes_of_the_metadata() -> None:
    body = copy_of(BODY)
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    patch = [{"op": "replace", "path": "/metadata", "value": {**METADATA, "managedFields": [{"manager": "other"}]}}]
    rule = Rewrite.model_validate({"match": {"kind": "Ingress"}, "jsonPatch": patch})
    rewrites = Rewrites((rule,))
    assert rewrites.apply(KEY, {}, body)["metadata"] == {**METADATA, "managedFields": [{"manager": "kubectl"}]}
    assert rewrites.problems == []


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
