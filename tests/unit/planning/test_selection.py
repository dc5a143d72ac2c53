"""Scopes: which lists are asked for, and what of them is meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.document import Scope
from chalicelib.planning.selecting.selection import ListRequest, Selection
from tests.unit.planning.samples import ALL, served


def selection(*scopes: dict[str, Any]) -> Selection:
    return Selection(tuple(Scope.model_validate(scope) for scope in scopes))


def asked(of: Selection) -> list[tuple[str, str, str, str]]:
    return [
        (request.resource.kind, request.namespace, request.label_selector, request.field_selector)
        for request in of.requests(ALL)
    ]


def request_for(of: Selection, kind: str) -> ListRequest:
    (found,) = [request for request in of.requests(ALL) if request.resource.kind == kind]
    return found


def test_a_namespace_means_every_kind_in_it_and_itself() -> None:
    found = asked(selection({"namespaces": ["shop"]}))
    assert ("Deployment", "shop", "", "") in found
    assert ("Namespace", "", "", "metadata.name=shop") in found
    assert not [kind for kind, *_ in found if kind in {"ClusterRole", "StorageClass"}]
    assert len(found) == len({kind for kind, *_ in found})


def test_kinds_narrow_what_is_listed() -> None:
    assert asked(selection({"namespaces": ["shop"], "kinds": ["Secret", "Deployment.apps"]})) == [
        ("Secret", "shop", "", ""),
        ("Deployment", "shop", "", ""),
    ]


def test_the_namespace_itself_can_be_left_out() -> None:
    found = asked(selection({"namespaces": ["shop"], "exclude": {"kinds": ["Namespace"]}}))
    assert "Namespace" not in {kind for kind, *_ in found}


def test_excluded_kinds_are_not_listed() -> None:
    found = asked(selection({"namespaces": ["shop"], "exclude": {"kinds": ["Pod", "Job"]}}))
    assert not {"Pod", "Job"} & {kind for kind, *_ in found}


def test_a_label_selector_is_left_to_the_server_where_all_scopes_agree() -> None:
    scope = {"namespaces": ["shop"], "kinds": ["Secret"], "labels": "app=web"}
    assert asked(selection(scope)) == [("Secret", "shop", "app=web", "")]
    assert asked(selection(scope, {**scope, "names": ["a"]})) == [("Secret", "shop", "app=web", "")]
    assert asked(selection(scope, {**scope, "labels": "app=db"})) == [("Secret", "shop", "", "")]
    assert asked(selection(scope, {"namespaces": ["shop"], "kinds": ["Secret"]})) == [("Secret", "shop", "", "")]


def test_one_exact_name_is_left_to_the_server() -> None:
    scope = {"kinds": ["ClusterRole"], "names": ["reader"]}
    assert asked(selection(scope)) == [("ClusterRole", "", "", "metadata.name=reader")]
    assert asked(selection({**scope, "names": ["read*"]})) == [("ClusterRole", "", "", "")]


def test_no_kind_and_namespace_is_asked_for_twice() -> None:
    twice = selection({"namespaces": ["shop", "bank"]}, {"namespaces": ["bank"], "labels": "a=b"})
    found = asked(twice)
    assert len(found) == len(set(found))
    assert [namespace for kind, namespace, *_ in found if kind == "Secret"] == ["bank", "shop"]


def test_an_object_belongs_if_any_scope_takes_it() -> None:
    secrets = request_for(
        selection(
            {"namespaces": ["shop"], "exclude": {"labels": "tier=cache", "names": ["tmp-*"]}},
            {"namespaces": ["shop"], "kinds": ["Secret"], "names": ["tmp-keep"]},
        ),
        "Secret",
    )
    assert secrets.takes("shop", "a", {})
    assert not secrets.takes("shop", "a", {"tier": "cache"})
    assert not secrets.takes("shop", "tmp-1", {})
    assert secrets.takes("shop", "tmp-keep", {})
    assert not secrets.takes("bank", "a", {})


def test_a_namespace_is_selected_by_being_named_whatever_its_labels() -> None:
    scope = {"namespaces": ["shop"], "labels": "app=web", "names": ["web-*"], "exclude": {"labels": "left=out"}}
    namespaces = request_for(selection(scope), "Namespace")
    assert namespaces.takes("", "shop", {})
    assert not namespaces.takes("", "bank", {"app": "web"})
    assert not namespaces.takes("", "shop", {"left": "out"})


@pytest.mark.parametrize(
    ("scopes", "labels", "own"),
    [
        ([{"namespaces": ["shop"]}], {}, True),
        ([{"namespaces": ["shop"], "exclude": {"labels": "tier=cache", "kinds": ["Event"]}}], {}, True),
        ([{"namespaces": ["shop"], "labels": "app=web"}], {}, False),
        ([{"namespaces": ["shop"], "labels": "app=web"}], {"app": "web"}, True),
        ([{"namespaces": ["shop"], "labels": "!app"}], {"app": "web"}, False),
        ([{"namespaces": ["shop"], "names": ["web-*"]}], {}, False),
        ([{"namespaces": ["shop"], "names": ["web-*", "shop"]}], {}, True),
        ([{"namespaces": ["shop"], "labels": "app=web"}, {"namespaces": ["shop", "bank"]}], {}, True),
        ([{"namespaces": ["shop"], "labels": "app=web"}, {"namespaces": ["bank"]}], {}, False),
        ([{"namespaces": ["shop"], "labels": "app=web"}, {"kinds": ["Namespace"], "names": ["shop"]}], {}, True),
        ([{"namespaces": ["shop"], "labels": "app=web"}, {"kinds": ["ClusterRole"]}], {}, False),
    ],
)
def test_a_namespace_is_the_applications_own_only_where_it_meets_all_conditions_itself(
    scopes: list[dict[str, Any]], labels: dict[str, str], own: bool
) -> None:
    assert selection(*scopes).owns_namespace("shop", labels) is own


def test_cluster_scoped_kinds_need_a_scope_of_their_own() -> None:
    roles = request_for(
        selection({"namespaces": ["shop"]}, {"kinds": ["ClusterRole"], "labels": "part-of=shop"}), "ClusterRole"
    )
    assert roles.takes("", "reader", {"part-of": "shop"})
    assert not roles.takes("", "reader", {})


def test_a_group_whose_server_is_down_concerns_who_could_mean_it() -> None:
    assert selection({"namespaces": ["shop"]}).may_concern("custom.example")
    assert not selection({"namespaces": ["shop"], "kinds": ["Secret"]}).may_concern("custom.example")
    assert selection({"namespaces": ["shop"], "kinds": ["*.custom.example"]}).may_concern("custom.example")
    assert not selection({"namespaces": ["shop"], "groups": ["apps"]}).may_concern("custom.example")
    without = {"namespaces": ["shop"], "exclude": {"kinds": ["*.custom.example"]}}
    assert not selection(without).may_concern("custom.example")


_SCOPES = st.lists(
    st.builds(
        lambda namespaces, kinds, labels, names, out: {
            "namespaces": namespaces,
            **({"kinds": kinds} if kinds else {}),
            **({"labels": labels} if labels else {}),
            **({"names": names} if names else {}),
            "exclude": {"names": out},
        },
        st.lists(st.sampled_from(["shop", "bank"]), min_size=1, max_size=2, unique=True),
        st.lists(st.sampled_from(["Secret", "Pod", "Deployment"]), max_size=2, unique=True),
        st.sampled_from(["", "app=web", "!app"]),
        st.lists(st.sampled_from(["a", "b*"]), max_size=2, unique=True),
        st.lists(st.sampled_from(["b", "c*"]), max_size=1),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=50, deadline=None)
@given(
    scopes=_SCOPES,
    kind=st.sampled_from(["Secret", "Pod", "Deployment", "ConfigMap"]),
    namespace=st.sampled_from(["shop", "bank", "other"]),
    name=st.sampled_from(["a", "b", "bb", "c1"]),
    labels=st.sampled_from([{}, {"app": "web"}, {"app": "db"}]),
)
def test_what_belongs_is_in_exactly_one_list_and_what_does_not_in_none(
    scopes: list[dict[str, Any]], kind: str, namespace: str, name: str, labels: dict[str, str]
) -> None:
    of, resource = selection(*scopes), served(kind)
    lists = [
        request for request in of.requests(ALL) if request.resource == resource and request.namespace == namespace
    ]
    taken = [request for request in lists if request.takes(namespace, name, labels)]
    assert len(taken) == int(of.matches(resource, namespace, name, labels))
