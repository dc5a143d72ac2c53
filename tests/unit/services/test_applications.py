"""Registering, changing and deleting applications."""

from __future__ import annotations

import pytest

from chalicelib.domain.application import WorkloadHealth
from chalicelib.domain.errors import ClusterNotConfigured, Conflict, Damaged, Invalid, Malformed, NotFound
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.services.models.applications import (
    ApplicationChange,
    ApplicationRegistration,
    DeletionQuery,
    StatusQuery,
)
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.versions import BackupRequest, VersionChange, VersionQuery
from chalicelib.store import layout
from tests.unit.services.house import DOCUMENT, NOON, House, house


def test_an_application_is_registered_with_its_document_as_it_was_written(built: House) -> None:
    text = DOCUMENT + "# my own comment\n"
    request = ApplicationRegistration(name="shop", description="sells", document=text)
    made = built.services.applications.register(built.asker, request)
    assert made.document == text
    assert (made.status, made.owner, made.cluster, made.current_version) == ("active", "admin", "default", None)
    assert built.services.applications.get(built.asker, made.id) == made


def test_a_name_is_given_to_one_application_only(built: House) -> None:
    built.registered("shop")
    with pytest.raises(Conflict, match="called 'shop' already"):
        built.registered("shop")
    assert len(built.services.applications.list(built.asker, PageQuery()).items) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("v@latest", " ", "-x", "../x", "a/b", "shop ", "sh\u202eop", "shöp", "a" * 64),
        *("app-" + "0" * 26, "VER-01JD" + "a" * 22),
    ],
)
def test_a_name_that_a_command_line_would_misread_is_refused(built: House, name: str) -> None:
    application = built.registered("shop")
    with pytest.raises(Invalid) as refused:
        built.registered(name)
    assert refused.value.problems[0].path == "name"
    with pytest.raises(Invalid):
        built.services.applications.update(built.asker, application, ApplicationChange(name=name))
    assert [item.name for item in built.services.applications.list(built.asker, PageQuery()).items] == ["shop"]


@pytest.mark.parametrize("name", ["a", "7", "Web shop_2.old", "op-1", "a" * 63])
def test_an_ordinary_name_is_taken(built: House, name: str) -> None:
    assert built.registered(name)


def test_a_name_from_before_may_stay_while_other_things_change(built: House) -> None:
    application = built.registered("shop")
    built.repository.applications.update(application, lambda stored: stored.model_copy(update={"name": "sh@p"}))
    change = ApplicationChange(name="sh@p", description="sells")
    assert built.services.applications.update(built.asker, application, change).description == "sells"


def test_a_name_whose_application_never_came_to_be_is_free_again(built: House) -> None:
    from datetime import timedelta

    from chalicelib.domain.ids import new_id

    long_ago = built.repository.now() - timedelta(minutes=10)
    built.repository.names.claim("applications", "shop", new_id("app", long_ago))
    assert built.registered("shop")


def test_a_name_that_is_just_being_taken_is_not_free(built: House) -> None:
    from chalicelib.domain.ids import new_id

    built.repository.names.claim("applications", "shop", new_id("app", built.repository.now()))
    with pytest.raises(Conflict):
        built.registered("shop")


def test_a_document_with_mistakes_is_refused_with_line_and_column(built: House) -> None:
    with pytest.raises(Invalid) as refused:
        built.registered(document=DOCUMENT.replace("namespaces", "namespace"))
    problem = refused.value.problems[0]
    assert (problem.line, problem.column) == (7, 9)
    assert "namespaces" in (problem.hint or "")


def test_what_this_release_does_not_carry_out_is_refused_and_not_ignored(built: House) -> None:
    with pytest.raises(Invalid) as refused:
        built.registered(document=DOCUMENT + "  backup: {every: 1h, quota: 20Gi}\n")
    assert refused.value.problems[0].path == "spec.backup.quota"
    assert refused.value.problems[0].line is not None


def test_without_document_and_namespace_the_request_says_what_is_missing(built: House) -> None:
    with pytest.raises(Invalid, match="document"):
        built.services.applications.register(built.asker, ApplicationRegistration(name="shop"))


def test_a_namespace_that_cannot_be_read_refuses_the_registration(built: House) -> None:
    request = ApplicationRegistration(name="shop", namespace="shop")
    with pytest.raises(Invalid, match="No document could be written") as refused:
        built.services.applications.register(built.asker, request)
    assert refused.value.problems[0].path == "namespace"


def test_without_any_cluster_nothing_is_registered(built: House) -> None:
    built.sessions.configured = False
    with pytest.raises(ClusterNotConfigured, match="KUBECONFIG"):
        built.registered()
    assert built.repository.applications.ids() == []


def test_request_and_document_must_name_the_same_cluster(built: House) -> None:
    built.registered("first")
    with pytest.raises(ClusterNotConfigured, match="'production'"):
        built.registered("shop", document=DOCUMENT.replace("spec:", "spec:\n  cluster: production"))


