"""Which versions and clusters are needed by what stands in line or runs: they are not taken away under it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from chalicelib.domain.errors import Damaged, NotFound
from chalicelib.domain.operation import Operation
from chalicelib.engine.lane.destination import destination_of
from chalicelib.store.repository import Repository


def needed(repository: Repository, application: str) -> Mapping[str, Sequence[Operation]]:
    """Version → the unended operations of its application that read it."""
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in _in_line(repository, application):
        for version in _read_by(repository, operation):
            found[version].append(operation)
    return found


def at_work(repository: Repository, cluster: str) -> Operation | None:
    """An unended operation, of any application that lives, that works on a cluster: it would not find its way back
    there."""
    for identifier in repository.applications.ids():
        for operation in _in_line(repository, identifier):
            with contextlib.suppress(NotFound, Damaged):
                there = destination_of(repository, operation).cluster
                application = repository.applications.get(identifier)
                if (there or application.cluster) == cluster and application.status != "deleted":
                    return operation
    return None


def _in_line(repository: Repository, application: str) -> Iterator[Operation]:
    """The unended operations of an application that run or wait."""
    lane = repository.lanes.read(application)
    for identifier in () if lane is None else (lane.current, *(line.operation for line in lane.pending)):
        if identifier is None:
            continue
        try:
            operation = repository.operations.get(application, identifier)
        except (NotFound, Damaged):
            continue
        if not operation.state.ended:
            yield operation


def _read_by(repository: Repository, operation: Operation) -> set[str]:
    """What an operation restores, what it goes back to if it fails, and (an undo) what the restore it undoes was to
    go back to."""
    versions = {operation.arguments.get("version"), *_safety(operation)}
    undone = operation.arguments.get("restore")
    if undone is not None:
        with contextlib.suppress(NotFound, Damaged):
            versions |= _safety(repository.operations.get(operation.application, str(undone)))
    return {str(version) for version in versions if version is not None}


def _safety(operation: Operation) -> set[object]:
    """The version of what was before: named before it is sealed, and once more when it is."""
    known = operation.checkpoint
    return {known.get("safetyVersion"), known.get("safetyDraft")} - {None}
