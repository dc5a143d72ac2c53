"""Keys for signed requests: made, listed and revoked by an administrator."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chalicelib.domain.errors import Forbidden
from chalicelib.domain.ids import new_id, parse_id
from chalicelib.domain.request import RequestKey
from chalicelib.services.access import Asker
from chalicelib.services.models.request_keys import RequestKeyMade, RequestKeyPage, RequestKeyRequest, RequestKeyView

if TYPE_CHECKING:
    from chalicelib.store.repository import Repository


class RequestKeys:
    """What can be asked about request keys."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def add(self, asker: Asker, request: RequestKeyRequest) -> RequestKeyMade:
        """Make a key. Its secret is in this answer and never again."""
        _refuse_others(asker)
        now = self._repository.now()
        secret = secrets.token_hex(32)
        key = self._repository.request_keys.create(new_id("key", now), request.name, secret, now, asker.name)
        return RequestKeyMade(**dict(_view(key)), secret=secret)

    def list(self, asker: Asker) -> RequestKeyPage:
        """All keys, revoked ones too, without their secrets."""
        _refuse_others(asker)
        return RequestKeyPage(items=[_view(key) for key in self._repository.request_keys.list()])

    def revoke(self, asker: Asker, key: str) -> RequestKeyView:
        """From now on nothing is done that it signs, or has signed."""
        _refuse_others(asker)
        now = self._repository.now()
        return _view(self._repository.request_keys.revoke(parse_id(key, "key"), now, asker.name))


def _refuse_others(asker: Asker) -> None:
    if asker.role != "admin":
        raise Forbidden("Only an administrator can do this.")


def _view(key: RequestKey) -> RequestKeyView:
    return RequestKeyView(
        id=key.id,
        name=key.name,
        created_at=key.created_at,
        created_by=key.created_by,
        revoked_at=key.revoked_at,
    )
