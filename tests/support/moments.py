"""Named moments in an operation's life, and what is to happen there.

step-begins    `restore.apply`   the checkpoint of the step before is kept, nothing of this one is done
step-ends      `restore.apply`   the step is done, its checkpoint is not kept yet
write-asked    `PUT /api/v1/…`   a write to the cluster is about to be asked for: the lease was not looked at yet
write-allowed  `PUT /api/v1/…`   the lease allowed it; it is not sent yet
write-answered `PUT /api/v1/…`   the server has done it; nobody knows yet
read-asked     `GET /api/v1/…`   a read of the cluster is about to be sent
store-asked    `control/apps/…`  bytes are about to be stored under a key: the lease was not looked at yet
stored         `control/apps/…`  they are stored; nobody knows yet
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.cluster.client import Client
from chalicelib.domain.application import ClusterRecord
from chalicelib.domain.operation import OperationKind
from chalicelib.engine.lane.clusters import Clusters, ClusterSession
from chalicelib.engine.lane.work import Finish, Flow, Next, Step, Work
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.store.repository import Repository


@dataclass(frozen=True)
class Moment:
    """The `nth` time that `what` happens to something whose name has `name` (a regular expression) in it."""

    what: str
    name: str = ""
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.what} {self.name} {self.nth}"


def die() -> None:
    """What a crash does: no handler runs, nothing is let go."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    """What a machine that freezes does, until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


class Watch:
    """Counts what happens and acts when the moments come. Safe with threads."""

    def __init__(self, *wanted: tuple[Moment, Callable[[], object]]) -> None:
        self._left = [[moment.nth, moment, act] for moment, act in wanted]
        self._lock = threading.Lock()
        #: Everything that happened, in order.
        self.happened: list[tuple[str, str]] = []

    def add(self, moment: Moment, act: Callable[[], object]) -> None:
        """Do something once, when a moment comes from now on."""
        with self._lock:
            self._left.append([moment.nth, moment, act])

    def __call__(self, what: str, name: str) -> None:
        due = []
        with self._lock:
            self.happened.append((what, name))
            for entry in self._left:
                _, moment, act = entry
                if moment.what == what and re.search(moment.name, name):
                    entry[0] -= 1
                    if entry[0] == 0:
                        due.append(act)
        for act in due:
            act()

    def flows(self) -> Mapping[OperationKind, Flow]:
        """The product's flows, seen step by step."""
        return {kind: replace(flow, steps=self._steps(kind, flow)) for kind, flow in FLOWS.items()}

    def _steps(self, kind: OperationKind, flow: Flow) -> dict[str, Step]:
        return {name: self._step(f"{kind}.{name}", step) for name, step in flow.steps.items()}

    def _step(self, name: str, step: Step) -> Step:
        def watched(work: Work) -> Next | Finish:
            self("step-begins", name)
            outcome = step(work)
            self("step-ends", name)
            return outcome

        return watched

    def clusters(self, repository: Repository, kubeconfig: str) -> Clusters:
        """The product's sessions, seen request by request."""
        return _WatchedClusters(repository, kubeconfig, self)

    def repository(self, repository: Repository) -> Repository:
        """The repository, seen write by write."""
        vault = _WatchedBackend(repository.vault, self)
        control = vault if repository.control is repository.vault else _WatchedBackend(repository.control, self)
        return Repository(vault, control, lambda: repository.keyring, repository.id)


#: One client for each kubeconfig of this process: reading the machine's authorities takes longer than most requests.
_clients: dict[str, Client] = {}
_clients_lock = threading.Lock()


class _WatchedClusters(Clusters):
    def __init__(self, repository: Repository, kubeconfig: str, watch: Watch) -> None:
        super().__init__(repository, kubeconfig)
        self._path = kubeconfig
        self._watch = watch

    def _client(self, record: ClusterRecord) -> Client:
        if record.source == "stored":
            return super()._client(record)
        with _clients_lock:
            if self._path not in _clients:
                _clients[self._path] = Client(self.connection_of(record), 64)
            return _clients[self._path]

    def connect(self, record: ClusterRecord, **options: Any) -> ClusterSession:
        guard = options.pop("before_write", None)

        def before_write() -> None:
            self._watch("write-asked", "")
            if guard is not None:
                guard()

        session = super().connect(record, before_write=before_write, **options)
        session.client.transport = _WatchedTransport(session.client, self._watch)
        return session


class _WatchedTransport:
    """Sends what the client asks for; everything else is the real transport's."""

    def __init__(self, client: Client, watch: Watch) -> None:
        self._real = client.transport
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send(self, verb: str, target: str, **options: Any) -> Any:
        name = f"{verb} {target}"
        if verb in {"GET", "HEAD"} or "dryRun=All" in target:
            self._watch("read-asked", name)
            return self._real.send(verb, target, **options)
        self._watch("write-allowed", name)
        answer = self._real.send(verb, target, **options)
        self._watch("write-answered", name)
        return answer


class _WatchedBackend:
    """A backend whose writes are seen."""

    def __init__(self, backend: Any, watch: Watch, writing: threading.local | None = None) -> None:
        self._real = backend
        self._watch = watch
        self._writing = writing or threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def guarded(self, guard: Callable[[], None]) -> _WatchedBackend:
        def allowed() -> None:
            guard()
            self._watch("store-allowed", getattr(self._writing, "key", ""))

        return _WatchedBackend(self._real.guarded(allowed), self._watch, self._writing)

    def create(self, key: str, data: bytes) -> Any:
        return self._write(key, lambda: self._real.create(key, data))

    def replace(self, key: str, data: bytes, etag: str) -> Any:
        return self._write(key, lambda: self._real.replace(key, data, etag))

    def _write(self, key: str, write: Callable[[], Any]) -> Any:
        self._watch("store-asked", key)
        self._writing.key = key
        try:
            written = write()
        finally:
            self._writing.key = ""
        self._watch("stored", key)
        return written
