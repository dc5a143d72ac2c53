"""The one form in which objects are kept and compared: what was wanted, without what servers and controllers add.

`normalise` strips what is true of one incarnation only (uid, resourceVersion, status, bind marks, …); the rules of
single kinds are in `kinds`. What a controller chose but helps to bring the same object back (a Service's addresses, a
claim's volume, replicas under an autoscaler) stays: `overlay` and `creation` deal with it.

Normalising twice is normalising once, and two reads of an object nobody changed give the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from chalicelib.domain.objects import INCARNATION, Body, Resource
from chalicelib.planning.bodies.kinds import RULES

#: Subresources whose field ownership is kept: `scale` says who sets the replicas. The others (`status`, `resize`,
#: `ephemeralcontainers`, …) own fields that are not kept either.
KEPT_SUBRESOURCES = frozenset({"", "scale"})

#: Finalizers that stand for something going on just then; put back later, nobody would take them away again.
TRANSIENT_FINALIZERS = frozenset(
    {
        "foregroundDeletion",
        "orphan",
        "batch.kubernetes.io/job-tracking",
        "snapshot.storage.kubernetes.io/pvc-as-source-protection",
    }
)


def normalise(body: Body, resource: Resource) -> Body:
    """`body` in its kept form. **Changes and returns the very body it is given**: copying would cost more than the
    rest. `resource` says whether the kind has a status subresource; where it has none, `status` is data.
    """
    body.setdefault("apiVersion", resource.api_version)
    body.setdefault("kind", resource.kind)
    if resource.has_status:
        body.pop("status", None)
    metadata = body["metadata"]
    for name in INCARNATION:
        metadata.pop(name, None)
    managers = metadata.pop("managedFields", None)
    if managers and (kept := _managers(managers)):
        metadata["managedFields"] = kept
    if "ownerReferences" in metadata:
        for reference in metadata["ownerReferences"] or ():
            # The owner's uid never helps: after a restore it is another one.
            reference.pop("uid", None)
    if "finalizers" in metadata:
        metadata["finalizers"] = [name for name in metadata["finalizers"] or () if name not in TRANSIENT_FINALIZERS]
    rule = RULES.get((resource.group, resource.kind))
    if rule is not None:
        rule(body, metadata)
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        if name in metadata and not metadata[name]:
            del metadata[name]
    return body


def _managers(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Field ownership without times (they change with every write) and without what belongs to the status."""
    kept = [entry for entry in entries if (entry.get("subresource") or "") in KEPT_SUBRESOURCES]
    for entry in kept:
        entry.pop("time", None)
    kept.sort(key=_manager_order)
    return kept


def _manager_order(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    return (
        entry.get("manager") or "",
        entry.get("operation") or "",
        entry.get("apiVersion") or "",
        entry.get("subresource") or "",
    )


def content_of(normalised: Body) -> Body:
    """The same without field ownership: what is compared. Shares everything with the argument."""
    metadata = normalised["metadata"]
    if "managedFields" not in metadata:
        return normalised
    return {**normalised, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def digest(normalised: Body) -> bytes:
    """SHA-256 (32 bytes) of the canonical JSON of the content without field ownership."""
    return hashlib.sha256(orjson.dumps(content_of(normalised), option=orjson.OPT_SORT_KEYS)).digest()


def canonical_line(normalised: Body) -> bytes:
    """The object as it is stored, field ownership included: canonical JSON (sorted keys, no spaces), a line feed."""
    return orjson.dumps(normalised, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def copy_of(body: Body) -> Body:
    """A copy that shares nothing, for who must keep the original of what `normalise` is given."""
    copied: Body = orjson.loads(orjson.dumps(body))
    return copied
