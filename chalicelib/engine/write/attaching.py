"""Owner references that are written on their own: taken out of what must not go with its owner, given back once the
owner was made anew, and given to what was created before its owner."""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.errors import ClusterRefused, Conflict
from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.domain.plan import Action
from chalicelib.engine.write import field_owners
from chalicelib.engine.write.owners import Owners
from chalicelib.engine.write.sending import MOST_TRIES, Sending
from chalicelib.engine.write.volumes import Volumes, is_claim
from chalicelib.engine.write.written import Written, busy
from chalicelib.planning.bodies import ownership


class Attaching:
    """Detaches and attaches the objects of one plan."""

    def __init__(self, sending: Sending, owners: Owners, volumes: Volumes) -> None:
        self._sending = sending
        self._owners = owners
        self._volumes = volumes
        #: What was created before its owner.
        self._orphans: list[tuple[Resource, Body]] = []

    def detach(self, owner: Action) -> None:
        """Before an owner is deleted: take the references to it out of everything that is not to go with it.

        Of claims the volumes are kept as well: the controller of a StatefulSet may not have seen in time that it is
        to leave them.
        """
        for identity in owner.dependents:
            key = identity.key
            resource = self._sending.resource(key)
            for _ in range(MOST_TRIES):
                self._sending.pause()
                live = self._sending.read(resource, key)
                references = (live or {"metadata": {}})["metadata"].get("ownerReferences") or []
                kept = [reference for reference in references if reference.get("uid") != owner.live_uid]
                if live is None or len(kept) == len(references):
                    break
                if is_claim(resource):
                    self._keep_if_possible(live)
                if self._own_by(resource, live, kept, None) is not None:
                    break
            else:
                raise busy(key, "its owner was not deleted")

    def attach(self, action: Action, resource: Resource, wanted: Body | None) -> Written:
        """Give an object that stayed its owners back, now that they were made anew."""
        key = action.object.key
        path = resource.object_path(key.namespace, key.name)
        for tried in range(MOST_TRIES):
            self._sending.between(tried)
            live = self._sending.read(resource, key)
            if live is None or live["metadata"].get("deletionTimestamp"):
                raise Conflict(f"{key} was deleted while its owner was. An undo makes it again.")
            said = self._volumes.settle_now(key) if is_claim(resource) else ""
            live_references = live["metadata"].get("ownerReferences") or []
            given = {"metadata": {"namespace": key.namespace, "ownerReferences": list(action.owners)}}
            resolved, dropped = self._owners.resolve(given)
            references = resolved["metadata"].get("ownerReferences") or []
            uids = {reference["uid"] for reference in references}
            names = {_named(reference) for reference in references}
            if uids.issubset(reference.get("uid") for reference in live_references):
                return Written.of(f"GET {path}", live, action.message, dropped, said)
            others = [reference for reference in live_references if _named(reference) not in names]
            made = self._own_by(resource, live, [*others, *references], wanted)
            if made is not None:
                return Written.of(f"PATCH {path}", made, action.message, dropped, said)
        raise busy(key, "its owner could not be given back")

    def put_off(self, resource: Resource, wanted: Body) -> None:
        """Remember an object that is there by now, if one of its owners is to come yet."""
        if self._owners.waits(wanted):
            self._orphans.append((resource, wanted))

    def adopt(self, earlier: Iterable[tuple[ObjectKey, Body]]) -> None:
        """Give what was created before its owner the reference to it, now that everything is there.

        `earlier` are objects that an earlier worker created. What cannot be adopted differs when it is read back.
        """
        for key, wanted in earlier:
            if self._owners.waits(wanted):
                self._orphans.append((self._sending.resource(key), wanted))
        for resource, wanted in self._orphans:
            self._sending.begin()
            self._sending.pause()
            owned, _ = self._owners.resolve(wanted)
            references = owned["metadata"].get("ownerReferences")
            key = key_of(wanted)
            live = self._sending.read(resource, key)
            if live is None or not references or live["metadata"].get("ownerReferences") == references:
                continue
            patch = {"metadata": {"uid": live["metadata"]["uid"], "ownerReferences": references}}
            manager = ownership.best_manager(wanted, live)
            try:
                version = live["metadata"]["resourceVersion"]
                made = self._sending.patch(
                    resource, key.namespace, key.name, patch, field_manager=manager, version=version
                )
                field_owners.put_back(self._sending, resource, made, wanted)
            except ClusterRefused:
                continue
        self._orphans.clear()

    def _keep_if_possible(self, claim: Body) -> None:
        try:
            self._volumes.keep(claim)
        except Conflict:
            return  # it is detached, and stays with its volume; this was for safety

    def _own_by(self, resource: Resource, live: Body, references: list[Body], wanted: Body | None) -> Body | None:
        """Patch the owner references of an object that is as it was read; `None` if it is not."""
        manager = ownership.best_manager(wanted, live) if wanted is not None else ownership.OURS
        change = {"metadata": {"ownerReferences": references or None}}
        made = self._sending.patch_as_read(resource, live, change, field_manager=manager)
        if made is None:
            return None
        return field_owners.put_back(self._sending, resource, made, wanted)[0] if wanted is not None else made


def _named(reference: Body) -> tuple[str, str, str]:
    return str(reference.get("apiVersion")), str(reference.get("kind")), str(reference.get("name"))
