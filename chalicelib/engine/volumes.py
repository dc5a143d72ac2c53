"""Claims and their volumes: a restore never throws data away.

Before a claim is deleted, the volume behind it is told to stay (`Retain`), with a mark that says for which operation
and what its policy was. When a claim is created whose volume is still there and free, it is bound to that volume
again, and the volume gets its old policy back. So a rollback, and the undo of one, keep the data in place; nothing is
copied.
"""

from __future__ import annotations

from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.clusters import ClusterSession

#: The operation for which a volume was kept, and the reclaim policy it had.
KEPT_FOR = "mainstay.dev/kept-for"
RECLAIM_POLICY = "mainstay.dev/reclaim-policy"

_CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", namespaced=True, has_status=True)
_VOLUME = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, has_status=True)


class Volumes:
    """Keeps and finds again the volumes behind claims."""

    def __init__(self, session: ClusterSession, operation: str) -> None:
        self._session = session
        self._operation = operation

    def keep(self, claim: ObjectKey) -> str:
        """Make the volume behind a claim outlast it; says which volume was kept."""
        live = self._session.objects.get(_CLAIM, claim.namespace, claim.name)
        name = (live or {}).get("spec", {}).get("volumeName")
        if not name:
            return ""
        volume = self._volume(name)
        if volume is None:
            return ""
        policy = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
        if policy != "Retain":
            self._patch(
                name,
                {
                    "metadata": {"annotations": {KEPT_FOR: self._operation, RECLAIM_POLICY: policy}},
                    "spec": {"persistentVolumeReclaimPolicy": "Retain"},
                },
            )
        return f"Its volume {name} was kept with its data."

    def is_free(self, claim: ObjectKey, name: str) -> bool:
        """Whether a volume is there and may be bound to this claim."""
        volume = self._volume(name)
        return volume is not None and is_free_for(volume, claim.namespace, claim.name)

    def release(self, claim: Body) -> None:
        """Make the volume that a claim asks for bindable: released from the claim that is gone, promised to the new
        one by name."""
        name = (claim.get("spec") or {}).get("volumeName")
        volume = self._volume(name) if name else None
        if volume is not None and volume["spec"].get("claimRef", {}).get("uid"):
            self._patch(str(name), {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}})

    def settle(self, claim: Body) -> None:
        """Give the volume of a claim that was made again its old reclaim policy back."""
        name = claim.get("spec", {}).get("volumeName")
        volume = self._volume(name) if name else None
        if volume is None:
            return
        policy = (volume["metadata"].get("annotations") or {}).get(RECLAIM_POLICY)
        if policy:
            self._patch(
                name,
                {
                    "metadata": {"annotations": {KEPT_FOR: None, RECLAIM_POLICY: None}},
                    "spec": {"persistentVolumeReclaimPolicy": policy},
                },
            )

    def _volume(self, name: str) -> Body | None:
        try:
            return self._session.objects.get(_VOLUME, "", name)
        except ClusterRefused as error:
            if error.http_status == 403:
                return None  # an account of one namespace cannot see volumes; the cluster provisions as it would
            raise

    def _patch(self, name: str, patch: Body) -> None:
        self._session.objects.patch(_VOLUME, "", name, patch)


def is_free_for(volume: Body, namespace: str, name: str) -> bool:
    """Whether a volume may be bound to this claim: unclaimed, or left behind by a claim of the same name."""
    if volume["metadata"].get("deletionTimestamp"):
        return False
    reference = volume["spec"].get("claimRef")
    phase = volume.get("status", {}).get("phase")
    if not reference:
        return phase in {"Available", "Pending", None}
    same = reference.get("namespace") == namespace and reference.get("name") == name
    return same and phase in {"Released", "Available", "Failed", "Pending"}
