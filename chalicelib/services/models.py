"""The API's JSON shapes: what requests carry and what answers say. OpenAPI is generated from these.

Requests are read strictly and refuse fields they do not know. Answers of one kind have the same fields everywhere;
`null` is said, not left out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chalicelib.domain.operation import OperationError, Progress
from chalicelib.domain.plan import Action, Difference, Identity, Place, ResultRow
from chalicelib.domain.version import Gap, ImageSeen, KindSummary, Pulled


class Shape(BaseModel):
    """What they have in common. They are built when first used: a cold Lambda must not pay for all of them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, defer_build=True)


class Request(Shape):
    """A body or a query."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class View(Shape):
    """An answer."""


class Page(View):
    """A page of a list. `next`, handed back as `next`, gives the page after it; `null`: there is none."""

    next: str | None = None


# ── texts ────────────────────────────────────────────────────────────────────────────────────────────────────

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
LongText = Annotated[str, Field(max_length=2000)]
LabelKey = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
LabelValue = Annotated[str, Field(max_length=200)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=50)]
DocumentText = Annotated[str, Field(min_length=1, max_length=1024 * 1024)]
Mode = Literal["exact", "merge", "missing"]
#: `Kind.group/name` with `*` and `?`; a namespace may stand before the name.
Only = Annotated[list[Annotated[str, Field(min_length=1, max_length=400)]], Field(max_length=1000)]
NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
ClassName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$")]
KindName = Annotated[str, Field(min_length=1, max_length=300)]


# ── applications ─────────────────────────────────────────────────────────────────────────────────────────────


class ApplicationRegistration(Request):
    """A new application. `id`, `currentVersion` and `status` may be there and are ignored."""

    name: Name
    description: LongText = ""
    document: DocumentText | None = Field(None, description="In Mainstay's language. Without it one is written.")
    namespace: Name | None = Field(None, description="To write a document from, if none is given.")
    cluster: Name | None = Field(None, description="Name or id; default: the only one registered.")
    id: Any = Field(None, description="Read-only: ignored.")
    current_version: Any = Field(None, description="Read-only: ignored.")
    status: Any = Field(None, description="Read-only: ignored.")


class ApplicationChange(Request):
    """What to change; what is not there stays. `id` and `currentVersion` may be there and are ignored."""

    name: Name | None = None
    description: LongText | None = None
    document: DocumentText | None = None
    status: Literal["active", "inactive"] | None = Field(None, description="`inactive` stops schedules.")
    id: Any = Field(None, description="Read-only: ignored.")
    current_version: Any = Field(None, description="Read-only: ignored.")


class ApplicationSummary(View):
    """An application without its document."""

    id: str
    name: str
    description: str
    current_version: str | None = Field(description="What it was last restored to or backed up as.")
    status: str = Field(description="`active`, `inactive`, `deleting` or `deleted`.")
    owner: str
    cluster: str = Field(description="The cluster's name.")
    created_at: datetime
    updated_at: datetime


class ApplicationView(ApplicationSummary):
    """An application."""

    document: str
    warnings: list[str] = Field(default_factory=list, description="What to know about it, in sentences.")


class ApplicationPage(Page):
    """Applications by name."""

    items: list[ApplicationSummary]


class HealthView(View):
    """One workload: pods ready, of how many wanted."""

    kind: str
    namespace: str
    name: str
    wanted: int
    ready: int
    message: str


class StatusView(View):
    """How an application is."""

    id: str
    name: str
    state: Literal["active", "inactive", "backing-up", "restoring", "broken", "unknown"]
    health: list[HealthView]
    observed_at: datetime | None
    message: str = Field("", description="Why the health could not be looked at, if it could not.")
    current_version: VersionView | None
    newest_version: VersionView | None
    last_good_version: VersionView | None
    last_proven_version: VersionView | None
    running_operation: OperationView | None
    next_backup: datetime | None
    storage_used: int = Field(description="Bytes that its versions added to the repository.")


class StatusQuery(Request):
    """Of `GET /app/status/{id}`."""

    refresh: bool = Field(False, description="Look at the cluster now, for 5 s at most.")


class AutobackupRequest(Request):
    """What else to change about an application's backups. The rest of an App body may be there and is ignored."""

    backup: dict[str, Any] | None = Field(None, description="In place of `spec.backup` of the document.")
    id: Any = Field(None, description="Ignored.")
    name: Any = Field(None, description="Of the App body: ignored.")
    description: Any = Field(None, description="Of the App body: ignored.")
    current_version: Any = Field(None, description="Read-only: ignored.")
    status: Any = Field(None, description="Of the App body: ignored.")


