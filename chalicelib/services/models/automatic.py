"""Backups that start by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from chalicelib.services.models.shapes import Request, View


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
