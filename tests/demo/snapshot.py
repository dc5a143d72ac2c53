"""What is in a namespace, object by object, in a form that can be compared.

Shares no code with the product: it is the judge of it.
"""

from __future__ import annotations

import json
from typing import Any

from tests.harness.access import Access

#: Made by controllers from what is compared.
DERIVED = {"Pod", "ReplicaSet", "ControllerRevision", "Endpoints", "EndpointSlice", "Event", "Lease"}
#: Chosen anew by the server or a controller whenever an object is made.
VOLATILE_METADATA = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}
VOLATILE_ANNOTATIONS = {
    "deployment.kubernetes.io/revision",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
}
VOLATILE_SPEC = {"Service": {"clusterIP", "clusterIPs"}, "PersistentVolumeClaim": {"volumeName"}}

Snapshot = dict[str, Any]


def take(cluster: Access, namespace: str) -> Snapshot:
    """Every object of the namespace by `Kind/name`, without what is new with each incarnation."""
    kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list,create", "-o", "name").split()
    kinds = [kind for kind in kinds if not kind.startswith("events.")]
    text = cluster.kubectl("-n", namespace, "get", ",".join(kinds), "-o", "json", "--ignore-not-found")
    found = json.loads(text)["items"] if text.strip() else []
    return {
        f"{body['kind']}/{body['metadata']['name']}": _stripped(body)
        for body in found
        if body["kind"] not in DERIVED and body["metadata"]["name"] != "kube-root-ca.crt"
    }


def _stripped(body: dict[str, Any]) -> dict[str, Any]:
    body.pop("status", None)
    metadata = body["metadata"]
    for name in VOLATILE_METADATA:
        metadata.pop(name, None)
    annotations = {k: v for k, v in metadata.pop("annotations", {}).items() if k not in VOLATILE_ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    for name in VOLATILE_SPEC.get(body["kind"], ()):
        # A headless Service has chosen to have no address: that is compared.
        if body["spec"].get(name) not in ("None", ["None"]):
            body["spec"].pop(name, None)
    return body


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not the same, one sentence each; empty if everything is."""
    found = [f"{name} is missing" for name in sorted(before.keys() - after.keys())]
    found += [f"{name} was not there before" for name in sorted(after.keys() - before.keys())]
    found += [f"{name} differs" for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    return found
