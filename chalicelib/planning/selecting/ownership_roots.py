"""Roots of ownership: a version holds those objects that nothing else makes again.

An object with a controller (an owner reference with `controller: true`) is *derived* if its controller is in the
selection too: restored, the controller makes it again, and a restored copy would only be in its way (a second
ReplicaSet, pods that are counted twice). Two things make this a rule for streams:

- for well-known pairs (a ReplicaSet's Pod) the owner need not be seen: `always_derived`;
- for the rest it may come before or after what it owns: `controller_of` gives the uid to ask for at the end.

Secrets and claims stay although they are controlled: they hold what a controller cannot make up a second time
(generated passwords, data). They are compared and restored, but not deleted as extra while they have an owner
(see `dependents` for when that goes).
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.domain.objects import Body


class Owner(NamedTuple):
    """The controller of an object, as its owner reference names it."""

    uid: str
    group: str
    kind: str
    name: str


def controller_reference(body: Body) -> Owner | None:
    """The controlling owner of an object, if it has one."""
    for reference in body["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            group = (reference.get("apiVersion") or "").rpartition("/")[0]
            return Owner(reference.get("uid") or "", group, reference.get("kind") or "", reference.get("name") or "")
    return None


_POD = ("", "Pod")
_REVISION = ("apps", "ControllerRevision")

#: Owner → what it makes again whatever happens: the controllers are Kubernetes' own and always there.
_ALWAYS: dict[tuple[str, str], frozenset[tuple[str, str]]] = {
    ("", "Node"): frozenset({_POD, ("coordination.k8s.io", "Lease")}),
    ("", "ReplicationController"): frozenset({_POD}),
    ("", "Service"): frozenset({("discovery.k8s.io", "EndpointSlice"), ("", "Endpoints")}),
    ("", "Endpoints"): frozenset({("discovery.k8s.io", "EndpointSlice")}),
    ("apps", "DaemonSet"): frozenset({_POD, _REVISION}),
    ("apps", "Deployment"): frozenset({("apps", "ReplicaSet")}),
    ("apps", "ReplicaSet"): frozenset({_POD}),
    ("apps", "StatefulSet"): frozenset({_POD, _REVISION}),
    ("batch", "CronJob"): frozenset({("batch", "Job")}),
    ("batch", "Job"): frozenset({_POD}),
}

_NOT_REMADE = frozenset({("", "Secret"), ("", "PersistentVolumeClaim"), ("", "PersistentVolume")})


def always_derived(owner_group: str, owner_kind: str, group: str, kind: str) -> bool:
    """Whether objects of this kind are made again by such a controller, seen or not."""
    return (group, kind) in _ALWAYS.get((owner_group, owner_kind), ())


def cannot_be_remade(group: str, kind: str) -> bool:
    """Whether objects of this kind stay in a version although a controller owns them."""
    return (group, kind) in _NOT_REMADE


def controller_of(body: Body) -> str | None:
    """The uid of the controller that would make this object again, if it has one and that can.

    If an object of this uid is in the selection, this one is derived: it is neither kept nor deleted as extra.
    """
    if "ownerReferences" not in body["metadata"]:
        return None
    owner = controller_reference(body)
    if owner is None or cannot_be_remade(
        str(body.get("apiVersion") or "").rpartition("/")[0], body.get("kind") or ""
    ):
        return None
    return owner.uid
