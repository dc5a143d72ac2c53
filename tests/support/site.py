"""One application, its repository and its cluster, with what a test wants to know of them afterwards."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chalicelib.domain.application import Application, ClusterRecord
from chalicelib.domain.errors import MainstayError
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.domain.plan import ResultRow
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.engine.operations import results
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase
from tests.harness.access import Access
from tests.harness.api import Api
from tests.harness.errors import HarnessError
from tests.support import policy, shop
from tests.support.moments import Moment, Watch
from tests.support.worker import PASSPHRASE, TERMS, Order, Storage, Worker, engine_of

Content = dict[str, bytes]


@dataclass
class Site:
    """An application that is registered and runs, and where its versions are kept."""

    cluster: Access
    namespace: str
    storage: Storage
    repository: Repository
    application: Application
    folder: Path
    kubeconfig: Path
    _workers: list[Worker] = field(default_factory=list)
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    # ── operations ──────────────────────────────────────────────────────────────────────────────────────

    def engine(
        self,
        *wanted: tuple[Moment, Callable[[], object]],
        watch: Watch | None = None,
        terms: LeaseTerms = TERMS,
        turns: TurnTerms | None = None,
        kubeconfig: Path | None = None,
        repository: Repository | None = None,
    ) -> Engine:
        """An engine in this process; at each of the `wanted` moments something is called."""
        seen = watch or Watch(*wanted)
        return engine_of(repository or self.repository, str(kubeconfig or self.kubeconfig), seen, terms, turns)

    def worker(
        self,
        moment: Moment | None = None,
        then: Literal["die", "stop"] = "die",
        kubeconfig: Path | None = None,
        **more: Any,
    ) -> Worker:
        """A worker in a process of its own, which takes what there is to do."""
        log = str(self.folder / f"worker-{next(self._names)}.log")
        worker = Worker(
            Order(self.storage, str(kubeconfig or self.kubeconfig), self.application.id, log, moment, then, **more)
        )
        self._workers.append(worker)
        return worker

    def start(self, kind: str, engine: Engine | None = None, **arguments: Any) -> Operation:
        """Put an operation in line."""
        operation = Operation(
            id=new_id("op", self.repository.now()),
            kind=OperationKind(kind),
            application=self.application.id,
            arguments=arguments,
            requested_by="somebody",
            requested_at=self.repository.now(),
        )
        return (engine or self.engine()).start(operation)

    def operation(self, operation: str) -> Operation:
        """An operation as it is now."""
        return self.repository.operations.get(self.application.id, operation)

    def finish(self, operation: Operation, engine: Engine | None = None, seconds: float = 60.0) -> Operation:
        """Work in this process until the operation has ended."""
        engine = engine or self.engine()
        end = time.monotonic() + seconds
        last = ""
        while time.monotonic() < end:
            try:
                engine.tick()
                found = self.operation(operation.id)
            except MainstayError as error:
                last = error.message
                time.sleep(0.1)
                continue
            if found.state.ended:
                return found
            time.sleep(0.05)
        found = self.operation(operation.id)
        raise HarnessError(
            f"{found.kind} is {found.state} in `{found.step}` after {seconds:.0f} s: {found.error} {last}"
        )

    def run(self, kind: str, engine: Engine | None = None, **arguments: Any) -> Operation:
        """Start an operation and work until it has ended."""
        return self.finish(self.start(kind, **arguments), engine)

    def backup(self) -> str:
        """Make a version that is known to be good; its id."""
        made = self.run("backup")
        assert made.state is State.SUCCEEDED, made.error
        return str(made.outcome["version"])

    def result(self, operation: Operation) -> dict[str, ResultRow]:
        """The rows of an operation's result by `Kind/name`."""
        rows = results.read(self.repository, self.application.id, operation.id)
        return {f"{row.object.kind}/{row.object.name}": row for row in rows}

    # ── what is there ───────────────────────────────────────────────────────────────────────────────────

    def look(self) -> dict[str, shop.Body]:
        """The objects of the namespace, read without the product."""
        return shop.look(self.cluster.api, self.namespace)

    def versions(self) -> dict[str, Content]:
        """Every version that the repository lists, with each object's bytes as they are stored. Reading one proves
        that it is whole: every segment is there, authentic, and holds what the index says."""
        return {version: self._content(version) for version in self.repository.versions(self.application.id).list()}

    def _content(self, version: str) -> Content:
        manifest = self.repository.versions(self.application.id).get(version)
        held, reader = self.repository.objects(manifest), self.repository.segment_reader(self.application.id)
        content = {"document": held.document().encode()}
        for row in held.read_index():
            plain = reader.get(row.segment, "objects")
            content[str(row.key)] = plain[row.offset : row.offset + row.length]
        assert len(content) == manifest.objects + 1
        assert {row.segment for row in held.read_index()} == {segment.name for segment in manifest.segments}
        return content

    def sealed(self) -> list[str]:
        """Ids of every manifest that lies in the vault, ended or not."""
        folder = f"vault/{self.application.id}/versions/"
        keys = [listed.key.removeprefix(folder) for listed in self.repository.vault.list(folder)]
        return [key.removesuffix(".json") for key in keys if key.endswith(".json")]

    def stored(self) -> dict[str, str]:
        """Every key of vault and control with a hash of its bytes (wake entries aside: they come and go)."""
        found = {}
        for listed in self.repository.vault.list(""):
            if not listed.key.startswith("control/wake/"):
                blob = self.repository.vault.get(listed.key)
                found[listed.key] = hashlib.sha256(blob.data if blob else b"").hexdigest()
        return found

    @contextmanager
    def refusing(self, kind: str, name: str, *operations: str) -> Iterator[None]:
        """While this is open the API server refuses to create or update this object: a policy of the cluster, as its
        administrators write them."""
        with policy.refusing(self.cluster.api, self.namespace, kind, name, operations or ("CREATE", "UPDATE")):
            yield

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.close()


@contextmanager
def open_site(
    cluster: Access,
    folder: Path,
    *,
    storage: Storage | None = None,
    document: Callable[[str], str] = shop.document,
    deploy: Callable[[Api, str], None] = shop.deploy,
    kubeconfig: Path | None = None,
) -> Iterator[Site]:
    """A fresh namespace with the shop (or what `deploy` makes) in it, registered in a fresh repository."""
    storage = storage or Storage(directory=str(folder / f"repository-{secrets.token_hex(3)}"))
    with cluster.namespace("fault") as namespace:
        if storage.directory:
            Path(storage.directory).mkdir(exist_ok=True)
        backend = storage.backend()
        repository = Repository.initialise_on(backend, backend, [Passphrase(PASSPHRASE)]).repository
        now = repository.now()
        record = ClusterRecord(
            id=new_id("cl", now), name="default", source="kubeconfig", created_at=now, updated_at=now
        )
        repository.clusters.create(record)
        application = Application(
            id=new_id("app", now),
            name="shop",
            owner="somebody",
            cluster=record.id,
            document=document(namespace),
            created_at=now,
            updated_at=now,
        )
        repository.applications.create(application)
        made = Site(cluster, namespace, storage, repository, application, folder, kubeconfig or cluster.kubeconfig)
        try:
            deploy(cluster.api, namespace)
            yield made
        finally:
            made.close()
