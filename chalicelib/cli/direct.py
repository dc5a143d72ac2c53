"""The service in this very process, for when no server runs: the way in when everything else is down.

It calls the functions that the API's handlers call, and answers with the JSON they would. What it starts it works
on itself, in the foreground; what it cannot finish stays in line with its checkpoint, for whoever comes next.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.domain.errors import Invalid, MainstayError
from chalicelib.domain.problems import problems_of
from chalicelib.services.models.applications import (
    ApplicationChange,
    ApplicationRegistration,
    DeletionQuery,
    StatusQuery,
    SweepQuery,
)
from chalicelib.services.models.automatic import AutobackupRequest, PolicyRequest
from chalicelib.services.models.clusters import ClusterQuery, ClusterSettings
from chalicelib.services.models.comparing import CompareQuery
from chalicelib.services.models.documents import DraftRequest
from chalicelib.services.models.operations import OperationsQuery
from chalicelib.services.models.request_keys import RequestKeyRequest
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.vaults import VerifyQuery
from chalicelib.services.models.versions import (
    BackupRequest,
    VersionChange,
    VersionDeletionQuery,
    VersionQuery,
    VersionsQuery,
)

if TYPE_CHECKING:
    from chalicelib.engine.lane.budget import Budget
    from chalicelib.services.bundle import Services

_PAGE = 200
# Another process may hold the lane: look again when it can have let go.
_PAUSE = 0.5
# An operation stops at its next piece of work; a request to the cluster that hangs ends within this, too.
_LONGEST_STOP = 30.0


def open_direct(tell: Callable[[str], None]) -> DirectGateway:
    """The services that this environment's settings lead to; a first repository is made as the runner would.

    `tell` is called with what must not be missed: the recovery key of a repository that was made just now.
    """
    from chalicelib import bootstrap
    from chalicelib.local.first_start import prepare

    _keep_the_log_to_itself()
    with _translated():
        prepared = prepare(os.environ)
        os.environ.update(prepared.environment)
        recovery_key = bootstrap.make_repository(prepared.settings)
        if recovery_key is not None:
            tell(
                f"A repository was made at {prepared.settings.repository}. Its recovery key, shown this once "
                f"(keep it away from this machine): {recovery_key}"
            )
        return DirectGateway(bootstrap.services())


def _keep_the_log_to_itself() -> None:
    """Who waits is told how it ended: lines for a server's log would stand in the middle of that."""
    if not os.environ.get("MAINSTAY_DEBUG"):
        # Without any handler Python writes warnings to stderr.
        logging.getLogger("chalicelib").addHandler(logging.NullHandler())
        logging.getLogger("mainstay").addHandler(logging.NullHandler())


