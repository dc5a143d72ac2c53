"""An API server that goes away, refuses, forgets, or holds other objects than a moment ago."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chalicelib.domain.operation import State
from tests.harness.access import Access
from tests.harness.cluster import Cluster, Options
from tests.harness.processes import wait_until
from tests.harness.proxy import HttpProxy
from tests.support import shop
from tests.support.moments import Moment
from tests.support.outage import Outage, forget
from tests.support.rights import limited
from tests.support.site import Site, open_site
from tests.support.truth import assert_as, assert_no_version_lost, assert_result_is_true, assert_succeeded

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A control plane that nobody else minds losing."""
    with Cluster(options=Options(node=False)) as started:
        yield started


@pytest.fixture(scope="module")
def sites(own: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Applications there, made before it is lost for the first time: each time its controllers come back later."""
    with ExitStack() as stack:
        yield [stack.enter_context(open_site(own, tmp_path_factory.mktemp("own"))) for _ in range(6)]


# ── the API server is killed and comes back ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["/apis/.*deployments", "/secrets"])
def test_an_api_server_killed_during_a_capture_is_waited_for(own: Cluster, sites: list[Site], where: str) -> None:
    site = sites.pop()
    objects = site.look()
    outage = Outage(own)
    done = site.run("backup", site.engine((Moment("read-asked", where), outage)))
    outage.over()
    assert outage.happened
    assert (done.state, done.outcome["gaps"]) == (State.SUCCEEDED, [])
    assert list(site.versions()) == site.sealed() == [done.outcome["version"]]
    shop.damage(own.api, site.namespace, workload=False)
    assert site.run("restore", version=done.outcome["version"]).state is State.SUCCEEDED
    assert_as(site, objects)


@pytest.mark.parametrize(
    "moment",
    [Moment("write-asked", "", 2), Moment("write-allowed", "PUT", 1), Moment("write-answered", "POST", 1)],
    ids=str,
)
def test_an_api_server_killed_during_apply_is_waited_for(own: Cluster, sites: list[Site], moment: Moment) -> None:
    site = sites.pop()
    version, wanted = site.backup(), site.look()
    shop.damage(own.api, site.namespace, workload=False)
    before, versions = site.look(), site.versions()
    outage = Outage(own)
    done = site.run("restore", site.engine((moment, outage)), version=version)
    outage.over()
    assert outage.happened
    assert_succeeded(site, done)
    assert_result_is_true(site, done, before, wanted)
    assert_as(site, wanted)
    assert_no_version_lost(site, versions)


def test_a_list_whose_continue_token_has_expired_is_captured_whole(own: Cluster, sites: list[Site]) -> None:
    site = sites.pop()
    for number in range(120):
        shop.create(own.api, site.namespace, "ConfigMap", f"m{number:03d}", {"data": {"n": str(number)}})
    objects = site.look()
    forgetting = Moment("read-asked", r"/configmaps\?.*continue=")
    done = site.run("backup", site.engine((forgetting, lambda: forget(own))))
    assert (done.state, done.outcome["gaps"]) == (State.SUCCEEDED, [])
    (content,) = site.versions().values()
    assert sum(key.startswith("ConfigMap ") for key in content) == sum(
        key.startswith("ConfigMap/") for key in objects
    )
    planned = site.run("plan", version=done.outcome["version"])
    assert planned.outcome["empty"]


# ── a part of it cannot be read ─────────────────────────────────────────────────────────────────────────────


def test_a_kind_one_may_not_read_makes_a_version_partial_and_never_deletes(control_plane: Access, site: Site) -> None:
    wanted = site.look()
    with limited(control_plane, "secrets") as user:
        as_user = site.engine(kubeconfig=user.kubeconfig)
        made = site.run("backup", as_user)
        assert made.state is State.PARTIAL
        (gap,) = made.outcome["gaps"]
        assert (gap["kind"], gap["status"], gap["namespace"]) == ("Secret", 403, site.namespace)
        assert "forbidden" in gap["message"]
        versions = site.versions()
        (content,) = versions.values()
        assert not [key for key in content if key.startswith("Secret")]
        shop.damage(control_plane.api, site.namespace)
        before = site.look()
        exact = site.run("restore", version=made.outcome["version"])
        assert exact.state is State.FAILED
        assert "Secret" in exact.error.message
        assert exact.error.consequence == "Nothing was changed."
        assert_as(site, before)
        merged = site.run("restore", version=made.outcome["version"], mode="merge")
        assert_result_is_true(site, merged, before, _merged(before, wanted))
        now = site.look()
        assert {key: now[key] for key in wanted if not key.startswith("Secret/")} == {
            key: body for key, body in wanted.items() if not key.startswith("Secret/")
        }
        assert {"ConfigMap/extra", "Secret/stray"} <= now.keys()
        assert_no_version_lost(site, versions)


def _merged(before: dict[str, shop.Body], wanted: dict[str, shop.Body]) -> dict[str, shop.Body]:
    secrets = {key: body for key, body in before.items() if key.startswith("Secret/")}
    return {**before, **{key: body for key, body in wanted.items() if not key.startswith("Secret/")}, **secrets}


def test_what_cannot_be_read_back_is_not_said_to_be_equal(control_plane: Access, site: Site) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(control_plane.api, site.namespace)
    with limited(control_plane, "secrets", verbs=("*",)) as user:
        revoke = lambda: user.revoke(shop.path("Secret", site.namespace))  # noqa: E731
        engine = site.engine((Moment("step-begins", "restore.verify"), revoke), kubeconfig=user.kubeconfig)
        done = site.run("restore", engine, version=version)
    assert_as(site, wanted)
    assert done.state is State.PARTIAL
    rows = site.result(done)
    assert any("everything is known: Secret in" in said for said in done.outcome["warnings"])
    assert (rows["Secret/cred"].outcome, rows["Secret/cred"].verified) == ("done", "unknown")
    assert (rows["Secret/stray"].outcome, rows["Secret/stray"].verified) == ("done", "unknown")
    assert (rows["ConfigMap/conf"].outcome, rows["ConfigMap/conf"].verified) == ("done", "equal")


def test_a_kind_that_vanishes_while_it_is_listed_is_no_gap(
    control_plane: Access, api_http_proxy: tuple[HttpProxy, Path], tmp_path: Path
) -> None:
    proxy, kubeconfig = api_http_proxy
    api = control_plane.api
    with open_site(control_plane, tmp_path, kubeconfig=kubeconfig) as site:
        objects = site.look()
        group = f"{site.namespace}.example.com"
        definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        api.post(definition, _definition(group))
        widgets = f"/apis/{group}/v1/namespaces/{site.namespace}/widgets"
        wait_until(lambda: api.exists(widgets), seconds=30, what="widgets to be served")
        api.post(widgets, {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}})

        def vanish(_: object) -> None:
            api.delete(f"{definition}/widgets.{group}")
            wait_until(lambda: not api.exists(widgets), seconds=30, what="widgets to be gone")

        listed = proxy.intercept("GET", f"{group}/v1/namespaces/.*/widgets", call=vanish)
        made = site.run("backup")
        assert listed.hits == 1
        assert (made.state, made.outcome["gaps"]) == (State.SUCCEEDED, [])
        (content,) = site.versions().values()
        assert not [key for key in content if "Widget" in key]
        shop.damage(api, site.namespace)
        assert site.run("restore", version=made.outcome["version"]).state is State.SUCCEEDED
        assert_as(site, objects)


def _definition(group: str) -> shop.Body:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


# ── it is not as it was a moment ago ────────────────────────────────────────────────────────────────────────


def test_a_saved_plan_is_refused_when_an_object_moved_and_nothing_is_written(site: Site) -> None:
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    planned = site.run("plan", version=version)
    site.cluster.api.patch(shop.path("ConfigMap", site.namespace, "page"), {"data": {"moved": "yes"}})
    before, versions = site.look(), site.versions()
    refused = site.run("restore", version=version, plan=planned.id)
    assert (refused.state, refused.error.code) == (State.FAILED, "conflict")
    assert "stale" in refused.error.message
    assert [key.rpartition("/")[2] for key in refused.error.details["moved"]] == ["page"]
    assert refused.error.consequence == "Nothing was changed."
    assert_as(site, before)
    assert site.versions() == versions
    assert_result_is_true(site, refused, before, before)


def test_an_object_that_moves_after_the_plan_stops_the_restore_before_its_first_write(site: Site) -> None:
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    moved = {"data": {"greeting": "somebody else's"}}
    move = lambda: site.cluster.api.patch(shop.path("ConfigMap", site.namespace, "conf"), moved)  # noqa: E731
    refused = site.run("restore", site.engine((Moment("step-begins", "restore.safety"), move)), version=version)
    assert (refused.state, refused.error.consequence) == (State.FAILED, "Nothing was changed.")
    assert "conf" in refused.error.message
    now = site.look()
    assert now["ConfigMap/conf"]["data"]["greeting"] == "somebody else's"
    assert "Secret/cred" not in now
    assert "ConfigMap/extra" in now


@pytest.mark.parametrize("moment", [Moment("step-begins", "restore.apply"), Moment("write-answered", "", 1)], ids=str)
def test_what_somebody_else_changes_during_apply_is_left_to_them_and_the_rest_undone(
    site: Site, moment: Moment
) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    before, versions = site.look(), site.versions()
    moved = shop.path("Deployment", site.namespace, "web")

    def move() -> None:
        site.cluster.api.patch(moved, {"spec": {"minReadySeconds": 7}})

    failed = site.run("restore", site.engine((moment, move)), version=version)
    assert failed.state is State.FAILED
    assert "Deployment" in failed.error.message
    now = site.look()
    theirs = now.pop("Deployment/web")
    assert theirs["spec"]["minReadySeconds"] == 7
    assert {key: body for key, body in before.items() if key != "Deployment/web"} == now
    row = site.result(failed)["Deployment/web"]
    assert row.outcome == "failed"
    assert "between plan and apply" in row.message
    assert "Deployment/web" not in {key for key, row in site.result(failed).items() if row.outcome == "undone"}
    assert_no_version_lost(site, versions)
    assert wanted.keys() != now.keys()


# ── a namespace on its way out ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stuck(site: Site) -> Iterator[Site]:
    """The shop, with an object in it that nobody lets go: its namespace cannot end."""
    holder = shop.path("ConfigMap", site.namespace, "page")
    site.cluster.api.patch(holder, {"metadata": {"finalizers": ["example.com/never"]}})
    yield site
    site.cluster.api.patch(holder, {"metadata": {"finalizers": None}})


def _terminate(site: Site) -> None:
    site.cluster.api.delete(f"/api/v1/namespaces/{site.namespace}")
    left = {f"Namespace/{site.namespace}", "ConfigMap/page"}
    wait_until(lambda: site.look().keys() == left, seconds=60, what="the namespace to be emptied")


def test_a_namespace_stuck_terminating_is_named_and_the_restore_refused(stuck: Site) -> None:
    version = stuck.backup()
    _terminate(stuck)
    before, versions = stuck.look(), stuck.versions()
    began = time.monotonic()
    refused = stuck.run("restore", version=version)
    assert time.monotonic() - began < 20
    assert refused.state is State.FAILED
    assert f"Namespace {stuck.namespace} is being deleted" in refused.error.message
    assert refused.error.consequence == "Nothing was changed."
    assert_as(stuck, before)
    assert_no_version_lost(stuck, versions)


def test_a_namespace_that_begins_to_end_during_apply_ends_the_restore_with_the_truth(stuck: Site) -> None:
    version = stuck.backup()
    shop.damage(stuck.cluster.api, stuck.namespace)
    before, versions = stuck.look(), stuck.versions()
    engine = stuck.engine((Moment("write-asked", "", 1), lambda: _terminate_without_waiting(stuck)))
    failed = stuck.finish(stuck.start("restore", version=version), engine, seconds=120)
    assert failed.state is State.FAILED
    assert re.search("being terminated|was deleted|not found", failed.error.message)
    rows, now = stuck.result(failed), stuck.look()
    assert rows
    for key, row in rows.items():
        # What the restore wrote went with the namespace, and cannot be put back into it.
        assert row.outcome == ("failed" if now.get(key) == before.get(key) or not row.verified else "undo-failed")
        assert row.verified in {"", "missing"}
        assert key not in now
    assert_no_version_lost(stuck, versions)


def _terminate_without_waiting(site: Site) -> None:
    site.cluster.api.delete(f"/api/v1/namespaces/{site.namespace}")
    extra = shop.path("ConfigMap", site.namespace, "extra")
    wait_until(lambda: not site.cluster.api.exists(extra), seconds=30, what="the namespace to be emptied")
