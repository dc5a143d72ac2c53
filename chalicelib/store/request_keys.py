"""Keys for signed requests. Their secrets are sealed, each bound to the document it lies in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from chalicelib.domain.errors import NotFound
from chalicelib.domain.request_key import RequestKey, Scope
from chalicelib.store import layout
from chalicelib.store.backend import Backend
from chalicelib.store.documents import Documents
from chalicelib.store.keys import Keyring


class RequestKeys:
    """The documents of request keys. Revoked ones stay, so that their requests can be told apart from forgeries."""

    def __init__(self, control: Backend, keyring: Callable[[], Keyring]) -> None:
        self._control = control
        self._documents = Documents(control)
        self._keyring = keyring

    def create(
        self, identifier: str, name: str, secret: str, at: datetime, by: str, scope: Scope | None = None
    ) -> RequestKey:
        """Keep a new one; without a scope it is for everything."""
        path = layout.request_key(identifier)
        sealed = self._keyring().seal_secret(path, secret.encode())
        key = RequestKey(
            id=identifier, name=name, scope=scope or Scope(), created_at=at, created_by=by, sealed=sealed
        )
        return self._documents.create(path, key)

    def get(self, identifier: str) -> RequestKey:
        """One, revoked ones too, or `NotFound`."""
        found = self._documents.read(layout.request_key(identifier), RequestKey)
        if found is None:
            raise NotFound(f"There is no request key {identifier}.")
        return found.model

    def secret(self, key: RequestKey) -> str:
        """What requests are signed with. Never to be shown."""
        return self._keyring().open_secret(layout.request_key(key.id), key.sealed).decode()

    def list(self) -> Iterator[RequestKey]:
        """All that can be read, in the order they were made."""
        yield from self._documents.each(
            (listed.key for listed in self._control.list(layout.REQUEST_KEYS)), RequestKey
        )

    def revoke(self, identifier: str, at: datetime, by: str) -> RequestKey:
        """From now on nothing that it signed is done. Revoking it again changes nothing."""
        self.get(identifier)
        return self._documents.update(
            layout.request_key(identifier),
            RequestKey,
            lambda found: (
                found.model_copy(update={"revoked_at": at, "revoked_by": by}) if found.revoked_at is None else None
            ),
        )