class DirectGateway:
    """`Gateway` on `services`, as the administrator: whoever can read the keys of a repository is that."""

    def __init__(self, services: Services) -> None:
        from chalicelib.services.access import ADMINISTRATOR

        self._services = services
        self._asker = ADMINISTRATOR

    # Applications

    def applications(self) -> Json:
        """Every application."""
        return self._list(self._services.applications.list, PageQuery, {})

    def application(self, application: str) -> Json:
        """One application with its document."""
        return self._ask(self._services.applications.get, application)

    def register(self, body: Json) -> Json:
        """Register an application."""
        return self._ask(self._services.applications.register, self._model(ApplicationRegistration, body))

    def change(self, application: str, body: Json) -> Json:
        """Change name, description, document or status."""
        return self._ask(self._services.applications.update, application, self._model(ApplicationChange, body))

    def delete(self, application: str, *, keep_versions: bool) -> Json:
        """Start to delete an application."""
        query = self._model(DeletionQuery, {"keepVersions": keep_versions})
        return self._ask(self._services.applications.delete, application, query)

    def autobackup(self, application: str, seconds: int, body: Json) -> Json:
        """Set how often an application is backed up by itself."""
        request = self._model(AutobackupRequest, body)
        return self._ask(self._services.automatic.set_interval, application, str(seconds), request)

    def policy(self) -> Json:
        """The default of applications that say nothing."""
        return self._ask(self._services.automatic.policy)

    def change_policy(self, body: Json) -> Json:
        """Change it."""
        return self._ask(self._services.automatic.change_policy, self._model(PolicyRequest, body, nulls=True))

    def request_keys(self) -> Json:
        """The keys that requests are signed with."""
        return self._ask(self._services.request_keys.list)

    def add_request_key(self, body: Json) -> Json:
        """Make one."""
        return self._ask(self._services.request_keys.add, self._model(RequestKeyRequest, body))

    def revoke_request_key(self, key: str) -> Json:
        """Revoke one."""
        return self._ask(self._services.request_keys.revoke, key)

    def status(self, application: str, *, refresh: bool) -> Json:
        """How an application is."""
        query = self._model(StatusQuery, {"refresh": refresh})
        return self._ask(self._services.applications.status, application, query)

    # Versions

    def backup(self, body: Json) -> Json:
        """Start a backup."""
        return self._ask(self._services.versions.backup, self._model(BackupRequest, body))

    def versions(
        self, application: str, *, limit: int | None = None, label: str | None = None, safety: bool = False
    ) -> Json:
        """The newest versions."""
        query = {"appId": application, "label": label, "purpose": "all" if safety else "backup"}
        return self._list(self._services.versions.list, VersionsQuery, query, limit)

    def version(self, version: str) -> Json:
        """Everything about one version."""
        return self._ask(self._services.versions.get, self._model(VersionQuery, {"versionId": version}))

    def change_version(self, version: str, body: Json) -> Json:
        """Change what people say about a version."""
        query = self._model(VersionQuery, {"versionId": version})
        return self._ask(self._services.versions.update, query, self._model(VersionChange, body))

    def delete_version(self, version: str, *, force: bool) -> Json:
        """Delete a version."""
        query = self._model(VersionDeletionQuery, {"versionId": version, "force": force})
        return self._ask(self._services.versions.delete, query)

    def restore(self, version: str, body: Json) -> Json:
        """Start a restore or a plan."""
        query = self._model(VersionQuery, {"versionId": version})
        return self._ask(self._services.versions.restore, query, self._model(RestoreRequest, body))

    def compare(self, from_: str, to: str) -> Json:
        """What differs."""
        return self._ask(self._services.versions.compare, self._model(CompareQuery, {"from": from_, "to": to}))

    # Operations

    def undo(self, operation: str) -> Json:
        """Start to undo a restore."""
        return self._ask(self._services.operations.undo, operation)

    def operations(self, application: str | None, *, limit: int | None = None, running: bool | None = None) -> Json:
        """The newest operations."""
        query = {"appId": application, "running": running}
        return self._list(self._services.operations.list, OperationsQuery, query, limit)

    def operation(self, operation: str) -> Json:
        """One operation."""
        return self._ask(self._services.operations.get, operation)

    def plan(self, operation: str) -> Json:
        """The plan that an operation made, with all its actions."""
        ask = self._services.operations.plan
        plan = page = self._ask(ask, operation, self._model(PageQuery, {}))
        while token := page.get("next"):
            page = self._ask(ask, operation, self._model(PageQuery, {"next": token}))
            plan["actions"] = [*plan["actions"], *page["actions"]]
        return {**plan, "next": None}

    def result(self, operation: str) -> Json:
        """What became of each object."""
        ask = self._services.operations.result
        return self._list(lambda asker, query: ask(asker, operation, query), PageQuery, {})

    def cancel(self, operation: str) -> Json:
        """Ask an operation to stop."""
        return self._ask(self._services.operations.cancel, operation)

    # The repository

    def vaults(self) -> Json:
        """The applications that the repository holds something of."""
        return self._list(self._services.vaults.list, PageQuery, {})

    def vault_size(self, application: str) -> Json:
        """What an application's versions take."""
        return self._ask(self._services.vaults.size, application)

    def verify(self, application: str, *, quick: bool, repair: bool) -> Json:
        """Start to read everything that an application's versions need."""
        query = self._model(VerifyQuery, {"quick": quick, "repair": repair})
        return self._ask(self._services.vaults.verify, application, query)

    def damages(self, operation: str) -> Json:
        """What that found damaged."""
        ask = self._services.vaults.damages
        return self._list(lambda asker, query: ask(asker, operation, query), PageQuery, {})

    def sweep(self, application: str, *, at_once: bool) -> Json:
        """Start to remove what no version of an application needs."""
        query = self._model(SweepQuery, {"now": at_once})
        return self._ask(self._services.sweeping.sweep, application, query)

    # Documents and clusters

    def draft(self, body: Json) -> Json:
        """A document written from what runs."""
        return self._ask(self._services.documents.draft, self._model(DraftRequest, body))

    def clusters(self) -> Json:
        """The clusters that are known."""
        return self._list(self._services.clusters.list, PageQuery, {})

    def cluster_status(self, cluster: str | None) -> Json:
        """Whether a cluster answers."""
        return self._ask(self._services.clusters.status, self._model(ClusterQuery, {"cluster": cluster}))

    def configure_cluster(self, body: Json) -> Json:
        """Register a cluster or change it."""
        return self._ask(self._services.clusters.configure, self._model(ClusterSettings, body))

    def remove_cluster(self, cluster: str) -> Json:
        """Forget a cluster."""
        return self._ask(self._services.clusters.delete, cluster)

    @contextmanager
    def attend(self, operation: Json) -> Iterator[None]:
        """Work on the operation in a thread, so that who waits can watch it; closing stops it in an orderly way."""
        from chalicelib.engine.lane.budget import Budget

        budget = Budget()
        stopped = threading.Event()
        # A daemon: a second Ctrl-C ends the process at once, and whoever comes next goes on from the checkpoint.
        worker = threading.Thread(
            target=self._work, args=(operation, budget, stopped), name="mainstay-direct", daemon=True
        )
        worker.start()
        try:
            yield
        finally:
            stopped.set()
            budget.stop()
            worker.join(_LONGEST_STOP)

    def _work(self, operation: Json, budget: Budget, stopped: threading.Event) -> None:
        engine = self._services.engine
        while not stopped.is_set():
            try:
                if operation["kind"] in {"plan", "verify"}:
                    engine.run(operation["application"], operation["id"], budget)
                else:
                    engine.work(operation["application"], budget)
                if self._services.operations.get(self._asker, operation["id"]).ended:
                    return
            except MainstayError:
                # Whoever waits sees the operation's own document; storage that is away is met there, too.
                pass
            stopped.wait(_PAUSE)

    def _ask(self, use_case: Callable[..., BaseModel], *arguments: Any) -> Json:
        with _translated():
            return use_case(self._asker, *arguments).model_dump(mode="json", by_alias=True)

    def _list(
        self, use_case: Callable[..., BaseModel], query: type[BaseModel], members: Json, limit: int | None = None
    ) -> Json:
        items: list[Any] = []
        token: str | None = None
        while True:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(items))
            page = self._ask(use_case, self._model(query, {**members, "limit": wanted, "next": token}))
            items += page["items"]
            token = page.get("next")
            if not token or (limit is not None and len(items) >= limit):
                return {"items": items}

    def _model(self, model: type[BaseModel], members: Json, *, nulls: bool = False) -> BaseModel:
        """A request's model, from what is given; refused as the API refuses it. `nulls` are given too."""
        try:
            return model.model_validate(
                {member: given for member, given in members.items() if nulls or given is not None}
            )
        except ValidationError as error:
            problems = problems_of(error, model)
            raise Failure.of_error(Invalid(f"The request is not as it must be: {problems[0]}.", problems)) from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MainstayError as error:
        raise Failure.of_error(error) from error
