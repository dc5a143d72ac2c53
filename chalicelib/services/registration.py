"""Registering clusters: each is tried before anything is stored, and told from those that are known already.

Two names for one cluster are asked for knowingly (`sameAs`), and so is one name for another cluster than before
(`moved`): versions, and what is restored onto what, depend on which cluster it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.domain.application import ClusterRecord, EksCluster
from chalicelib.domain.errors import ClusterError, Conflict, MainstayError, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.services import naming
from chalicelib.services.looking import MOST_SECONDS, within
from chalicelib.services.models.clusters import ClusterSettings, EksSettings
from chalicelib.services.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from chalicelib.cluster.client import Client
    from chalicelib.cluster.connection import Connection
    from chalicelib.engine.lane.clusters import Clusters
    from chalicelib.store.repository import Repository

DEFAULT = "default"

#: How long another request may take between the name of a cluster and its record, seconds.
_MAKING = 2.0

_MARK = "namespace kube-system (its uid)"


class Registration:
    """Writes the records of clusters."""

    def __init__(self, repository: Repository, sessions: Clusters) -> None:
        self._repository = repository
        self._sessions = sessions

    def first_use(self) -> ClusterRecord:
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
            return self._made_by_another(first)

    def _made_by_another(self, cluster: str) -> ClusterRecord:
        """A record whose name was claimed a moment ago: it is written next."""
        end = time.monotonic() + _MAKING
        while True:
            try:
                return self._repository.clusters.get(cluster)
            except NotFound:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

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

    # ── settings ────────────────────────────────────────────────────────────────────────────────────────

    def configure(self, known: ClusterRecord | None, settings: ClusterSettings) -> ClusterRecord:
        """Change how a known cluster is worked with, or register one; it is tried first.

        `Invalid` says why it does not work, `Conflict` that it is a cluster which has a name already, or that a
        known name would come to stand for another cluster.
        """
        if settings.eks is not None and settings.kubeconfig is not None:
            raise invalid("eks", "there is a kubeconfig as well", "give one of the two")
        if settings.context is not None and settings.kubeconfig is None:
            raise invalid("context", "it names a context of a kubeconfig, and there is none", "give the kubeconfig")
        now = self._repository.now()
        record = known or ClusterRecord(
            id=new_id("cl", now), name=settings.name or DEFAULT, source="stored", created_at=now, updated_at=now
        )
        record = record.model_copy(update={**self._said(record, settings), "updated_at": now})
        tried, secret = self._tried(record, settings)
        record = self._recognise(known, record.model_copy(update=tried), settings)
        if known is not None and known.uid and record.uid != known.uid:
            self.refuse_at_work(known)
        if secret is not None:
            self._repository.clusters.set_credentials(record.id, secret.encode())
        if known is None:
            return self._create(record)
        mine = set(ClusterRecord.model_fields) - {"schema_", "id", "name", "created_at"}
        changes = {name: getattr(record, name) for name in mine if getattr(record, name) != getattr(known, name)}
        stored = self._repository.clusters.update(record.id, lambda found: found.model_copy(update=changes))
        if settings.eks is not None and secret is None:
            self._repository.clusters.forget_credentials(record.id)
        return stored

    def refuse_at_work(self, record: ClusterRecord) -> None:
        """`Conflict` while an operation works on a cluster: in its next turn it would go on on another one, or
        nowhere."""
        from chalicelib.engine.lane.needed import at_work  # not needed by what only answers

        operation = at_work(self._repository, record.id)
        if operation is not None:
            raise Conflict(
                f"{operation.id}, which is {operation.state}, works on cluster {record.name}: wait for its end, or "
                "cancel it first."
            )

    def _said(self, record: ClusterRecord, settings: ClusterSettings) -> Mapping[str, Any]:
        changes: dict[str, Any] = {}
        if settings.pods_amount is not None:
            changes["pods_amount"] = settings.pods_amount
        if settings.connections is not None:
            changes["connections"] = settings.connections
        if settings.same_as is not None:
            other = next((each for each in self._others(record) if settings.same_as in {each.id, each.name}), None)
            if other is None:
                raise invalid("sameAs", f"no other cluster is registered as {settings.same_as}", "correct it")
            changes["same_as"] = other.id
        return changes

    def _others(self, record: ClusterRecord) -> Iterator[ClusterRecord]:
        return (other for other in self._repository.clusters.list() if other.id != record.id)

    def _tried(self, record: ClusterRecord, settings: ClusterSettings) -> tuple[Mapping[str, Any], str | None]:
        """What to write down about a way to a cluster, after it was gone once, and what of it is secret. Nothing, if
        no other way was given."""
        if settings.kubeconfig is not None:
            connection, uid = _kubeconfig_tried(settings.kubeconfig, settings.context, record.connections)
            found = {"source": "stored", "context": connection.context, "server": connection.server, "eks": None}
            return {**found, "uid": uid}, settings.kubeconfig
        if settings.eks is not None:
            said = self._as_before(record, settings.eks)
            return self._eks_tried(said, record.connections), said.proxy or None
        if settings.moved:
            connection = self._sessions.connection_of(record)
            return {"uid": _identity_tried("moved", connection, record.connections)}, None
        return {}, None

    def _as_before(self, record: ClusterRecord, settings: EksSettings) -> EksSettings:
        """The settings, with the role and the proxy that this very cluster has where they do not say: who registers
        it once more, because AWS rotated its authority, means the same way to it."""
        known = record.eks
        if known is None or (known.name, known.region) != (settings.name, settings.region):
            return settings
        changes: dict[str, str] = {}
        if settings.role_arn is None:
            changes["role_arn"] = known.role_arn
        if settings.proxy is None:
            changes["proxy"] = (self._repository.clusters.credentials(record.id) or b"").decode()
        return settings.model_copy(update=changes)

    def _eks_tried(self, settings: EksSettings, connections: int) -> Mapping[str, Any]:
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
            connection = self._sessions.connection_to_eks(cluster, server, settings.proxy or "")
        except ClusterError as error:
            raise invalid("eks", error.message.rstrip("."), "nothing was stored") from error
        uid = _identity_tried("eks", connection, connections)
        return {"source": "eks", "context": "", "server": connection.server, "eks": cluster, "uid": uid}

    # ── which cluster it is ─────────────────────────────────────────────────────────────────────────────

    def _recognise(
        self, known: ClusterRecord | None, record: ClusterRecord, settings: ClusterSettings
    ) -> ClusterRecord:
        """The record, if it stands for the cluster that somebody means; else `Conflict`."""
        if known is not None and not record.uid and not settings.moved:
            record = record.model_copy(update={"uid": known.uid})  # nobody looked, or may
        before = known.uid if known is not None else ""
        if before and record.uid != before and not settings.moved:
            raise Conflict(
                f"{record.server} is another cluster than the one that is registered as {record.name}: its "
                f"{_MARK} differs. Register it by a name of its own; or, if it takes that one's place, say `moved` "
                "(`--moved`). Nothing was stored."
            )
        if record.same_as:
            other = self._repository.clusters.get(record.same_as)
            if other.uid and record.uid and other.uid != record.uid:
                raise invalid("sameAs", f"{other.name} is another cluster: its {_MARK} differs", "leave it out")
            return record
        for other in self._others(record) if record.uid else ():
            if self._looked_at(other).uid == record.uid and not other.known_as_one_with(record):
                raise Conflict(
                    f"{record.server} is the cluster that is registered as {other.name} already: it has the same "
                    f"{_MARK}. To change its credentials, name that one; to have it under both names, say `sameAs` "
                    f"(`--same-as {other.name}`). Nothing was stored."
                )
        return record

    def _looked_at(self, other: ClusterRecord) -> ClusterRecord:
        """A record that knows which cluster it stands for, if a look can tell: nobody looks at first use."""
        if other.uid:
            return other
        try:
            with client_for_a_look(self._sessions.connection_of(other), other.connections) as client:
                uid = within(lambda: _identity(client), other.name)
        except MainstayError:
            return other
        return self.remember(other, uid)

    def remember(self, record: ClusterRecord, uid: str) -> ClusterRecord:
        """The record with the identity that was seen, if there was none."""
        if not uid or record.uid:
            return record
        return self._repository.clusters.update(
            record.id, lambda found: None if found.uid else found.model_copy(update={"uid": uid})
        )

    def recognised(self, record: ClusterRecord, uid: str) -> Iterator[str]:
        """What there is to say about which cluster it is, in sentences; it is remembered if nobody knew it."""
        record = self.remember(record, uid)
        if uid and uid != record.uid:
            yield (
                f"It is another cluster than the one that was registered: its {_MARK} differs. If it took that one's "
                "place, say so (`moved`); else mend what leads here."
            )
        for other in self._others(record):
            if uid and other.uid == uid and not other.known_as_one_with(record):
                yield (
                    f"It is registered as {other.name} too. If that is meant, say so (`sameAs`); else forget one of "
                    "the two."
                )


def _in_a_pod() -> bool:
    from pathlib import Path

    own = os.environ.get("KUBECONFIG") or (Path.home() / ".kube" / "config").is_file()
    return not own and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


@contextmanager
def client_for_a_look(connection: Connection, connections: int) -> Iterator[Client]:
    """A client whose retries end with a look's time, closed at the end."""
    from chalicelib.cluster.client import Client

    client = Client(connection, connections, patience=MOST_SECONDS)
    try:
        yield client
    finally:
        client.transport.close()


