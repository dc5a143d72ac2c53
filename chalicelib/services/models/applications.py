"""Applications, and how they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.shapes import DocumentText, LongText, Name, Page, Request, View
from chalicelib.services.models.versions import VersionView


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
    status: str = Field(description="`active`, `inactive`, `deleting` or `deleted`; `damaged`: it cannot be read.")
    owner: str
    cluster: str = Field(description="The cluster's name.")
    created_at: datetime
    updated_at: datetime


class ApplicationView(ApplicationSummary):
    """An application."""

    document: str
    warnings: list[str] = Field(default_factory=list, description="What to know about it, in sentences.")


class ApplicationPage(Page):
    """Applications, in the order they were registered."""

    items: list[ApplicationSummary]


class DeletionQuery(Request):
    """Of `DELETE /app/{id}`."""

    keep_versions: bool = Field(False, description="Leave the versions in the repository.")


class SweepQuery(Request):
    """Of `POST /app/sweep/{id}`."""

    now: bool = Field(False, description="Also what is younger than the time of grace.")


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
