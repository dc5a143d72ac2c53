"""Workers that are killed, doubled, or stopped until they are taken for dead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.domain.operation import State
from chalicelib.engine.plan.plans import read_plan
from tests.harness.access import Access
from tests.harness.proxy import HttpProxy
from tests.support import shop
from tests.support.moments import Moment
from tests.support.site import Site, open_site
from tests.support.together import together
from tests.support.truth import assert_as, assert_no_version_lost, assert_result_is_true, assert_succeeded

pytestmark = pytest.mark.cluster

#: Where a worker dies in a backup. The manifest is the moment from which the version exists.
BACKUP_DEATHS = [
    Moment("stored", "/segments/"),
    Moment("step-ends", "backup.capture"),
    Moment("step-begins", "backup.seal"),
    Moment("store-asked", r"/versions/ver-.*\.json"),
    Moment("stored", r"/versions/ver-.*\.json"),
    Moment("step-ends", "backup.seal"),
]
#: Where a worker dies in a restore: at both ends of each step, and around its writes to the cluster.
RESTORE_DEATHS = [
    Moment("step-ends", "restore.plan"),
    Moment("step-begins", "restore.safety"),
    Moment("stored", r"/versions/ver-.*\.json"),
    Moment("step-ends", "restore.safety"),
    Moment("step-ends", "restore.before"),
    Moment("step-begins", "restore.apply"),
    Moment("write-asked", "", 1),
    Moment("write-allowed", "", 1),
    Moment("write-answered", "POST", 1),
    Moment("write-answered", "PUT", 1),
    Moment("write-answered", "DELETE", 1),
    Moment("write-answered", "", 5),
    Moment("step-ends", "restore.apply"),
    Moment("step-begins", "restore.health"),
    Moment("step-begins", "restore.verify"),
    Moment("step-ends", "restore.verify"),
]
#: Where a worker dies while it undoes a restore that failed.
ROLLBACK_DEATHS = [
    Moment("step-begins", "restore.rollback"),
    Moment("stored", "/undo-plan/"),
    Moment("write-answered", "DELETE", 3),
    Moment("step-ends", "restore.rollback"),
    Moment("step-ends", "restore.verify-rollback"),
]
PLAN_DEATHS = [
    Moment("step-begins", "plan.plan"),
    Moment("stored", "/plan/"),
    Moment("step-ends", "plan.plan"),
]
DELETE_DEATHS = [
    Moment("stored", r"\.ended$"),
    Moment("step-ends", "delete.versions"),
    Moment("step-ends", "delete.release"),
]
UNDO_DEATHS = [
    Moment("step-ends", "undo.plan"),
    Moment("step-ends", "undo.safety"),
    Moment("write-answered", "", 2),
    Moment("step-ends", "undo.apply"),
    Moment("step-ends", "undo.verify"),
]


def test_a_backup_whose_worker_was_killed_anywhere_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, BACKUP_DEATHS, kill_in_backup)


def kill_in_backup(site: Site, moment: Moment) -> None:
    site.backup()
    shop.damage(site.cluster.api, site.namespace)
    versions, objects = site.versions(), site.look()
    operation = site.start("backup")
    site.worker(moment).wait_killed()
    # A version is there from the moment its manifest is, and not before: the dead worker left none or a whole one.
    assert_no_version_lost(site, versions)
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert done.attempts >= 2
    assert_no_version_lost(site, versions)
    made = site.versions().keys() - versions.keys()
    assert made == {done.outcome["version"]}
    assert_as(site, objects)
    assert site.run("restore", version=done.outcome["version"]).outcome["counts"].keys() == {"keep"}


def test_a_restore_whose_worker_was_killed_anywhere_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, RESTORE_DEATHS, kill_in_restore)


def kill_in_restore(site: Site, moment: Moment) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    operation = site.start("restore", version=version)
    site.worker(moment).wait_killed()
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert done.attempts >= 2
    assert_result_is_true(site, done, before, wanted)
    assert_as(site, wanted)
    assert_no_version_lost(site, versions)
    if moment.what.startswith("write"):
        # The ledger of two workers is one: what both did is undone.
        assert site.run("undo", restore=done.id).state is State.SUCCEEDED
        assert_as(site, before)


def test_a_rollback_whose_worker_was_killed_anywhere_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, ROLLBACK_DEATHS, kill_in_rollback)


def kill_in_rollback(site: Site, moment: Moment) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    with site.refusing("StatefulSet", "db"):
        operation = site.start("restore", version=version)
        site.worker(moment).wait_killed()
        done = site.finish(operation)
    assert done.state is State.FAILED
    assert done.outcome["undone"]
    assert_result_is_true(site, done, before, wanted)
    assert_as(site, before)
    assert_no_version_lost(site, versions)


def test_an_undo_whose_worker_was_killed_anywhere_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, UNDO_DEATHS, kill_in_undo)


def kill_in_undo(site: Site, moment: Moment) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    restored = site.run("restore", version=version)
    versions = site.versions()
    operation = site.start("undo", restore=restored.id)
    site.worker(moment).wait_killed()
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert done.attempts >= 2
    assert_result_is_true(site, done, wanted, before)
    assert_as(site, before)
    assert_no_version_lost(site, versions)


def test_a_plan_whose_worker_was_killed_anywhere_is_made_by_another(control_plane: Access, tmp_path: Path) -> None:
    together(control_plane, tmp_path, PLAN_DEATHS, kill_in_plan)


def kill_in_plan(site: Site, moment: Moment) -> None:
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    operation = site.start("plan", version=version)
    site.worker(moment).wait_killed()
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert read_plan(site.repository, site.application.id, done.id).counts == done.outcome["counts"]
    assert_as(site, before)


def test_a_deletion_whose_worker_was_killed_anywhere_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, DELETE_DEATHS, kill_in_delete)


def kill_in_delete(site: Site, moment: Moment) -> None:
    made = {site.backup(), site.backup()}
    objects = site.look()
    operation = site.start("delete")
    site.worker(moment).wait_killed()
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert site.versions() == {}
    assert set(site.sealed()) == made
    assert_no_version_lost(site, {})
    assert site.repository.applications.get(site.application.id).status == "deleted"
    assert_as(site, objects)


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_that_take_up_one_restore_at_once_do_it_once(
    control_plane: Access, api_http_proxy: tuple[HttpProxy, Path], tmp_path: Path, workers: int
) -> None:
    proxy, kubeconfig = api_http_proxy
    with open_site(control_plane, tmp_path, kubeconfig=kubeconfig) as site:
        version, wanted = site.backup(), site.look()
        shop.damage(site.cluster.api, site.namespace)
        before, versions = site.look(), site.versions()
        operation = site.start("restore", version=version)
        proxy.clear()
        assert [worker.wait() for worker in [site.worker() for _ in range(workers)]] == [0] * workers
        done = site.operation(operation.id)
        assert (done.state, done.attempts) == (State.SUCCEEDED, 1)
        assert_result_is_true(site, done, before, wanted)
        assert_as(site, wanted)
        assert_no_version_lost(site, versions)
        writes = [f"{request.method} {request.target}" for request in proxy.seen("POST|PUT|DELETE", "fault-")]
        real = [write for write in writes if "dryRun" not in write]
        assert len(real) >= 8
        assert len(real) == len(set(real))


def test_workers_that_take_up_one_backup_at_once_make_one_version(site: Site) -> None:
    operation = site.start("backup")
    assert [worker.wait() for worker in [site.worker() for _ in range(3)]] == [0, 0, 0]
    done = site.operation(operation.id)
    assert (done.state, done.attempts) == (State.SUCCEEDED, 1)
    assert list(site.versions()) == site.sealed() == [done.outcome["version"]]


def test_workers_that_make_one_plan_at_once_leave_one_plan(site: Site) -> None:
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    operation = site.start("plan", version=version)
    assert [worker.wait() for worker in [site.worker() for _ in range(3)]] == [0, 0, 0]
    done = site.operation(operation.id)
    assert_succeeded(site, done)
    assert read_plan(site.repository, site.application.id, done.id).counts == done.outcome["counts"]
    assert_as(site, before)


#: Where a worker is stopped until it is taken for dead. `asked`: before it looks at its lease, as it does before each
#: write. `allowed`: after that, so that only what the write itself demands can refuse it.
STOPS = [
    Moment("step-begins", "restore.plan"),
    Moment("store-asked", "/ledger/"),
    Moment("store-allowed", "/ledger/"),
    Moment("write-asked", "", 1),
    Moment("write-asked", "", 5),
    Moment("write-allowed", "PUT"),
    Moment("write-allowed", "POST"),
    Moment("write-allowed", "DELETE"),
    Moment("write-answered", "DELETE"),
    Moment("store-asked", "/result-"),
]


def test_a_worker_stopped_in_a_restore_until_another_has_finished_it_writes_nothing_more(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, STOPS, stop_in_restore)


def stop_in_restore(site: Site, moment: Moment) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    operation = site.start("restore", version=version)
    stopped = site.worker(moment, then="stop")
    stopped.wait_stopped()
    done = site.finish(operation)
    assert_succeeded(site, done)
    objects, kept = shop.incarnations(site.cluster.api, site.namespace), site.stored()
    stopped.wake()
    assert stopped.wait() == 0
    assert shop.incarnations(site.cluster.api, site.namespace) == objects
    assert _but_late_parts(site.stored(), kept, done.fence) == kept
    assert site.operation(operation.id) == done
    assert_result_is_true(site, done, before, wanted)
    assert_as(site, wanted)
    assert_no_version_lost(site, versions)


def _but_late_parts(now: dict[str, str], then: dict[str, str], fence: int) -> dict[str, str]:
    """Without parts that an earlier fence than this wrote late: their names keep them out of their successors'."""
    return {
        key: value
        for key, value in now.items()
        if key in then or not ((part := re.search(r"/(\d{8})-\d{6}$", key)) and int(part[1]) < fence)
    }


