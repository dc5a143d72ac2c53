"""What a cluster says of the fields of its kinds: read where it is needed, once for each group and version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chalicelib.cluster.schemas import OpenApi
from chalicelib.domain.objects import Body, key_of
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.planning.elsewhere.schemas import Schemas


class KnownFields:
    """The schemas of one cluster. `converted` are the kinds that are written in another version than they are kept
    in, with that version."""

    def __init__(self, session: ClusterSession, converted: Mapping[tuple[str, str], str]) -> None:
        self._session = session
        self._converted = converted
        self._published = OpenApi(session.client)
        self._schemas: dict[str, Schemas] = {}

    def unknown(self, body: Body) -> Iterator[str]:
        """Where in an object fields stand that the cluster would drop."""
        return self._of(str(body.get("apiVersion") or "")).unknown_in(body)

    def misfits(self, body: Body) -> Iterator[str]:
        """What in an object, as it was kept, the cluster would not read, in words."""
        kind = key_of(body)[:2]
        resource = self._session.discovery.resource_for(*kind)
        if resource is not None and resource.has_status and "status" in body:
            yield "`status` is the cluster's to write"
        # In another version it may be of another shape, which is not known before it is converted.
        if kind not in self._converted:
            yield from self._of(str(body.get("apiVersion") or "")).misfits_in(body)

    def _of(self, version: str) -> Schemas:
        if version not in self._schemas:
            self._schemas[version] = Schemas(self._published.document(version))
        return self._schemas[version]
