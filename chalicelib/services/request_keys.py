"""Keys for signed requests: made for everything or for a scope, listed and revoked by an administrator."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.domain.errors import Forbidden
from chalicelib.domain.ids import new_id, parse_id
from chalicelib.domain.request_key import RequestKey, Scope
from chalicelib.services import naming
from chalicelib.services.access import Asker
from chalicelib.services.living import living
from chalicelib.services.models.request_keys import (
    ApplicationNamed,
    RequestKeyMade,
    RequestKeyPage,
    RequestKeyRequest,
    RequestKeyView,
)
from chalicelib.services.refusals import invalid

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
        secret, scope = secrets.token_hex(32), self._scope(request)
        key = self._repository.request_keys.create(new_id("key", now), request.name, secret, now, asker.name, scope)
        return RequestKeyMade(**dict(self._view(key)), secret=secret)

    def list(self, asker: Asker) -> RequestKeyPage:
        """All keys, revoked ones too, without their secrets."""
        _refuse_others(asker)
        return RequestKeyPage(items=[self._view(key) for key in self._repository.request_keys.list()])

    def revoke(self, asker: Asker, key: str) -> RequestKeyView:
        """From now on nothing is done that it signs, or has signed."""
        _refuse_others(asker)
        now = self._repository.now()
        return self._view(self._repository.request_keys.revoke(parse_id(key, "key"), now, asker.name))

    def _scope(self, request: RequestKeyRequest) -> Scope:
        """What is asked for, with applications by their ids; `Invalid` names one that there is not."""
        elsewhere = request.applications is None if request.elsewhere is None else request.elsewhere
        return Scope(
            applications=None if request.applications is None else self._ids(request.applications),
            modes=None if request.modes is None else tuple(dict.fromkeys(request.modes)),
            elsewhere=elsewhere,
        )

    def _ids(self, applications: Sequence[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for number, named in enumerate(applications):
            application = living(self._repository, naming.application_id(self._repository, named))
            if application is None:
                told = f"there is no application {named!r}"
                raise invalid(f"applications.{number}", told, "register it first, or correct the name")
            found[application.id] = None
        return tuple(found)

    def _named(self, application: str) -> ApplicationNamed:
        """An application as it is called now; without a name if it is no more."""
        found = living(self._repository, application)
        return ApplicationNamed(id=application, name="" if found is None else found.name)

    def _view(self, key: RequestKey) -> RequestKeyView:
        scope = key.scope
        named = [self._named(each) for each in scope.applications or ()]
        return RequestKeyView(
            id=key.id,
            name=key.name,
            applications=None if scope.applications is None else named,
            modes=None if scope.modes is None else list(scope.modes),
            elsewhere=scope.elsewhere,
            created_at=key.created_at,
            created_by=key.created_by,
            revoked_at=key.revoked_at,
        )


def _refuse_others(asker: Asker) -> None:
    if asker.role != "admin":
        raise Forbidden("Only an administrator can do this.")
