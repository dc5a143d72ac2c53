"""Who refers to an application from elsewhere: bindings to its accounts, webhooks and API services to its Services,
limits to its namespaces, and the grants by which others let it refer to theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.domain.objects import DEFINITION, NAMESPACE, Body, ObjectKey, key_of
from chalicelib.planning.content.paths import values
from chalicelib.planning.selecting.accounts import accounts_named, called
from chalicelib.planning.selecting.references import CLUSTER_ROLE, SERVICE, Reference

_ADMISSION = "admissionregistration.k8s.io"

#: Kinds that name objects of an application from elsewhere: all of them are looked through.
NAMING: tuple[tuple[str, str], ...] = (
    (CLUSTER_ROLE[0], "ClusterRoleBinding"),
    (CLUSTER_ROLE[0], "RoleBinding"),
    (_ADMISSION, "MutatingWebhookConfiguration"),
    (_ADMISSION, "ValidatingWebhookConfiguration"),
    ("apiregistration.k8s.io", "APIService"),
    DEFINITION,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
)
#: By which a namespace lets objects of another one refer to its own.
GRANT = ("gateway.networking.k8s.io", "ReferenceGrant")
#: Kinds that limit what runs in their namespace.
LIMITING: tuple[tuple[str, str], ...] = (("", "LimitRange"), ("", "ResourceQuota"))


def named_by(body: Body) -> Iterator[Reference]:
    """The accounts, Services and namespaces that an object of `NAMING` or `LIMITING` names, each with the reason to
    pull *it* in. Groups of accounts are accounts called `*`."""
    key = key_of(body)
    if key[:2] in LIMITING:
        reason = f"limits what runs in namespace {key.namespace}"
        yield Reference(ObjectKey(*NAMESPACE, "", key.namespace), reason, key)
        return
    for account in accounts_named(body):
        what = "flow schema of" if key.kind == "FlowSchema" else "grants permissions to"
        yield Reference(account, f"{what} {called(account)}", key)
    places: Mapping[str, tuple[str, str]] = {
        "MutatingWebhookConfiguration": ("webhooks[].clientConfig.service", "webhook answered by"),
        "ValidatingWebhookConfiguration": ("webhooks[].clientConfig.service", "webhook answered by"),
        "APIService": ("spec.service", "API served by"),
        "CustomResourceDefinition": ("spec.conversion.webhook.clientConfig.service", "converted by"),
    }
    if key.kind in places:
        path, what = places[key.kind]
        for service in values(body, path):
            if isinstance(service, dict) and service.get("name"):
                named = ObjectKey(*SERVICE, str(service.get("namespace") or ""), str(service["name"]))
                yield Reference(named, f"{what} Service {named.namespace}/{named.name}", key)


def grants(grant: Body, reference: Reference) -> bool:
    """Whether a ReferenceGrant lets the object that refers do so."""
    spec, by, key = grant.get("spec") or {}, reference.by, reference.key
    return (
        grant["metadata"].get("namespace") == key.namespace
        and any(
            (each.get("group"), each.get("kind"), each.get("namespace")) == (by.group, by.kind, by.namespace)
            for each in spec.get("from") or ()
        )
        and any(
            (each.get("group"), each.get("kind")) == key[:2] and each.get("name") in {None, key.name}
            for each in spec.get("to") or ()
        )
    )


def aggregates(role: Body) -> list[Mapping[str, Any]]:
    """The label selectors by which a ClusterRole takes over the rules of others."""
    return list((role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ())
