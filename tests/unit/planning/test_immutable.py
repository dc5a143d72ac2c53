"""What cannot be changed in place: the table. That a real server agrees: tests/cluster."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.bodies.immutable import conclude, first_guess, understand
from tests.unit.planning.samples import deployment, kept, make

MEMBERS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("Secret", {"type": "Opaque"}, {"type": "kubernetes.io/tls"}, "type"),
    ("Secret", {"immutable": True, "data": {"a": "MQ=="}}, {"immutable": True, "data": {}}, "data"),
    ("Secret", {"immutable": True}, {}, "immutable"),
    ("ConfigMap", {"immutable": True, "data": {"a": "1"}}, {"immutable": True, "data": {"a": "2"}}, "data"),
    ("Deployment", {"spec": {"selector": {"a": "1"}}}, {"spec": {"selector": {"a": "2"}}}, "spec.selector"),
    ("DaemonSet", {"spec": {"selector": {"a": "1"}}}, {"spec": {"selector": {"a": "2"}}}, "spec.selector"),
    ("StatefulSet", {"spec": {"serviceName": "a"}}, {"spec": {"serviceName": "b"}}, "spec.serviceName"),
    ("StatefulSet", {"spec": {}}, {"spec": {"volumeClaimTemplates": [{}]}}, "spec.volumeClaimTemplates"),
    ("Job", {"spec": {"template": {"a": 1}}}, {"spec": {"template": {"a": 2}}}, "spec.template"),
    ("Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"clusterIP": "None"}}, "spec.clusterIP"),
    ("PersistentVolumeClaim", {"spec": {"accessModes": ["a"]}}, {"spec": {"accessModes": ["b"]}}, "spec.accessModes"),
    (
        "PersistentVolume",
        {"spec": {"nfs": {"path": "/a"}}},
        {"spec": {"nfs": {"path": "/b"}}},
        "spec.persistentvolumesource",
    ),
    ("RoleBinding", {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}, "roleRef"),
    ("ClusterRoleBinding", {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}, "roleRef"),
    ("StorageClass", {"parameters": {"a": "1"}}, {"parameters": {"a": "2"}}, "parameters"),
    ("PriorityClass", {"value": 1}, {"value": 2}, "value"),
    ("CustomResourceDefinition", {"spec": {"scope": "Cluster"}}, {"spec": {"scope": "Namespaced"}}, "spec.scope"),
]


@pytest.mark.parametrize(("kind", "live", "wanted", "field"), MEMBERS)
def test_known_immutable_fields_are_guessed(kind: str, live: Any, wanted: Any, field: str) -> None:
    guess = first_guess(kept(make(kind, **live)), kept(make(kind, **wanted)))
    assert guess is not None
    assert (guess.field, guess.kind) == (field, "immutable")


@pytest.mark.parametrize(
    ("kind", "live", "wanted"),
    [
        ("Secret", {"data": {"a": "1"}}, {"data": {"a": "2"}}),
        ("ConfigMap", {"data": {}}, {"data": {"a": "1"}, "immutable": True}),
        (
            "StatefulSet",
            {"spec": {"replicas": 1, "template": {"a": 1}}},
            {"spec": {"replicas": 2, "template": {"a": 2}}},
        ),
        ("PersistentVolumeClaim", {"spec": {"resources": {"a": 1}}}, {"spec": {"resources": {"a": 2}}}),
        ("Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"type": "ExternalName", "externalName": "x"}}),
        ("PersistentVolume", {"spec": {"capacity": {"a": 1}}}, {"spec": {"capacity": {"a": 2}}}),
        ("StorageClass", {"allowVolumeExpansion": True}, {"allowVolumeExpansion": False}),
        ("Order", {"spec": {"selector": 1}}, {"spec": {"selector": 2}}),
    ],
)
def test_what_may_change_is_not_guessed_to_be_immutable(kind: str, live: Any, wanted: Any) -> None:
    assert first_guess(kept(make(kind, **live)), kept(make(kind, **wanted))) is None


def test_a_new_image_is_no_reason_to_replace_a_deployment() -> None:
    assert first_guess(kept(deployment(image="a")), kept(deployment(image="b"))) is None


@pytest.mark.parametrize(
    ("status", "cause", "kind"),
    [
        (422, "Invalid value: {...}: field is immutable", "immutable"),
        (422, "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", "immutable"),
        (422, "Forbidden: field is immutable when `immutable` is set", "immutable"),
        (422, "Forbidden: spec is immutable after creation except resources.requests", "immutable"),
        (422, "Forbidden: pod updates may not add or remove containers", "immutable"),
        (422, "Forbidden: existing toleration can not be modified except its tolerationSeconds", "immutable"),
        (422, "Forbidden: only deletion is allowed, but found new scheduling gate 'x.test/a'", "immutable"),
        (422, "Invalid value: null: must not update from a positive integer to nil value", "immutable"),
        (422, "Invalid value: []string(nil): primary clusterIP can not be unset", "invalid"),
        (422, "Invalid value: -1: must be greater than or equal to 0", "invalid"),
        (403, "", "forbidden"),
        (400, "", "malformed"),
        (404, "", "cannot-tell"),
        (500, "", "cannot-tell"),
    ],
)
def test_the_servers_answer_is_understood(status: int, cause: str, kind: str) -> None:
    found = understand(status, "words", (("spec.x", cause),) if cause else ())
    assert found.kind == kind
    assert found.field == ("spec.x" if cause else "")


def test_a_webhook_that_says_no_is_told_from_one_that_cannot_be_asked() -> None:
    assert understand(400, 'admission webhook "w" denied the request: no').kind == "forbidden"
    assert understand(400, 'admission webhook "w" does not support dry run').kind == "cannot-tell"
    assert understand(400, "unknown query parameter: dryRun").kind == "cannot-tell"


def test_what_the_server_cannot_even_read_is_never_a_reason_to_replace_an_object() -> None:
    said = 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string'
    answer = understand(400, said)
    assert answer.kind == "malformed"
    live = kept(deployment())
    assert conclude(answer, live, {**live, "spec": "x"}) is answer
    # Of Secrets its words are left out; the table would have said that the type cannot be changed.
    secret = kept(make("Secret", type="Opaque"))
    assert conclude(understand(400, "left out"), secret, {**secret, "type": 5}).kind == "malformed"


def test_a_replacement_that_would_be_refused_as_well_is_not_proposed() -> None:
    causes = (("spec.selector", "field is immutable"), ("spec.replicas", "must be greater than or equal to 0"))
    assert understand(422, "words", causes).kind == "invalid"
