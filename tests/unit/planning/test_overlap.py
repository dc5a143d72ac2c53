"""Whether two documents can mean the same objects."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.document import Scope
from chalicelib.planning.selecting.overlap import shared


def _scope(**members: Any) -> Scope:
    return Scope.model_validate(members)


_SHOP: dict[str, Any] = {"namespaces": ["shop"]}
_ROLES: dict[str, Any] = {"kinds": ["ClusterRole"]}


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (_SHOP, _SHOP, ["the namespace shop"]),
        ({"namespaces": ["a", "shop"]}, {"namespaces": ["shop", "b"]}, ["the namespace shop"]),
        (_SHOP, {**_SHOP, "labels": "app=web"}, ["the namespace shop"]),
        ({**_SHOP, "labels": "app=web"}, {**_SHOP, "labels": "tier=front"}, ["the namespace shop"]),
        ({**_SHOP, "labels": "app in (web, db)"}, {**_SHOP, "labels": "app=web"}, ["the namespace shop"]),
        ({**_SHOP, "kinds": ["Secret"]}, _SHOP, ["the namespace shop"]),
        ({**_SHOP, "names": ["web-*"]}, {**_SHOP, "names": ["web-1"]}, ["the namespace shop"]),
        (_ROLES, _ROLES, ["ClusterRole objects"]),
        (_ROLES, {"kinds": ["Cluster*", "StorageClass"]}, ["ClusterRole objects"]),
        (_ROLES, {"kinds": ["clusterroles.rbac.authorization.k8s.io"]}, ["ClusterRole objects"]),
        ({**_ROLES, "labels": "app=web"}, {**_ROLES, "names": ["x"]}, ["ClusterRole objects"]),
    ],
)
def test_what_both_can_mean_is_named(one: Any, other: Any, what: list[str]) -> None:
    assert shared([_scope(**one)], [_scope(**other)]) == what
    if one is not other:
        assert bool(shared([_scope(**other)], [_scope(**one)]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_SHOP, {"namespaces": ["other"]}),
        (_SHOP, _ROLES),
        ({**_SHOP, "labels": "app=web"}, {**_SHOP, "labels": "app=db"}),
        ({**_SHOP, "labels": "app=web"}, {**_SHOP, "labels": "app!=web"}),
        ({**_SHOP, "labels": "app"}, {**_SHOP, "labels": "!app"}),
        ({**_SHOP, "kinds": ["Secret"]}, {**_SHOP, "kinds": ["ConfigMap"]}),
        ({**_SHOP, "kinds": ["Secret"]}, {**_SHOP, "exclude": {"kinds": ["Secret"]}}),
        ({**_SHOP, "kinds": ["*.apps"]}, {**_SHOP, "kinds": ["*.batch"]}),
        ({**_SHOP, "groups": ["apps"]}, {**_SHOP, "groups": ["batch"]}),
        ({**_SHOP, "names": ["a"]}, {**_SHOP, "names": ["b", "c-*"]}),
        ({**_SHOP, "names": ["tmp-1"]}, {**_SHOP, "exclude": {"names": ["tmp-*"]}}),
        (_ROLES, {"kinds": ["StorageClass"]}),
        ({**_ROLES, "labels": "app=web"}, {**_ROLES, "labels": "app=db"}),
    ],
)
def test_what_cannot_be_the_same_is_not(one: Any, other: Any) -> None:
    assert shared([_scope(**one)], [_scope(**other)]) == []
    assert shared([_scope(**other)], [_scope(**one)]) == []


def test_every_pair_of_scopes_is_looked_at_and_each_answer_given_once() -> None:
    mine = [_scope(**_SHOP), _scope(**_ROLES), _scope(**_SHOP, kinds=["Secret"])]
    assert shared(mine, [_scope(**_ROLES), _scope(**_SHOP)]) == ["ClusterRole objects", "the namespace shop"]
