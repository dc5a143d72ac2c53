"""A house of services on a repository in memory, with an engine that only takes orders and a cluster that is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from chalicelib.domain.application import ClusterRecord
from chalicelib.domain.errors import ClusterNotConfigured
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, Pending, State
from chalicelib.domain.version import Gap, Manifest
from chalicelib.engine.lane.schedules import Schedules
from chalicelib.engine.lane.sweeps import Sweeps, SweepTerms
from chalicelib.services.access import ADMINISTRATOR, Access, Asker
from chalicelib.services.applications import Applications
from chalicelib.services.automatic import Automatic
from chalicelib.services.bundle import Services
from chalicelib.services.clusters import RegisteredClusters
from chalicelib.services.documents import Documents
from chalicelib.services.operations import Operations
from chalicelib.services.request_keys import RequestKeys
from chalicelib.services.requests import Requests
from chalicelib.services.sweeping import Sweeping
from chalicelib.services.vaults import Vaults
from chalicelib.services.versions import Versions
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Wrapping

TOKEN = "the-administrator's-own-token"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

DOCUMENT = """\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec:
  state:
    objects:
      - namespaces: [shop]
"""


class Unlocked:
    """A wrapper that locks nothing: stretching a passphrase takes a tenth of a second."""

    name = "unlocked"

    def wrap(self, key: bytes) -> Wrapping:
        return {"wrapper": self.name, "key": key.hex()}

    def unwrap(self, wrapping: Wrapping) -> bytes:
        return bytes.fromhex(wrapping["key"])


class FakeEngine:
    """Writes down what is started and cancelled; nothing ever runs unless a test says so."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.started: list[Operation] = []
        self.cancelled: list[tuple[str, str]] = []
        self.reasons: dict[str, Any] = {}
        self.nudged: list[str] = []

    def nudge(self, application: str, _operation: str = "", _entry: str = "") -> None:
        self.nudged.append(application)

    def start(self, operation: Operation) -> Operation:
        self.started.append(operation)
        self.repository.lanes.enqueue(operation.application, Pending(operation=operation.id, kind=operation.kind))
        return self.repository.operations.create(operation)

    def cancel(self, _application: str, operation: str, by: str) -> Operation:
        self.cancelled.append((operation, by))
        return self.change(operation, state=State.CANCELLED, cancel_requested=True, cancel_requested_by=by)

    def change(self, operation: str, **changes: Any) -> Operation:
        found = self.repository.operations.find(operation)
        return self.repository.operations.update(
            found.application, found.id, lambda stored: stored.model_copy(update=changes)
        )


@dataclass
class FakeSessions:
    """`engine.clusters.Clusters` where a kubeconfig is there or is not."""

    configured: bool = True

    def connection_of(self, _record: ClusterRecord) -> Any:
        if not self.configured:
            raise ClusterNotConfigured("No cluster is configured. Set KUBECONFIG.")
        return _Connection()

    def connect(self, _record: ClusterRecord) -> Any:
        raise ClusterNotConfigured("There is no cluster in this test.")


@dataclass
class _Connection:
    context: str = "kind"
    server: str = "https://127.0.0.1:6443"
    warnings: tuple[str, ...] = ()


@dataclass
class House:
    """Services, and what is behind them."""

    services: Services
    repository: Repository
    engine: FakeEngine
    sessions: FakeSessions
    asker: Asker = ADMINISTRATOR
    made: int = field(default=0)

    def registered(self, name: str = "shop", **more: Any) -> str:
        """The id of a new application."""
        from chalicelib.services.models.applications import ApplicationRegistration

        request = ApplicationRegistration(name=name, document=more.pop("document", DOCUMENT), **more)
        return self.services.applications.register(self.asker, request).id

    def version(self, application: str, *, complete: bool = True, purpose: Any = "backup") -> str:
        """The id of a new version, sealed, a minute younger than the one before."""
        self.made += 1
        at = NOON + timedelta(minutes=self.made)
        writer = self.repository.segment_writer(application)
        document = writer.put("document", DOCUMENT.encode())
        manifest = Manifest(
            application=application,
            version=new_id("ver", at),
            application_name="shop",
            cluster=self.repository.applications.get(application).cluster,
            operation=new_id("op", at),
            fence=1,
            purpose=purpose,
            started_at=at,
            captured_at=at,
            namespaces=("shop",),
            gaps=() if complete else (Gap(group="", kind="Secret", status=403, message="forbidden"),),
            objects=7,
            plain_bytes=700,
            added_bytes=70,
            document=document,
            index=(),
            segments=(),
        )
        self.repository.versions(application).seal(manifest)
        return manifest.version


class Clock:
    """The storage's clock, which a test moves."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


def house(token: str | None = TOKEN, clock: Clock | None = None) -> House:
    """A fresh one."""
    backend = MemoryBackend(clock) if clock is not None else MemoryBackend()
    repository = Repository.initialise_on(backend, backend, [Unlocked()]).repository
    engine, sessions = FakeEngine(repository), FakeSessions()
    clusters = RegisteredClusters(repository, sessions)  # type: ignore[arg-type]
    documents = Documents(clusters)
    operations = Operations(repository, engine)  # type: ignore[arg-type]
    versions = Versions(repository, operations, clusters)
    schedules = Schedules(repository, engine)  # type: ignore[arg-type]
    applications = Applications(repository, clusters, documents, operations, versions, schedules)
    services = Services(
        access=Access(SecretStr(token) if token else None),
        applications=applications,
        automatic=Automatic(repository, engine, schedules, applications, clusters),  # type: ignore[arg-type]
        requests=Requests(repository, engine, versions),  # type: ignore[arg-type]
        request_keys=RequestKeys(repository),
        versions=versions,
        operations=operations,
        clusters=clusters,
        documents=documents,
        engine=engine,  # type: ignore[arg-type]
        sweeping=Sweeping(repository, Sweeps(repository, engine, SweepTerms())),  # type: ignore[arg-type]
        vaults=Vaults(repository, engine),  # type: ignore[arg-type]
    )
    return House(services, repository, engine, sessions)
