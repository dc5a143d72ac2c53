"""An application's state in one word, and what its versions tell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from chalicelib.domain.application import Application
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.versions import VersionView

Word = Literal["active", "inactive", "backing-up", "restoring", "broken", "unknown"]


def state_of(application: Application, running: OperationView | None, *, unobservable: bool = False) -> Word:
    """What to tell first: what is being done to it, then whether it is broken, then whether it is active."""
    if running is not None and running.state != "queued":
        if running.kind == "backup":
            return "backing-up"
        if running.kind in {"restore", "undo"}:
            return "restoring"
    if application.status != "active":
        return "inactive"
    if unobservable:
        return "unknown"
    if any(not workload.healthy for workload in application.health):
        return "broken"
    # Never looked at is no reason for doubt: it is active, and `observedAt` says that nobody looked.
    return "active"


def newest(versions: Sequence[VersionView]) -> VersionView | None:
    """The newest that was made as a backup; `versions` are newest first."""
    return next((each for each in versions if each.purpose == "backup"), None)


def newest_good(versions: Sequence[VersionView]) -> VersionView | None:
    """The newest complete version that was made as a backup; `versions` are newest first."""
    return next((each for each in versions if each.state == "complete" and each.purpose == "backup"), None)


def storage_used(versions: Sequence[VersionView]) -> int:
    """Bytes that the versions added to the repository."""
    return sum(version.added_bytes for version in versions)
