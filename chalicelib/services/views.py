"""Domain → the API's JSON shapes. Pure: everything that has to be read was read before."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.domain.application import Application, ClusterRecord, WorkloadHealth
from chalicelib.domain.ids import time_of
from chalicelib.domain.operation import Operation
from chalicelib.domain.plan import Plan
from chalicelib.domain.version import Manifest, Note
from chalicelib.services.models.applications import ApplicationSummary, ApplicationView, HealthView
from chalicelib.services.models.clusters import ClusterView
from chalicelib.services.models.operations import AheadView, OperationView, PlanView
from chalicelib.services.models.versions import VersionDetail, VersionView

#: Objects a second that creating into an empty namespace is estimated with, and seconds it takes around that.
_OBJECTS_PER_SECOND = 250.0
_AROUND = 5.0


def application_summary(application: Application, cluster: str) -> ApplicationSummary:
    """An application without its document. `cluster` is the cluster's name."""
    return ApplicationSummary(
        id=application.id,
        name=application.name,
        description=application.description,
        current_version=application.current_version,
        status=application.status,
        owner=application.owner,
        cluster=cluster,
        created_at=application.created_at,
        updated_at=application.updated_at,
    )


def damaged_application(application: str) -> ApplicationSummary:
    """An application whose document cannot be read: what its identifier tells."""
    return ApplicationSummary(
        id=application,
        name=application,
        description="",
        current_version=None,
        status="damaged",
        owner="",
        cluster="",
        created_at=time_of(application),
        updated_at=time_of(application),
    )


def application_view(application: Application, cluster: str, warnings: Sequence[str] = ()) -> ApplicationView:
    """An application. `cluster` is the cluster's name."""
    summary = application_summary(application, cluster)
    return ApplicationView(**dict(summary), document=application.document, warnings=list(warnings))


def health_view(workload: WorkloadHealth) -> HealthView:
    """One workload."""
    return HealthView(**{name: getattr(workload, name) for name in HealthView.model_fields})


def version_view(manifest: Manifest, note: Note, cluster: str) -> VersionView:
    """A version as lists show it. `cluster` is the cluster's name."""
    return VersionView(
        id=manifest.version,
        application=manifest.application,
        name=note.name,
        comment=note.comment,
        labels=dict(note.labels),
        hold=note.hold,
        state="complete" if manifest.complete else "partial",
        purpose=manifest.purpose,
        made_by=note.made_by,
        operation=manifest.operation,
        cluster=cluster,
        cluster_version=manifest.cluster_version,
        captured_at=manifest.captured_at,
        objects=manifest.objects,
        plain_bytes=manifest.plain_bytes,
        added_bytes=manifest.added_bytes,
    )


def damaged_version(version: str, application: str) -> VersionView:
    """A version whose manifest cannot be read: what its identifier tells."""
    return VersionView(
        id=version,
        application=application,
        name="",
        comment="",
        labels={},
        hold=False,
        state="damaged",
        purpose="backup",
        made_by="",
        operation="",
        cluster="",
        cluster_version="",
        captured_at=time_of(version),
        objects=0,
        plain_bytes=0,
        added_bytes=0,
    )


def version_detail(
    manifest: Manifest, note: Note, cluster: str, document: str, kept_because: Sequence[str]
) -> VersionDetail:
    """Everything about one version. `document` is the text as it was."""
    return VersionDetail(
        **dict(version_view(manifest, note, cluster)),
        started_at=manifest.started_at,
        namespaces=list(manifest.namespaces),
        kinds=list(manifest.kinds),
        gaps=list(manifest.gaps),
        pulled=list(manifest.pulled),
        unfollowed=list(manifest.unfollowed),
        withheld=list(manifest.withheld),
        images=list(manifest.images),
        document=document,
        kept_because=list(kept_because),
        estimate_seconds=round(_AROUND + manifest.objects / _OBJECTS_PER_SECOND, 1),
    )


def operation_view(
    operation: Operation, plan: PlanView | None = None, waits_for: AheadView | None = None
) -> OperationView:
    """An operation. Its checkpoint is the engine's own and is not shown."""
    return OperationView(
        id=operation.id,
        kind=operation.kind.value,
        application=operation.application,
        state=operation.state.value,
        ended=operation.state.ended,
        step=operation.step,
        progress=operation.progress,
        arguments=dict(operation.arguments),
        outcome=dict(operation.outcome),
        error=operation.error,
        trouble=operation.trouble,
        tries_left=None if operation.trouble is None else operation.tries_left,
        touched_at=operation.touched_at,
        requested_by=operation.requested_by,
        requested_at=operation.requested_at,
        started_at=operation.started_at,
        finished_at=operation.finished_at,
        attempts=operation.attempts,
        turns=operation.turns,
        estimate_seconds=operation.estimate_seconds,
        cancel_requested=operation.cancel_requested,
        waits_for=waits_for,
        plan=plan,
    )


def plan_view(operation: str, plan: Plan, start: int, limit: int, following: str | None) -> PlanView:
    """A plan, with `limit` of its actions from number `start` on; `following` is the cursor of the next ones."""
    return PlanView(
        operation=operation,
        application=plan.application,
        version=plan.version,
        mode=plan.mode,
        destination=plan.destination,
        empty=plan.empty,
        counts=dict(plan.counts),
        warnings=list(plan.warnings),
        blockers=list(plan.blockers),
        gaps=list(plan.gaps),
        actions=list(plan.actions[start : start + limit]),
        next=following,
    )


def cluster_view(record: ClusterRecord, same_as: str | None = None) -> ClusterView:
    """A cluster, without secrets. `same_as` is the name of another record for the same cluster."""
    said = {name: getattr(record, name) for name in ClusterView.model_fields}
    return ClusterView(**{**said, "same_as": same_as})
