"""Every kind of operation, with its steps."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.operation import OperationKind
from chalicelib.engine.lane.work import Flow
from chalicelib.engine.operations.backup import BACKUP
from chalicelib.engine.operations.delete import DELETE
from chalicelib.engine.operations.restore import PLAN, RESTORE, UNDO
from chalicelib.engine.operations.sweep import SWEEP
from chalicelib.engine.operations.verify import VERIFY

FLOWS: Mapping[OperationKind, Flow] = {
    OperationKind.BACKUP: BACKUP,
    OperationKind.PLAN: PLAN,
    OperationKind.RESTORE: RESTORE,
    OperationKind.UNDO: UNDO,
    OperationKind.DELETE: DELETE,
    OperationKind.SWEEP: SWEEP,
    OperationKind.VERIFY: VERIFY,
}
