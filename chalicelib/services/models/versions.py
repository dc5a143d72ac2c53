"""Versions, and the backups that make them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from chalicelib.domain.forms import Form
from chalicelib.domain.version import Gap, ImageSeen, KindSummary, Pulled
from chalicelib.services.models.shapes import LongText, Page, PageQuery, Request, View

LabelKey = Annotated[
    str,
    Field(min_length=1, max_length=100),
    Form(
        r"[A-Za-z0-9][A-Za-z0-9._/-]*",
        "a key such as `stage`: letters, digits, `.`, `_`, `/` and `-`, with a letter or digit first",
    ),
]
LabelValue = Annotated[str, Field(max_length=200)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=50)]


class BackupRequest(Request):
    """Which application to back up, and what people should know about the version."""

    id: str
    name: Annotated[str, Field(max_length=100)] = ""
    comment: LongText = ""
    labels: Labels = Field(default_factory=dict)
    current_version: Any = Field(None, description="Read-only: ignored.")
    status: Any = Field(None, description="Read-only: ignored.")
    description: Any = Field(None, description="Of the App body: ignored.")


class VersionView(View):
    """A version as lists show it."""

    id: str
    application: str
    name: str
    comment: str
    labels: dict[str, str]
    hold: bool
    state: Literal["complete", "partial", "damaged"] = Field(
        description="`damaged`: what it is cannot be read, and it can only be deleted."
    )
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
    withheld: list[Pulled] = Field(
        default_factory=list, description="Secrets of others' namespaces that it refers to, and does not hold."
    )
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
    after: AwareDatetime | None = Field(None, description="Captured at this time or later.")
    before: AwareDatetime | None = Field(None, description="Captured before this time.")
    state: Literal["complete", "partial", "damaged"] | None = None
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
