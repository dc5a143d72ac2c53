"""Whether an application still takes orders: it does not from the moment its deletion stands in line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.errors import Conflict
from chalicelib.domain.operation import OperationKind

if TYPE_CHECKING:
    from chalicelib.store.repository import Repository


def refuse_ending(repository: Repository, application: str) -> None:
    """`Conflict` if the application was deleted, or is about to be. `NotFound` if there never was one.

    The lane is read first: a deletion says in the application's document that it is done before it leaves the lane,
    so whatever happens between the two looks, one of them sees it.
    """
    lane = repository.lanes.read(application)
    found = repository.applications.get(application)
    if found.status in {"deleting", "deleted"}:
        raise Conflict(f"{found.name} is being deleted, or was.")
    kinds = [] if lane is None else [lane.kind, *(line.kind for line in lane.pending)]
    if OperationKind.DELETE in kinds:
        raise Conflict(f"{found.name} is about to be deleted.")
