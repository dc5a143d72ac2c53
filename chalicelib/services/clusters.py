"""Clusters: which are known, how they are, and with what credentials they are asked.

Where none is registered, the kubeconfig that this process has (or its pod's account) becomes the cluster `default`
at first use: a machine that can use kubectl needs nothing more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chalicelib.domain.application import ClusterRecord, EksCluster
from chalicelib.domain.errors import (
    ClusterError,
    ClusterNotConfigured,
    Conflict,
    Invalid,
    MainstayError,
    NotFound,
    Problem,
)
from chalicelib.domain.ids import new_id
from chalicelib.services import naming, paging, views
from chalicelib.services.access import Asker
from chalicelib.services.looking import MOST_SECONDS, within
from chalicelib.services.models.clusters import (
    ClusterPage,
    ClusterQuery,
    ClusterSettings,
    ClusterStatusView,
    ClusterView,
    EksSettings,
)
from chalicelib.services.models.shapes import Gone, PageQuery
from chalicelib.services.refusals import invalid

if TYPE_CHECKING:
    from chalicelib.cluster.client import Client
    from chalicelib.cluster.connection import Connection
    from chalicelib.engine.clusters import Clusters, ClusterSession
    from chalicelib.store.repository import Repository

DEFAULT = "default"


class ClusterDead(ClusterError):
    """The cluster is configured but does not answer. `details` are the status as it was seen."""

    code = "cluster-dead"
    status = 505


class RegisteredClusters:
    """What can be asked about clusters."""

    def __init__(self, repository: Repository, sessions: Clusters) -> None:
        self._repository = repository
        self._sessions = sessions

    # ── for the other services ──────────────────────────────────────────────────────────────────────────

    def find(self, asker: Asker, cluster: str | None) -> ClusterRecord:  # noqa: ARG002 - rights come with accounts
        """The cluster with this name or id; without one the only one that is registered."""
        records = list(self._repository.clusters.list())
        if cluster is not None:
            for record in records:
                if cluster in {record.id, record.name}:
                    return record
            if cluster == DEFAULT and not records:
                return self._first_use()
            known = ", ".join(sorted(record.name for record in records)) or "none"
            raise ClusterNotConfigured(f"No cluster is registered as {cluster[:100]!r}; there are: {known}.")
        if not records:
            return self._first_use()
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

    def _first_use(self) -> ClusterRecord:
        """Take the kubeconfig of this process (or its pod's account) as the cluster `default`."""
        now = self._repository.now()
        record = ClusterRecord(
            id=new_id("cl", now),
            name=DEFAULT,
            source="in-cluster" if _in_a_pod() else "kubeconfig",
            created_at=now,
            updated_at=now,
        )
        connection = self._sessions.connection_of(record)  # says what to mend if there is none
        record = record.model_copy(update={"context": connection.context, "server": connection.server})
        try:
            return self._create(record)
        except Conflict:
            # Another request was first.
            first = self._repository.names.holder(naming.CLUSTERS, DEFAULT)
            if first is None:
                raise
            return self._repository.clusters.get(first)

    def _create(self, record: ClusterRecord) -> ClusterRecord:
        """Write a new record under a name that no other cluster has."""
        naming.claim(self._repository, naming.CLUSTERS, record.name, record.id, self._lives, record.created_at)
        return self._repository.clusters.create(record)

    def _lives(self, cluster: str) -> bool | None:
        try:
            self._repository.clusters.get(cluster)
        except NotFound:
            return None
        return True

    # ── for those who ask ───────────────────────────────────────────────────────────────────────────────

    def list(self, asker: Asker, query: PageQuery) -> ClusterPage:  # noqa: ARG002
        """The registered clusters by name."""
        begin = paging.after(query.next)
        records = sorted(self._repository.clusters.list(), key=lambda record: record.name)
        left = [record for record in records if begin is None or record.name > begin]
        page, following = paging.take(left, query.limit, lambda record: record.name)
        return ClusterPage(items=[views.cluster_view(record) for record in page], next=following)

    def status(self, asker: Asker, query: ClusterQuery) -> ClusterStatusView:
        """How a cluster is now, within 5 s. `ClusterNotConfigured` if there is none, `ClusterDead` if it is dead."""
        record = self.find(asker, query.cluster)
        client = _client(self._sessions.connection_of(record), record.connections)
        try:
            seen = _status(record, client)
        finally:
            client.transport.close()
        if not seen.reachable:
            details = seen.model_dump(mode="json", by_alias=True)
            raise ClusterDead(f"Cluster {record.name} does not answer: {seen.message}", details=details)
        return seen

    def configure(self, asker: Asker, settings: ClusterSettings) -> ClusterView:
        """Change how a cluster is worked with, or register one by a kubeconfig or at EKS; it is tried first."""
        if settings.eks is not None and settings.kubeconfig is not None:
            raise invalid("eks", "there is a kubeconfig as well", "give one of the two")
        if settings.context is not None and settings.kubeconfig is None:
            raise invalid("context", "it names a context of a kubeconfig, and there is none", "give the kubeconfig")
        known = self._known(asker, settings)
        now = self._repository.now()
        record = known or ClusterRecord(
            id=new_id("cl", now), name=settings.name or DEFAULT, source="stored", created_at=now, updated_at=now
        )
        changes: dict[str, object] = {"updated_at": now}
        if settings.pods_amount is not None:
            changes["pods_amount"] = settings.pods_amount
        if settings.connections is not None:
            changes["connections"] = settings.connections
        if settings.kubeconfig is not None:
            connection = _kubeconfig_tried(settings.kubeconfig, settings.context, record.connections)
            changes |= {"source": "stored", "context": connection.context, "server": connection.server, "eks": None}
            self._repository.clusters.set_credentials(record.id, settings.kubeconfig.encode())
        if settings.eks is not None:
            changes |= self._eks_tried(settings.eks, record.connections)
        if known is None:
            return views.cluster_view(self._create(record.model_copy(update=changes)))
        stored = self._repository.clusters.update(record.id, lambda found: found.model_copy(update=changes))
        if stored.source != "stored":
            self._repository.clusters.forget_credentials(record.id)
        return views.cluster_view(stored)

    def _eks_tried(self, settings: EksSettings, connections: int) -> dict[str, object]:
        """What to write down about a cluster of EKS, after it was asked once; `Invalid` says why it cannot be."""
        cluster = EksCluster(
            name=settings.name,
            region=settings.region,
            role_arn=settings.role_arn or "",
            authority=settings.certificate_authority or "",
        )
        if (settings.endpoint is None) != (settings.certificate_authority is None):
            raise invalid("eks", "endpoint and certificateAuthority come together only", "give both or neither")
        try:
            server = settings.endpoint
            if server is None:
                server, cluster = within(lambda: self._sessions.find_eks(cluster), str(cluster))
            connection = self._sessions.connection_to_eks(cluster, server)
        except ClusterError as error:
            raise invalid("eks", error.message.rstrip("."), "nothing was stored") from error
        _tried("eks", connection, connections)
        return {"source": "eks", "context": "", "server": connection.server, "eks": cluster}

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

    def delete(self, asker: Asker, cluster: str) -> Gone:
        """Forget a cluster and its credentials; `Conflict` while applications are on it."""
        record = self.find(asker, cluster)
        users = [
            application.name
            for application in self._repository.applications.list()
            if application.cluster == record.id and application.status != "deleted"
        ]
        if users:
            named = ", ".join(sorted(users)[:5])
            raise Conflict(f"Applications are on cluster {record.name} ({named}): delete them first.")
        self._repository.clusters.delete(record.id)
        self._repository.names.free(naming.CLUSTERS, record.name, record.id)
        return Gone(id=record.id)


def _in_a_pod() -> bool:
    from pathlib import Path

    own = os.environ.get("KUBECONFIG") or (Path.home() / ".kube" / "config").is_file()
    return not own and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _client(connection: Connection, connections: int) -> Client:
    """A client for a look: its retries end with the look's time."""
    from chalicelib.cluster.client import Client

    return Client(connection, connections, patience=MOST_SECONDS)


def _status(record: ClusterRecord, client: Client) -> ClusterStatusView:
    from chalicelib.cluster.status import check

    try:
        seen = within(lambda: check(client, seconds=MOST_SECONDS - 0.5), "It")
    except MainstayError as failure:
        seen = {"error": failure.public().as_json(), "server": client.connection.server}
    error = seen.get("error") or {}
    return ClusterStatusView(
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


def _kubeconfig_tried(kubeconfig: str, context: str | None, connections: int) -> Connection:
    """The connection a kubeconfig describes, after it has worked once; `Invalid` says why it does not."""
    from chalicelib.cluster.connection import load_kubeconfig

    try:
        # A line break makes it text for certain: a path of this machine is nobody else's to name.
        connection = load_kubeconfig(kubeconfig + "\n", context)
    except ClusterError as error:
        raise invalid("kubeconfig", error.message.rstrip("."), "nothing was stored") from error
    _tried("kubeconfig", connection, connections)
    return connection


def _tried(field: str, connection: Connection, connections: int) -> None:
    """Use a connection once; `Invalid` says why it does not work."""
    from chalicelib.cluster.status import check

    try:
        client = _client(connection, connections)
        try:
            seen = within(lambda: check(client, seconds=MOST_SECONDS - 0.5), connection.server)
        finally:
            client.transport.close()
    except ClusterError as error:
        raise invalid(field, error.message.rstrip("."), "nothing was stored") from error
    if seen["error"] or not seen["reachable"]:
        raise invalid(field, str(seen["error"]["message"]).rstrip("."), "nothing was stored")
