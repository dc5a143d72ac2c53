"""Following, stopping and undoing operations."""

from __future__ import annotations

import threading
import time

import pytest

from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import State
from chalicelib.services.models.operations import AheadView, OperationsQuery, OperationView
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.versions import BackupRequest, VersionQuery
from tests.unit.services.house import NOON, House


def backup(built: House, application: str) -> OperationView:
    return built.services.versions.backup(built.asker, BackupRequest(id=application))


def restore(built: House) -> OperationView:
    version = built.version(built.registered())
    return built.services.versions.restore(built.asker, VersionQuery(version_id=version), RestoreRequest())


def test_an_operation_is_found_by_its_id_alone(built: House) -> None:
    started = backup(built, built.registered())
    assert built.services.operations.get(built.asker, started.id) == started
    with pytest.raises(NotFound):
        built.services.operations.get(built.asker, new_id("op", NOON))


def test_who_waits_in_line_is_told_for_what(built: House) -> None:
    first = restore(built)
    second = backup(built, first.application)
    for running in (False, True):
        if running:
            built.repository.lanes.take(first.application, "somebody", 30)
        ahead = built.services.operations.get(built.asker, second.id).waits_for
        assert ahead == AheadView(operation=first.id, kind="restore")
        assert built.services.operations.get(built.asker, first.id).waits_for is None


def test_its_checkpoint_is_nobodys_business(built: House) -> None:
    started = backup(built, built.registered())
    built.engine.change(started.id, checkpoint={"planFence": 3})
    shown = built.services.operations.get(built.asker, started.id).model_dump_json()
    assert "planFence" not in shown


def test_operations_of_all_applications_come_newest_first(built: House) -> None:
    first = backup(built, built.registered("first"))
    time.sleep(0.002)
    second = backup(built, built.registered("second"))
    time.sleep(0.002)
    third = backup(built, first.application)
    built.engine.change(third.id, state=State.SUCCEEDED)

    def ids(**query: object) -> list[str]:
        page = built.services.operations.list(built.asker, OperationsQuery(**query))  # type: ignore[arg-type]
        return [item.id for item in page.items]

    assert ids() == [third.id, second.id, first.id]
    assert ids(app_id=first.application) == [third.id, first.id]
    assert ids(running=True) == [second.id, first.id]
    assert ids(running=False) == [third.id]
    assert ids(kind="restore") == []


def test_waiting_returns_as_soon_as_the_operation_ends(built: House) -> None:
    started = backup(built, built.registered())
    timer = threading.Timer(0.2, lambda: built.engine.change(started.id, state=State.SUCCEEDED))
    timer.start()
    began = time.monotonic()
    ended = built.services.operations.wait(built.asker, started.id, 10)
    timer.join()
    assert ended.ended
    assert time.monotonic() - began < 3


def test_waiting_ends_after_the_time_that_was_asked_for(built: House) -> None:
    started = backup(built, built.registered())
    began = time.monotonic()
    assert not built.services.operations.wait(built.asker, started.id, 0.2).ended
    assert 0.2 <= time.monotonic() - began < 2


def test_a_service_that_shuts_down_keeps_nobody_waiting(built: House) -> None:
    started = backup(built, built.registered())
    built.services.operations.stop_waiting()
    began = time.monotonic()
    assert not built.services.operations.wait(built.asker, started.id, 10).ended
    assert time.monotonic() - began < 1


def test_cancelling_is_the_engines_decision(built: House) -> None:
    started = backup(built, built.registered())
    assert built.services.operations.cancel(built.asker, started.id).state == "cancelled"
    assert built.engine.cancelled == [(started.id, "admin")]


def test_only_a_restore_that_has_ended_can_be_undone(built: House) -> None:
    started = restore(built)
    with pytest.raises(Conflict, match="not ended"):
        built.services.operations.undo(built.asker, started.id)
    built.engine.change(started.id, state=State.SUCCEEDED)
    undo = built.services.operations.undo(built.asker, started.id)
    assert (undo.kind, undo.arguments) == ("undo", {"restore": started.id})
    built.engine.change(started.id, state=State.FAILED, outcome={"undone": True})
    with pytest.raises(Conflict, match="undid itself"):
        built.services.operations.undo(built.asker, started.id)
    with pytest.raises(Conflict, match="backup"):
        built.services.operations.undo(built.asker, backup(built, started.application).id)


def test_a_backup_has_no_plan(built: House) -> None:
    started = backup(built, built.registered())
    with pytest.raises(NotFound, match="no plan"):
        built.services.operations.plan(built.asker, started.id, PageQuery())


def test_a_plan_that_is_not_made_yet_is_a_conflict_with_the_present(built: House) -> None:
    started = restore(built)
    with pytest.raises(Conflict, match="no plan"):
        built.services.operations.plan(built.asker, started.id, PageQuery())
