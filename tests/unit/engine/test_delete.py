"""Deleting an application: what is held stops it, whenever it was held."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.operations.flows import FLOWS
from tests.unit.services.house import House, house


@pytest.fixture
def built() -> House:
    return house()


def deleted(built: House, application: str, **arguments: Any) -> Operation:
    """The deletion, once a worker is done with it."""
    engine = Engine(built.repository, None, FLOWS)  # type: ignore[arg-type]  # no cluster is asked
    now = built.repository.now()
    started = engine.start(
        Operation(
            id=new_id("op", now),
            kind=OperationKind.DELETE,
            application=application,
            arguments=arguments,
            requested_by="admin",
            requested_at=now,
        )
    )
    engine.tick()
    return built.repository.operations.get(application, started.id)


def hold(built: House, application: str, version: str) -> None:
    built.repository.notes.update(application, version, lambda note: note.model_copy(update={"hold": True}))


def versions(built: House, application: str) -> list[str]:
    return list(built.repository.versions(application).list())


def test_an_application_goes_with_its_versions(built: House) -> None:
    application = built.registered()
    built.version(application)
    assert deleted(built, application).state is State.SUCCEEDED
    assert versions(built, application) == []
    assert built.repository.applications.get(application).status == "deleted"


def test_a_hold_set_after_the_request_stops_the_deletion_before_anything_is_gone(built: House) -> None:
    application = built.registered()
    made = [built.version(application) for _ in range(3)]
    hold(built, application, made[2])
    ended = deleted(built, application)
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert ended.error.message.startswith(f"{made[2]} is held: let it go first")
    assert "Nothing was deleted." in ended.error.message
    assert versions(built, application) == made[::-1]
    assert built.repository.applications.get(application).status == "active"


def test_a_hold_set_while_versions_are_deleted_saves_that_version(
    built: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = built.registered()
    made = [built.version(application) for _ in range(3)]
    end = type(built.repository.versions(application)).end

    def ending(self: Any, version: str, by: str, reason: str) -> Any:
        hold(built, application, made[1])
        return end(self, version, by, reason)

    monkeypatch.setattr(type(built.repository.versions(application)), "end", ending)
    ended = deleted(built, application)
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert "1 of 3 versions, the oldest, are deleted, the others not." in ended.error.message
    assert versions(built, application) == [made[2], made[1]]
    assert built.repository.applications.get(application).status == "active"


def test_versions_that_are_kept_may_be_held(built: House) -> None:
    application = built.registered()
    version = built.version(application)
    hold(built, application, version)
    assert deleted(built, application, keepVersions=True).state is State.SUCCEEDED
    assert versions(built, application) == [version]
