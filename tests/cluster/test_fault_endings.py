"""Operations that are cancelled, give way, or fail on the way: what becomes of the application."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from chalicelib.domain.errors import Conflict
from chalicelib.domain.operation import State
from chalicelib.engine.lane.budget import Budget
from tests.harness.access import Access
from tests.harness.api import Api
from tests.harness.images import BUSYBOX
from tests.harness.processes import wait_until
from tests.support import policy, shop
from tests.support.moments import Moment
from tests.support.rights import limited
from tests.support.site import Site, open_site
from tests.support.truth import assert_as, assert_no_version_lost, assert_result_is_true, assert_succeeded
from tests.support.worker import TERMS

pytestmark = pytest.mark.cluster

#: Until a holder has surely renewed its lease, and learnt what is wanted of it.
_A_RENEWAL = TERMS.interval * 2 + 0.2


# ── cancel ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "moment",
    [Moment("read-asked", "/secrets"), Moment("stored", "/segments/"), Moment("step-ends", "backup.capture")],
)
def test_a_backup_cancelled_during_capture_leaves_the_list_of_versions_as_it_was(site: Site, moment: Moment) -> None:
    site.backup()
    shop.damage(site.cluster.api, site.namespace)
    objects, versions = site.look(), site.versions()
    operation = site.start("backup")
    done = site.finish(operation, site.engine((moment, _cancelling(site, operation.id))))
    assert (done.state, done.cancel_requested_by) == (State.CANCELLED, "somebody")
    assert site.versions() == versions
    assert_no_version_lost(site, versions)
    assert_as(site, objects)
    assert site.run("backup").state is State.SUCCEEDED


def test_a_backup_that_is_being_sealed_is_not_cancelled_any_more(site: Site) -> None:
    operation = site.start("backup")
    refused: list[str] = []

    def cancel() -> None:
        with pytest.raises(Conflict, match="too late") as caught:
            site.engine().cancel(site.application.id, operation.id, "somebody")
        refused.append(caught.value.message)

    sealing = Moment("store-asked", r"/versions/ver-.*\.json")
    done = site.finish(operation, site.engine((sealing, cancel)))
    assert refused
    assert (done.state, done.cancel_requested) == (State.SUCCEEDED, False)
    assert list(site.versions()) == [done.outcome["version"]]


@pytest.mark.parametrize(
    "moment",
    [
        Moment("step-begins", "restore.apply"),
        Moment("write-asked", "", 1),
        Moment("write-answered", "", 3),
        Moment("write-answered", "DELETE", 2),
        Moment("step-ends", "restore.apply"),
    ],
    ids=str,
)
def test_a_restore_cancelled_during_apply_puts_everything_back(site: Site, moment: Moment) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    operation = site.start("restore", version=version)
    done = site.finish(operation, site.engine((moment, _cancelling(site, operation.id))))
    assert done.state is State.CANCELLED
    assert done.error.consequence == "Every change was undone."
    assert_as(site, before)
    assert_result_is_true(site, done, before, wanted)
    assert_no_version_lost(site, versions)


def test_a_restore_cancelled_while_it_waits_for_its_next_turn_puts_back_what_it_did(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    operation = site.start("restore", version=version)
    budget = Budget()
    site.engine((Moment("write-answered", "", 2), budget.stop)).tick(budget)
    half = site.look()
    assert half not in (before, wanted)
    assert site.operation(operation.id).state is State.QUEUED
    site.engine().cancel(site.application.id, operation.id, "somebody")
    done = site.finish(operation)
    assert done.state is State.CANCELLED
    assert_as(site, before)
    assert_result_is_true(site, done, before, wanted)


def test_a_restore_whose_worker_died_is_cancelled_and_put_back_by_another(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    operation = site.start("restore", version=version)
    site.worker(Moment("write-answered", "", 3)).wait_killed()
    site.engine().cancel(site.application.id, operation.id, "somebody")
    done = site.finish(operation)
    assert done.state is State.CANCELLED
    assert_as(site, before)
    assert_result_is_true(site, done, before, wanted)


def _cancelling(site: Site, operation: str) -> Callable[[], None]:
    def cancel() -> None:
        site.engine().cancel(site.application.id, operation, "somebody")
        time.sleep(_A_RENEWAL)

    return cancel


# ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", [Moment("read-asked", "/secrets"), Moment("stored", "/segments/")], ids=str)
def test_a_restore_goes_before_a_running_backup_which_then_succeeds(site: Site, moment: Moment) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    restores = []

    def ask() -> None:
        restores.append(site.start("restore", version=version))
        time.sleep(_A_RENEWAL)

    backup = site.finish(site.start("backup"), site.engine((moment, ask)))
    restore = site.operation(restores[0].id)
    assert_succeeded(site, backup)
    assert_succeeded(site, restore)
    assert restore.finished_at < backup.finished_at
    assert_result_is_true(site, restore, before, wanted)
    # The backup has captured what the restore brought, not half of what was before.
    assert site.run("plan", version=backup.outcome["version"]).outcome["empty"]
    assert_as(site, wanted)


def test_a_restore_whose_worker_runs_out_of_time_again_and_again_ends_well(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    operation = site.start("restore", version=version)
    for moment in ("step-ends", "write-answered", "write-answered", "step-begins"):
        budget = Budget()
        site.engine((Moment(moment), budget.stop)).tick(budget)
    done = site.finish(operation)
    assert_succeeded(site, done)
    assert_result_is_true(site, done, before, wanted)
    assert_as(site, wanted)
    assert_no_version_lost(site, versions)


# ── one object is refused ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "name"), [("ServiceAccount", "runner"), ("Secret", "cred"), ("StatefulSet", "db")])
def test_when_the_cluster_refuses_one_object_everything_is_undone(site: Site, kind: str, name: str) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    if kind == "ServiceAccount":
        site.cluster.api.delete(shop.path(kind, site.namespace, name))
    before, versions = site.look(), site.versions()
    with site.refusing(kind, name):
        failed = site.run("restore", version=version)
    assert (failed.state, failed.error.consequence) == (State.FAILED, "Every change was undone.")
    assert f"{site.namespace}/{name}" in failed.error.message
    row = site.result(failed)[f"{kind}/{name}"]
    assert row.outcome == "failed"
    # What a server says of a Secret can quote it.
    assert ("422" if kind == "Secret" else policy.WORDS) in row.message
    assert_result_is_true(site, failed, before, wanted)
    assert_as(site, before)
    assert_no_version_lost(site, versions)


def test_when_what_was_deleted_to_be_replaced_can_be_made_in_neither_form_that_is_told(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    with site.refusing("RoleBinding", "reader", "CREATE"):
        failed = site.run("restore", version=version)
    assert (failed.state, failed.outcome["undone"]) == (State.FAILED, False)
    assert failed.error.consequence.startswith("1 object")
    row = site.result(failed)["RoleBinding/reader"]
    assert (row.outcome, row.verified) == ("undo-failed", "missing")
    assert policy.WORDS in row.message
    assert_result_is_true(site, failed, before, wanted)
    assert site.look() == {key: body for key, body in before.items() if key != "RoleBinding/reader"}
    assert_no_version_lost(site, versions)
    # Once the cluster allows it again, the version brings everything back.
    assert site.run("restore", version=version).state is State.SUCCEEDED
    assert_as(site, wanted)


def test_when_an_update_is_refused_by_dry_run_it_is_left_out_and_the_result_says_so(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    with site.refusing("ConfigMap", "conf"):
        done = site.run("restore", version=version)
    assert done.state is State.PARTIAL
    row = site.result(done)["ConfigMap/conf"]
    assert (row.outcome, row.reason) == ("skipped", "refused")
    assert_result_is_true(site, done, before, wanted)
    assert site.look() == {**wanted, "ConfigMap/conf": before["ConfigMap/conf"]}


@pytest.mark.parametrize(("kind", "name"), [("RoleBinding", "reader"), ("StatefulSet", "db")])
def test_with_on_failure_keep_what_could_be_restored_stays_and_the_rest_is_told(
    site: Site, kind: str, name: str
) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    with site.refusing(kind, name, "CREATE"):
        done = site.run("restore", version=version, onFailure="keep")
    assert done.state is State.PARTIAL
    row = site.result(done)[f"{kind}/{name}"]
    assert (row.outcome, row.verified) == ("failed", "missing")
    assert_result_is_true(site, done, before, wanted)
    assert site.look() == {key: body for key, body in wanted.items() if key != f"{kind}/{name}"}
    assert_no_version_lost(site, versions)
    assert site.run("undo", restore=done.id).state is State.SUCCEEDED
    assert_as(site, before)


def test_without_a_safety_version_a_failure_leaves_what_was_done_and_tells_it(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    with site.refusing("StatefulSet", "db"):
        failed = site.run("restore", version=version, safety="none")
    assert failed.state is State.FAILED
    assert "no safety version" in failed.error.consequence
    outcomes = {row.outcome for row in site.result(failed).values()}
    assert outcomes == {"done", "failed", "not-started"}
    assert_result_is_true(site, failed, before, wanted)


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_when_the_workers_identity_may_not_write_one_kind_everything_is_undone(
    control_plane: Access, site: Site, verb: str
) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(control_plane.api, site.namespace)
    before, versions = site.look(), site.versions()
    allowed = tuple({"get", "list", "watch", "create", "update", "patch", "delete"} - {verb})
    with limited(control_plane, "secrets", verbs=allowed) as user:
        failed = site.run("restore", site.engine(kubeconfig=user.kubeconfig), version=version)
        rows = site.result(failed)
        refused = rows["Secret/cred" if verb == "create" else "Secret/stray"]
        assert (refused.outcome, failed.state) == ("failed", State.FAILED)
        assert "forbidden" in refused.message
        if verb == "create":
            assert failed.error.consequence == "Every change was undone."
            assert_as(site, before)
        else:
            # What it may make and not delete, it cannot take back either: that is told.
            assert rows["Secret/cred"].outcome == "undo-failed"
            assert site.look() == {**before, "Secret/cred": wanted["Secret/cred"]}
        assert_result_is_true(site, failed, before, wanted)
    assert_no_version_lost(site, versions)


def test_what_cannot_be_put_back_is_named_and_the_rest_is_put_back(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    with ExitStack() as stack:
        stack.enter_context(site.refusing("StatefulSet", "db"))
        also = lambda: stack.enter_context(site.refusing("Secret", "stray"))  # noqa: E731
        conf = lambda: stack.enter_context(site.refusing("ConfigMap", "conf"))  # noqa: E731
        way_back = Moment("step-begins", "restore.rollback")
        failed = site.run("restore", site.engine((way_back, also), (way_back, conf)), version=version)
    assert (failed.state, failed.outcome["undone"]) == (State.FAILED, False)
    row = site.result(failed)["ConfigMap/conf"]
    assert (row.outcome, row.verified) == ("undo-failed", "differs")
    assert_result_is_true(site, failed, before, wanted)
    assert site.look() == {**before, "ConfigMap/conf": wanted["ConfigMap/conf"]}


def test_when_the_safety_version_is_lost_on_the_way_back_what_was_done_is_told(site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    segments = Path(site.storage.directory, "vault", site.application.id, "segments")
    with site.refusing("StatefulSet", "db"):
        lose = lambda: shutil.rmtree(segments)  # noqa: E731
        failed = site.run("restore", site.engine((Moment("step-begins", "restore.rollback"), lose)), version=version)
    assert failed.state is State.FAILED
    assert "failed as well" in failed.error.consequence
    assert site.result(failed)["ConfigMap/conf"].outcome == "not-undone"
    assert_result_is_true(site, failed, before, wanted)


# ── health ──────────────────────────────────────────────────────────────────────────────────────────────────


def _runs(command: str, **more: object) -> shop.Body:
    container = {
        "name": "web",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", command],
        **more,
    }
    labels = {"app": "web"}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": labels}, "spec": pod}
    strategy = {"type": "Recreate"}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "strategy": strategy, "template": template}
    return {"spec": spec}


def _deploy(api: Api, namespace: str) -> None:
    """One pod that needs a Secret which is no part of the application's state."""
    shop.create(api, namespace, "Secret", "outside", {"stringData": {"a": "b"}})
    environment = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "outside", "key": "a"}}}]
    shop.create(api, namespace, "Deployment", "web", _runs("sleep 100000", env=environment))