def test_applications_that_share_a_namespace_are_flagged(built: House) -> None:
    built.registered("shop")
    request = ApplicationRegistration(name="other", document=DOCUMENT)
    warnings = built.services.applications.register(built.asker, request).warnings
    assert any("shares the namespace shop with the application shop" in warning for warning in warnings)


def test_applications_that_can_mean_the_same_cluster_scoped_objects_are_flagged(built: House) -> None:
    state = "    - namespaces: [NS]\n    - {kinds: [ClusterRole], labels: LABELS}\n"

    def document(namespace: str, labels: str) -> str:
        scopes = state.replace("NS", namespace).replace("LABELS", labels)
        head = (
            "apiVersion: mainstay.dev/v1\nkind: Application\nmetadata: {name: NAME}\nspec:\n  state:\n    objects:\n"
        )
        return head.replace("NAME", namespace) + scopes

    built.registered("shop", document=document("shop", "'team=a'"))
    register = built.services.applications.register
    apart = register(built.asker, ApplicationRegistration(name="b", document=document("b", "'team=b'")))
    assert apart.warnings == []
    warnings = register(built.asker, ApplicationRegistration(name="c", document=document("c", "team"))).warnings
    assert "It shares ClusterRole objects with the application shop: restoring one may change the other." in warnings


def test_every_change_tells_of_a_namespace_that_is_shared(built: House) -> None:
    built.registered("shop")
    other = built.registered("other", document=DOCUMENT.replace("[shop]", "[other]"))
    change = built.services.applications.update
    alone = change(built.asker, other, ApplicationChange(description="x")).warnings
    assert not any("shares" in warning for warning in alone)
    change(built.asker, other, ApplicationChange(document=DOCUMENT))
    warnings = change(built.asker, other, ApplicationChange(description="y")).warnings
    assert any("shares the namespace shop with the application shop" in warning for warning in warnings)


def test_what_was_deleted_shares_nothing(built: House) -> None:
    gone = built.registered("gone")
    built.repository.applications.update(gone, lambda stored: stored.model_copy(update={"status": "deleted"}))
    request = ApplicationRegistration(name="shop", document=DOCUMENT)
    assert built.services.applications.register(built.asker, request).warnings == []


def test_a_damaged_application_takes_none_of_the_others_along(built: House) -> None:
    shop, sick = built.registered(), built.registered("sick")
    key = layout.application_document(sick)
    built.repository.control.delete(key)
    built.repository.control.create(key, b'{"broken')
    services = built.services
    listed = services.applications.list(built.asker, PageQuery()).items
    assert [(each.name, each.status) for each in listed] == [("shop", "active"), (sick, "damaged")]
    assert services.applications.register(
        built.asker, ApplicationRegistration(name="third", document=DOCUMENT)
    ).warnings == [
        "The document calls it shop; here it goes by the name third.",
        "It shares the namespace shop with the application shop: restoring one may change the other.",
    ]
    assert services.versions.backup(built.asker, BackupRequest(id=shop)).application == shop
    with pytest.raises(Damaged, match="cannot be read"):
        services.applications.get(built.asker, sick)
    with pytest.raises(Damaged, match="cannot be read"):  # it may be on it
        services.clusters.delete(built.asker, "default")


def test_a_change_leaves_alone_what_it_does_not_say(built: House) -> None:
    application = built.registered("shop", description="sells")
    changed = built.services.applications.update(built.asker, application, ApplicationChange(status="inactive"))
    assert (changed.name, changed.description, changed.status) == ("shop", "sells", "inactive")
    assert changed.document == DOCUMENT


def test_renaming_frees_the_old_name(built: House) -> None:
    application = built.registered("shop")
    built.services.applications.update(built.asker, application, ApplicationChange(name="store"))
    assert built.registered("shop") != application
    with pytest.raises(Conflict):
        built.registered("store")


def test_a_change_to_a_wrong_document_changes_nothing(built: House) -> None:
    application = built.registered("shop")
    with pytest.raises(Invalid):
        built.services.applications.update(
            built.asker, application, ApplicationChange(name="store", document="kind: Nothing")
        )
    assert built.services.applications.get(built.asker, application).name == "shop"


def test_an_application_that_is_being_deleted_takes_no_more_orders(built: House) -> None:
    application = built.registered("shop")
    built.repository.applications.update(application, lambda found: found.model_copy(update={"status": "deleting"}))
    with pytest.raises(Conflict, match="being deleted"):
        built.services.applications.update(built.asker, application, ApplicationChange(description="x"))
    with pytest.raises(Conflict, match="being deleted"):
        built.services.versions.backup(built.asker, BackupRequest(id=application))


def test_an_application_whose_deletion_stands_in_line_takes_no_more_orders(built: House) -> None:
    application = built.registered("shop")
    version = built.version(application)
    restore = built.services.versions.restore(built.asker, VersionQuery(version_id=version), RestoreRequest())
    built.engine.change(restore.id, state=State.SUCCEEDED)
    built.services.applications.delete(built.asker, application, DeletionQuery())
    with pytest.raises(Conflict, match="about to be deleted"):
        built.services.versions.backup(built.asker, BackupRequest(id=application))
    with pytest.raises(Conflict, match="about to be deleted"):
        built.services.versions.restore(built.asker, VersionQuery(version_id=version), RestoreRequest(dry_run=True))
    with pytest.raises(Conflict, match="about to be deleted"):
        built.services.operations.undo(built.asker, restore.id)