class PolicyRequest(Request):
    """The default of applications whose documents say nothing about it; what is not there stays."""

    backup_regularity: int = Field(alias="backup_regularity", description="Seconds between backups; 0: none.")
    keep: dict[str, Any] | None = Field(
        None, description="As `backup.keep` of a document; `null`: all versions stay."
    )
    alert: Any = Field(None, description="Comes in a later release: refused.")


class PolicyView(View):
    """The default of applications whose documents say nothing about it."""

    backup_regularity: int = Field(alias="backup_regularity", description="Seconds between backups; 0: none.")
    keep: dict[str, Any] | None
    alert: None = None
    updated_at: datetime | None
    updated_by: str


class DeletionQuery(Request):
    """Of `DELETE /app/{id}`."""

    keep_versions: bool = Field(False, description="Leave the versions in the repository.")


class SweepQuery(Request):
    """Of `POST /app/sweep/{id}`."""

    now: bool = Field(False, description="Also what is younger than the time of grace.")


class PageQuery(Request):
    """Of a list."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    next: str | None = Field(None, max_length=2000)


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────


class BackupRequest(Request):
    """Which application to back up, and what people should know about the version."""

    id: str
    name: Annotated[str, Field(max_length=100)] = ""
    comment: LongText = ""
    labels: Labels = Field(default_factory=dict)
    current_version: Any = Field(None, description="Read-only: ignored.")
    status: Any = Field(None, description="Read-only: ignored.")
    description: Any = Field(None, description="Of the App body: ignored.")


class RestoreRequest(Request):
    """How to restore; everything that is not said is as the application's document says."""

    mode: Mode | None = None
    dry_run: bool = Field(False, description="Only plan: the operation's plan says what a restore would do.")
    plan: str | None = Field(None, description="Id of a plan operation: do exactly what it shows, or nothing.")
    namespace: NamespaceName | None = Field(
        None, description="Another namespace to restore into, for a version of one namespace."
    )
    namespaces: dict[NamespaceName, NamespaceName] = Field(
        default_factory=dict, max_length=100, description="Other namespaces to restore into: from each to which."
    )
    cluster: str | None = Field(None, max_length=200, description="Another cluster to restore to: its name or id.")
    storage_classes: dict[ClassName, ClassName] = Field(
        default_factory=dict, max_length=100, description="Storage classes to exchange: from each to which."
    )
    only: Only = Field(default_factory=list, description="`Kind.group/name` with `*` and `?`: only these objects.")
    on_failure: Literal["rollback", "keep"] | None = None
    safety: Literal["required", "bestEffort", "none"] | None = None
    consent: list[KindName] = Field(
        default_factory=list, max_length=200, description="Protected kinds that may be deleted or replaced."
    )
    shared: bool = Field(
        False, description="Also change what was pulled in by `closure: references` where it differs."
    )


class VersionView(View):
    """A version as lists show it."""

    id: str
    application: str
    name: str
    comment: str
    labels: dict[str, str]
    hold: bool
    state: Literal["complete", "partial"]
    purpose: Literal["backup", "safety"]
    made_by: str
    operation: str
    cluster: str
    cluster_version: str
    captured_at: datetime
    objects: int
    plain_bytes: int
    added_bytes: int


class VersionDetail(VersionView):
    """Everything about one version."""

    started_at: datetime
    namespaces: list[str]
    kinds: list[KindSummary]
    gaps: list[Gap]
    pulled: list[Pulled] = Field(
        default_factory=list, description="What `closure: references` pulled in, each with the reason."
    )
    unfollowed: list[Gap] = Field(default_factory=list, description="References that could not be followed.")
    images: list[ImageSeen]
    document: str = Field(description="The application's document as it was.")
    kept_because: list[str]
    estimate_seconds: float | None = Field(description="To restore it into an empty namespace.")


