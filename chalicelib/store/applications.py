"""Applications as they are registered, and the notes on their versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from chalicelib.domain.application import Application
from chalicelib.domain.errors import NotFound
from chalicelib.domain.version import Note
from chalicelib.store import layout
from chalicelib.store.backend import Backend
from chalicelib.store.documents import Documents


class Applications:
    """The documents of applications. Who may see which is not decided here."""

    def __init__(self, control: Backend) -> None:
        self._control = control
        self._documents = Documents(control)

    def create(self, application: Application) -> Application:
        """Write a new one. `Exists` if there is one with this id."""
        return self._documents.create(layout.application_document(application.id), application)

    def get(self, application: str) -> Application:
        """One, deleted ones too (their `status` says so), or `NotFound`."""
        found = self._documents.read(layout.application_document(application), Application)
        if found is None:
            raise NotFound(f"There is no application {application}.")
        return found.model

    def update(self, application: str, change: Callable[[Application], Application | None]) -> Application:
        """Change one; see `Documents.update`."""
        return self._documents.update(layout.application_document(application), Application, change)

    def set_current(self, application: str, version: str | None, at: datetime) -> Application:
        """Write down which version it was last restored to or backed up as."""
        return self.update(
            application,
            lambda found: found.model_copy(update={"current_version": version, "updated_at": at}),
        )

    def ids(self) -> list[str]:
        """The ids of all, in the order of registration."""
        return [name for name in self._control.folders(layout.APPLICATIONS) if name.startswith("app-")]

    def list(self) -> Iterator[Application]:
        """All that can be read, in the order of registration, deleted ones too; one request each."""
        yield from self._documents.each(map(layout.application_document, self.ids()), Application)


class Notes:
    """What people say about versions. A version without a note has an empty one."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, application: str, version: str) -> Note:
        """The note on a version."""
        found = self._documents.read(layout.note(application, version), Note)
        return found.model if found else Note(version=version)

    def remove(self, application: str, version: str) -> None:
        """Remove the note on a version that is gone for good."""
        self._documents.delete(layout.note(application, version))

    def update(self, application: str, version: str, change: Callable[[Note], Note | None]) -> Note:
        """Change the note on a version, or begin it."""
        key = layout.note(application, version)
        return self._documents.update(key, Note, change, default=Note(version=version))
