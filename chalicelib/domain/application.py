"""Applications and clusters as the service knows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from chalicelib.domain.version import Stored


class Application(Stored):
    """What a user registers: a name, an owner, a cluster and a document."""

    schema_: int = Field(default=1, alias="schema")
    id: str
    name: str
    description: str = ""
    owner: str
    cluster: str
    #: The document's text as it was given: comments are the user's, and stay.
    document: str
    status: Literal["active", "inactive", "deleting", "deleted"] = "active"
    #: The version it was last restored to or backed up as.
    current_version: str | None = None
    #: When it is backed up next, by itself.
    timetable: Timetable | None = None
    #: Somebody stopped its backups: without a schedule in the document the default does not apply either.
    backups_stopped: bool = False
    created_at: datetime
    updated_at: datetime
    #: Health by workload as last observed.
    health: tuple[WorkloadHealth, ...] = ()
    observed_at: datetime | None = None


class Timetable(Stored):
    """When an application is backed up next, and by which rule (in words): with another rule it is drawn up anew."""

    rule: str
    next: datetime


class WorkloadHealth(Stored):
    """One workload: how many of its pods are ready, of how many wanted."""

    kind: str
    namespace: str
    name: str
    wanted: int
    ready: int
    message: str = ""

    @property
    def healthy(self) -> bool:
        """Whether everything wanted is ready."""
        return self.ready >= self.wanted

    @property
    def trouble(self) -> str:
        """What is the matter with one that is not healthy, in words."""
        return self.message or f"{self.ready} of {self.wanted} ready"


class EksCluster(Stored):
    """A cluster of AWS' EKS, and the role it is asked with; without one, the role that Mainstay runs as."""

    name: str
    region: str
    role_arn: str = ""
    #: What the API server's certificate is checked with: PEM in base64.
    authority: str = ""

    def __str__(self) -> str:
        return f"the EKS cluster {self.name} in {self.region}"


class ClusterRecord(Stored):
    """A registered cluster. Its credentials are stored apart, encrypted, and never shown."""

    schema_: int = Field(default=1, alias="schema")
    id: str
    name: str
    #: Where credentials come from: a stored kubeconfig, the runner's own kubeconfig, the pod's account, or EKS.
    source: Literal["stored", "kubeconfig", "in-cluster", "eks"]
    eks: EksCluster | None = None
    context: str = ""
    server: str = ""
    #: What tells the cluster from all others, as last seen; empty: it may not be read, or nobody has looked yet.
    uid: str = ""
    #: The id of another record that is known to stand for the same cluster.
    same_as: str = ""
    connections: int = 16
    pods_amount: int = 2
    created_at: datetime
    updated_at: datetime

    def is_one_with(self, other: ClusterRecord) -> bool:
        """Whether both stand for one cluster, as far as is known."""
        return self.id == other.id or bool(self.uid and self.uid == other.uid) or self.known_as_one_with(other)

    def known_as_one_with(self, other: ClusterRecord) -> bool:
        """Whether somebody said that both stand for one cluster."""
        mine, theirs = {self.id, self.same_as} - {""}, {other.id, other.same_as} - {""}
        return self.id != other.id and bool(mine & theirs)


Application.model_rebuild()