class VersionPage(Page):
    """Versions, newest first."""

    items: list[VersionView]


class VersionQuery(Request):
    """Of routes about one version."""

    version_id: str


class VersionDeletionQuery(VersionQuery):
    """Of `DELETE /version/deleteVersion`."""

    force: bool = Field(False, description="Delete it though it is the last good one.")


class VersionsQuery(PageQuery):
    """Of `GET /version/getAllVersionsOfApp`."""

    app_id: str
    label: str | None = Field(None, max_length=2000, description="A label selector, such as `release=42,!draft`.")
    after: datetime | None = Field(None, description="Captured at this time or later.")
    before: datetime | None = Field(None, description="Captured before this time.")
    state: Literal["complete", "partial"] | None = None
    purpose: Literal["backup", "safety", "all"] = Field(
        "backup", description="Made by a backup, or by a restore of what it was about to change."
    )


class VersionChange(Request):
    """What people say about a version; what is not there stays."""

    name: Annotated[str, Field(max_length=100)] | None = None
    comment: LongText | None = None
    labels: Labels | None = None
    hold: bool | None = Field(None, description="Held versions are never deleted.")


class VersionEnded(View):
    """A version that was deleted."""

    id: str
    application: str
    deleted: bool = True


class CompareQuery(Request):
    """Of `GET /version/compare`."""

    from_: str = Field(alias="from")
    to: str = Field(description="A version, or `live`.")


class FieldChange(View):
    """One field that differs, as a JSON Pointer. Values of Secrets are never here: `hidden` is true instead."""

    path: str
    from_: Any = Field(None, alias="from")
    to: Any = None
    change: str = Field(description="`added`, `removed` or `changed`.")
    hidden: bool

    @classmethod
    def of(cls, difference: Difference) -> FieldChange:
        """A comparison's difference: there, `live` is the older value and `wanted` the newer one."""
        return cls(
            path=difference.path,
            from_=difference.live,
            to=difference.wanted,
            change=difference.change,
            hidden=difference.hidden,
        )


class ObjectChange(View):
    """One object that differs. `change` and its fields are told as seen from the older side."""

    object: Identity
    change: str = Field(description="`added`, `removed` or `changed`.")
    fields: list[FieldChange]


class ComparisonView(View):
    """What differs between a version and another, or what runs now."""

    from_: str = Field(alias="from")
    to: str
    counts: dict[str, int]
    changes: list[ObjectChange]
    gaps: list[Gap] = Field(default_factory=list, description="What one of both could not read.")
    truncated: bool = Field(False, description="There are more changes than an answer can carry.")


# ── signed requests ──────────────────────────────────────────────────────────────────────────────────────────


class RequestKeyRequest(Request):
    """A new key for signed requests."""

    name: Name = Field(description="Who has it, or what for.")


class RequestKeyView(View):
    """A key for signed requests, without its secret."""

    id: str
    name: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


class RequestKeyMade(RequestKeyView):
    """A key that was made now. The secret is told this once."""

    secret: str


class RequestKeyPage(Page):
    """All keys, in the order they were made."""

    items: list[RequestKeyView]


# ── operations ───────────────────────────────────────────────────────────────────────────────────────────────


class PlanView(View):
    """What a restore will do, in the order it will do it. Objects that stay are counted, not listed."""

    operation: str
    application: str
    version: str
    mode: str
    destination: Place | None = Field(None, description="Where to; `null`: to where the application is.")
    empty: bool
    counts: dict[str, int]
    warnings: list[str]
    blockers: list[str]
    gaps: list[Gap]
    actions: list[Action]
    next: str | None = Field(None, description="For the actions after these; `null`: there are none.")


class AheadView(View):
    """What stands before an operation in its application's line: it runs now, or its turn comes first."""

    operation: str
    kind: str


