"""Documents, lanes, names and the wake index on each storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.application import Application, ClusterRecord
from chalicelib.domain.errors import Cancelled, Conflict, Damaged, LeaseLost, Malformed, NotFound, StorageUnavailable
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, Pending, State
from chalicelib.store import layout
from chalicelib.store.backend import Exists
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.documents import Documents
from chalicelib.store.repository import Repository
from tests.contract.store.places import InBucket, Place
from tests.contract.store.racer import Counter
from tests.contract.store.samples import AT, PASSPHRASE, made_repository
from tests.harness.proxy import HttpProxy

APP, OTHER = new_id("app", AT), new_id("app", AT)


@pytest.fixture
def repository(place: Place) -> Repository:
    return made_repository(place)


def pending(kind: OperationKind = OperationKind.BACKUP, *, urgent: bool = False) -> Pending:
    return Pending(operation=new_id("op", AT), kind=kind, urgent=urgent)


def test_what_change_raises_is_raised_and_nothing_is_written(place: Place) -> None:
    documents = Documents(place.backend())
    documents.create("counter", Counter(value=1))

    def refuse(_: Counter) -> Counter:
        raise Conflict("no")

    with pytest.raises(Conflict):
        documents.update("counter", Counter, refuse)
    assert documents.update("counter", Counter, lambda _: None).value == 1


def test_a_missing_document_is_not_found_or_begins_with_the_default(place: Place) -> None:
    documents = Documents(place.backend())
    with pytest.raises(NotFound):
        documents.update("counter", Counter, lambda counter: counter)
    changed = documents.update("counter", Counter, lambda _: Counter(value=5), default=Counter())
    assert changed.value == 5
    with pytest.raises(Exists):
        documents.create("counter", Counter())


def test_members_that_a_newer_release_wrote_are_no_obstacle_and_garbage_is_damage(place: Place) -> None:
    documents = Documents(place.backend())
    place.write("counter", b'{"document":{"value":3,"newer":1},"writer":{"born":"a","recent":["b"],"more":0}}')
    found = documents.read("counter", Counter)
    assert found is not None
    assert found.model.value == 3
    for number, garbage in enumerate(
        (b"", b"{", b'{"document":{}}', b"[]", b'{"document":{"value":"x"},"writer":{}}')
    ):
        place.write(f"garbage-{number}", garbage)
        with pytest.raises(Damaged) as caught:
            documents.read(f"garbage-{number}", Counter)
        assert caught.value.details["key"] == f"garbage-{number}"


def test_a_document_that_others_change_each_time_is_given_up() -> None:
    backend = MemoryBackend()
    documents, others = Documents(backend), Documents(backend)
    documents.create("counter", Counter())

    def overtaken(counter: Counter) -> Counter:
        others.update("counter", Counter, lambda found: Counter(value=found.value + 1))
        return Counter(value=counter.value + 1000)

    with pytest.raises(StorageUnavailable, match="changed by others"):
        documents.update("counter", Counter, overtaken)


def test_a_lane_is_taken_by_one_of_many_and_by_another_after_its_lease(repository: Repository) -> None:
    lanes = repository.lanes
    assert lanes.read(APP) is None
    assert lanes.take(APP, "early", 30) is None
    first = pending()
    lanes.enqueue(APP, first)
    with ThreadPoolExecutor(8) as pool:
        taken = [lane for lane in pool.map(lambda n: lanes.take(APP, f"worker-{n}", 30), range(8)) if lane]
    assert [(lane.fence, lane.current) for lane in taken] == [(1, first.operation)]
    assert lanes.is_held(APP, timedelta(seconds=30))
    again = lanes.take(APP, "rescuer", 0)
    assert again is not None
    assert (again.fence, again.current, again.holder) == (2, first.operation, "rescuer")
    with pytest.raises(LeaseLost):
        lanes.renew(APP, 1, str(taken[0].holder))
    with pytest.raises(LeaseLost):
        lanes.release(APP, 1, str(taken[0].holder))
    assert lanes.release(APP, 2, "rescuer").current is None


def test_only_taking_and_renewing_touch_the_time_and_it_is_the_storages(repository: Repository) -> None:
    lanes = repository.lanes
    lanes.enqueue(APP, pending())
    before = repository.now()
    lane = lanes.take(APP, "worker", 30)
    assert lane is not None
    assert lane.renewed_at is not None
    assert before <= lane.renewed_at <= repository.now()
    for change in (
        lambda: lanes.enqueue(APP, pending()),
        lambda: lanes.request_yield(APP),
        lambda: lanes.enter_sealing(APP, 1, "worker"),
        lambda: lanes.leave_sealing(APP, 1, "worker"),
    ):
        assert change().renewed_at == lane.renewed_at
    assert lanes.release(APP, 1, "worker").renewed_at == lane.renewed_at


def test_a_cancel_before_sealing_stops_it_and_after_is_refused(repository: Repository) -> None:
    lanes = repository.lanes
    first, second = pending(), pending()
    lanes.enqueue(APP, first)
    lanes.enqueue(APP, second)
    assert lanes.request_cancel(APP, second.operation)
    lanes.take(APP, "worker", 30)
    lanes.enter_sealing(APP, 1, "worker")
    with pytest.raises(Conflict, match="too late"):
        lanes.request_cancel(APP, first.operation)
    lanes.leave_sealing(APP, 1, "worker")
    assert not lanes.request_cancel(APP, first.operation)
    assert lanes.renew(APP, 1, "worker").wanted == "cancel"
    with pytest.raises(Cancelled):
        lanes.enter_sealing(APP, 1, "worker")


def test_taking_renewing_and_releasing_survive_lost_answers(bucket: InBucket, proxy: HttpProxy) -> None:
    lanes = made_repository(bucket).lanes
    first = pending()
    proxy.lose_answer("PUT", "lane")
    lanes.enqueue(APP, first)
    proxy.lose_answer("PUT", "lane")
    lane = lanes.take(APP, "worker", 30)
    assert lane is not None
    assert (lane.fence, lane.current, lane.pending) == (1, first.operation, ())
    proxy.lose_answer("PUT", "lane")
    assert lanes.renew(APP, 1, "worker").fence == 1
    proxy.lose_answer("PUT", "lane")
    assert lanes.enter_sealing(APP, 1, "worker").phase == "sealing"
    proxy.lose_answer("PUT", "lane")
    assert lanes.release(APP, 1, "worker", first).pending == (first,)


def test_a_release_whose_answer_was_lost_and_after_which_another_took_the_lane_is_a_release(
    bucket: InBucket, proxy: HttpProxy
) -> None:
    lanes = made_repository(bucket).lanes
    direct = Repository.on(*[InBucket(bucket.server, bucket.bucket).backend()] * 2, []).lanes
    lanes.enqueue(APP, pending())
    second = pending()
    lanes.enqueue(APP, second)
    lanes.take(APP, "worker", 30)
    proxy.lose_answer("PUT", "lane")
    proxy.intercept("PUT", "lane", skip=1, call=lambda _: direct.take(APP, "other", 30))
    lane = lanes.release(APP, 1, "worker")
    assert (lane.fence, lane.holder, lane.current) == (2, "other", second.operation)


def test_a_name_has_one_holder_and_is_free_again_after(repository: Repository) -> None:
    names = repository.names
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda n: _claims(repository, "Größe/../x", f"holder-{n}"), range(6)))
    assert sum(claimed) == 1
    holder = names.holder("applications", "Größe/../x")
    assert holder is not None
    names.claim("applications", "Größe/../x", holder)
    names.free("applications", "Größe/../x", "somebody else")
    assert names.holder("applications", "Größe/../x") == holder
    names.free("applications", "Größe/../x", holder)
    assert names.holder("applications", "Größe/../x") is None
    names.claim("applications", "Größe/../x", "another")
    assert names.holder("clusters", "Größe/../x") is None
    names.claim("applications", "n" * 5000, "long")
    assert names.holder("applications", "n" * 5000) == "long"
    assert names.holder("applications", "n" * 5001) is None


def test_the_wake_index_gives_what_is_due_in_order_and_removes_just_that(repository: Repository) -> None:
    wake, now = repository.wake, repository.now()
    late = wake.add(now + timedelta(hours=1), APP, "schedule")
    second = wake.add(now - timedelta(seconds=1), OTHER, "retry", {"operation": "op-x", "n": 1})
    first = wake.add(now - timedelta(days=400), APP, "lease-expiry")
    twin = wake.add(first.at, APP, "lease-expiry")
    due = list(wake.due(now))
    assert {entry.key for entry in due[:2]} == {first.key, twin.key}
    assert [(entry.application, entry.reason, entry.payload) for entry in due[1:]] == [
        (APP, "lease-expiry", {}),
        (OTHER, "retry", {"operation": "op-x", "n": 1}),
    ]
    assert _milliseconds(due[2].at) == _milliseconds(second.at)
    wake.remove(first)
    assert [entry.key for entry in wake.due(now)] == [twin.key, second.key]
    assert [entry.key for entry in wake.due(late.at)] == [twin.key, second.key, late.key]
    with pytest.raises(Malformed):
        wake.add(now, APP, "../x")


def test_operations_are_found_by_id_alone_and_listed_newest_first(repository: Repository) -> None:
    operations = [_operation(APP, hours) for hours in range(5)]
    for operation in operations:
        repository.operations.create(operation)
    repository.operations.create(_operation(OTHER, 9))
    repository.operations.put_part(APP, operations[0].id, "plan", 1, 0, [b"{}"])
    ids = [operation.id for operation in reversed(operations)]
    assert repository.operations.list(APP) == ids
    assert repository.operations.list(APP, before=ids[1], limit=2) == ids[2:4]
    assert repository.operations.find(ids[0]) == operations[-1]
    with pytest.raises(NotFound):
        repository.operations.find(new_id("op", AT))


def test_an_operation_that_was_started_already_is_not_started_again(repository: Repository) -> None:
    operation = _operation(APP, 0)
    repository.operations.create(operation)
    repository.operations.update(APP, operation.id, lambda found: found.model_copy(update={"state": State.RUNNING}))
    assert repository.operations.create(operation).state is State.RUNNING


def test_parts_are_read_in_the_order_of_fence_and_number(repository: Repository) -> None:
    operation = _operation(APP, 0)
    put = repository.operations.put_part
    for fence, number in ((2, 0), (1, 10), (1, 9), (10, 0)):
        put(APP, operation.id, "ledger", fence, number, [b'{"at":"%d.%d"}' % (fence, number), b"{}"])
    put(APP, operation.id, "ledger", 11, 0, [])
    lines = list(repository.operations.read_lines(APP, operation.id, "ledger"))
    assert lines[::2] == [b'{"at":"1.9"}', b'{"at":"1.10"}', b'{"at":"2.0"}', b'{"at":"10.0"}']
    assert list(repository.operations.read_lines(APP, operation.id, "ledger", fence=10)) == lines[-2:]
    assert list(repository.operations.read_lines(APP, operation.id, "plan")) == []


def test_a_part_is_written_once_and_the_same_again_is_fine(repository: Repository, place: Place) -> None:
    operation = _operation(APP, 0)
    part = repository.operations.put_part(APP, operation.id, "plan", 1, 0, [b'{"password":"x"}'])
    repository.operations.put_part(APP, operation.id, "plan", 1, 0, [b'{"password":"x"}'])
    with pytest.raises(Exists):
        repository.operations.put_part(APP, operation.id, "plan", 1, 0, [b'{"password":"y"}'])
    stored = place.read(part.key)
    assert b"password" not in stored
    place.write(part.key, stored[:-1])
    with pytest.raises(Damaged) as caught:
        list(repository.operations.read_lines(APP, operation.id, "plan"))
    assert caught.value.details["key"] == part.key


def test_a_clusters_credentials_are_kept_encrypted_and_in_their_place(repository: Repository, place: Place) -> None:
    one, other = (_cluster(name) for name in ("one", "other"))
    repository.clusters.create(one)
    repository.clusters.create(other)
    assert repository.clusters.credentials(one.id) is None
    repository.clusters.set_credentials(one.id, b"token: old")
    repository.clusters.set_credentials(one.id, b"token: very-secret")
    repository.clusters.set_credentials(other.id, b"token: other")
    assert repository.clusters.credentials(one.id) == b"token: very-secret"
    found = repository.control.get(layout.cluster_credentials(one.id))
    assert found is not None
    assert b"very-secret" not in found.data
    repository.control.delete(layout.cluster_credentials(other.id))
    repository.control.create(layout.cluster_credentials(other.id), found.data)
    with pytest.raises(Damaged):
        repository.clusters.credentials(other.id)
    assert {cluster.name for cluster in repository.clusters.list()} == {"one", "other"}
    repository.clusters.delete(one.id)
    assert repository.clusters.credentials(one.id) is None


def test_applications_and_notes_are_kept(repository: Repository) -> None:
    application = Application(
        id=APP, name="shop", owner="usr-x", cluster="cl-x", document="kind: Application", created_at=AT, updated_at=AT
    )
    repository.applications.create(application)
    repository.lanes.enqueue(APP, pending())
    version = new_id("ver", AT)
    repository.applications.set_current(APP, version, AT + timedelta(hours=1))
    assert [found.current_version for found in repository.applications.list()] == [version]
    assert repository.notes.get(APP, version).comment == ""
    repository.notes.update(APP, version, lambda note: note.model_copy(update={"comment": "before the migration"}))
    assert repository.notes.get(APP, version).comment == "before the migration"
    with pytest.raises(NotFound):
        repository.applications.get(OTHER)


@pytest.mark.parametrize(
    "identifier", ["../x", "app-", "app-../../../../etc/passwd", "", "ver-" + "0" * 26, "app-\n"]
)
def test_identifiers_with_tricks_never_become_keys(identifier: str) -> None:
    backend = MemoryBackend()
    repository = Repository.initialise_on(backend, backend, [PASSPHRASE]).repository
    for attempt in (
        lambda: repository.applications.get(identifier),
        lambda: repository.lanes.read(identifier),
        lambda: repository.versions(identifier).exists(new_id("ver", AT)),
        lambda: repository.operations.get(identifier, new_id("op", AT)),
        lambda: repository.operations.get(APP, identifier),
        lambda: repository.clusters.get(identifier),
        lambda: repository.keyring.application(identifier),
    ):
        with pytest.raises(Malformed):
            attempt()


def _claims(repository: Repository, name: str, holder: str) -> bool:
    try:
        repository.names.claim("applications", name, holder)
    except Conflict:
        return False
    return True


def _operation(application: str, hours: int) -> Operation:
    at = AT + timedelta(hours=hours)
    return Operation(
        id=new_id("op", at), kind=OperationKind.BACKUP, application=application, requested_by="usr-x", requested_at=at
    )


def _cluster(name: str) -> ClusterRecord:
    return ClusterRecord(id=new_id("cl", AT), name=name, source="stored", created_at=AT, updated_at=AT)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
