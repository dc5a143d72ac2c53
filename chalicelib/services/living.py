"""Whether an application lives, and still takes orders: it does not from the moment its deletion stands in line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.application import Application
from chalicelib.domain.errors import Conflict, Malformed, NotFound
from chalicelib.domain.ids import parse_id
from chalicelib.domain.operation import OperationKind

if TYPE_CHECKING:
    from chalicelib.store.repository import Repository


def living(repository: Repository, application: str | None) -> Application | None:
    """The application with this id; `None` if there is none, it was deleted, or that is no id."""
    try:
        found = None if application is None else repository.applications.get(parse_id(application, "app"))
    except (NotFound, Malformed):
        return None
    return None if found is None or found.status == "deleted" else found


def refuse_deleted(application: Application) -> None:
    """`Conflict` if its document says that the application was deleted, or is being."""
    if application.status in {"deleting", "deleted"}:
        raise Conflict(f"{application.name} is being deleted, or was.")


def refuse_ending(repository: Repository, application: str) -> None:
    """The same, also while its deletion only stands in line. `NotFound` if there never was such an application.

    The lane is read first: a deletion says in the application's document that it is done before it leaves the lane,
    so whatever happens between the two looks, one of them sees it.
    """
    lane = repository.lanes.read(application)
    found = repository.applications.get(application)
    refuse_deleted(found)
    kinds = [] if lane is None else [lane.kind, *(line.kind for line in lane.pending)]
    if OperationKind.DELETE in kinds:
        raise Conflict(f"{found.name} is about to be deleted.")