class OperationView(View):
    """One long piece of work."""

    id: str
    kind: str
    application: str
    state: Literal["queued", "running", "rolling-back", "succeeded", "partial", "failed", "cancelled"]
    ended: bool
    step: str
    progress: Progress
    arguments: dict[str, Any]
    outcome: dict[str, Any]
    error: OperationError | None
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    turns: int = Field(0, description="Turns of workers that ended before it did, because their time was over.")
    estimate_seconds: float | None
    cancel_requested: bool
    waits_for: AheadView | None = Field(None, description="While it is `queued`, where it was asked for by its id.")
    plan: PlanView | None = Field(None, description="Of a plan that was waited for.")


class OperationPage(Page):
    """Operations, newest first."""

    items: list[OperationView]


class OperationsQuery(PageQuery):
    """Of `GET /operation`."""

    app_id: str | None = None
    kind: Literal["backup", "plan", "restore", "undo", "delete", "sweep"] | None = None
    running: bool | None = Field(None, description="Only those that have not ended, or only those that have.")


class ResultPage(Page):
    """What became of each object, in the order of the plan."""

    items: list[ResultRow]


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────────────────


class ClusterQuery(Request):
    """Of routes about a cluster."""

    cluster: str | None = Field(None, max_length=200, description="Name or id; default: the only one registered.")


class EksSettings(Request):
    """A cluster of AWS' EKS. Its address and authority are asked of AWS, or given here."""

    name: Annotated[str, Field(pattern=r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")]
    role_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", max_length=500)] | None = (
        Field(None, description="The role that the cluster is asked with; default: Mainstay's own.")
    )
    endpoint: Annotated[str, Field(pattern=r"^https://", max_length=500)] | None = Field(
        None, description="Address of its API server; default: what AWS says."
    )
    certificate_authority: Annotated[str, Field(max_length=64 * 1024)] | None = Field(
        None, description="With `endpoint`: its authority, PEM in base64, as `aws eks describe-cluster` shows it."
    )


class ClusterSettings(Request):
    """How to work with a cluster. Credentials are tried before they are stored, and never shown again."""

    pods_amount: Annotated[int, Field(ge=0, le=100)] | None = Field(None, description="Most helper pods at once.")
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")] | None = None
    kubeconfig: Annotated[str, Field(min_length=1, max_length=512 * 1024)] | None = None
    context: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    eks: EksSettings | None = None
    connections: Annotated[int, Field(ge=1, le=64)] | None = Field(None, description="Most connections at once.")

    # The given names are snake_case here: it is the contract's own spelling.
    model_config = ConfigDict(alias_generator=None)


class ClusterView(View):
    """A registered cluster, without secrets. `pods_amount` is spelled as the contract spells it."""

    id: str
    name: str
    source: str
    context: str
    server: str
    connections: int
    pods_amount: int = Field(alias="pods_amount")
    created_at: datetime
    updated_at: datetime


class ClusterPage(Page):
    """Clusters by name."""

    items: list[ClusterView]


class ClusterStatusView(View):
    """Whether a cluster answers, and what Mainstay may do there."""

    id: str
    name: str
    server: str
    reachable: bool
    version: str
    latency_ms: float | None
    missing_permissions: list[str]
    warnings: list[str]
    message: str


class Gone(View):
    """Something that is no more."""

    id: str
    deleted: bool = True


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────────


class DocumentRequest(Request):
    """A text in Mainstay's language."""

    document: DocumentText


class ProblemView(View):
    """One thing that is wrong, and where (lines and columns count from 1)."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class DocumentCheck(View):
    """Whether a document can be used, and everything that is wrong in it."""

    valid: bool
    name: str | None
    problems: list[ProblemView]


class DraftRequest(Request):
    """From what to write a document."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    name: Name | None = Field(None, description="Of the application; default: the namespace's.")
    cluster: str | None = Field(None, max_length=200)


class Draft(View):
    """A document that was written from what runs."""

    document: str


# ── the service ──────────────────────────────────────────────────────────────────────────────────────────────


class Alive(View):
    """The service answers."""

    status: Literal["ok"] = "ok"
    release: str


class ErrorBody(View):
    """Inside of the one error shape."""

    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="A sentence for people.")
    details: dict[str, Any] = Field(description="`problems` for 422: path, message, line, column, hint.")
    request_id: str


class ErrorView(View):
    """Every error looks like this."""

    error: ErrorBody


StatusView.model_rebuild(_types_namespace=globals())
