"""Deleting the very object that was planned, keeping what must not go with it, and waiting until it is gone."""

from __future__ import annotations

from chalicelib.cluster import waiting
from chalicelib.cluster.client import outcome_unknown
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, Conflict, DeadlineExceeded
from chalicelib.domain.objects import ObjectKey, Resource
from chalicelib.domain.plan import Action
from chalicelib.engine.write.attaching import Attaching
from chalicelib.engine.write.claim_policy import ClaimPolicy
from chalicelib.engine.write.sending import MOST_TRIES, Sending
from chalicelib.engine.write.users import in_use, pods_of, users_of
from chalicelib.engine.write.volumes import Kept, Volumes, is_claim
from chalicelib.engine.write.written import Written, busy, refuse_if_moved, sentences
from chalicelib.planning.plan.claim_policy import takes_claims

#: How long one object may take to disappear, seconds.
_LIMIT = 120.0
#: How long the pods that use a claim may take to stop once their workload is deleted, seconds.
_UNUSED_LIMIT = 60.0


class Deleting:
    """Deletes objects of one plan."""

    def __init__(self, sending: Sending, attaching: Attaching, volumes: Volumes) -> None:
        self._sending = sending
        self._attaching = attaching
        self._volumes = volumes
        self._claim_policy = ClaimPolicy(sending)

    def delete(self, action: Action, resource: Resource) -> Written:
        """Delete what was planned and wait for its end."""
        key = action.object.key
        kept = self.send(action, resource)
        said = "" if action.live_uid is None else self._wait_for_its_end(resource, key, action.live_uid)
        path = resource.object_path(key.namespace, key.name)
        return Written(f"DELETE {path}", message=sentences(kept.message, said), memory=kept.memory)

    def send(self, action: Action, resource: Resource) -> Kept:
        """Delete the very object that was planned, and say what was kept of it."""
        key = action.object.key
        if not is_claim(resource):
            return Kept(said=self._send_owner(action, resource))
        live = self._sending.read(resource, key)
        if live is None:
            return Kept()
        refuse_if_moved(action, live, resource)
        self._wait_unused(key)
        self._attaching.detach(action)
        kept = self._volumes.keep(live)
        try:
            self._send(action, resource)
        except (ClusterRefused, Conflict):
            # The claim stays, so its volume goes back to the policy it had.
            self._volumes.settle_now(key)
            raise
        return kept

    def _send_owner(self, action: Action, resource: Resource) -> str:
        """Detach what is not to go with it, and delete it."""
        told = self._claim_policy.leave_claims(action, resource)
        try:
            self._attaching.detach(action)
            self._send(action, resource)
        except (ClusterRefused, Conflict):
            if told.changed:
                self._claim_policy.take_claims(action, resource)
            raise
        return told.message

    def wait_gone(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Wait until the object of that uid is gone."""
        waiting.until_deleted(
            self._sending.session.client,
            resource,
            key.namespace,
            key.name,
            uid=uid,
            timeout=_LIMIT,
            between=self._sending.pause,
        )

    def _send(self, action: Action, resource: Resource) -> None:
        key = action.object.key
        version = action.live_resource_version
        for tried in range(MOST_TRIES):
            self._sending.between(tried)
            try:
                self._sending.delete(
                    resource,
                    key,
                    uid=action.live_uid or "",
                    resource_version=version,
                    propagation=action.propagation,
                )
            except ClusterRefused as error:
                if error.http_status == 404:
                    return
                if error.reason != "Conflict":
                    raise
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
            else:
                return
            live = self._sending.read(resource, key)
            if live is None:
                return
            if live["metadata"].get("deletionTimestamp") and live["metadata"]["uid"] == action.live_uid:
                # By a try whose answer was lost, or by somebody else: nothing can stop it. It need not be as planned:
                # a definition is given a finalizer when it goes.
                return
            refuse_if_moved(action, live, resource)
            if takes_claims(live):  # somebody has given it its policy back
                self._claim_policy.leave_claims(action, resource)
                self._attaching.detach(action)
            version = str(live["metadata"]["resourceVersion"])
        raise busy(key, "it was not deleted")

    def _wait_for_its_end(self, resource: Resource, key: ObjectKey, uid: str) -> str:
        """Wait until it is gone; and what keeps a namespace that will not be.

        A namespace's deletion cannot be taken back, and nothing could be made in it any more: no failure would help.
        That it is still there is told when it is read back.
        """
        if (key.group, key.kind) != ("", "Namespace"):
            self.wait_gone(resource, key, uid)
            return ""
        client, pause = self._sending.session.client, self._sending.pause
        try:
            keeps = waiting.until_namespace_gone(client, key.name, uid=uid, timeout=_LIMIT, between=pause)
        except DeadlineExceeded as error:
            keeps = str(error.details.get("missing"))
        return f"It is deleted, but not gone yet: {keeps}" if keeps else ""

    def _wait_unused(self, claim: ObjectKey) -> None:
        """A claim that a pod uses would be doomed and stay. Pods that the plan stops are given time to."""
        session = self._sending.session

        def look() -> str:
            return in_use(users_of(session, claim, pods_of(session, claim.namespace)))

        try:
            waiting.until(look, f"{claim} to be unused", timeout=_UNUSED_LIMIT, between=self._sending.pause)
        except DeadlineExceeded as error:
            raise Conflict(f"{claim} was not deleted. {error.details['missing']}") from error
