"""From a registered cluster to a live session with its API server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.cluster.client import WRITE_SECONDS, Client
from chalicelib.cluster.connection import Connection, by_token, default, files_written, in_cluster, load_kubeconfig
from chalicelib.cluster.credentials import RenewedToken
from chalicelib.cluster.discovery import Discovery, discover, refresh
from chalicelib.cluster.identity import identity
from chalicelib.cluster.writing import Objects
from chalicelib.domain.application import ClusterRecord, EksCluster
from chalicelib.domain.errors import ClusterNotConfigured
from chalicelib.store.repository import Repository


class Eks(Protocol):
    """What is asked of AWS about clusters of EKS. Raises `ClusterNotConfigured` and `ClusterUnreachable`."""

    def describe(self, cluster: EksCluster) -> tuple[str, str]:
        """The API server's address, and its authority: PEM in base64."""

    def token(self, cluster: EksCluster) -> tuple[str, float]:
        """A token, and for how many seconds it is good."""


@dataclass(slots=True)
class ClusterSession:
    """One client, guarded by one operation's lease, and what its API server serves."""

    record: ClusterRecord
    client: Client
    discovery: Discovery
    #: The versions in which kinds are read and written, where those are not the server's preferred ones.
    _versions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    _identity: str | None = None

    def speak(self, versions: Mapping[tuple[str, str], str]) -> None:
        """From now on read and write these kinds in these versions, as far as they are served."""
        self._versions = {**self._versions, **versions}
        self.discovery = self.discovery.speaking(self._versions)

    @property
    def objects(self) -> Objects:
        """Single objects of this server."""
        return Objects(self.client, self.discovery)

    def identity(self) -> str:
        """What tells this cluster from all others: see `cluster.identity`. Asked once in a session."""
        if self._identity is None:
            self._identity = identity(self.client)
        return self._identity

    def rediscover(self) -> Discovery:
        """Read anew what is served: a definition was created or removed."""
        self.discovery = refresh(self.client).speaking(self._versions)
        return self.discovery


class Clusters:
    """The sessions of this process. Connections are pooled by cluster and shared by its operations."""

    def __init__(self, repository: Repository, kubeconfig: str | None = None, eks: Eks | None = None) -> None:
        self._repository = repository
        self._kubeconfig = kubeconfig
        self._eks = eks
        self._clients: dict[str, tuple[tuple[object, ...], Client]] = {}
        self._lock = threading.Lock()

    def connect(
        self,
        record: ClusterRecord,
        *,
        before_write: Callable[[], None] | None = None,
        write_seconds: float = WRITE_SECONDS,
    ) -> ClusterSession:
        """A session with a registered cluster; `before_write` is asked before each write through it, and the write
        is over `write_seconds` later.

        An operation (which has such a guard) asks anew what is served: a kind that came a moment ago must not be
        missing in a version. It also asks, as a look does, which cluster it is: `ClusterNotConfigured` if not the one
        that is registered, whose objects would be taken for those of the other.
        """
        client = self._client(record)
        if before_write is None:
            session = ClusterSession(record, client, discover(client))
            if record.uid:  # else nothing is known to compare, and a look writes nothing
                self._recognise(session)
            return session
        client = client.guarded(before_write, write_seconds)
        session = ClusterSession(record, client, refresh(client))
        self._recognise(session)
        return session

    def _recognise(self, session: ClusterSession) -> None:
        """A kubeconfig is written anew, an address given to another server: the name stays, the cluster does not."""
        record, here = session.record, session.identity()
        if here and not record.uid:
            # Nobody looks at first use; somebody else may have meanwhile.
            record = self._repository.clusters.update(
                record.id, lambda found: None if found.uid else found.model_copy(update={"uid": here})
            )
        if here and here != record.uid:
            connection = session.client.connection
            raise ClusterNotConfigured(
                f"{connection.server} ({connection.source}) is another cluster than the one that is registered as "
                f"{record.name}: its namespace kube-system (its uid) differs. Mend what leads there; or, if it took "
                f"that one's place, say so: `mainstay cluster add {record.name} --moved`."
            )

    def connection_of(self, record: ClusterRecord) -> Connection:
        """Where a cluster is and how to prove who asks. Raises `ClusterNotConfigured` with what to mend."""
        if record.source == "in-cluster":
            return in_cluster()
        if record.source == "kubeconfig":
            if self._kubeconfig:
                return load_kubeconfig(self._kubeconfig, record.context or None)
            return default(context=record.context or None)
        if record.eks is not None:
            proxy = self._repository.clusters.credentials(record.id) or b""
            return self.connection_to_eks(record.eks, record.server, proxy.decode())
        stored = self._repository.clusters.credentials(record.id)
        if stored is None:
            raise ClusterNotConfigured(f"The credentials of cluster `{record.name}` are missing. Store them again.")
        return load_kubeconfig(stored.decode(), record.context or None)

    def find_eks(self, cluster: EksCluster) -> tuple[str, EksCluster]:
        """The address of a cluster's API server, and the cluster with its authority, as AWS says."""
        server, authority = self._needed_eks().describe(cluster)
        return server, cluster.model_copy(update={"authority": authority})

    def connection_to_eks(self, cluster: EksCluster, server: str, proxy: str = "") -> Connection:
        """A connection whose token is renewed before it ends; through a proxy, if one is given."""
        eks = self._needed_eks()
        token = RenewedToken(lambda: eks.token(cluster), str(cluster))
        return by_token(server, cluster.authority, token, str(cluster), proxy)

    def _needed_eks(self) -> Eks:
        if self._eks is None:
            raise ClusterNotConfigured("This process knows no way to ask AWS about clusters of EKS.")
        return self._eks

    def _client(self, record: ClusterRecord) -> Client:
        # A kubeconfig may be written anew at any time, by whatever renews what is in it.
        written = files_written(self._kubeconfig) if record.source == "kubeconfig" else ()
        with self._lock:
            known = self._clients.get(record.id)
            if known is not None and known[0] == (record.updated_at, *written):
                return known[1]
            client = Client(self.connection_of(record), record.connections)
            self._clients[record.id] = ((record.updated_at, *written), client)
            return client
