"""Exit codes as the server tells them, and permissions in words."""

from __future__ import annotations

import json

from chalicelib.cluster.status import lacking
from chalicelib.cluster.streams import exit_code
from chalicelib.domain.objects import Resource


def kind(plural: str, group: str = "", verbs: str = "list get create update patch delete") -> Resource:
    return Resource(group, "v1", plural, plural.capitalize(), namespaced=True, verbs=frozenset(verbs.split()))


def rule(verbs: str, groups: str, resources: str, **more: list[str]) -> dict:
    named = (verbs.split(), groups.split(",") if groups else [""], resources.split())
    return dict(zip(("verbs", "apiGroups", "resources"), named, strict=True)) | more


def test_a_command_that_ended_well_has_code_0() -> None:
    assert exit_code(b'{"metadata":{},"status":"Success"}') == (0, "")


def test_a_command_that_failed_has_its_own_code() -> None:
    status = {
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": "command terminated with non-zero exit code",
        "details": {"causes": [{"reason": "ExitCode", "message": "42"}]},
    }
    assert exit_code(json.dumps(status).encode())[0] == 42


def test_a_command_that_never_ran_has_no_code() -> None:
    status = {"status": "Failure", "reason": "InternalError", "message": 'exec: "nope": not found'}
    assert exit_code(json.dumps(status).encode()) == (None, 'exec: "nope": not found')
    assert exit_code(b"not json") == (None, "not json")


def test_a_missing_permission_names_the_kinds() -> None:
    kinds = [kind("pods"), kind("secrets"), kind("deployments", "apps")]
    rules = [rule("list get", "", "pods"), rule("*", "apps", "*")]
    assert lacking("list", kinds, rules) == "list on secrets"
    assert lacking("delete", kinds, rules, "shop") == "delete on pods, secrets in shop"


def test_no_permission_is_missing_where_all_kinds_are_listed_one_by_one() -> None:
    assert lacking("list", [kind("pods"), kind("secrets")], [rule("list", "", "pods secrets")]) == ""


def test_a_verb_that_a_kind_does_not_know_is_not_missed() -> None:
    assert lacking("patch", [kind("pods", verbs="list get")], []) == ""


def test_a_permission_for_named_objects_only_is_not_enough() -> None:
    rules = [rule("list", "", "secrets", resourceNames=["db"])]
    assert lacking("list", [kind("secrets")], rules) == "list on secrets"


def test_rules_that_cannot_be_known_mean_every_kind() -> None:
    assert lacking("list", [kind("pods")], None) == "list on every kind"


def test_many_missing_kinds_are_counted() -> None:
    assert lacking("list", [kind(f"k{n}") for n in range(12)], []).endswith("and 4 more kinds")
