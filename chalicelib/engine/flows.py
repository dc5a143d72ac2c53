"""Every kind of operation, with its steps."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.operation import OperationKind
from chalicelib.engine.backup import BACKUP
from chalicelib.engine.delete import DELETE
from chalicelib.engine.restore import PLAN, RESTORE, UNDO
from chalicelib.engine.sweep import SWEEP
from chalicelib.engine.verify import VERIFY
from chalicelib.engine.work import Flow

FLOWS: Mapping[OperationKind, Flow] = {
    OperationKind.BACKUP: BACKUP,
    OperationKind.PLAN: PLAN,
    OperationKind.RESTORE: RESTORE,
    OperationKind.UNDO: UNDO,
    OperationKind.DELETE: DELETE,
    OperationKind.SWEEP: SWEEP,
    OperationKind.VERIFY: VERIFY,
}
