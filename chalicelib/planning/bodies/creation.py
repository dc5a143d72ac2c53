"""What to send to create an object, and what to send to change one.

A create may have second choices (`candidates`): an address or port that the server allocated then can be taken now.
What a user chose is never exchanged; that create fails and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.planning.bodies import services
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import copy_of, normalise
from chalicelib.planning.bodies.overlay import CONTROLLERS_FINALIZERS, injects_ca, with_bundle
from chalicelib.planning.bodies.ownership import merged_managers
from chalicelib.planning.content.lists import identify, identity


@dataclass(frozen=True, slots=True)
class Candidate:
    """One body to try to create. `message` says what is given up by it; `gives_up` are words of the fields a
    refusal must name for the next candidate to be worth a try."""

    body: Body
    message: str = ""
    gives_up: tuple[str, ...] = ()

    def may_fall_back(self, http_status: int, reason: str, message: str) -> bool:
        """Whether the server's refusal of this body is about something the next candidate goes without."""
        # An allocator that is full or in trouble answers 500.
        return (http_status in {422, 500} or reason == "Invalid") and any(word in message for word in self.gives_up)


def candidates(wanted: Body, context: PlanContext) -> Iterator[Candidate]:
    """Bodies to create an object with: the best one, then those that give something up. At least one."""
    body = for_creation(wanted, context)
    key = key_of(wanted)
    if (key.group, key.kind) != ("", "Service"):
        yield Candidate(body)
        return
    yield from _services(wanted, body)


def for_creation(wanted: Body, context: PlanContext) -> Body:
    """The normalised content as a body to create. `wanted` stays as it is.

    Field ownership is not part of it (a create takes over every field whatever it says), nor are owner references
    without the uid of an owner that is there.
    """
    body = dict(wanted)
    metadata = {name: value for name, value in wanted["metadata"].items() if name != "managedFields"}
    references = [reference for reference in metadata.pop("ownerReferences", None) or () if reference.get("uid")]
    if references:
        metadata["ownerReferences"] = references
    finalizers = [name for name in metadata.pop("finalizers", None) or () if name not in CONTROLLERS_FINALIZERS]
    if finalizers:
        metadata["finalizers"] = finalizers
    body["metadata"] = metadata
    key = key_of(wanted)
    match (key.group, key.kind):
        case ("", "PersistentVolumeClaim"):
            body["spec"] = _claim(wanted.get("spec") or {}, key, context)
        case ("apiregistration.k8s.io", "APIService") if injects_ca(wanted):
            body["spec"] = with_bundle(wanted.get("spec") or {}, None)
        case ("admissionregistration.k8s.io", _) if injects_ca(wanted):
            body["webhooks"] = [
                {**hook, "clientConfig": with_bundle(hook.get("clientConfig") or {}, None)}
                for hook in wanted.get("webhooks") or ()
            ]
        case ("apiextensions.k8s.io", "CustomResourceDefinition") if injects_ca(wanted):
            body["spec"] = _without_conversion_bundle(wanted.get("spec") or {})
    return body


def _claim(spec: dict[str, Any], key: ObjectKey, context: PlanContext) -> dict[str, Any]:
    """A claim asks for its old volume if that is free; else it asks for a new one, without a selector: volumes that
    are provisioned cannot be selected."""
    spec = dict(spec)
    volume = spec.get("volumeName")
    if volume and context.volume_free is not None and not context.volume_free(key, volume):
        del spec["volumeName"]
    if "volumeName" not in spec and spec.get("storageClassName") != "":
        spec.pop("selector", None)
    return spec


def _without_conversion_bundle(spec: dict[str, Any]) -> dict[str, Any]:
    conversion = spec.get("conversion") or {}
    webhook = conversion.get("webhook") or {}
    if "clientConfig" not in webhook:
        return spec
    client = with_bundle(webhook["clientConfig"], None)
    return {**spec, "conversion": {**conversion, "webhook": {**webhook, "clientConfig": client}}}


# ── Services ────────────────────────────────────────────────────────────────────────────────────────────────

_PORT_FIELDS = ("nodePort", "healthCheckNodePort", "NodePort")
_ADDRESS_FIELDS = ("clusterIP", "ClusterIP")


