"""Versions: making them, what they hold, putting them back, comparing and ending them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from chalicelib.domain.errors import Conflict, Damaged, Invalid, NotFound, Problem
from chalicelib.domain.ids import parse_id
from chalicelib.domain.labels import LabelSelector
from chalicelib.domain.operation import OperationKind, State
from chalicelib.domain.patterns import KindPattern
from chalicelib.domain.version import Manifest, Note
from chalicelib.services import comparing, naming, paging, views
from chalicelib.services.access import Asker
from chalicelib.services.documents import accepted
from chalicelib.services.elsewhere import Elsewhere
from chalicelib.services.kinds import KindsNamed
from chalicelib.services.living import refuse_ending
from chalicelib.services.models.comparing import CompareQuery, ComparisonView
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import (
    BackupRequest,
    VersionChange,
    VersionDeletionQuery,
    VersionDetail,
    VersionEnded,
    VersionPage,
    VersionQuery,
    VersionsQuery,
    VersionView,
)
from chalicelib.services.refusals import invalid
from chalicelib.services.state import newest_good

if TYPE_CHECKING:
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.services.operations import Operations, Origin
    from chalicelib.store.repository import Repository

#: What a saved plan decides of a restore: nobody says it again, and the restore takes it over.
_DECIDED_BY_PLAN = (
    "mode",
    "only",
    "consent",
    "shared",
    "namespace",
    "namespaces",
    "cluster",
    "storage_classes",
    "suspend",
)

#: Manifests read at the same time, and in one go; and versions whose manifests stay known.
_AT_ONCE = 8
_CHUNK = 32
_MOST_KNOWN = 20_000


class Versions:
    """What can be asked about versions."""

    def __init__(self, repository: Repository, operations: Operations, clusters: RegisteredClusters) -> None:
        self._repository = repository
        self._operations = operations
        self._clusters = clusters
        self._known: dict[str, VersionView] = {}

    # ── making and restoring ────────────────────────────────────────────────────────────────────────────

    def backup(self, asker: Asker, request: BackupRequest) -> OperationView:
        """Start a backup. Asked for twice while one waits in line, it is made once."""
        application = self._repository.applications.get(parse_id(request.id, "app")).id
        arguments = {
            "name": naming.version_name(request.name),
            "comment": request.comment,
            "labels": dict(request.labels),
        }
        return self._operations.start(asker, OperationKind.BACKUP, application, arguments)

    def restore(
        self, asker: Asker, query: VersionQuery, request: RestoreRequest, origin: Origin | None = None
    ) -> OperationView:
        """Start a restore, or with `dryRun` only its plan."""
        manifest = self._manifest(query.version_id)
        application = manifest.application
        refuse_ending(self._repository, application)
        there = Elsewhere(self._repository, self._clusters).arguments(asker, manifest, request)
        if request.only or request.consent:
            request = self._with_kinds(manifest, request)
        if request.dry_run:
            return self._plan(asker, application, manifest, request, there, origin)
        arguments: dict[str, Any] = {"version": manifest.version, **there}
        if request.plan is not None:
            arguments.update(self._planned(manifest, request))
        arguments |= _given(
            mode=request.mode,
            onFailure=request.on_failure,
            safety=request.safety,
            consent=list(request.consent),
            only=list(request.only),
            shared=request.shared,
        )
        return self._operations.start(asker, OperationKind.RESTORE, application, arguments, origin)

    def _plan(
        self,
        asker: Asker,
        application: str,
        manifest: Manifest,
        request: RestoreRequest,
        there: dict[str, Any],
        origin: Origin | None,
    ) -> OperationView:
        if request.plan is not None:
            raise invalid("plan", "a plan is made anew with `dryRun`", "leave one of the two out")
        arguments = {
            "version": manifest.version,
            **there,
            **_given(
                mode=request.mode, consent=list(request.consent), only=list(request.only), shared=request.shared
            ),
        }
        return self._operations.start(asker, OperationKind.PLAN, application, arguments, origin)

    def _planned(self, manifest: Manifest, request: RestoreRequest) -> dict[str, Any]:
        """The arguments of the plan that is to be applied: it decides mode, consent and selection."""
        assert request.plan is not None  # noqa: S101 - the caller has looked
        said = request.model_dump(exclude_defaults=True)
        for name in _DECIDED_BY_PLAN:
            if said.get(name, "") != "":
                raise invalid(to_camel(name), "the plan decides this", "make another plan, or leave it out")
        planned = self._operations.find(request.plan)
        if planned.kind is not OperationKind.PLAN or planned.application != manifest.application:
            raise invalid("plan", f"{request.plan} is no plan of this application", "make one with `dryRun`")
        if planned.arguments.get("version") != manifest.version:
            raise invalid("plan", f"it is a plan for {planned.arguments.get('version')}", "restore that version")
        if planned.state is not State.SUCCEEDED:
            raise Conflict(f"The plan {request.plan} cannot be applied: it is {planned.state}.")
        decided = {to_camel(name) for name in _DECIDED_BY_PLAN}
        return {"plan": request.plan, **{name: it for name, it in planned.arguments.items() if name in decided}}

    def _with_kinds(self, manifest: Manifest, request: RestoreRequest) -> RestoreRequest:
        """The request with its kinds as the planner reads them; `Invalid` for those that nobody knows."""
        document = self._repository.applications.get(manifest.application).document
        try:
            protected = accepted(document).document.spec.restore.protect
        except Invalid:
            protected = (KindPattern("*"),)  # written by a newer release: not ours to judge
        kinds = KindsNamed(manifest.kinds, protected)
        said = {"only": kinds.only(request.only), "consent": kinds.consent(request.consent)}
        return request.model_copy(update=said)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────

    def get(self, asker: Asker, query: VersionQuery) -> VersionDetail:  # noqa: ARG002 - rights come with accounts
        """Everything about one version."""
        manifest = self._manifest(query.version_id)
        note = self._repository.notes.get(manifest.application, manifest.version)
        document = self._repository.objects(manifest).document()
        cluster = self._clusters.name_of(manifest.cluster)
        return views.version_detail(manifest, note, cluster, document, self._kept_because(manifest, note))

    def list(self, asker: Asker, query: VersionsQuery) -> VersionPage:  # noqa: ARG002
        """The versions of an application, newest first; those that restores made for themselves only if asked for."""
        application = self._repository.applications.get(parse_id(query.app_id, "app")).id
        labels = _selector(query.label)
        before = paging.after(query.next)
        matching = (
            noted
            for version in self._each(application, before)
            if _matches(version, query) and (noted := self._noted(version, labels)) is not None
        )
        page, following = paging.take(matching, query.limit, lambda version: version.id)
        return VersionPage(items=page, next=following)

    def all(self, application: str) -> Sequence[VersionView]:
        """Every version of an application, newest first; without what people say about it (see `noted`)."""
        return list(self._each(application))

    def noted(self, version: VersionView | None) -> VersionView | None:
        """A version with what people say about it."""
        return None if version is None else self._noted(version, None)

    def held(self, application: str) -> Sequence[str]:
        """The versions that must not be deleted."""
        ids = self._repository.versions(application).list()
        return [version for version in ids if self._repository.notes.get(application, version).hold]

    def compare(self, asker: Asker, query: CompareQuery) -> ComparisonView:  # noqa: ARG002
        """What differs between a version and another one of its application, or what runs now."""
        first = self._manifest(query.from_)
        if query.to == "live":
            return comparing.with_live(self._repository, self._clusters, first)
        second = self._manifest(query.to)
        if second.application != first.application:
            raise invalid("to", "it is a version of another application", "compare versions of one application")
        return comparing.with_version(self._repository, first, second)

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────

    def update(self, asker: Asker, query: VersionQuery, request: VersionChange) -> VersionView:  # noqa: ARG002
        """Change what people say about a version."""
        manifest = self._manifest(query.version_id)
        if request.name is not None:
            naming.version_name(request.name)
        changes = {
            name: getattr(request, name)
            for name in ("name", "comment", "labels", "hold")
            if getattr(request, name) is not None
        }

        def change(found: Note) -> Note:
            if found.ending and request.hold:
                raise Conflict(f"{manifest.version} is being deleted: it is too late to hold it.")
            return found.model_copy(update=changes)

        note = self._repository.notes.update(manifest.application, manifest.version, change)
        if note.hold:
            self._manifest(query.version_id)  # nobody is told that it is held if it went meanwhile
        return views.version_view(manifest, note, self._clusters.name_of(manifest.cluster))

    def delete(self, asker: Asker, query: VersionDeletionQuery) -> VersionEnded:
        """End a version, a damaged one too. `Conflict` if it is held, or the last good one and this is not forced."""
        version = parse_id(query.version_id, "ver")
        application = self._application_of(version)
        if self._repository.notes.get(application, version).hold:
            raise _held(version)
        good = newest_good(self.all(application))
        if good is not None and good.id == version and not query.force:
            raise Conflict(
                f"{version} is the last good version of its application. Make a new one first, or say `force=true`."
            )
        self._refuse_in_use(application, version)
        try:
            self._repository.end_version(application, version, asker.name, "deleted by request")
        except Conflict as error:
            raise _held(version) from error
        _sweep_later(self._repository, application)
        return VersionEnded(id=version, application=application)

    def _application_of(self, version: str) -> str:
        """Whose a version is that exists, whether it can be read or not. `NotFound` tells whether it ever did."""
        application = self._repository.locations.find(version)
        with contextlib.suppress(Damaged):
            self._repository.versions(application).get(version)
        return application

    def _refuse_in_use(self, application: str, version: str) -> None:
        """A version that an operation in line needs is not taken away under it."""
        from chalicelib.engine.lane.needed import needed  # not needed by what only answers

        for operation in needed(self._repository, application).get(version, ()):
            raise Conflict(f"{version} is needed by {operation.id}, which is {operation.state}.")

    # ── below ───────────────────────────────────────────────────────────────────────────────────────────

    def _manifest(self, version: str) -> Manifest:
        application = self._repository.locations.find(parse_id(version, "ver"))
        return self._repository.versions(application).get(version)

    def _each(self, application: str, before: str | None = None) -> Iterator[VersionView]:
        """The versions that exist, newest first. Manifests never change, so what was read stays known here."""
        versions = self._repository.versions(application)
        wanted = [each for each in versions.list() if before is None or each < before]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mainstay-versions") as pool:
            for start in range(0, len(wanted), _CHUNK):
                for view in pool.map(lambda each: self._read(application, each), wanted[start : start + _CHUNK]):
                    if view is not None:
                        yield view

    def _read(self, application: str, version: str) -> VersionView | None:
        known = self._known.get(version)
        if known is None:
            try:
                manifest = self._repository.versions(application).get(version)
            except NotFound:
                return None  # ended meanwhile
            except Damaged:
                # One sick version must not take the others along. Not kept in mind: it may be mended.
                return views.damaged_version(version, application)
            known = views.version_view(manifest, Note(version=version), self._clusters.name_of(manifest.cluster))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[version] = known
        return known

    def _noted(self, version: VersionView, labels: LabelSelector | None) -> VersionView | None:
        """The version with its note; `None` if its labels are not the wanted ones."""
        note = self._repository.notes.get(version.application, version.id)
        if labels is not None and not labels.matches(note.labels):
            return None
        said = {name: getattr(note, name) for name in ("name", "comment", "labels", "hold", "made_by")}
        return version.model_copy(update=said)

    def _kept_because(self, manifest: Manifest, note: Note) -> Sequence[str]:
        """Why it stays, in words: by which rules, or by none."""
        others = self.all(manifest.application)
        kept = self._kept_by_rules(manifest, others)
        reasons = ["it is held"] if note.hold else []
        if kept is not None:
            return [*reasons, *(each for each in kept if each not in reasons)] or [
                "no rule keeps it: it ends with the next backup"
            ]
        good = newest_good(others)
        if good is not None and good.id == manifest.version:
            reasons.append("it is the last good version")
        return reasons or ["versions are kept until they are deleted"]

    def _kept_by_rules(self, manifest: Manifest, versions: Sequence[VersionView]) -> Sequence[str] | None:
        """What its application's rules say of it; `None` if it has none, or they do not concern this version."""
        from chalicelib.engine.capture.retention import judge
        from chalicelib.planning.retention import Candidate

        if manifest.purpose != "backup":
            return None
        try:
            document = accepted(self._repository.applications.get(manifest.application).document).document
        except Invalid:
            return None  # written by a newer release: not ours to judge
        candidates = [
            Candidate(each.id, each.captured_at, each.state == "complete")
            for each in versions
            if each.purpose == "backup" and each.state != "damaged"
        ]
        return judge(self._repository, manifest.application, document, candidates).reasons(manifest.version)


def _sweep_later(repository: Repository, application: str) -> None:
    from chalicelib.engine.lane.sweeps import sweep_later  # not needed by what only answers

    sweep_later(repository, application)


def _held(version: str) -> Conflict:
    return Conflict(f"{version} is held. Let it go first (`hold: false`).")


def _matches(version: VersionView, query: VersionsQuery) -> bool:
    return (
        (query.purpose in {"all", version.purpose})
        and (query.state is None or version.state == query.state)
        and (query.after is None or version.captured_at >= query.after)
        and (query.before is None or version.captured_at < query.before)
    )


def _selector(label: str | None) -> LabelSelector | None:
    if label is None:
        return None
    try:
        return LabelSelector.parse(label)
    except Invalid as error:
        raise Invalid(error.message, [Problem("label", error.message)]) from error


def _given(**members: Any) -> dict[str, Any]:
    return {name: given for name, given in members.items() if given}
