"""What an application has to be like in another place, worked out from how it is in its own. Shares no code with the
product: it walks through whole objects, where the product has a table of fields.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from tests.applications.judge import Body, Snapshot, key_of

#: Members that hold the name of a namespace or a list of such names, wherever they are.
_NAMES = ("namespace", "namespaces", "matchNames")
_NAME_LABEL = "kubernetes.io/metadata.name"
_BINDINGS = frozenset({"ClusterRoleBinding", "RoleBinding"})
#: The certificates of one cluster, and its API server's own Service.
_OF_ONE_CLUSTER = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "extension-apiserver-authentication"),
    ("Service", "kubernetes"),
}


def to_namespaces(whole: Snapshot, own: set[str], names: Mapping[str, str]) -> Snapshot:
    """What there has to be more, once what is in namespaces was restored into others beside the original: its objects
    by their new names, and for each binding outside of them that gives to its accounts, another one for the new ones
    alone. `own`: keys of the application's objects."""
    found = {}
    for key in own:
        body = copy.deepcopy(whole[key])
        metadata, kind = body["metadata"], body["kind"]
        if kind == "Namespace" and metadata["name"] in names:
            metadata["name"] = names[metadata["name"]]
        elif kind in _BINDINGS and metadata.get("namespace") not in names and (given := _given_to(body, names)):
            body["subjects"] = given
            metadata["name"] = f"{metadata['name']}-{min(names[subject['namespace']] for subject in given)}"
            metadata.pop("labels", None)  # by them it would be the original's
        elif metadata.get("namespace") not in names:
            continue
        moved = _moved(body, names)
        if kind in {"CronJob", "Job"}:
            moved["spec"]["suspend"] = True  # beside the original they would run twice
        found[key_of(moved)] = without_place(moved)
    return found


def _given_to(binding: Body, names: Mapping[str, str]) -> list[Body]:
    return [subject for subject in binding.get("subjects") or () if subject.get("namespace") in names]


def _moved(value: Any, names: Mapping[str, str], member: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _moved(inner, names, name) for name, inner in value.items()}
    if isinstance(value, list):
        is_selector = member == "values"
        return [_moved(inner, names, "namespace" if is_selector and inner in names else member) for inner in value]
    if member in {*_NAMES, _NAME_LABEL} and isinstance(value, str):
        return names.get(value, value)
    return value


def without_place(body: Body) -> Body:
    """An object without what belongs to its place: a Service's addresses and ports of nodes, and what a token is
    good for."""
    if body["kind"] == "Secret" and body.get("type") == "kubernetes.io/service-account-token":
        return {**body, "data": sorted(body.get("data") or ())}
    if body["kind"] != "Service":
        return body
    body = copy.deepcopy(body)
    spec = body["spec"]
    if spec.get("clusterIP") != "None":
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)
    spec.pop("healthCheckNodePort", None)
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)
    return body


def comparable(snapshot: Snapshot) -> Snapshot:
    """A cluster without what is its own."""
    return {
        key: without_place(body)
        for key, body in snapshot.items()
        if body["kind"] != "IPAddress" and (body["kind"], body["metadata"]["name"]) not in _OF_ONE_CLUSTER
    }