def _identity(client: Client) -> str:
    from chalicelib.cluster.identity import identity

    return identity(client)


def _kubeconfig_tried(kubeconfig: str, context: str | None, connections: int) -> tuple[Connection, str]:
    """The connection a kubeconfig describes, after it has worked once, and which cluster it leads to; `Invalid` says
    why it does not."""
    from chalicelib.cluster.connection import load_kubeconfig

    try:
        # A line break makes it text for certain: a path of this machine is nobody else's to name.
        connection = load_kubeconfig(kubeconfig + "\n", context)
    except ClusterError as error:
        raise invalid("kubeconfig", error.message.rstrip("."), "nothing was stored") from error
    return connection, _identity_tried("kubeconfig", connection, connections)


def _identity_tried(field: str, connection: Connection, connections: int) -> str:
    """Use a connection once, and tell which cluster it leads to (`cluster.identity`); `Invalid` says why it does not
    work."""
    from chalicelib.cluster.status import check

    try:
        with client_for_a_look(connection, connections) as client:
            seen = within(lambda: check(client, seconds=MOST_SECONDS - 0.5), connection.server)
    except ClusterError as error:
        raise invalid(field, error.message.rstrip("."), "nothing was stored") from error
    if seen["error"] or not seen["reachable"]:
        raise invalid(field, str(seen["error"]["message"]).rstrip("."), "nothing was stored")
    return str(seen["uid"])