def test_an_order_that_came_beside_a_deletion_is_stopped(built: House, monkeypatch: pytest.MonkeyPatch) -> None:
    application = built.registered("shop")
    start = built.engine.start

    def late(operation: Operation) -> Operation:
        if operation.kind is not OperationKind.DELETE:
            built.services.applications.delete(built.asker, application, DeletionQuery())
        return start(operation)

    monkeypatch.setattr(built.engine, "start", late)
    with pytest.raises(Conflict, match="about to be deleted"):
        built.services.versions.backup(built.asker, BackupRequest(id=application))
    backup = built.engine.started[-1]
    assert backup.kind is OperationKind.BACKUP
    assert built.engine.cancelled == [(backup.id, "admin")]


def test_a_deleted_application_is_not_there(built: House) -> None:
    application = built.registered("shop")
    built.repository.applications.update(application, lambda found: found.model_copy(update={"status": "deleted"}))
    with pytest.raises(NotFound):
        built.services.applications.get(built.asker, application)
    assert built.services.applications.list(built.asker, PageQuery()).items == []
    assert built.registered("shop")


def test_deleting_is_refused_while_a_version_is_held(built: House) -> None:
    application = built.registered("shop")
    version = built.version(application)
    query = VersionQuery(version_id=version)
    built.services.versions.update(built.asker, query, VersionChange(hold=True))
    with pytest.raises(Conflict, match="held"):
        built.services.applications.delete(built.asker, application, DeletionQuery())
    kept = built.services.applications.delete(built.asker, application, DeletionQuery(keep_versions=True))
    assert (kept.kind, kept.arguments) == ("delete", {"keepVersions": True})


@pytest.mark.parametrize("identifier", ["../app", "app-", "", "ver-01jd0000000000000000000000", "app-\x00", "%2e%2e"])
def test_nothing_is_made_of_an_id_that_is_none(built: House, identifier: str) -> None:
    with pytest.raises(Malformed):
        built.services.applications.get(built.asker, identifier)


def test_lists_are_paged_to_the_end_and_every_item_comes_once(built: House) -> None:
    made = [built.registered(f"app{number}") for number in range(5)]
    seen: list[str] = []
    token = None
    for _ in range(5):
        page = built.services.applications.list(built.asker, PageQuery(limit=2, next=token))
        seen += [item.id for item in page.items]
        token = page.next
        if token is None:
            break
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5


def test_a_cursor_that_is_not_ours_is_refused(built: House) -> None:
    with pytest.raises(Malformed, match="next"):
        built.services.applications.list(built.asker, PageQuery(next="../../etc"))


def test_status_tells_what_is_being_done_before_anything_else(built: House) -> None:
    application = built.registered("shop")
    operation = built.services.versions.backup(built.asker, BackupRequest(id=application))
    built.engine.change(operation.id, state=State.RUNNING)
    status = built.services.applications.status(built.asker, application, StatusQuery())
    assert status.state == "backing-up"
    assert status.running_operation is not None
    assert status.running_operation.id == operation.id


def test_status_knows_newest_and_last_good_apart_and_counts_backups_only(built: House) -> None:
    application = built.registered("shop")
    good = built.version(application)
    partial = built.version(application, complete=False)
    safety = built.version(application, purpose="safety")
    status = built.services.applications.status(built.asker, application, StatusQuery())
    assert status.newest_version is not None
    assert status.newest_version.id == partial != safety
    assert status.last_good_version is not None
    assert status.last_good_version.id == good
    assert status.storage_used == 210


def test_an_unready_workload_makes_an_application_broken(built: House) -> None:
    application = built.registered("shop")
    sick = WorkloadHealth(kind="Deployment", namespace="shop", name="web", wanted=2, ready=1)
    built.repository.applications.update(
        application, lambda found: found.model_copy(update={"health": (sick,), "observed_at": NOON})
    )
    status = built.services.applications.status(built.asker, application, StatusQuery())
    assert (status.state, status.observed_at) == ("broken", NOON)


def test_a_cluster_that_does_not_answer_makes_the_state_unknown_and_says_why(built: House) -> None:
    application = built.registered("shop")
    status = built.services.applications.status(built.asker, application, StatusQuery(refresh=True))
    assert status.state == "unknown"
    assert "no cluster" in status.message


def test_two_at_first_use_agree_on_one_default_cluster() -> None:
    from concurrent.futures import ThreadPoolExecutor

    built = house()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: built.services.clusters.find(built.asker, None).id, range(8)))
    assert len(set(found)) == 1
    assert len(list(built.repository.clusters.list())) == 1


def test_deletion_is_an_operation_of_its_own(built: House) -> None:
    application = built.registered("shop")
    started = built.services.applications.delete(built.asker, application, DeletionQuery())
    assert built.engine.started[-1].kind is OperationKind.DELETE
    assert started.arguments == {"keepVersions": False}
