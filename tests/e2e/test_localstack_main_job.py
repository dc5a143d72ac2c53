"""The main job in its AWS shape: messages of SQS wake the handlers, S3 keeps the repository, KMS opens it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import shop
from tests.e2e.aws import Stack
from tests.e2e.running import Service
from tests.harness.access import Access
from tests.harness.api_proxy import api_behind_http_proxy
from tests.harness.localstack import LocalStack

pytestmark = pytest.mark.cluster

#: Seconds of a turn: as long as a function may run; and so short that, on a cluster that answers slowly, nothing is
#: done in one.
TURNS = {"one-turn": "", "many-turns": "2"}
MANY = 120


@dataclass
class Scene:
    """A registered application in a namespace of its own, and the service on a stack of its own."""

    service: Service
    stack: Stack
    cluster: Access
    namespace: str
    application: str
    short: bool

    def backup(self) -> Any:
        made = self.service.finished("POST", "/app/backup", {"id": self.application})
        assert made["state"] == "succeeded", (made, self.service.log[-3000:])
        return made

    def restore(self, version: str, **body: Any) -> Any:
        return self.service.finished("PUT", f"/version/restoreVersion?versionId={version}", body)

    def delete_many(self) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        self.cluster.api.delete(f"{path}?labelSelector=many")

    def objects(self) -> dict[str, Any]:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        return {
            item["metadata"]["name"]: item.get("data")
            for item in self.cluster.api.get(path)["items"]
            if item["metadata"]["name"] != "kube-root-ca.crt"
        }


def many(namespace: str) -> list[dict[str, Any]]:
    """So many objects that no operation on them ends within one short turn."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"many-{number:03}", "namespace": namespace, "labels": {"many": "yes"}},
            "data": {"number": str(number)},
        }
        for number in range(MANY)
    ]


@pytest.fixture(scope="module", params=TURNS)
def running(
    request: pytest.FixtureRequest,
    localstack: LocalStack,
    control_plane: Access,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Stack, Service, bool]]:
    stack = Stack(localstack)
    turn = TURNS[request.param]
    settings = {"MAINSTAY_TURN_SECONDS": turn, "MAINSTAY_MOST_TURNS": "500"}
    with api_behind_http_proxy(control_plane) as (proxy, kubeconfig):
        if turn:
            proxy.delay("POST|PUT|PATCH|DELETE", r"/configmaps", seconds=0.3, times=None)
            # Enough for the first application to be registered, backed up and planned for.
            proxy.delay("GET", r"/namespaces/[^/]+/[a-z]+\?", seconds=0.6, times=190)
        with stack.serving(tmp_path_factory.mktemp("aws"), kubeconfig, settings) as service:
            yield stack, service, bool(turn)


@pytest.fixture
def scene(running: tuple[Stack, Service, bool], control_plane: Access, control_namespace: str) -> Scene:
    stack, service, short = running
    shop.deploy(control_plane, control_namespace)
    control_plane.apply(*many(control_namespace))
    body = {"name": control_namespace, "namespace": control_namespace}
    application = service.done("POST", "/app", body)["id"]
    return Scene(service, stack, control_plane, control_namespace, application, short)


def test_an_application_is_backed_up_broken_planned_restored_and_undone(scene: Scene) -> None:
    whole = scene.objects()
    made = scene.backup()
    version = made["outcome"]["version"]

    shop.set_config(scene.cluster, scene.namespace, "config-0", number="wrong")
    shop.delete_config(scene.cluster, scene.namespace, "config-1")
    scene.delete_many()
    shop.set_config(scene.cluster, scene.namespace, "stranger", came="later")
    broken = scene.objects()

    plan = scene.restore(version, dryRun=True)
    assert plan["state"] == "succeeded", plan
    actions = scene.service.done("GET", f"/operation/{plan['id']}/plan?limit=500")["actions"]
    verbs = {action["object"]["name"]: action["verb"] for action in actions}
    assert {name: verb for name, verb in verbs.items() if not name.startswith("many-")} == {
        "config-0": "update",
        "config-1": "create",
        "stranger": "delete",
    }
    assert scene.objects() == broken

    restored = scene.restore(version)
    assert restored["state"] == "succeeded", restored
    assert scene.objects() == whole

    undone = scene.service.finished("POST", f"/operation/{restored['id']}/undo")
    assert undone["state"] == "succeeded", undone
    assert scene.objects() == broken
    if scene.short:
        assert min(each["turns"] for each in (made, plan, restored, undone)) > 0, [made, plan, restored, undone]


def test_a_worker_killed_in_the_middle_of_a_restore_is_replaced_and_the_restore_is_finished(scene: Scene) -> None:
    whole = scene.objects()
    version = scene.backup()["outcome"]["version"]
    scene.delete_many()
    said = scene.service.ask("PUT", f"/version/restoreVersion?versionId={version}", {})
    assert said.status == 202
    end = time.monotonic() + 60
    while len(scene.objects()) < len(whole) - MANY + 10:
        assert time.monotonic() < end, scene.service.log[-3000:]
        time.sleep(0.02)
    scene.service.kill_worker()
    ended = scene.service.ended(said.json["id"], 90)
    assert ended["state"] == "succeeded", ended
    assert scene.objects() == whole
