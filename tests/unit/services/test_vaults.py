"""What can be asked about applications' vaults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Conflict, Malformed, NotFound, StorageUnavailable
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.vaults import VerifyQuery
from chalicelib.services.vaults import Vaults
from chalicelib.store import layout
from tests.unit.services.house import NOON, Clock, House, house


def test_every_vault_is_listed_also_of_what_is_deleted_or_not_registered_here(built: House) -> None:
    deleted, active = built.registered("old"), built.registered("shop")
    built.version(deleted)
    built.version(active)
    foreign = new_id("app", NOON)
    built.repository.segment_writer(foreign).put("document", b"copied here")
    built.repository.applications.update(
        deleted, lambda found: found.model_copy(update={"status": "deleted", "name": "old"})
    )
    vaults = built.services.vaults
    page = vaults.list(built.asker, PageQuery())
    told = {each.id: (each.name, each.status) for each in page.items}
    assert told == {
        deleted: ("old", "deleted"),
        active: ("shop", "active"),
        foreign: (foreign, "unregistered"),
    }
    first = vaults.list(built.asker, PageQuery(limit=2))
    rest = vaults.list(built.asker, PageQuery(limit=2, next=first.next))
    assert [each.id for each in (*first.items, *rest.items)] == sorted(told)


def test_what_versions_take_is_told(built: House) -> None:
    application = built.registered("shop")
    version = built.version(application)
    size = built.services.vaults.size(built.asker, application)
    assert (size.name, size.segments, [each.id for each in size.versions]) == ("shop", 1, [version])
    assert size.versions[0].own_bytes == size.stored_bytes == size.needed_bytes
    assert built.services.vaults.size(built.asker, built.registered("new")).versions == []
    with pytest.raises(NotFound):
        built.services.vaults.size(built.asker, new_id("app", NOON))
    with pytest.raises(Malformed):
        built.services.vaults.size(built.asker, "shop")


def test_verifying_is_an_operation_whose_damages_are_asked_for_when_it_has_ended(built: House) -> None:
    application = built.registered("shop")
    started = built.services.vaults.verify(built.asker, application, VerifyQuery(repair=True))
    assert (started.kind, started.arguments) == ("verify", {"quick": False, "repair": True})
    with pytest.raises(Conflict, match="not known"):
        built.services.vaults.damages(built.asker, started.id, PageQuery())
    damaged = b'{"key":"vault/x","message":"altered","repair":"","versions":["v"],"objects":[]}'
    built.repository.operations.put_part(application, started.id, "damages", 1, 0, [damaged] * 3)
    built.engine.change(started.id, checkpoint={"damagesFence": 1})
    page = built.services.vaults.damages(built.asker, started.id, PageQuery(limit=2))
    assert [each.key for each in page.items] == ["vault/x"] * 2
    assert len(built.services.vaults.damages(built.asker, started.id, PageQuery(next=page.next)).items) == 1


def verification(built: House, application: str, **query: bool) -> str:
    return built.services.vaults.verify(built.asker, application, VerifyQuery(**query)).id


def test_what_is_being_verified_is_not_verified_beside_that(built: House) -> None:
    application, other = built.registered("shop"), built.registered("blog")
    first = verification(built, application)
    assert verification(built, application) == first
    assert verification(built, other) != first
    for way in ({"quick": True}, {"repair": True}):
        with pytest.raises(Conflict, match=rf"shop is being verified in another way \(without repair\): {first}"):
            verification(built, application, **way)
    assert len(built.engine.started) == 2


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_what_was_verified_can_be_verified_again(built: House, state: State) -> None:
    application = built.registered("shop")
    first = verification(built, application)
    built.engine.change(first, state=state)
    second = verification(built, application, repair=True)
    assert second != first
    assert [each.id for each in built.engine.started] == [first, second]


def test_many_who_ask_at_once_begin_one_verification(built: House) -> None:
    application = built.registered("shop")
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(verification(built, application))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert set(answers) == {each.id for each in built.engine.started}
    assert len(built.engine.started) == 1


def test_a_verification_whose_asker_died_before_it_was_written_down_stands_in_nobodys_way_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    built = house(clock=clock)
    application = built.registered("shop")

    def dies(_operation: Operation) -> Operation:
        raise StorageUnavailable("away")

    with monkeypatch.context() as dying:
        dying.setattr(built.engine, "start", dies)
        with pytest.raises(StorageUnavailable):
            verification(built, application)
    with pytest.raises(Conflict, match="just beginning"):
        verification(built, application)
    clock.time += timedelta(seconds=61)
    assert verification(built, application) == built.engine.started[0].id


def test_what_cannot_be_measured_in_time_is_told_in_part(built: House) -> None:
    application = built.registered("shop")
    versions = [built.version(application) for _ in range(125)]
    hurried = Vaults(built.repository, built.engine, seconds=0)  # type: ignore[arg-type]
    part, whole = hurried.size(built.asker, application), built.services.vaults.size(built.asker, application)
    assert (whole.complete, whole.existing, len(whole.versions)) == (True, 125, 125)
    assert (part.complete, part.existing) == (False, 125)
    assert [each.id for each in part.versions] == versions[:4:-1]  # the newest 120
    assert (part.stored_bytes, part.segments) == (whole.stored_bytes, whole.segments)
    assert part.versions[0].stored_bytes == whole.versions[0].stored_bytes
    unknown = (part.plain_bytes, part.needed_bytes, part.ratio, part.unneeded_segments, part.unneeded_bytes)
    assert unknown == (None,) * 5
    assert {each.own_bytes for each in part.versions} == {None}


def test_measuring_one_vault_lists_no_others(built: House, monkeypatch: pytest.MonkeyPatch) -> None:
    application = built.registered("shop")
    built.version(application)

    def folders(_prefix: str) -> Iterator[str]:
        raise AssertionError("not asked for")

    monkeypatch.setattr(built.repository.vault, "folders", folders)
    assert built.services.vaults.size(built.asker, application).existing == 1


def test_other_operations_have_no_damages(built: House) -> None:
    application = built.registered("shop")
    other = built.services.operations.start(built.asker, OperationKind.BACKUP, application, {})
    with pytest.raises(NotFound):
        built.services.vaults.damages(built.asker, other.id, PageQuery())
    assert built.repository.control.get(layout.operation(application, other.id)) is not None