def _services(wanted: Body, body: Body) -> Iterator[Candidate]:
    spec = body.get("spec") or {}
    without_ports, ports = _without_node_ports(spec, wanted)
    without_address, address = _without_address(spec, wanted)
    gives_up = (_PORT_FIELDS if ports else ()) + (_ADDRESS_FIELDS if address else ())
    yield Candidate(body, gives_up=gives_up)
    said_ports = f"Node ports {', '.join(map(str, ports))} are taken or out of range here; it got others."
    said_address = f"Its address {address} is taken or out of range here; it got another one."
    if ports:
        yield Candidate({**body, "spec": without_ports}, said_ports, gives_up if address else ())
    if address:
        yield Candidate({**body, "spec": without_address}, said_address, gives_up if ports else ())
    if ports and address:
        neither, _ = _without_address(without_ports, wanted)
        yield Candidate({**body, "spec": neither}, f"{said_ports} {said_address}")


def _without_node_ports(spec: dict[str, Any], wanted: Body) -> tuple[dict[str, Any], list[int]]:
    chosen = services.chosen_node_ports(wanted)
    dropped: list[int] = []
    ports = []
    for entry in spec.get("ports") or ():
        if entry.get("nodePort") and services.port_of(entry) not in chosen:
            dropped.append(entry["nodePort"])
            entry = {name: value for name, value in entry.items() if name != "nodePort"}  # noqa: PLW2901
        ports.append(entry)
    spec = {**spec, "ports": ports} if ports else dict(spec)
    if spec.get("healthCheckNodePort") and not services.chose_health_port(wanted):
        dropped.append(spec.pop("healthCheckNodePort"))
    return spec, dropped


def _without_address(spec: dict[str, Any], wanted: Body) -> tuple[dict[str, Any], str]:
    address = spec.get("clusterIP") or ""
    if address in {"", "None"} or services.chose_address(wanted):
        return spec, ""
    return {name: value for name, value in spec.items() if name not in {"clusterIP", "clusterIPs"}}, str(address)


def tolerates_existing(key: ObjectKey) -> bool:
    """Whether the cluster makes this object by itself once its namespace is there, so that a create may find it:
    then it is to be updated."""
    return (key.group, key.kind, key.name) == ("", "ServiceAccount", "default")


# ── updates ─────────────────────────────────────────────────────────────────────────────────────────────────


def for_update(overlaid: Body, live: Body, resource: Resource) -> Body:
    """The body of a PUT: `overlaid` (see `overlay`) with everything that `normalise` takes away put back from `live`.

    `live` is the object **as the server sent it**, not normalised; its uid and resourceVersion become the write's
    preconditions. Field ownership is the stored one (the server takes it as its base), beside the live status'.
    """
    body = copy_of(overlaid)
    _put_back(live, normalise(copy_of(live), resource), body)
    managers = merged_managers(overlaid, live)
    if managers:
        body["metadata"]["managedFields"] = managers
    return body


def _put_back(raw: dict[str, Any], stripped: dict[str, Any], body: dict[str, Any]) -> None:
    for name, value in raw.items():
        kept = stripped.get(name)
        if name not in body:
            if name not in stripped:
                body[name] = value
            elif isinstance(value, dict) and (left := _taken_away(value, kept)):
                # Its wanted members are gone, but not those that are the controllers'.
                body[name] = left
        elif kept == value:
            continue
        elif isinstance(value, dict) and isinstance(body[name], dict):
            _put_back(value, kept if isinstance(kept, dict) else {}, body[name])
        elif isinstance(value, list) and isinstance(body[name], list):
            body[name] = _put_back_items(value, kept if isinstance(kept, list) else [], body[name])


def _taken_away(raw: dict[str, Any], stripped: Any) -> dict[str, Any]:
    """The members of a map that `normalise` took away."""
    kept = stripped if isinstance(stripped, dict) else {}
    left = {}
    for name, value in raw.items():
        if name not in kept:
            left[name] = value
        elif isinstance(value, dict) and (below := _taken_away(value, kept[name])):
            left[name] = below
    return left


def _put_back_items(raw: list[Any], stripped: list[Any], wanted: list[Any]) -> list[Any]:
    names = identify(raw, stripped, wanted)
    if names is None:
        return wanted + [item for item in raw if item not in stripped and item not in wanted]
    kept = {identity(item, names): item for item in stripped}
    here = {identity(item, names): item for item in wanted}
    added = []
    for item in raw:
        key = identity(item, names)
        if key in here and key in kept:
            _put_back(item, kept[key], here[key])
        elif key not in kept and key not in here:
            added.append(item)
    return wanted + added
