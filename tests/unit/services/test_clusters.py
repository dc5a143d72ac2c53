"""Clusters that are registered, and when one may be forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.application import ClusterRecord
from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from tests.unit.services.house import NOON, House


def _standby(built: House) -> str:
    record = ClusterRecord(id=new_id("cl", NOON), name="standby", source="stored", created_at=NOON, updated_at=NOON)
    built.repository.clusters.create(record)
    built.repository.clusters.set_credentials(record.id, b"token: secret")
    return record.id


def _started(built: House, application: str, kind: OperationKind, **arguments: Any) -> Operation:
    operation = Operation(
        id=new_id("op", NOON),
        kind=kind,
        application=application,
        arguments=arguments,
        requested_by="somebody",
        requested_at=NOON,
    )
    return built.engine.start(operation)


def _end(built: House, operation: Operation) -> None:
    built.repository.operations.update(
        operation.application, operation.id, lambda found: found.model_copy(update={"state": State.FAILED})
    )


def test_a_cluster_is_not_forgotten_while_something_is_restored_to_it(built: House) -> None:
    shop = built.registered("shop")
    standby = _standby(built)
    restore = _started(built, shop, OperationKind.RESTORE, cluster=standby)
    with pytest.raises(Conflict, match=f"{restore.id}, which is queued, works on cluster standby"):
        built.services.clusters.delete(built.asker, "standby")
    _end(built, restore)
    undo = _started(built, shop, OperationKind.UNDO, restore=restore.id)
    with pytest.raises(Conflict, match=undo.id):
        built.services.clusters.delete(built.asker, "standby")
    assert built.repository.clusters.credentials(standby) == b"token: secret"
    _end(built, undo)
    built.services.clusters.delete(built.asker, "standby")
    with pytest.raises(NotFound):
        built.repository.clusters.get(standby)


def test_what_works_elsewhere_keeps_no_cluster(built: House) -> None:
    shop = built.registered("shop")
    _standby(built)
    _started(built, shop, OperationKind.BACKUP)
    _started(built, shop, OperationKind.RESTORE)
    assert built.services.clusters.delete(built.asker, "standby").id.startswith("cl-")
