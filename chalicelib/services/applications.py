"""Applications: registering, changing and deleting them, and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from chalicelib.domain.application import Application, WorkloadHealth
from chalicelib.domain.document import Document
from chalicelib.domain.errors import ClusterError, Conflict, Damaged, Invalid, MainstayError, NotFound, Problem
from chalicelib.domain.ids import new_id, parse_id
from chalicelib.domain.operation import OperationKind
from chalicelib.planning.selecting.overlap import shared
from chalicelib.services import naming, paging, views
from chalicelib.services.access import Asker
from chalicelib.services.documents import accepted
from chalicelib.services.living import refuse_deleted
from chalicelib.services.looking import MOST_SECONDS, within
from chalicelib.services.models.applications import (
    ApplicationChange,
    ApplicationPage,
    ApplicationRegistration,
    ApplicationSummary,
    ApplicationView,
    DeletionQuery,
    StatusQuery,
    StatusView,
)
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.refusals import invalid
from chalicelib.services.state import newest, newest_good, state_of, storage_used

if TYPE_CHECKING:
    from chalicelib.engine.lane.schedules import Schedules
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.services.documents import Documents
    from chalicelib.services.operations import Operations
    from chalicelib.services.versions import Versions
    from chalicelib.store.repository import Repository

#: Applications that a new or changed one is compared with: each is a request and a document to read.
_MOST_COMPARED = 200


class Applications:
    """What can be asked about applications."""

    def __init__(
        self,
        repository: Repository,
        clusters: RegisteredClusters,
        documents: Documents,
        operations: Operations,
        versions: Versions,
        schedules: Schedules,
    ) -> None:
        self._repository = repository
        self._clusters = clusters
        self._documents = documents
        self._operations = operations
        self._versions = versions
        self._schedules = schedules

    def register(self, asker: Asker, request: ApplicationRegistration) -> ApplicationView:
        """Register an application under a name that nobody has yet."""
        naming.well_formed(request.name)
        if request.document is not None and request.namespace is not None:
            raise invalid("namespace", "the document says which namespaces it is about", "give one of the two")
        if request.document is None and request.namespace is None:
            raise invalid("document", "it is required, or a namespace to write one from", "see `mainstay init`")
        text = request.document
        if text is None:
            text = self._write(asker, request)
        document = accepted(text).document
        cluster = self._cluster_of(asker, request.cluster, document)
        now = self._repository.now()
        application = Application(
            id=new_id("app", now),
            name=request.name,
            description=request.description,
            owner=asker.name,
            cluster=cluster,
            document=text,
            created_at=now,
            updated_at=now,
        )
        self._claim(application.name, application.id, now)
        policy = self._repository.policies.read()
        stored = self._repository.applications.create(self._schedules.put_right(application, policy))
        self._schedules.look_again(stored)
        if self._repository.policies.read() != policy:  # who changed it has perhaps not seen this application yet
            stored = self._schedules.change(stored.id, lambda found: found)
        return views.application_view(stored, self._clusters.name_of(cluster), self._warnings(stored, document))

    def _claim(self, name: str, application: str, now: datetime) -> None:
        try:
            naming.claim(self._repository, naming.APPLICATIONS, name, application, self._lives, now)
        except Conflict as error:
            raise Conflict(f"There is an application called {name!r} already.", details={"name": name}) from error

    def _lives(self, application: str) -> bool | None:
        try:
            return self._repository.applications.get(application).status != "deleted"
        except NotFound:
            return None

    def _write(self, asker: Asker, request: ApplicationRegistration) -> str:
        assert request.namespace is not None  # noqa: S101 - `register` has looked
        try:
            return self._documents.write(asker, request.name, request.namespace, request.cluster)
        except ClusterError as error:
            said = error.public().message
            problem = Problem("namespace", said, hint="give a document instead, or ask again later")
            raise Invalid(f"No document could be written from it: {said}", [problem]) from error

    def _cluster_of(self, asker: Asker, asked: str | None, document: Document) -> str:
        """The id of the cluster that request and document agree on."""
        found = self._clusters.find(asker, asked or document.spec.cluster).id
        if asked and document.spec.cluster and self._clusters.find(asker, document.spec.cluster).id != found:
            raise invalid(
                "cluster", f"the document says `{document.spec.cluster}`", "say the same in both, or in one only"
            )
        return found

    def _warnings(self, application: Application, document: Document) -> Sequence[str]:
        """What to know about it: another application may mean the same objects, or it is named otherwise."""
        warnings = []
        if document.metadata.name != application.name:
            warnings.append(
                f"The document calls it {document.metadata.name}; here it goes by the name {application.name}."
            )
        mine = document.spec.state.objects
        clusters = self._repository.clusters.names_of_one(application.cluster)
        for other in islice(self._repository.applications.list(), _MOST_COMPARED):
            if other.id == application.id or other.cluster not in clusters or other.status == "deleted":
                continue
            try:
                both = shared(mine, accepted(other.document).document.spec.state.objects)
            except MainstayError:
                continue  # written by a newer release: not ours to judge
            if both:
                what = ", ".join(both)
                warnings.append(
                    f"It shares {what} with the application {other.name}: restoring one may change the other."
                )
        return warnings

    def get(self, asker: Asker, application: str) -> ApplicationView:  # noqa: ARG002 - rights come with accounts
        """One application with its document."""
        found = self.find(application)
        return views.application_view(found, self._clusters.name_of(found.cluster))

    def find(self, application: str) -> Application:
        """The application with this id; `NotFound` if there is none, or no more."""
        found = self._repository.applications.get(parse_id(application, "app"))
        if found.status == "deleted":
            raise NotFound(f"{application} was deleted.")
        return found

    def list(self, asker: Asker, query: PageQuery) -> ApplicationPage:  # noqa: ARG002
        """Applications in the order they were registered."""
        begin = paging.after(query.next)
        names: dict[str, str] = {}
        listed = (
            found
            for identifier in sorted(self._repository.applications.ids())
            if (begin is None or identifier > begin) and (found := self._listed(identifier, names)) is not None
        )
        page, following = paging.take(listed, query.limit, lambda application: application.id)
        return ApplicationPage(items=page, next=following)

    def _listed(self, identifier: str, names: dict[str, str]) -> ApplicationSummary | None:
        """One as lists show it, `None` if it was deleted. `names`: the clusters' names that are known by now."""
        try:
            application = self._repository.applications.get(identifier)
        except Damaged:
            return views.damaged_application(identifier)  # it must not take the others along
        except NotFound:
            return None
        if application.status == "deleted":
            return None
        if application.cluster not in names:
            names[application.cluster] = self._clusters.name_of(application.cluster)
        return views.application_summary(application, names[application.cluster])

    def update(self, asker: Asker, application: str, request: ApplicationChange) -> ApplicationView:
        """Change name, description, document or status; what the request does not say stays."""
        found = self.find(application)
        refuse_deleted(found)
        if request.name not in {None, found.name}:  # a name of an earlier release stays as it is
            naming.well_formed(request.name or "")
        document = accepted(request.document if request.document is not None else found.document).document
        if document.spec.cluster and self._clusters.find(asker, document.spec.cluster).id != found.cluster:
            raise invalid("document", "an application stays on its cluster", "register another one there")
        changes: dict[str, object] = {
            name: getattr(request, name)
            for name in ("name", "description", "document", "status")
            if getattr(request, name) is not None
        }
        now = self._repository.now()
        if request.name is not None:
            self._claim(request.name, found.id, now)
        changes["updated_at"] = now

        backup = document.spec.backup
        if request.document is not None and backup is not None and (backup.every or backup.cron):
            changes["backups_stopped"] = False

        def change(stored: Application) -> Application:
            refuse_deleted(stored)
            return stored.model_copy(update=changes)

        stored = self._schedules.change(found.id, change)
        if stored.name != found.name:
            self._repository.names.free(naming.APPLICATIONS, found.name, found.id)
        warnings = self._warnings(stored, document)
        return views.application_view(stored, self._clusters.name_of(stored.cluster), warnings)

    def delete(self, asker: Asker, application: str, query: DeletionQuery) -> OperationView:
        """Start to delete an application, and its versions unless they are to be kept."""
        found = self.find(application)
        if not query.keep_versions:
            held = self._versions.held(found.id)
            if held:
                raise Conflict(
                    f"{len(held)} of its versions are held ({', '.join(held[:3])}): let them go first, "
                    "or keep the versions (`keepVersions=true`)."
                )
        return self._operations.start(asker, OperationKind.DELETE, found.id, {"keepVersions": query.keep_versions})

    def status(self, asker: Asker, application: str, query: StatusQuery) -> StatusView:  # noqa: ARG002
        """How an application is: as last observed, or (`refresh`) now."""
        found = self.find(application)
        message = ""
        if query.refresh:
            found, message = self._observed(found)
        versions = self._versions.all(found.id)
        running = self._running(found.id)
        current = next((version for version in versions if version.id == found.current_version), None)
        return StatusView(
            id=found.id,
            name=found.name,
            state=state_of(found, running, unobservable=bool(message)),
            health=[views.health_view(workload) for workload in found.health],
            observed_at=found.observed_at,
            message=message,
            current_version=self._versions.noted(current),
            newest_version=self._versions.noted(newest(versions)),
            last_good_version=self._versions.noted(newest_good(versions)),
            last_proven_version=None,
            running_operation=running,
            next_backup=found.timetable.next if found.timetable and found.status == "active" else None,
            storage_used=storage_used(versions),
        )

    def _running(self, application: str) -> OperationView | None:
        lane = self._repository.lanes.read(application)
        if lane is None:
            return None
        first = lane.current or (lane.pending[0].operation if lane.pending else None)
        if first is None:
            return None
        try:
            operation = self._repository.operations.get(application, first)
        except NotFound:
            return None
        return None if operation.state.ended else views.operation_view(operation)

    def _observed(self, application: Application) -> tuple[Application, str]:
        """The application with its health as it is now, and why it could not be looked at, if so."""
        try:
            namespaces = set(accepted(application.document).document.spec.state.namespaces)
            health = within(lambda: self._health(application.cluster, namespaces), "The cluster")
        except MainstayError as error:
            return application, error.public().message
        at: datetime = self._repository.now()
        changes = {"health": tuple(health), "observed_at": at}
        return self._repository.applications.update(
            application.id, lambda stored: stored.model_copy(update=changes)
        ), ""

    def _health(self, cluster: str, namespaces: set[str]) -> Sequence[WorkloadHealth]:
        from chalicelib.cluster.health import observe
        from chalicelib.cluster.transport import now

        deadline = now() + MOST_SECONDS
        session = self._clusters.connect(cluster)
        return observe(session.client, session.discovery, namespaces, deadline=deadline)
