"""Which objects a restricted restore concerns, and what a user may agree to."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.patterns import KindPattern
from chalicelib.planning.plan.consent import Consent
from chalicelib.planning.selecting.only import Only
from tests.unit.planning.samples import CONTEXT

WEB = ObjectKey("apps", "Deployment", "shop", "web")


@pytest.mark.parametrize(
    "text",
    ["Deployment", "Deployment.apps", "Deployment/web", "Deployment/w*", "Deployment shop/web", str(WEB), "*/web"],
)
def test_an_object_can_be_meant_in_several_ways(text: str) -> None:
    assert Only([text], CONTEXT)(WEB)


@pytest.mark.parametrize("text", ["Secret", "Deployment.extensions", "Deployment/db", "Deployment bank/web"])
def test_other_objects_are_not_meant(text: str) -> None:
    assert not Only([text], CONTEXT)(WEB)


def test_any_of_several_texts_is_enough() -> None:
    assert Only(["Secret", "Deployment/web"], CONTEXT)(WEB)
    assert not Only([], CONTEXT)(WEB)


def test_cluster_scoped_objects_have_no_namespace() -> None:
    role = ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "reader")
    assert Only([str(role)], CONTEXT)(role)


@pytest.mark.parametrize("text", ["", "Deployment/", "Deployment a/b/c", "no kind", "Deployment /x"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Only(["Secret", text], CONTEXT)
    assert refused.value.problems[0].path == "only[1]"


CLAIM = ObjectKey("", "PersistentVolumeClaim", "shop", "data-0")


def lacks(key: ObjectKey, *given: str, protect: str = "PersistentVolumeClaim") -> bool:
    return Consent([KindPattern.parse(protect)], given, CONTEXT).lacks(key)


def test_what_is_not_protected_needs_no_consent() -> None:
    assert not lacks(WEB)


def test_what_is_protected_needs_consent_to_it_to_its_kind_or_to_all() -> None:
    assert lacks(CLAIM)
    for given in ("PersistentVolumeClaim", "PersistentVolumeClaim.core", str(CLAIM), "*"):
        assert not lacks(CLAIM, given)
    assert lacks(CLAIM, "PersistentVolumeClaim shop/data-1", "Secret", "not a kind at all!")


def test_kinds_can_be_protected_by_their_plural() -> None:
    assert lacks(WEB, protect="deployments.apps")


def test_names_by_which_nothing_was_meant_are_known() -> None:
    only = Only(["ConfigMap/a", "ConfigMap/typo"], CONTEXT)
    assert only.none_met
    assert [only(ObjectKey("", "ConfigMap", "shop", name)) for name in ("a", "b")] == [True, False]
    assert (only.unmet, only.none_met) == (("ConfigMap/typo",), False)
