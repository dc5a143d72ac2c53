"""Creating one object: the best request that leaves it as it is wanted, and what to do where one of its name is."""

from __future__ import annotations

from chalicelib.cluster.client import outcome_unknown
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.write import field_owners
from chalicelib.engine.write.attaching import Attaching
from chalicelib.engine.write.beside import as_itself, beside
from chalicelib.engine.write.deleting import Deleting
from chalicelib.engine.write.owners import Owners
from chalicelib.engine.write.sending import MOST_TRIES, Sending
from chalicelib.engine.write.silence import unanswered
from chalicelib.engine.write.volumes import Volumes, is_claim
from chalicelib.engine.write.written import Written, moved
from chalicelib.planning.bodies import creation, ownership
from chalicelib.planning.bodies.compare import compare
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import copy_of, normalise


class Creating:
    """Creates objects of one plan."""

    def __init__(
        self,
        sending: Sending,
        context: PlanContext,
        owners: Owners,
        attaching: Attaching,
        deleting: Deleting,
        volumes: Volumes,
    ) -> None:
        self._sending = sending
        self._context = context
        self._owners = owners
        self._attaching = attaching
        self._deleting = deleting
        self._volumes = volumes

    def create(self, key: ObjectKey, resource: Resource, wanted: Body) -> Written:
        """Make it, owned as it was; with something given up where that alone keeps it from being made."""
        claim = is_claim(resource)
        owned, said = self._owners.resolve(wanted)
        refused: ClusterRefused | None = None
        for candidate in creation.candidates(owned, self._context):
            if claim:
                self._volumes.release(candidate.body)
            try:
                made, request = self._create_once(key, resource, candidate.body, wanted)
            except ClusterRefused as error:
                if not candidate.may_fall_back(error.http_status, error.reason, error.message):
                    raise
                refused = error
                continue
            made, ownership_note = field_owners.put_back(self._sending, resource, made, wanted)
            volume_note = self.is_there(key, resource, made, wanted)
            return Written.of(request, made, candidate.message, said, ownership_note, volume_note)
        assert refused is not None  # noqa: S101  # there is always one candidate
        raise refused

    def is_as_made(self, key: ObjectKey, resource: Resource, live: Body, wanted: Body) -> bool:
        """Whether what is there, though it differs, is what would be made: by admission that adds to it. An earlier
        worker may have made it, or this one without an answer."""
        body, manager = beside(wanted, self._owners, self._context), ownership.best_manager(wanted)
        session = self._sending.session
        limit = session.client.write_seconds
        try:
            made = session.objects.create(body, manager, resource=resource, dry_run=True, timeout=limit)
        except (ClusterRefused, ClusterUnreachable):
            return False
        content = normalise(copy_of(live), resource)
        return compare(as_itself(made, key, resource), content, self._context).equal

    def is_there(self, key: ObjectKey, resource: Resource, made: Body, wanted: Body) -> str:
        """An object is as it is wanted, by whichever worker: what else there is to do for it, and to say of that."""
        self._owners.learn(key, made)
        self._attaching.put_off(resource, wanted)
        return self._volumes.settle(key, self._sending.pause) if is_claim(resource) else ""

    def _create_once(self, key: ObjectKey, resource: Resource, body: Body, wanted: Body) -> tuple[Body, str]:
        path = resource.collection_path(key.namespace if resource.namespaced else "")
        manager = ownership.best_manager(wanted)
        applied = ownership.applied_whole(wanted, body)
        for tried in range(MOST_TRIES):
            self._sending.between(tried)
            try:
                if applied is not None:
                    applier, content = applied
                    made = self._sending.patch(
                        resource, key.namespace, key.name, content, "apply", field_manager=applier, version=None
                    )
                    return made, f"PATCH {path}/{key.name}"
                return self._sending.create(body, manager, resource=resource), f"POST {path}"
            except ClusterRefused as error:
                if unanswered(error):
                    raise
                if applied is not None and error.reason != "Conflict":
                    applied = None  # a plain create may be allowed, or tells better why not
                    continue
                if applied is None and error.reason != "AlreadyExists":
                    raise
                live = self._sending.read(resource, key)
                if live is None:
                    applied = None
                    continue  # it went between the two requests
                if live["metadata"].get("deletionTimestamp"):
                    self._deleting.wait_gone(resource, key, live["metadata"]["uid"])
                    continue
                comparison = compare(wanted, normalise(copy_of(live), resource), self._context)
                if comparison.equal or self.is_as_made(key, resource, live, wanted):
                    return live, f"GET {path}/{key.name}"
                if creation.tolerates_existing(key):
                    # The cluster made it by itself once its namespace was there: bring that one to what is wanted.
                    changed = creation.for_update(comparison.target, live, resource)
                    return self._sending.replace(changed, manager, resource=resource), f"PUT {path}/{key.name}"
                raise moved(key, comparison, "exists by now") from error
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
                # Lost answer: the next try meets the object, if it was made.
        raise ClusterUnreachable(f"{key}: no answer to {MOST_TRIES} requests to create it.")
