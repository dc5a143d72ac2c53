"""What is owned by whom on the live side, asked when a plan deletes or replaces something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from chalicelib.cluster.listing import Listing
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.engine.capture.rows import Row
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.write.volumes import CLAIM
from chalicelib.planning.bodies.normalise import digest, normalise
from chalicelib.planning.plan.join import OWNED, LiveRow


class Attached:
    """Objects by the uids of their owners: those of the selection, and claims wherever the owner's namespace has
    some. What is in a claim's volume is not to be lost because a document leaves claims out.

    `rows` reads the selection, and is called once, when first needed.
    """

    def __init__(self, session: ClusterSession, rows: Callable[[], Iterable[Row]]) -> None:
        self._session = session
        self._rows = rows
        self._by_owner: dict[str, list[LiveRow]] | None = None
        self._claims: dict[str, list[LiveRow]] = {}

    def __call__(self, going: Mapping[str, ObjectKey]) -> list[LiveRow]:
        """The objects that have one of these owners."""
        by_owner = self._indexed()
        found: dict[ObjectKey, LiveRow] = {}
        for namespace in sorted({key.namespace for key in going.values() if key.namespace}):
            found.update(
                (row.key, row) for row in self._claims_of(namespace) if not going.keys().isdisjoint(row.owners)
            )
        for uid in going:
            found.update((row.key, row) for row in by_owner.get(uid, ()))
        return list(found.values())

    def _indexed(self) -> dict[str, list[LiveRow]]:
        if self._by_owner is None:
            self._by_owner = defaultdict(list)
            for row in self._rows():
                for uid in row.owners:
                    self._by_owner[uid].append(live_row(row))
        return self._by_owner

    def _claims_of(self, namespace: str) -> list[LiveRow]:
        if namespace not in self._claims:
            self._claims[namespace] = list(_claims(self._session, namespace))
        return self._claims[namespace]


def live_row(row: Row) -> LiveRow:
    """A row as the planner takes it."""
    return LiveRow(row.key, row.digest, row.uid, row.resource_version, row.standing, row.owners)


def owners_of(body: Body) -> tuple[str, ...]:
    """The uids of all owners of an object, as the server sent it."""
    return tuple(reference.get("uid") or "" for reference in body["metadata"].get("ownerReferences") or ())


def _claims(session: ClusterSession, namespace: str) -> Iterator[LiveRow]:
    try:
        items = session.client.get_json(CLAIM.collection_path(namespace)).get("items") or ()
    except ClusterRefused as error:
        if error.http_status in {403, 404}:
            return
        raise
    for body in items:
        metadata, owners = body["metadata"], owners_of(body)
        if owners and not metadata.get("deletionTimestamp"):
            key = ObjectKey("", CLAIM.kind, namespace, metadata["name"])
            uid, version = metadata["uid"], metadata["resourceVersion"]
            yield LiveRow(key, digest(normalise(body, CLAIM)), uid, version, OWNED, owners)


class RowsOnly:
    """A visitor that keeps nothing of the content."""

    keeps_raw = False

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:  # noqa: ARG002
        """Nothing is kept."""
        return 0

    def misses(self, key: ObjectKey) -> bool:  # noqa: ARG002
        """Only what belongs to a version counts."""
        return False

    def restart(self, listing: Listing) -> None:
        """Nothing was kept."""
