"""What the API server allocates for a Service: addresses and node ports, and which of them a user chose.

A number that a user chose is wanted; one the server allocated only happens to be. Chosen is what stands in the
annotation of `kubectl apply`, or what a field manager owns: allocations are made after ownership is written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from chalicelib.domain.objects import Body, ObjectKey, key_of

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Port = tuple[int, str]


def port_of(entry: dict[str, Any]) -> Port:
    """What identifies a port of a Service: its number and protocol."""
    return int(entry.get("port") or 0), str(entry.get("protocol") or "TCP")


def chose_address(service: Body) -> bool:
    """Whether a user chose the cluster address."""
    applied = _applied_spec(service)
    return bool(applied.get("clusterIP") or applied.get("clusterIPs")) or any(
        "f:clusterIP" in fields or "f:clusterIPs" in fields for fields in _owned_specs(service)
    )


def chose_health_port(service: Body) -> bool:
    """Whether a user chose the node port of the health check."""
    return bool(_applied_spec(service).get("healthCheckNodePort")) or any(
        "f:healthCheckNodePort" in fields for fields in _owned_specs(service)
    )


def chosen_node_ports(service: Body) -> set[Port]:
    """The ports whose node port a user chose."""
    chosen = {
        port_of(entry)
        for entry in _applied_spec(service).get("ports") or ()
        if isinstance(entry, dict) and entry.get("nodePort")
    }
    for fields in _owned_specs(service):
        for name, owned in (fields.get("f:ports") or {}).items():
            if name.startswith("k:") and isinstance(owned, dict) and "f:nodePort" in owned:
                try:
                    chosen.add(port_of(orjson.loads(name[2:])))
                except (orjson.JSONDecodeError, TypeError, ValueError):
                    continue
    return chosen


def _applied_spec(service: Body) -> dict[str, Any]:
    text = (service["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if not text:
        return {}
    try:
        applied = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    spec = applied.get("spec") if isinstance(applied, dict) else None
    return spec if isinstance(spec, dict) else {}


def _owned_specs(service: Body) -> list[dict[str, Any]]:
    found = []
    for entry in service["metadata"].get("managedFields") or ():
        spec = (entry.get("fieldsV1") or {}).get("f:spec")
        if isinstance(spec, dict):
            found.append(spec)
    return found


def lay_over(spec: dict[str, Any], wanted: Body, live: Body) -> dict[str, Any]:
    """The wanted `spec` with the live allocations where the user chose none. Returns a new one."""
    was = live.get("spec") or {}
    spec = dict(spec)
    if _has_address(spec) and _has_address(was) and not chose_address(wanted):
        addresses = was.get("clusterIPs") or [was["clusterIP"]]
        families = len(spec.get("ipFamilies") or addresses)
        spec["clusterIP"] = was["clusterIP"]
        spec["clusterIPs"] = addresses[:families]
        if was.get("ipFamilies") and spec.get("ipFamilyPolicy") == was.get("ipFamilyPolicy"):
            spec["ipFamilies"] = was["ipFamilies"]
            spec["clusterIPs"] = addresses
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        _lay_over_ports(spec, was, chosen_node_ports(wanted))
        if "healthCheckNodePort" in spec and was.get("healthCheckNodePort") and not chose_health_port(wanted):
            spec["healthCheckNodePort"] = was["healthCheckNodePort"]
    return spec


def is_taken(message: str) -> bool:
    """Whether the server refuses an address or node port because another Service has it (and may give it up)."""
    return "already allocated" in message


@dataclass(slots=True)
class Needs:
    """Which Service is to have which address or node port."""

    _needed: dict[str, ObjectKey] = field(default_factory=dict)

    def add(self, service: Body) -> None:
        """This Service is to be written so."""
        self._needed |= dict.fromkeys(_held(service), key_of(service))

    def met_by(self, service: Body) -> str:
        """What a Service holds that another one needs, as a sentence; empty if nothing."""
        return " ".join(
            f"It holds the {what}, which {self._needed[what]} is to have."
            for what in _held(service)
            if self._needed.get(what, key_of(service)) != key_of(service)
        )


def _held(service: Body) -> list[str]:
    spec = service.get("spec") or {}
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    ports = [spec.get("healthCheckNodePort"), *(entry.get("nodePort") for entry in spec.get("ports") or ())]
    return [f"address {address}" for address in addresses if address and address != "None"] + [
        f"node port {port}" for port in ports if port
    ]


def _has_address(spec: dict[str, Any]) -> bool:
    return bool(spec.get("clusterIP")) and spec["clusterIP"] != "None"


def _lay_over_ports(spec: dict[str, Any], was: dict[str, Any], chosen: set[Port]) -> None:
    live_ports = {port_of(entry): entry["nodePort"] for entry in was.get("ports") or () if entry.get("nodePort")}
    ports = []
    for entry in spec.get("ports") or ():
        number = live_ports.get(port_of(entry))
        if number and port_of(entry) not in chosen and spec.get("allocateLoadBalancerNodePorts") is not False:
            ports.append({**entry, "nodePort": number})
        else:
            ports.append(entry)
    if "ports" in spec:
        spec["ports"] = ports
