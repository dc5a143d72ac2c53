"""Kinds that a restore names: understood as people write them, and never passed over."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.patterns import KindPattern
from chalicelib.domain.version import KindSummary
from chalicelib.services.kinds import KindsNamed
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import VersionQuery
from tests.unit.services.house import House

KAFKA = KindSummary(group="kafka.strimzi.io", version="v1", kind="Kafka", plural="kafkas", namespaced=True)
NAMED = KindsNamed([KAFKA], [KindPattern.parse("Postgres.acid.zalan.do")])


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("PersistentVolumeClaims", "PersistentVolumeClaim"),
        ("PersistentVolumeClaims shop/data", "PersistentVolumeClaim"),
        ("persistentvolumclaims", "PersistentVolumeClaim"),
        ("PersistentVolumeClaims.core", "PersistentVolumeClaim"),
        ("Kafak", "Kafka"),
    ],
)
def test_a_slip_in_a_kind_is_refused_with_the_kind_that_was_meant(text: str, near: str) -> None:
    for read, path in ((NAMED.consent, "consent[1]"), (NAMED.only, "only[1]")):
        with pytest.raises(Invalid) as refused:
            read(["Namespace", text])
        problem = refused.value.problems[0]
        assert (problem.path, problem.hint) == (path, f"did you mean `{near}`?")


@pytest.mark.parametrize(
    "text", ["", " ", "Pod shop/", "a b c d", "Pod a/b/c", "-x", "Pod.", "Zebra", "zebras", "Zeb*", "Zebra.apps"]
)
def test_what_names_nothing_is_refused(text: str) -> None:
    for read in (NAMED.consent, NAMED.only):
        with pytest.raises(Invalid):
            read([text])


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("networkpolicies", "NetworkPolicy"),
        ("ingress", "Ingress"),
        ("deployments.apps", "Deployment.apps"),
        ("kafkas shop/main", "Kafka shop/main"),
        ("kafka", "Kafka"),
    ],
)
def test_plurals_and_lower_case_are_understood(text: str, read: str) -> None:
    assert NAMED.consent([text]) == [read]
    assert NAMED.only([text]) == [read]


def test_what_is_known_stays_as_it_is_written() -> None:
    kinds = ["*", "Config*", "Kafka.kafka.strimzi.io shop/main", "ClusterRole.rbac.authorization.k8s.io system:node"]
    others = ["Postgres", "Postgres shop/main", "Zebra.zoo.example", "zebras.zoo.example"]
    assert NAMED.consent(kinds + others) == kinds + others
    only = ["ConfigMap/c-*", "Secret/*", "Deployment.apps/web", "*/web", "Pod shop/web", "Pod web"]
    assert NAMED.only(only) == only


def test_an_object_in_the_form_of_only_is_no_consent() -> None:
    with pytest.raises(Invalid, match=r"consent\[0\]"):
        NAMED.consent(["PersistentVolumeClaim/data"])


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_restore_with_a_slip_in_it_is_not_started(built: House, dry_run: bool) -> None:
    query = VersionQuery(version_id=built.version(built.registered()))
    request = RestoreRequest(dry_run=dry_run, consent=["PersistentVolumeClaims"])
    with pytest.raises(Invalid) as refused:
        built.services.versions.restore(built.asker, query, request)
    assert refused.value.problems[0].path == "consent[0]"
    assert built.engine.started == []
    started = built.services.versions.restore(built.asker, query, RestoreRequest(only=["configmaps/web"]))
    assert started.arguments["only"] == ["ConfigMap/web"]
