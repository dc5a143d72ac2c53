"""What stands in a restore's way and does not go: it ends with a clear reason, in time, and the application is as it
was before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.operation import State
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.write import apply
from tests.harness.access import Access
from tests.harness.cluster import Cluster
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support.moments import Moment
from tests.support.scene import Restored, Scene, open_scene
from tests.support.webhook import Webhook, guarding, serve

pytestmark = pytest.mark.cluster

APP = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: "1"}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}
"""


@pytest.fixture
def scene(control_plane: Access) -> Iterator[Scene]:
    """Two ConfigMaps and a Service."""
    with open_scene(control_plane, APP) as opened:
        yield opened


@contextmanager
def guarded(scene: Scene, directory: Path, seconds: int) -> Iterator[Webhook]:
    """A webhook that guards ConfigMaps of the scene, and is known to be asked."""
    with serve(directory) as webhook, guarding(scene.api, scene.namespace, webhook, "configmaps", seconds=seconds):

        def asked() -> bool:
            scene.patch("ConfigMap/a", {"metadata": {"labels": {"try": str(time.monotonic_ns())}}})
            return webhook.asked > 0

        wait_until(asked, seconds=20, what="the webhook to be asked")
        scene.patch("ConfigMap/a", {"metadata": {"labels": None}})
        yield webhook


@pytest.fixture
def guard(scene: Scene, tmp_path: Path) -> Iterator[Webhook]:
    """One that may take a second."""
    with guarded(scene, tmp_path, 1) as webhook:
        yield webhook


@pytest.fixture
def patient(scene: Scene, tmp_path: Path) -> Iterator[Webhook]:
    """One that may take longer than a write, in the proportion of their defaults: 10 s, and 8 s of a lease of 30."""
    scene.engine = Engine(
        scene.repository,
        scene.watch.clusters(scene.repository, str(scene.cluster.kubeconfig)),
        scene.watch.flows(),
        terms=LeaseTerms(seconds=6.0, margin=2.0),
    )
    with guarded(scene, tmp_path, 2) as webhook:
        yield webhook


# ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_webhook_that_denies_an_update_is_named_and_the_rest_is_restored(scene: Scene, guard: Webhook) -> None:
    version = scene.backup()
    scene.patch("ConfigMap/a", {"data": {"x": "2"}})
    scene.delete("Service/web")
    guard.does = "deny"
    action = scene.planned(version)["ConfigMap/a"]
    assert (action.verb.value, action.reason) == ("skip", "refused")
    assert "guard.scene.test" in action.message
    restored = scene.restore(version)
    assert restored.state is State.PARTIAL
    assert restored.outcomes() == {"Service/web": "create"}


def test_a_webhook_that_denies_a_creation_ends_the_restore_and_everything_is_undone(
    scene: Scene, guard: Webhook
) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/b")
    scene.patch("Service/web", {"metadata": {"labels": {"x": "1"}}})
    before = scene.look()
    guard.does = "deny"
    restored = scene.restore(version)
    assert restored.state is State.FAILED
    assert f"ConfigMap {scene.namespace}/b" in restored.message
    assert "guard.scene.test" in restored.message
    assert scene.look() == before


def test_a_webhook_that_hangs_ends_the_restore_in_time(
    scene: Scene, guard: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "_ANSWER_LIMIT", 1.0)
    version = scene.backup()
    scene.delete("ConfigMap/b")
    before = scene.look()
    guard.does = "hang"
    began = time.monotonic()
    restored = scene.restore(version)
    assert time.monotonic() - began < 30
    assert restored.state is State.FAILED
    assert "guard.scene.test" in restored.message
    assert scene.look() == before


