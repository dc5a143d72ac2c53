"""Applications' vaults: which there are, what they take, and whether they are whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.application import Application
from chalicelib.domain.errors import Conflict, MainstayError, NotFound
from chalicelib.domain.ids import new_id, parse_id
from chalicelib.domain.operation import Operation, OperationKind
from chalicelib.services import paging, views
from chalicelib.services.access import Asker
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.vaults import (
    DamagePage,
    DamageView,
    VaultPage,
    VaultSizeView,
    VaultView,
    VerifyQuery,
    VersionSizeView,
)

if TYPE_CHECKING:
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.store.repository import Repository
    from chalicelib.store.statistics import VaultSize

#: Reading a large vault takes hours, and holds nobody up.
_DEADLINE = timedelta(days=7)

#: Looks for an operation that is just being written down, and seconds between two.
_LOOKS, _BETWEEN = 10, 0.1

#: How long a request measures: API Gateway ends it after 29 seconds. What is read in one go before the next look at
#: the time is a matter of a second or two.
MOST_SECONDS = 15.0


class Vaults:
    """What can be asked about them."""

    def __init__(self, repository: Repository, engine: Engine, *, seconds: float = MOST_SECONDS) -> None:
        self._repository = repository
        self._engine = engine
        #: How long a request may measure.
        self._seconds = seconds

    def list(self, asker: Asker, query: PageQuery) -> VaultPage:  # noqa: ARG002 - rights come with accounts
        """The applications that the repository holds something of, deleted ones too."""
        from chalicelib.engine.operations.verifying import applications

        after = paging.after(query.next) or ""
        ids = (each for each in applications(self._repository) if each > after)
        items, following = paging.take(ids, query.limit, str)
        return VaultPage(items=[self._vault(each) for each in items], next=following)

    def _vault(self, identifier: str) -> VaultView:
        try:
            found = self._repository.applications.get(identifier)
        except MainstayError:  # its folder was copied here, or its document is damaged
            return VaultView(id=identifier, name=identifier, status="unregistered")
        return VaultView(id=identifier, name=found.name, status=found.status)

    def size(self, asker: Asker, application: str) -> VaultSizeView:  # noqa: ARG002
        """What an application's versions take, as far as that is read in the time that a request has. `NotFound` if
        nothing is held of it."""
        from chalicelib.engine.operations.verifying import holds
        from chalicelib.store.statistics import measure

        end = time.monotonic() + self._seconds
        identifier = parse_id(application, "app")
        if not holds(self._repository, identifier):
            self._repository.applications.get(identifier)  # registered, and nothing was kept of it yet
        size = measure(self._repository, identifier, time_is_over=lambda: time.monotonic() >= end)
        return size_view(self._vault(identifier).name, size)

    def verify(self, asker: Asker, application: str, query: VerifyQuery) -> OperationView:
        """Start to read everything that an application's versions need, deleted or not. Where somebody does just that
        already, theirs is the answer; `Conflict` where they do it in another way."""
        from chalicelib.engine.operations.verify import claim

        found, now = self._repository.applications.get(parse_id(application, "app")), self._repository.now()
        operation = Operation(
            id=new_id("op", now),
            kind=OperationKind.VERIFY,
            application=found.id,
            arguments={"quick": query.quick, "repair": query.repair},
            requested_by=asker.name,
            requested_at=now,
            deadline_seconds=int(_DEADLINE.total_seconds()),
        )
        holder = claim(self._repository, operation)
        if holder == operation.id:
            return views.operation_view(self._engine.start(operation))
        return views.operation_view(self._under_way(found, holder, operation.arguments))

    def _under_way(self, application: Application, holder: str, arguments: Mapping[str, object]) -> Operation:
        running = self._being_started(application.id, holder)
        if running is None:
            raise Conflict(f"{application.name} is just beginning to be verified ({holder}). Ask again in a minute.")
        if running.arguments != arguments:
            raise Conflict(
                f"{application.name} is being verified in another way ({_way(running)}): {holder}. Wait for its end, "
                "or cancel it."
            )
        return running

    def _being_started(self, application: str, operation: str) -> Operation | None:
        """An operation that somebody has just begun to write down; `None` if it does not come."""
        for _ in range(_LOOKS):
            try:
                return self._repository.operations.get(application, operation)
            except NotFound:
                time.sleep(_BETWEEN)
        return None

    def damages(self, asker: Asker, operation: str, query: PageQuery) -> DamagePage:  # noqa: ARG002
        """What a verification found damaged. `Conflict` while it is not known."""
        from chalicelib.engine.operations.verify import read_damages

        found = self._repository.operations.find(parse_id(operation, "op"))
        if found.kind is not OperationKind.VERIFY:
            raise NotFound(f"A {found.kind} looks for no damage.")
        start = paging.offset(query.next)
        rows = read_damages(self._repository, found.application, found.id, start, query.limit + 1)
        page, following = paging.numbered(rows, start, query.limit)
        return DamagePage(items=[DamageView(**asdict(row)) for row in page], next=following)


def _way(verification: Operation) -> str:
    asked = verification.arguments
    return "quick" if asked.get("quick") else "with repair" if asked.get("repair") else "without repair"


def size_view(name: str, size: VaultSize) -> VaultSizeView:
    """What one application's versions take."""
    return VaultSizeView(
        id=size.application,
        name=name,
        complete=size.complete,
        damaged=sorted(size.damaged, reverse=True),
        existing=size.existing,
        segments=size.segments,
        plain_bytes=size.plain_bytes,
        stored_bytes=size.stored_bytes,
        needed_bytes=size.needed_bytes,
        ratio=None if size.ratio is None else round(size.ratio, 2),
        unneeded_segments=size.unneeded_segments,
        unneeded_bytes=size.unneeded_bytes,
        condemned_segments=size.condemned_segments,
        versions=[
            VersionSizeView(
                id=each.version,
                objects=each.objects,
                plain_bytes=each.plain_bytes,
                stored_bytes=each.stored_bytes,
                own_bytes=each.unique_bytes,
            )
            for each in size.versions
        ],
    )
