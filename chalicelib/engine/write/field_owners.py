"""Field ownership after a write: put back to what it was, where the write alone did not.

The content is restored by then: that its ownership could not be is told, and fails nothing.
"""

from __future__ import annotations

from chalicelib.cluster.client import outcome_unknown
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable
from chalicelib.domain.objects import Body, Resource, key_of
from chalicelib.engine.write.sending import MOST_TRIES, Sending
from chalicelib.planning.bodies import ownership


def put_back(sending: Sending, resource: Resource, made: Body, wanted: Body) -> tuple[Body, str]:
    """Have `made`, the answer to a write, owned as `wanted` is. The object as it is then, and what to say of it."""
    if ownership.same_managers(made, wanted):
        return made, ""
    patch = ownership.managers_patch(wanted, made)
    if patch is None:
        return made, ""
    namespace, name = made["metadata"].get("namespace", ""), made["metadata"]["name"]
    # As a JSON patch it costs the server a tenth less than as a merge patch of the whole object.
    change = [{"op": "add", "path": "/metadata/managedFields", "value": patch["metadata"]["managedFields"]}]
    for tried in range(MOST_TRIES):
        sending.between(tried, begun=True)
        try:
            owned = sending.patch(
                resource,
                namespace,
                name,
                change,
                "json",
                field_manager=ownership.best_manager(wanted),
                version=made["metadata"].get("resourceVersion"),
            )
        except ClusterRefused as error:
            if error.http_status == 404:
                return made, ""  # its controller took it away at once; reading back tells
            return made, f"Its field ownership could not be put back: {error.message}"
        except ClusterUnreachable as error:
            if not outcome_unknown(error):
                raise
            # A large definition can take the server longer than one request may: it may be done by now.
            live = sending.read(resource, key_of(made))
            if live is None or live["metadata"].get("uid") != made["metadata"].get("uid"):
                return made, ""
            if ownership.same_managers(live, wanted):
                return live, ""
        else:
            return owned, ""
    return made, "Its field ownership could not be put back: the server did not answer in time."
