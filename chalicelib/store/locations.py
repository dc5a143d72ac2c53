"""To which application an operation or a version belongs, for requests that name only the id.

Written once, before the operation or version itself. Where it is missing (a vault folder that was copied here) the
applications are asked one by one, and what was found is written down.
"""

from __future__ import annotations

from chalicelib.domain.errors import NotFound
from chalicelib.domain.ids import prefix_of
from chalicelib.domain.version import Stored
from chalicelib.store import layout
from chalicelib.store.backend import Backend, Exists
from chalicelib.store.documents import Documents


class Location(Stored):
    """The application of one operation or version."""

    application: str


class Locations:
    """Ids and their applications."""

    def __init__(self, vault: Backend, control: Backend) -> None:
        self._vault = vault
        self._control = control
        self._documents = Documents(control)

    def put(self, identifier: str, application: str) -> None:
        """Write down where `identifier` belongs."""
        try:
            self._documents.create(layout.location(identifier), Location(application=application))
        except Exists:
            return  # an id belongs to one application for good

    def find(self, identifier: str) -> str:
        """The application of an operation or a version; `NotFound` if none knows it."""
        found = self._documents.read(layout.location(identifier), Location)
        if found is not None:
            return found.model.application
        application = self._search(identifier)
        if application is None:
            raise NotFound(f"There is no {identifier}.")
        self.put(identifier, application)
        return application

    def remove(self, identifier: str) -> None:
        """Forget where `identifier` belonged: it is gone for good."""
        self._documents.delete(layout.location(identifier))

    def _search(self, identifier: str) -> str | None:
        if prefix_of(identifier) == "ver":
            for name in self._vault.folders("vault/"):
                if name.startswith("app-") and self._vault.get(layout.manifest(name, identifier)) is not None:
                    return name
            return None
        for name in self._control.folders(layout.APPLICATIONS):
            if self._control.get(layout.operation(name, identifier)) is not None:
                return name
        return None