@pytest.mark.parametrize("what", ["store-asked", "store-allowed"])
def test_a_worker_stopped_before_it_seals_makes_no_second_version(site: Site, what: str) -> None:
    first = site.backup()
    operation = site.start("backup")
    stopped = site.worker(Moment(what, r"/versions/ver-.*\.json"), then="stop")
    stopped.wait_stopped()
    done = site.finish(operation)
    versions, kept = site.versions(), site.stored()
    assert versions.keys() == {first, done.outcome["version"]}
    stopped.wake()
    assert stopped.wait() == 0
    assert site.stored() == kept
    assert site.versions() == versions


def test_a_manifest_that_comes_after_its_version_was_given_up_is_dead_when_it_arrives(site: Site) -> None:
    first = site.backup()
    versions = site.versions()
    operation = site.start("backup")
    stopped = site.worker(Moment("store-allowed", r"/versions/ver-.*\.json"), then="stop")
    stopped.wait_stopped()
    canceller = site.engine()
    seal = Moment("step-begins", "backup.seal")
    cancel = lambda: canceller.cancel(site.application.id, operation.id, "somebody")  # noqa: E731
    done = site.finish(operation, site.engine((seal, cancel)))
    assert done.state is State.CANCELLED
    assert site.sealed() == [first]
    stopped.wake()
    assert stopped.wait() == 0
    assert len(site.sealed()) == 2
    assert site.versions() == versions
    assert_no_version_lost(site, versions)
    assert site.backup() not in {first, operation.id}