def _document(namespace: str) -> str:
    return (
        "apiVersion: mainstay.dev/v1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        f"  state:\n    objects:\n      - namespaces: [{namespace}]\n        exclude: {{names: [outside]}}\n"
        "  restore:\n    health: {timeout: 4s}\n"
    )


def _ready(site: Site) -> bool:
    status = site.cluster.api.get(shop.path("Deployment", site.namespace, "web"))
    observed = status["status"].get("observedGeneration") == status["metadata"]["generation"]
    return observed and status["status"].get("updatedReplicas") == status["status"].get("readyReplicas") == 1


def _change(site: Site, command: str) -> None:
    """Another release, which does not need the Secret; and the Secret goes."""
    site.cluster.api.delete(shop.path("Secret", site.namespace, "outside"))
    site.cluster.api.delete(shop.path("Deployment", site.namespace, "web"))
    shop.create(site.cluster.api, site.namespace, "Deployment", "web", _runs(command))


@pytest.mark.node
def test_a_restore_after_which_health_is_worse_is_undone(cluster: Access, tmp_path: Path) -> None:
    with open_site(cluster, tmp_path, document=_document, deploy=_deploy) as site:
        wait_until(lambda: _ready(site), seconds=60, what="the first release to run")
        version, wanted = site.backup(), site.look()
        _change(site, "sleep 200000")
        wait_until(lambda: _ready(site), seconds=60, what="the second release to run")
        before, versions = site.look(), site.versions()
        failed = site.run("restore", version=version)
        assert failed.state is State.FAILED
        assert "worse than before" in failed.error.message
        assert f"Deployment {site.namespace}/web" in failed.error.message
        assert failed.error.consequence == "Every change was undone."
        assert_as(site, before)
        assert_result_is_true(site, failed, before, wanted)
        assert_no_version_lost(site, versions)
        wait_until(lambda: _ready(site), seconds=60, what="the second release to run again")


@pytest.mark.node
def test_an_application_that_was_broken_already_is_not_brought_back_to_that(cluster: Access, tmp_path: Path) -> None:
    with open_site(cluster, tmp_path, document=_document, deploy=_deploy) as site:
        wait_until(lambda: _ready(site), seconds=60, what="the first release to run")
        version, wanted = site.backup(), site.look()
        del wanted["Secret/outside"]
        _change(site, "exit 1")
        before = site.look()
        done = site.run("restore", version=version)
        assert done.state is State.PARTIAL
        assert any("Deployment" in said for said in done.outcome["unwell"])
        assert_as(site, wanted)
        assert_result_is_true(site, done, before, wanted)
        assert site.result(done)["Deployment/web"].verified == "equal"
