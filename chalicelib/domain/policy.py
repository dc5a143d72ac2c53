"""The default for applications whose documents say nothing about it: how often, and how long versions stay."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from chalicelib.domain.document.backup import Keep
from chalicelib.domain.version import Stored


class BackupPolicy(Stored):
    """`every_seconds` 0: no backups by themselves. `keep` `None`: versions stay until somebody deletes them."""

    schema_: int = Field(default=1, alias="schema")
    every_seconds: int = 0
    keep: Keep | None = None
    updated_at: datetime | None = None
    updated_by: str = ""