def test_a_webhook_that_hangs_for_longer_than_a_write_may_take_is_named_and_not_kept_busy(
    scene: Scene, patient: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many objects of one kind are behind it: those that are on their way find out, the others are not sent."""
    monkeypatch.setattr(apply, "_ANSWER_LIMIT", 1.0)
    names = [f"many-{number}" for number in range(60)]
    for name in names:
        scene.make(f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}")
    version = scene.backup()
    scene.delete(*(f"ConfigMap/{name}" for name in names))
    scene.patch("Service/web", {"metadata": {"labels": {"x": "1"}}})
    before = scene.look()
    patient.does = "hang"
    restored = scene.restore(version)
    assert restored.state is State.FAILED
    assert 'failed calling webhook "guard.scene.test"' in restored.message
    assert "Every change was undone." in restored.message
    assert scene.look() == before
    posts = [write for write in restored.writes if write.startswith("POST")]
    assert 1 <= len(posts) <= 16


def test_a_webhook_that_still_hangs_on_the_way_back_ends_it_too_and_what_is_left_is_named(
    scene: Scene, patient: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "_ANSWER_LIMIT", 1.0)
    version = scene.backup()
    scene.patch("ConfigMap/a", {"data": {"x": "2"}})
    scene.delete("Service/web")
    _full(scene, "none", "services", 0)
    scene.watch.add(Moment("write-answered", "PUT .*/configmaps/a"), lambda: setattr(patient, "does", "hang"))
    restored = scene.restore(version, mode="merge")
    assert restored.state is State.FAILED
    assert "exceeded quota: none" in restored.message
    assert "1 objects could not be put back" in restored.message
    assert restored.rows["ConfigMap/a"].outcome == "undo-failed"
    assert "guard.scene.test" in restored.rows["ConfigMap/a"].message


def restored_while_it_hangs_at_first(scene: Scene, hook: Webhook, version: str) -> Restored:
    """A restore beside a webhook that allows everything once the rest is restored."""
    hook.does = "hang"

    def answer() -> None:
        wait_until(lambda: scene.api.exists(scene.find("Service/web")), seconds=60, what="the rest to be restored")
        hook.does = "allow"

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return scene.restore_well(version)
    finally:
        thread.join()


def test_a_webhook_that_hangs_for_longer_than_a_write_may_take_and_answers_again_is_asked_again(
    scene: Scene, patient: Webhook
) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/a", "ConfigMap/b", "Service/web")
    done = restored_while_it_hangs_at_first(scene, patient, version)
    assert set(done.outcomes()) == {"ConfigMap/a", "ConfigMap/b", "Service/web"}


def test_a_webhook_that_answers_again_in_time_is_asked_again(scene: Scene, guard: Webhook) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/b", "Service/web")
    done = restored_while_it_hangs_at_first(scene, guard, version)
    assert done.outcomes() == {"ConfigMap/b": "create", "Service/web": "create"}


# ── quota ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_quota_in_the_way_is_named_and_everything_is_undone(scene: Scene) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/b")
    scene.patch("Service/web", {"metadata": {"labels": {"x": "1"}}})
    _full(scene, "none", "configmaps", 1)
    before = scene.look()
    # In exact mode the quota would be deleted as extra.
    restored = scene.restore(version, mode="merge")
    assert restored.state is State.FAILED
    assert f"ConfigMap {scene.namespace}/b" in restored.message
    assert "exceeded quota: none" in restored.message
    assert scene.look() == before


def _full(scene: Scene, name: str, resource: str, most: int) -> None:
    """Make a quota that allows no more of a resource than there are."""
    hard = f"{{{resource}: {most}}}"
    scene.make(f"{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: {name}}}, spec: {{hard: {hard}}}}}")
    wait_until(
        lambda: "used" in scene.get(f"ResourceQuota/{name}").get("status", {}),
        seconds=20,
        what="the quota to be counted",
    )


# ── an aggregated API ───────────────────────────────────────────────────────────────────────────────────────


def test_an_aggregated_api_that_is_down_makes_versions_partial_and_stops_what_deletes(
    make_cluster: Callable[..., Cluster],
) -> None:
    group = "down.scene.test"
    body: dict[str, Any] = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "nobody"},
        },
    }
    # All that is read in the cluster has a gap from now on: nobody else may be there.
    with open_scene(make_cluster(), APP) as scene:
        whole = scene.backup()
        scene.api.post("/apis/apiregistration.k8s.io/v1/apiservices", body)
        wait_until(lambda: _is_down(scene, group), seconds=30, what="the API to be down")
        scene.delete("ConfigMap/a")
        made = scene.run("backup")
        assert made.state is State.PARTIAL
        assert [gap["group"] for gap in made.outcome["gaps"]] == [group]
        for version in (whole, made.outcome["version"]):
            refused = scene.restore(version)
            assert refused.state is State.FAILED
            assert group in refused.message
            assert "merge" in refused.message
            assert refused.writes == []
        merged = scene.restore(whole, mode="merge")
        assert merged.outcomes() == {"ConfigMap/a": "create"}
        assert merged.state is State.PARTIAL
        assert any(f"the group {group}" in said for said in merged.operation.outcome["warnings"])
        assert scene.api.exists(scene.find("ConfigMap/a"))


def _is_down(scene: Scene, group: str) -> bool:
    try:
        scene.api.get(f"/apis/{group}/v1")
    except ApiError as error:
        return error.status == 503
    return False
