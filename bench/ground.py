"""Where it is measured: a control plane of its own, a repository, and Mainstay's engine on both."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.raw import Raw
from chalicelib.domain.application import Application, ClusterRecord
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.engine.lane.clusters import Clusters
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase
from tests.harness.cluster import Cluster, Options
from tests.harness.s3 import VersityServer

#: Of a repository that ends with the run.
_PASSPHRASE = "no secret: this repository ends with the run"

#: Room for 100,000 objects and their deleted predecessors; and emptying a namespace is not what is measured.
_ETCD = ("--quota-backend-bytes=8589934592",)
_APISERVER = ("--delete-collection-workers=16",)


class Unexpected(Exception):
    """An operation did not come out as it must for its time to mean anything."""


@dataclass(frozen=True, slots=True)
class Run:
    """One operation as it went."""

    operation: Operation
    seconds: float

    @property
    def outcome(self) -> dict[str, Any]:
        """What its document says at the end."""
        return self.operation.outcome


class Mainstay:
    """The engine on one repository and one cluster. Another process may open the same."""

    def __init__(self, repository: Repository, kubeconfig: str, turns: TurnTerms | None = None) -> None:
        self.repository = repository
        self._kubeconfig = kubeconfig
        self.engine = Engine(repository, Clusters(repository, kubeconfig), FLOWS, turns=turns)

    def with_turns(self, turns: TurnTerms) -> Mainstay:
        """The same, with workers whose time is limited."""
        return Mainstay(self.repository, self._kubeconfig, turns)

    @classmethod
    def open(cls, address: str, kubeconfig: str) -> Mainstay:
        """On a repository that is there."""
        return cls(Repository.open(address, wrappers=[Passphrase(_PASSPHRASE)]), kubeconfig)

    @classmethod
    def initialise(cls, address: str, kubeconfig: str) -> Mainstay:
        """On a new repository, with the cluster registered."""
        repository = Repository.initialise(address, wrappers=[Passphrase(_PASSPHRASE)]).repository
        now = repository.now()
        record = ClusterRecord(
            id=new_id("cl", now), name="bench", source="kubeconfig", created_at=now, updated_at=now
        )
        repository.clusters.create(record)
        return cls(repository, kubeconfig)

    def register(self, name: str, document: str) -> str:
        """An application of that document; its id."""
        now = self.repository.now()
        cluster = next(iter(self.repository.clusters.list())).id
        made = Application(
            id=new_id("app", now),
            name=name,
            owner="bench",
            cluster=cluster,
            document=document,
            created_at=now,
            updated_at=now,
        )
        return self.repository.applications.create(made).id

    def run(self, kind: OperationKind, application: str, *, patience: float = 0.0, **arguments: Any) -> Run:
        """Start an operation and work until it has succeeded (`Unexpected` otherwise): one turn, and as many more as
        `patience` (seconds) allows."""
        began = time.perf_counter()
        now = self.repository.now()
        started = self.engine.start(
            Operation(
                id=new_id("op", now),
                kind=kind,
                application=application,
                arguments=arguments,
                requested_by="bench",
                requested_at=now,
            )
        )
        self.engine.tick()
        ended = self.repository.operations.get(application, started.id)
        while not ended.state.ended and time.perf_counter() - began < patience:
            self.engine.tick()
            ended = self.repository.operations.get(application, started.id)
        took = time.perf_counter() - began
        if ended.state is not State.SUCCEEDED:
            raise Unexpected(f"{kind} ended {ended.state}: {ended.error or ended.outcome}")
        return Run(ended, took)


@dataclass(frozen=True, slots=True)
class Ground:
    """One control plane, one repository, and the two ways to it."""

    kubeconfig: str
    address: str
    raw: Raw
    mainstay: Mainstay

    def namespace(self, name: str) -> str:
        """A new namespace; the path of its Secrets."""
        self.raw.request("POST", "/api/v1/namespaces", f'{{"metadata":{{"name":"{name}"}}}}'.encode())
        return f"/api/v1/namespaces/{name}/secrets"

    def application(self, namespace: str, name: str = "") -> str:
        """A new application that is all of a namespace; its id."""
        return self.mainstay.register(name or namespace, _document(namespace))


def _document(namespace: str) -> str:
    return f"""\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {{name: {namespace}}}
spec:
  state:
    objects:
      - namespaces: [{namespace}]
"""


@contextmanager
def ground(storage: str) -> Iterator[Ground]:
    """A control plane without controllers and node, and a repository in a directory (`file`) or on versitygw (`s3`).

    Both end with the context.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-bench-")))
        options = Options(node=False, controllers=False, etcd_flags=_ETCD, apiserver_flags=_APISERVER)
        cluster = stack.enter_context(Cluster(options=options))
        kubeconfig = str(cluster.kubeconfig)
        address = _s3(stack, folder) if storage == "s3" else f"file://{folder}/repository"
        yield Ground(kubeconfig, address, Raw(kubeconfig), Mainstay.initialise(address, kubeconfig))


def _s3(stack: ExitStack, folder: Path) -> str:
    server = stack.enter_context(VersityServer(folder))
    os.environ |= {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": server.region,
    }
    return f"s3://{server.make_bucket('bench')}/repository"
