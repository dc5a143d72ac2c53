"""An application registered with Mainstay, its versions in memory, and the operations one asks for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from chalicelib.domain.application import Application, ClusterRecord
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.domain.plan import Plan, ResultRow
from chalicelib.engine.lane.clusters import Clusters
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.operations import results
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.engine.plan.plans import read_plan
from chalicelib.language.support import accept
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.repository import Repository
from tests.harness.access import Access
from tests.support.scene import Unlocked

#: Seconds an operation may take.
_LIMIT = 400.0


@dataclass(frozen=True)
class Done:
    """An operation that has ended, and how long it took in seconds."""

    operation: Operation
    seconds: float

    @property
    def id(self) -> str:
        return self.operation.id

    @property
    def outcome(self) -> dict[str, Any]:
        return self.operation.outcome

    def ended_well(self, rows: Sequence[ResultRow] = ()) -> None:
        """Assert it, and if it did not, tell why and which objects are to blame."""
        if self.operation.state is State.SUCCEEDED:
            return
        blame = [row for row in rows if row.outcome != "done" or row.verified not in {"", "equal"}]
        raise AssertionError(
            f"{self.operation.kind} {self.operation.state}: {self.operation.error} {self.outcome}\n"
            + "\n".join(f"{row.object.key}: {row.outcome} {row.verified} {row.message}" for row in blame[:20])
        )


class Registered:
    """One application, on the first of the clusters."""

    def __init__(self, name: str, state: dict[str, Any], *clusters: Access) -> None:
        backend = MemoryBackend()
        self.repository = Repository.initialise_on(backend, backend, [Unlocked()]).repository
        self.clusters = [self._register(f"cluster-{number}", cluster) for number, cluster in enumerate(clusters)]
        document = yaml.safe_dump(
            {
                "apiVersion": "mainstay.dev/v1",
                "kind": "Application",
                "metadata": {"name": name},
                "spec": {"state": state},
            }
        )
        accept(document)
        now = self.repository.now()
        self.application = self.repository.applications.create(
            Application(
                id=new_id("app", now),
                name=name,
                owner="somebody",
                cluster=self.clusters[0].id,
                document=document,
                created_at=now,
                updated_at=now,
            )
        )
        self._engine = Engine(self.repository, Clusters(self.repository), FLOWS)

    def _register(self, name: str, cluster: Access) -> ClusterRecord:
        now = self.repository.now()
        record = ClusterRecord(id=new_id("cl", now), name=name, source="stored", created_at=now, updated_at=now)
        self.repository.clusters.create(record)
        self.repository.clusters.set_credentials(record.id, yaml.safe_dump(dict(cluster.config)).encode())
        return record

    def run(self, kind: str, **arguments: Any) -> Done:
        """Start an operation and work until it has ended."""
        began, now = time.monotonic(), self.repository.now()
        started = self._engine.start(
            Operation(
                id=new_id("op", now),
                kind=OperationKind(kind),
                application=self.application.id,
                arguments=arguments,
                requested_by="somebody",
                requested_at=now,
            )
        )
        found = started
        while not found.state.ended and time.monotonic() < began + _LIMIT:
            # A worker stops in order where a busy server does not answer, and another one goes on.
            if not self._engine.tick():
                time.sleep(0.5)
            found = self.repository.operations.get(self.application.id, started.id)
        assert found.state.ended, found
        return Done(found, time.monotonic() - began)

    def backup(self) -> Done:
        """Make a version, a whole one."""
        done = self.run("backup")
        done.ended_well()
        return done

    def restore(self, version: str, **arguments: Any) -> Done:
        """Restore a version, wholly."""
        done = self.run("restore", version=version, **arguments)
        done.ended_well(self.rows(done))
        return done

    def undo(self, restore: Done) -> Done:
        """Undo a restore, wholly."""
        done = self.run("undo", restore=restore.id)
        done.ended_well(self.rows(done))
        return done

    def plan(self, version: str, **arguments: Any) -> Plan:
        """What a restore would do."""
        done = self.run("plan", version=version, **arguments)
        done.ended_well()
        return read_plan(self.repository, self.application.id, done.id)

    def rows(self, done: Done) -> list[ResultRow]:
        """What became of each object."""
        return list(results.read(self.repository, self.application.id, done.id))
