"""Roots of ownership: what nothing else makes again."""

from __future__ import annotations

from chalicelib.planning.selecting.ownership_roots import (
    always_derived,
    cannot_be_remade,
    controller_of,
    controller_reference,
)
from tests.unit.planning.samples import controlled_by, make


def test_only_a_controlling_owner_makes_an_object_derived() -> None:
    body = make("Deployment", metadata=controlled_by("Order"))
    assert controller_of(body) == "uid-owner"
    del body["metadata"]["ownerReferences"][0]["controller"]
    assert controller_of(body) is None
    assert controller_reference(body) is None


def test_generated_passwords_and_data_are_roots_whoever_controls_them() -> None:
    for kind in ("Secret", "PersistentVolumeClaim"):
        assert controller_of(make(kind, metadata=controlled_by("Order"))) is None
        assert cannot_be_remade("", kind)
    assert controller_of(make("ConfigMap", metadata=controlled_by("Order"))) == "uid-owner"


def test_a_custom_owner_is_not_trusted_to_be_there() -> None:
    assert not always_derived("shop.example", "Order", "", "Pod")
    assert always_derived("apps", "ReplicaSet", "", "Pod")
    assert not always_derived("apps", "StatefulSet", "", "PersistentVolumeClaim")


def test_the_group_of_an_owner_is_told_without_its_version() -> None:
    owner = controller_reference(make("Pod", metadata=controlled_by("ReplicaSet", "web-1")))
    assert owner is not None
    assert (owner.group, owner.kind, owner.name) == ("apps", "ReplicaSet", "web-1")
