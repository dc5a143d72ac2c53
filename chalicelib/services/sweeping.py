"""Sweeping by hand; the service does it by itself when something ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.ids import parse_id
from chalicelib.services import views
from chalicelib.services.access import Asker
from chalicelib.services.models.applications import SweepQuery
from chalicelib.services.models.operations import OperationView

if TYPE_CHECKING:
    from chalicelib.engine.lane.sweeps import Sweeps
    from chalicelib.store.repository import Repository


class Sweeping:
    """What can be asked about sweeps."""

    def __init__(self, repository: Repository, sweeps: Sweeps) -> None:
        self._repository = repository
        self._sweeps = sweeps

    def sweep(self, asker: Asker, application: str, query: SweepQuery) -> OperationView:
        """Start a sweep of an application, deleted or not; one that waits in line already is that one."""
        found = self._repository.applications.get(parse_id(application, "app"))
        return views.operation_view(self._sweeps.start(found.id, asker.name, at_once=query.now))
