"""What can be asked about applications' vaults."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Conflict, Malformed, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import OperationKind
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.vaults import VerifyQuery
from chalicelib.store import layout
from tests.unit.services.house import NOON, House


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


def test_other_operations_have_no_damages(built: House) -> None:
    application = built.registered("shop")
    other = built.services.operations.start(built.asker, OperationKind.BACKUP, application, {})
    with pytest.raises(NotFound):
        built.services.vaults.damages(built.asker, other.id, PageQuery())
    assert built.repository.control.get(layout.operation(application, other.id)) is not None
