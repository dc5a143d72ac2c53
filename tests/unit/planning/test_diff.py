"""Differences that people can read, and that never tell a secret."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.plan import Difference
from chalicelib.planning.bodies.diff import MOST, differences
from tests.unit.planning.samples import deployment, kept, make


def told(live: Any, wanted: Any) -> list[tuple[str, str, Any, Any]]:
    return [(each.path, each.change, each.live, each.wanted) for each in differences(kept(live), kept(wanted))]


def test_equal_contents_do_not_differ() -> None:
    assert told(deployment(), deployment()) == []


def test_an_item_of_a_list_is_told_by_its_name() -> None:
    assert told(deployment(image="a:2"), deployment(image="a:1")) == [
        ("/spec/template/spec/containers/[name=web]/image", "changed", "a:2", "a:1")
    ]


def test_members_that_one_side_has_are_added_or_removed() -> None:
    live = make("ConfigMap", data={"a": "1", "b/c": "2"})
    wanted = make("ConfigMap", data={"a": "1", "d": "3"}, metadata={"labels": {"x": "y"}})
    assert told(live, wanted) == [
        ("/data/b~1c", "removed", "2", None),
        ("/data/d", "added", None, "3"),
        ("/metadata/labels/x", "added", None, "y"),
    ]


def test_ports_are_told_by_their_number() -> None:
    def service(*ports: dict[str, Any]) -> Any:
        return make("Service", spec={"ports": list(ports)})

    found = told(
        service({"port": 80, "protocol": "TCP", "targetPort": 1}, {"port": 53, "protocol": "UDP"}),
        service({"port": 80, "protocol": "TCP", "targetPort": 2}),
    )
    assert found == [
        ("/spec/ports/[port=53,protocol=UDP]", "removed", {"port": 53, "protocol": "UDP"}, None),
        ("/spec/ports/[port=80,protocol=TCP]/targetPort", "changed", 1, 2),
    ]


def test_another_order_of_the_same_items_is_told_as_such() -> None:
    one, other = {"name": "a", "value": "1"}, {"name": "b", "value": "2"}
    assert told(make("Order", env=[one, other]), make("Order", env=[other, one])) == [
        ("/env", "changed", ["a", "b"], ["b", "a"])
    ]


def test_lists_without_names_are_told_by_place_and_lists_of_words_whole() -> None:
    assert told(make("Order", rules=[{"verbs": ["get"]}]), make("Order", rules=[{"verbs": ["list"]}])) == [
        ("/rules/0/verbs", "changed", ["get"], ["list"])
    ]


def test_a_number_and_its_text_differ() -> None:
    assert told(make("Order", a=1, b=True), make("Order", a="1", b=1)) == [
        ("/a", "changed", 1, "1"),
        ("/b", "changed", True, 1),
    ]


def test_field_ownership_is_no_difference() -> None:
    owned = make("ConfigMap", metadata={"managedFields": [{"manager": "me", "operation": "Update"}]})
    assert told(owned, make("ConfigMap")) == []


def test_long_values_are_cut() -> None:
    ((_, _, live, wanted),) = told(make("ConfigMap", data={"a": "x" * 5000}), make("ConfigMap", data={"a": "y"}))
    assert live.endswith("… (5000 characters)")
    assert len(live) < 400
    assert wanted == "y"


def test_many_differences_are_counted() -> None:
    found = differences(kept(make("ConfigMap", data={f"k{n:03}": "a" for n in range(100)})), kept(make("ConfigMap")))
    assert len(found) == MOST + 1
    assert found[-1].wanted == f"and {100 - MOST} more"


def test_what_kubectl_remembers_is_told_to_differ_but_not_how() -> None:
    def applied(text: str) -> Any:
        return make("ConfigMap", metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}})

    ((path, change, live, wanted),) = told(applied('{"a":1}'), applied('{"a":2}'))
    assert path == "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
    assert (change, live, wanted) == ("changed", None, None)


def test_a_secret_tells_names_and_no_values() -> None:
    found = differences(
        kept(make("Secret", data={"a": "c2VjcmV0", "gone": "c2VjcmV0"}, type="Opaque")),
        kept(make("Secret", data={"a": "b3RoZXI=", "new": "c2VjcmV0"}, type="tls")),
    )
    assert found == (
        Difference(path="/data/a", change="changed", hidden=True),
        Difference(path="/data/gone", change="removed", hidden=True),
        Difference(path="/data/new", change="added", hidden=True),
        Difference(path="/type", change="changed", hidden=True),
    )


_VALUES = st.dictionaries(st.sampled_from("abc"), st.from_regex(r"SECRET[a-z]{8,40}", fullmatch=True), max_size=3)
_MEMBERS = st.sampled_from(["data", "stringData", "annotations"])


@settings(max_examples=30, deadline=None)
@given(member=_MEMBERS, live=st.none() | _VALUES, wanted=st.none() | _VALUES)
def test_no_secret_is_ever_told(member: str, live: dict[str, str] | None, wanted: dict[str, str] | None) -> None:
    def secret(values: dict[str, str] | None) -> Any:
        if values is None:
            return make("Secret")
        if member == "annotations":
            applied = orjson.dumps({"data": values}).decode()
            return make("Secret", metadata={"annotations": {"any.tool/keeps-a-copy": applied}})
        return make("Secret", **{member: values})

    for found in (differences(kept(secret(live)), kept(secret(wanted))),):
        assert "SECRET" not in repr(found)
        assert "characters" not in repr(found)
