"""The default backup policy: one document."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.domain.policy import BackupPolicy
from chalicelib.store import layout
from chalicelib.store.documents import Documents


class Policies:
    """What holds for applications that say nothing. Without a document: no backups, and all versions stay."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def read(self) -> BackupPolicy:
        """The default as it is."""
        found = self._documents.read(layout.POLICY, BackupPolicy)
        return found.model if found else BackupPolicy()

    def update(self, change: Callable[[BackupPolicy], BackupPolicy | None]) -> BackupPolicy:
        """Change it; see `Documents.update`."""
        return self._documents.update(layout.POLICY, BackupPolicy, change, default=BackupPolicy())
