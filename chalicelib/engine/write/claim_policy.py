"""Before a StatefulSet goes that takes its claims with it (`whenDeleted: Delete`), it is told to leave them.

Its controller owns the claims anew whenever it comes by: taken off them alone, its name could be back before the
delete, and they would go. Each of them that is to go has an action of its own.

    whenDeleted: Retain ─► its controller has seen it (status.observedGeneration) ─► detach what is owned ─► delete

A controller does one thing at a time with one StatefulSet, and says last what it has seen: from then on it owns no
claim. Wherever this ends in between, the claims are safe.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from chalicelib.cluster import waiting
from chalicelib.domain.errors import ClusterRefused, DeadlineExceeded
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Action
from chalicelib.engine.write.sending import MOST_TRIES, Sending
from chalicelib.engine.write.written import busy, refuse_if_moved
from chalicelib.planning.bodies import ownership
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise
from chalicelib.planning.plan.claim_policy import LEAVES_CLAIMS, TAKES_CLAIMS, before_it_was_told, takes_claims

#: How long the controller may take to see it, seconds: of one that has looked after this StatefulSet, and of one that
#: never has: there may be none.
_SEEN_LIMIT = 30.0
_UNWATCHED_LIMIT = 5.0

_STATEFUL_SET = ("apps", "StatefulSet")


@dataclass(frozen=True, slots=True)
class Told:
    """Whether a StatefulSet was told to leave its claims, by this worker or an earlier one, and what to say of it."""

    changed: bool = False
    message: str = ""


class ClaimPolicy:
    """Has StatefulSets leave their claims, and take them again."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending

    def leave_claims(self, action: Action, resource: Resource) -> Told:
        """Have the StatefulSet that is to go leave its claims, and wait a while until its controller has seen that.
        `Conflict` if it is not as it was planned."""
        key = action.object.key
        if (resource.group, resource.kind) != _STATEFUL_SET:
            return Told()
        for tried in range(MOST_TRIES):
            self._sending.between(tried)
            live = self._sending.read(resource, key)
            if live is None or live["metadata"].get("deletionTimestamp"):
                return Told()
            refuse_if_moved(action, live, resource)
            if not takes_claims(live):
                if not _was_told(action, live, resource):
                    return Told()
                self._sending.has_written()
                return Told(True, self._wait_until_seen(resource, key, live))
            made = self._sending.patch_as_read(resource, live, LEAVES_CLAIMS, field_manager=ownership.OURS)
            if made is not None:
                return Told(True, self._wait_until_seen(resource, key, made))
        raise busy(key, "it was not deleted")

    def take_claims(self, action: Action, resource: Resource) -> None:
        """It does not go: give it back the policy it had, if it is as it was left. What cannot be given back is among
        what this restore wrote."""
        key = action.object.key
        with contextlib.suppress(ClusterRefused):
            for _ in range(MOST_TRIES):
                live = self._sending.read(resource, key)
                if live is None or live["metadata"]["uid"] != action.live_uid or takes_claims(live):
                    return
                if live["metadata"].get("deletionTimestamp"):
                    return
                made = self._sending.patch_as_read(resource, live, TAKES_CLAIMS, field_manager=ownership.OURS)
                if made is not None:
                    return

    def _wait_until_seen(self, resource: Resource, key: ObjectKey, made: Body) -> str:
        """Wait until the controller says that it has seen the object as `made`; a sentence if it does not."""
        uid, generation = made["metadata"]["uid"], made["metadata"].get("generation") or 0
        limit = _SEEN_LIMIT if _seen(made) else _UNWATCHED_LIMIT

        def look() -> str:
            live = self._sending.read(resource, key)
            gone = live is None or live["metadata"]["uid"] != uid
            return "" if live is None or gone or _seen(live) >= generation else "its controller has not seen it yet"

        try:
            waiting.until(look, f"{key} to leave its claims", timeout=limit, between=self._sending.pause)
        except DeadlineExceeded:
            return f"Its controller did not say within {limit:g} s that it leaves the claims: is there one?"
        return ""


def _was_told(action: Action, live: Body, resource: Resource) -> bool:
    """Whether it leaves its claims, and did not when it was planned."""
    content = normalise(copy_of(live), resource)
    planned = {action.live_digest, action.detached_digest}
    before = before_it_was_told(content)
    return before is not None and digest(content).hex() not in planned and digest(before).hex() in planned


def _seen(body: Body) -> int:
    return int((body.get("status") or {}).get("observedGeneration") or 0)
