"""Where an operation restores to, as its arguments say."""

from __future__ import annotations

from chalicelib.domain.operation import Operation, OperationKind
from chalicelib.planning.elsewhere.destination import HERE, Destination
from chalicelib.store.repository import Repository

#: In the checkpoint of an operation: whether the cluster that it names is the original's own (see `original`).
SAME = "sameCluster"

_RESTORING = frozenset({OperationKind.PLAN, OperationKind.RESTORE})


def destination_of(repository: Repository, operation: Operation) -> Destination:
    """The destination of a plan or a restore; an undo goes where the restore went that it undoes. `NotFound` if that
    is gone."""
    while operation.kind is OperationKind.UNDO:
        operation = repository.operations.get(operation.application, str(operation.arguments["restore"]))
    if operation.kind not in _RESTORING:
        return HERE
    said = operation.arguments
    return Destination(
        names=dict(said.get("namespaces") or {}),
        storage_classes=dict(said.get("storageClasses") or {}),
        cluster=said.get("cluster"),
        same=bool(operation.checkpoint.get(SAME)),
        suspend=said.get("suspend"),
    )
