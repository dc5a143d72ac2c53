"""Claims and their volumes: a restore never throws data away.

Before a claim is deleted, the volume behind it is told to stay (`Retain`), with a mark that says for which operation
and what its policy was. When a claim is created whose volume is still there and free, it is bound to that volume
again. So a rollback, and the undo of one, keep the data in place; nothing is copied.

The old policy comes back only once claim and volume are bound to each other: a volume of policy `Delete` that is not
bound is what provisioners delete. Until then the marks tell what is left to do, to whoever looks (`settle_all`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from chalicelib.cluster import waiting
from chalicelib.domain.errors import ClusterRefused, Conflict, DeadlineExceeded
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.lane.clusters import ClusterSession

#: The operation for which a volume was kept, and the reclaim policy it had.
KEPT_FOR = "mainstay.dev/kept-for"
RECLAIM_POLICY = "mainstay.dev/reclaim-policy"

CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", namespaced=True, has_status=True)
_VOLUME = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, has_status=True)

#: How long a new claim may take to be bound to the volume it names, seconds.
_BIND_LIMIT = 20.0
#: Tries of a patch that meets somebody else's.
_MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """A volume that outlasts its claim: its name, the reclaim policy it had (empty: nothing was changed); and what is
    said of the delete where there is none."""

    volume: str = ""
    policy: str = ""
    said: str = ""

    @property
    def message(self) -> str:
        """What there is to say of it."""
        return f"Its volume {self.volume} was kept with its data." if self.volume else self.said

    @property
    def memory(self) -> dict[str, Any]:
        """What the ledger remembers."""
        return {"volume": self.volume, "reclaimPolicy": self.policy} if self.policy else {}


class Volumes:
    """Keeps and finds again the volumes behind claims."""

    def __init__(self, session: ClusterSession, operation: str) -> None:
        self._session = session
        self._operation = operation

    def keep(self, claim: Body) -> Kept:
        """Make the volume behind a live claim outlast it. `Conflict` if that cannot be made sure."""
        name = claim["spec"].get("volumeName")
        for _ in range(_MOST_TRIES):
            volume = self._volume_to_keep(claim, name) if name else None
            if volume is None or (volume["spec"].get("claimRef") or {}).get("uid") != claim["metadata"]["uid"]:
                return Kept()
            policy = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
            if policy == "Retain":
                return Kept(name)
            marks = {KEPT_FOR: self._operation, RECLAIM_POLICY: policy}
            try:
                if self._patch(volume, marks, {"persistentVolumeReclaimPolicy": "Retain"}):
                    return Kept(name, policy)
            except ClusterRefused as error:
                raise _cannot_keep(claim, name) if error.http_status == 403 else error from error
        raise Conflict(f"Volume {name} is being changed by somebody else all the time; its claim was not deleted.")

    def _volume_to_keep(self, claim: Body, name: str) -> Body | None:
        try:
            return self._session.objects.get(_VOLUME, "", name)
        except ClusterRefused as error:
            raise _cannot_keep(claim, name) if error.http_status == 403 else error from error

    def cannot_keep(self, claim: ObjectKey) -> str:
        """Why the volume behind a claim cannot be made to outlast it, as far as that is known before; else empty."""
        live = self._session.objects.get(CLAIM, claim.namespace, claim.name)
        name = (live or {}).get("spec", {}).get("volumeName")
        if live is None or not name:
            return ""
        try:
            self._volume_to_keep(live, name)
        except Conflict as error:
            return error.message
        return ""

    def is_free(self, claim: ObjectKey, name: str) -> bool:
        """Whether a volume is there and may be bound to this claim."""
        volume = self._volume(name)
        return volume is not None and is_free_for(volume, claim.namespace, claim.name)

    def release(self, claim: Body) -> None:
        """Make the volume that a claim asks for bindable: released from the claim that is gone, promised to the new
        one by name. `Conflict` if somebody else has it by now."""
        name = (claim.get("spec") or {}).get("volumeName")
        metadata = claim["metadata"]
        for _ in range(_MOST_TRIES):
            volume = self._volume(name) if name else None
            if volume is None or not (volume["spec"].get("claimRef") or {}).get("uid"):
                return
            if not is_free_for(volume, metadata.get("namespace") or "", metadata["name"]):
                raise Conflict(f"Volume {name}, which the claim was bound to, is not free (any more).")
            if self._patch(volume, {}, {"claimRef": {"uid": None, "resourceVersion": None}}):
                return
        raise Conflict(f"Volume {name} is being changed by somebody else all the time.")

    def settle(self, claim: ObjectKey, between: Callable[[], None]) -> str:
        """Give the volume of a claim that was made again its old reclaim policy back, once they are bound to each
        other. Waits for that a while; says so if it did not come."""
        left = ""

        def look() -> str:
            nonlocal left
            left = self.settle_now(claim)
            return left

        try:
            waiting.until(look, f"{claim} to be bound", timeout=_BIND_LIMIT, between=between)
        except DeadlineExceeded:
            return left
        return ""

    def settle_now(self, claim: ObjectKey) -> str:
        """The same without waiting: what is left to be done, in a sentence; empty if nothing is."""
        for _ in range(_MOST_TRIES):
            live = self._session.objects.get(CLAIM, claim.namespace, claim.name)
            name = (live or {}).get("spec", {}).get("volumeName")
            volume = self._volume(name) if name else None
            policy = ((volume or {"metadata": {}})["metadata"].get("annotations") or {}).get(RECLAIM_POLICY)
            if live is None or volume is None or not policy:
                return ""
            if not _bound(live, volume):
                return f"Volume {name} stays at reclaim policy Retain (it had {policy}) until it is bound to {claim}."
            try:
                if self._patch(
                    volume, {KEPT_FOR: None, RECLAIM_POLICY: None}, {"persistentVolumeReclaimPolicy": policy}
                ):
                    return ""
            except ClusterRefused as error:
                if error.http_status != 403:
                    raise
                return f"Volume {name} stays at reclaim policy Retain (it had {policy}): it may not be changed."
        return f"Volume {name} stays at reclaim policy Retain (it had {policy}): somebody else keeps changing it."

    def _volume(self, name: str) -> Body | None:
        try:
            return self._session.objects.get(_VOLUME, "", name)
        except ClusterRefused as error:
            if error.http_status == 403:
                return None  # an account of one namespace cannot see volumes; the cluster provisions as it would
            raise

    def _patch(self, volume: Body, marks: dict[str, str | None], spec: Body) -> bool:
        """Change a volume that is as it was read; `False` if it is not."""
        metadata: Body = {"uid": volume["metadata"]["uid"], "resourceVersion": volume["metadata"]["resourceVersion"]}
        if marks:
            metadata["annotations"] = marks
        try:
            self._session.objects.patch(_VOLUME, "", volume["metadata"]["name"], {"metadata": metadata, "spec": spec})
        except ClusterRefused as error:
            if error.http_status in {404, 409}:
                return False
            raise
        return True


def settle_all(session: ClusterSession, keys: Iterable[ObjectKey]) -> list[str]:
    """Of all claims among `keys`: give back the reclaim policies of volumes that are bound again. Says of which
    volumes that could not be done (yet)."""
    volumes = Volumes(session, "")
    claims = sorted({key for key in keys if (key.group, key.kind) == (CLAIM.group, CLAIM.kind)})
    return [said for key in claims if (said := volumes.settle_now(key))]


def is_claim(resource: Resource) -> bool:
    """Whether these are claims."""
    return (resource.group, resource.kind) == (CLAIM.group, CLAIM.kind)


def _bound(claim: Body, volume: Body) -> bool:
    """Whether the two are bound to each other, and are to stay so."""
    return (
        claim.get("status", {}).get("phase") == "Bound"
        and volume.get("status", {}).get("phase") == "Bound"
        and (volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]
        and not claim["metadata"].get("deletionTimestamp")
        and not volume["metadata"].get("deletionTimestamp")
    )


def _cannot_keep(claim: Body, name: str) -> Conflict:
    where = f"{claim['metadata'].get('namespace')}/{claim['metadata']['name']}"
    return Conflict(
        f"The claim {where} was not deleted: the account may not make its volume {name} outlast it (it needs "
        "`get` and `patch` of persistentvolumes), and the data could be lost."
    )


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
