"""Field managers: whom to name, and how to put ownership back. What a server makes of it: tests/cluster."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.objects import Body
from chalicelib.planning.bodies.ownership import (
    NEVER,
    OURS,
    applied_whole,
    best_manager,
    managers_patch,
    merged_managers,
    same_managers,
)
from tests.unit.planning.samples import kept, make


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def owned(*entries: dict[str, Any], **members: Any) -> Body:
    return kept(make("ConfigMap", metadata={"managedFields": list(entries)}, **members))


DATA = {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
LABEL = {"f:metadata": {"f:labels": {"f:x": {}}}}


def test_a_create_names_the_manager_that_owned_most() -> None:
    assert best_manager(owned(entry("label", LABEL), entry("create", DATA))) == "create"


def test_a_create_does_not_borrow_the_name_of_who_applied() -> None:
    assert best_manager(owned(entry("helm", DATA, "Apply"))) == OURS
    assert best_manager(owned()) == OURS


def test_an_update_names_the_manager_of_what_changes() -> None:
    stored = owned(entry("label", LABEL), entry("create", DATA), data={"a": "1", "b": "1"})
    stored["metadata"]["labels"] = {"x": "1"}
    relabelled = {**stored, "metadata": {**stored["metadata"], "labels": {"x": "2"}}}
    assert best_manager(stored, relabelled) == "label"
    assert best_manager(stored, {**stored, "data": {"a": "2", "b": "1"}}) == "create"


def test_an_update_finds_the_owner_of_one_item_of_a_list() -> None:
    image = {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}
    stored = owned(entry("big", {"f:spec": {"f:a": {}, "f:b": {}, "f:c": {}}}), entry("image", image))
    stored["spec"] = {"containers": [{"name": "db", "image": "d"}, {"name": "web", "image": "w:1"}]}
    live = {**stored, "spec": {"containers": [{"name": "db", "image": "d"}, {"name": "web", "image": "w:2"}]}}
    assert best_manager(stored, live) == "image"


def test_times_order_and_the_status_do_not_make_other_owners() -> None:
    one = make("ConfigMap", metadata={"managedFields": [entry("a", DATA, time="1"), entry("b", LABEL)]})
    status = entry("controller", {"f:status": {}}, subresource="status")
    other = make("ConfigMap", metadata={"managedFields": [entry("b", LABEL, time="2"), entry("a", DATA), status]})
    assert same_managers(one, other)
    assert same_managers(kept(one), other)
    assert not same_managers(one, make("ConfigMap"))


def test_the_patch_puts_back_what_was_and_leaves_the_status_to_its_owner() -> None:
    stored = owned(entry("helm", DATA, "Apply"))
    status = entry("controller", {"f:status": {}}, subresource="status")
    made = make("ConfigMap", metadata={"managedFields": [entry(OURS, DATA), status]})
    patch = managers_patch(stored, made)
    assert patch is not None
    assert [each["manager"] for each in patch["metadata"]["managedFields"]] == ["helm", "controller"]


def test_where_ownership_is_not_known_nothing_is_put_back() -> None:
    assert managers_patch(kept(make("ConfigMap"))) is None
    assert (
        merged_managers(kept(make("ConfigMap")), make("ConfigMap", metadata={"managedFields": [entry("a", DATA)]}))
        == []
    )


def test_what_one_manager_applied_whole_is_made_by_one_apply_that_cannot_change_another() -> None:
    fields = {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}
    stored = owned(entry("flux", fields, "Apply"), data={"a": "1"})
    stored["metadata"]["labels"] = {"x": "1"}
    body = {
        **stored,
        "metadata": {name: each for name, each in stored["metadata"].items() if name != "managedFields"},
    }
    made = applied_whole(stored, body)
    assert made is not None
    manager, applied = made
    assert manager == "flux"
    assert applied == {**body, "metadata": {**body["metadata"], "resourceVersion": NEVER}}


def test_the_type_that_secrets_have_by_default_is_left_to_the_server() -> None:
    stored = kept(make("Secret", data={"a": "MQ=="}, type="Opaque"))
    stored["metadata"]["managedFields"] = [entry("flux", {"f:data": {"f:a": {}}}, "Apply")]
    body = {**stored, "metadata": {"name": stored["metadata"]["name"]}}
    made = applied_whole(stored, body)
    assert made is not None
    assert "type" not in made[1]
    stored["metadata"]["managedFields"] = [entry("flux", {"f:data": {"f:a": {}}, "f:type": {}}, "Apply")]
    made = applied_whole(stored, body)
    assert made is not None
    assert made[1]["type"] == "Opaque"


def test_the_conversion_that_definitions_have_by_default_is_left_to_the_server() -> None:
    def made(conversion: dict[str, Any], owned_fields: dict[str, Any]) -> Body | None:
        spec = {"group": "x.example", "conversion": conversion}
        stored = kept(make("CustomResourceDefinition", spec=spec))
        fields = {"f:spec": {"f:group": {}, **owned_fields}}
        stored["metadata"]["managedFields"] = [
            {**entry("kubectl", fields, "Apply"), "apiVersion": stored["apiVersion"]}
        ]
        found = applied_whole(stored, {**stored, "metadata": {"name": stored["metadata"]["name"]}})
        return found[1]["spec"] if found else None

    assert made({"strategy": "None"}, {}) == {"group": "x.example"}
    assert made({"strategy": "None"}, {"f:conversion": {"f:strategy": {}}}) == {
        "group": "x.example",
        "conversion": {"strategy": "None"},
    }
    assert made({"strategy": "Webhook"}, {}) is None


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([entry("flux", {"f:data": {"f:a": {}}}, "Apply"), entry("x", LABEL)], "another manager"),
        ([entry("flux", {"f:data": {"f:a": {}}})], "not applied"),
        ([entry("flux", {"f:data": {"f:b": {}}}, "Apply")], "owns something else"),
        ([entry("flux", {"f:data": {"f:a": {}, "f:b": {}}}, "Apply")], "owned what is not there"),
        ([entry("flux", {"f:metadata": {"f:labels": {"f:x": {}}}}, "Apply")], "data of nobody's"),
        ([entry("flux", {"f:data": {"f:a": {"k:{}": {}}}}, "Apply")], "a list by key"),
        ([entry("flux", {"f:data": {"f:a": {}}}, "Apply", subresource="scale")], "a subresource"),
        ([], "not known"),
    ],
)
def test_everything_else_is_created(entries: list[dict[str, Any]], why: str) -> None:
    stored = owned(*entries, data={"a": "1"})
    body = {**stored, "metadata": {"name": stored["metadata"]["name"]}}
    assert applied_whole(stored, body) is None, why
