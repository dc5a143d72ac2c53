"""Clusters: which are known, how they are, and with what credentials they are asked.

Where none is registered, the kubeconfig that this process has (or its pod's account) becomes the cluster `default`
at first use: a machine that can use kubectl needs nothing more.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from chalicelib.domain.application import ClusterRecord
from chalicelib.domain.errors import (
    ClusterError,
    ClusterNotConfigured,
    Conflict,
    Invalid,
    MainstayError,
    NotFound,
    Problem,
)
from chalicelib.services import naming, paging, views
from chalicelib.services.access import Asker
from chalicelib.services.looking import MOST_SECONDS, within
from chalicelib.services.models.clusters import (
    ClusterPage,
    ClusterQuery,
    ClusterSettings,
    ClusterStatusView,
    ClusterView,
)
from chalicelib.services.models.shapes import Gone, PageQuery
from chalicelib.services.refusals import invalid
from chalicelib.services.registration import DEFAULT, Registration, client_for_a_look

if TYPE_CHECKING:
    from chalicelib.cluster.client import Client
    from chalicelib.engine.lane.clusters import Clusters, ClusterSession
    from chalicelib.store.repository import Repository


class ClusterDead(ClusterError):
    """The cluster is configured but does not answer. `details` are the status as it was seen."""

    code = "cluster-dead"
    status = 505


class RegisteredClusters:
    """What can be asked about clusters."""

    def __init__(self, repository: Repository, sessions: Clusters) -> None:
        self._repository = repository
        self._sessions = sessions
        self._registration = Registration(repository, sessions)

    # ── for the other services ──────────────────────────────────────────────────────────────────────────

    def find(self, asker: Asker, cluster: str | None) -> ClusterRecord:  # noqa: ARG002 - rights come with accounts
        """The cluster with this name or id; without one the only one that is registered."""
        records = list(self._repository.clusters.list())
        if cluster is not None:
            for record in records:
                if cluster in {record.id, record.name}:
                    return record
            if cluster == DEFAULT and not records:
                return self._registration.first_use()
            known = ", ".join(sorted(record.name for record in records)) or "none"
            raise ClusterNotConfigured(f"No cluster is registered as {cluster[:100]!r}; there are: {known}.")
        if not records:
            return self._registration.first_use()
        if len(records) > 1:
            known = ", ".join(sorted(record.name for record in records))
            problem = Problem("cluster", f"several clusters are registered: {known}", hint="say which")
            raise Invalid(f"Which cluster? {problem.message}.", [problem])
        return records[0]

    def name_of(self, cluster: str) -> str:
        """The name of a cluster by its id; the id itself if it is registered no more."""
        try:
            return self._repository.clusters.get(cluster).name
        except NotFound:
            return cluster

    def connect(self, cluster: str) -> ClusterSession:
        """A session with a cluster by its id."""
        return self._sessions.connect(self._repository.clusters.get(cluster))

    # ── for those who ask ───────────────────────────────────────────────────────────────────────────────

    def list(self, asker: Asker, query: PageQuery) -> ClusterPage:  # noqa: ARG002
        """The registered clusters by name."""
        begin = paging.after(query.next)
        records = sorted(self._repository.clusters.list(), key=lambda record: record.name)
        left = [record for record in records if begin is None or record.name > begin]
        page, following = paging.take(left, query.limit, lambda record: record.name)
        return ClusterPage(items=[self._view(record) for record in page], next=following)

    def status(self, asker: Asker, query: ClusterQuery) -> ClusterStatusView:
        """How a cluster is now, within 5 s. `ClusterNotConfigured` if there is none, `ClusterDead` if it is dead."""
        record = self.find(asker, query.cluster)
        with client_for_a_look(self._sessions.connection_of(record), record.connections) as client:
            seen, uid = _status(record, client)
        seen = seen.model_copy(update={"warnings": [*seen.warnings, *self._registration.recognised(record, uid)]})
        if not seen.reachable:
            details = seen.model_dump(mode="json", by_alias=True)
            raise ClusterDead(f"Cluster {record.name} does not answer: {seen.message}", details=details)
        return seen

    def configure(self, asker: Asker, settings: ClusterSettings) -> ClusterView:
        """Change how a cluster is worked with, or register one by a kubeconfig or at EKS; it is tried first."""
        return self._view(self._registration.configure(self._known(asker, settings), settings))

    def _known(self, asker: Asker, settings: ClusterSettings) -> ClusterRecord | None:
        """The cluster that is meant, `None` if a new one is."""
        if settings.kubeconfig is None and settings.eks is None:
            return self.find(asker, settings.name)
        records = list(self._repository.clusters.list())
        if settings.name is None and len(records) > 1:
            raise invalid("name", "several clusters are registered", "say which of them, or a new name")
        for record in records:
            if settings.name in {None, record.name, record.id}:
                return record
        return None

    def _view(self, record: ClusterRecord) -> ClusterView:
        return views.cluster_view(record, self.name_of(record.same_as) if record.same_as else None)

    def delete(self, asker: Asker, cluster: str) -> Gone:
        """Forget a cluster and its credentials; `Conflict` while applications are on it, or something is restored
        to it."""
        record = self.find(asker, cluster)
        users = []
        for identifier in self._repository.applications.ids():
            with contextlib.suppress(NotFound):
                # One that cannot be read may be on it: then it stays.
                application = self._repository.applications.get(identifier)
                if application.cluster == record.id and application.status != "deleted":
                    users.append(application.name)
        if users:
            named = ", ".join(sorted(users)[:5])
            raise Conflict(f"Applications are on cluster {record.name} ({named}): delete them first.")
        self._registration.refuse_at_work(record)
        self._repository.clusters.delete(record.id)
        self._repository.names.free(naming.CLUSTERS, record.name, record.id)
        return Gone(id=record.id)


def _status(record: ClusterRecord, client: Client) -> tuple[ClusterStatusView, str]:
    from chalicelib.cluster.status import check

    try:
        seen = within(lambda: check(client, seconds=MOST_SECONDS - 0.5), "It")
    except MainstayError as failure:
        seen = {"error": failure.public().as_json(), "server": client.connection.server}
    error = seen.get("error") or {}
    view = ClusterStatusView(
        id=record.id,
        name=record.name,
        server=str(seen.get("server") or ""),
        reachable=bool(seen.get("reachable")),
        version=str(seen.get("version") or ""),
        latency_ms=seen.get("latencyMs"),
        missing_permissions=list(seen.get("missingPermissions") or ()),
        warnings=list(seen.get("warnings") or ()),
        message=str(error.get("message") or ""),
    )
    return view, str(seen.get("uid") or "")
