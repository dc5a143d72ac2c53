"""Work that is interrupted: by an orderly end, by a killed worker, by a crash of everything. Nothing is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import shop
from tests.e2e.running import Service
from tests.harness.access import Access
from tests.harness.proxy import HttpProxy

pytestmark = pytest.mark.cluster

COUNT = 120


@dataclass
class Scene:
    """An application whose objects are gone, a version of them, and a slow way to the API server."""

    service: Service
    cluster: Access
    namespace: str
    application: str
    version: str
    proxy: HttpProxy

    def start_restore(self) -> str:
        """The id of a restore in the middle of its writes."""
        rule = self.proxy.delay("POST|PATCH", r"/configmaps", seconds=0.4, times=None)
        said = self.service.ask("PUT", f"/version/restoreVersion?versionId={self.version}", {})
        assert said.status == 202
        end = time.monotonic() + 30
        while rule.hits < 20:
            assert time.monotonic() < end, self.service.log[-2000:]
            time.sleep(0.02)
        operation: str = said.json["id"]
        return operation

    def restored(self) -> int:
        """How many of the objects are there."""
        return len(
            self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/configmaps?labelSelector=many")["items"]
        )

    def assert_whole(self, operation: Any) -> None:
        """The restore succeeded, and everything is as it was."""
        assert operation["state"] == "succeeded", operation
        assert self.restored() == COUNT
        plan = self.service.finished("PUT", f"/version/restoreVersion?versionId={self.version}", {"dryRun": True})
        assert plan["outcome"]["empty"] is True, plan


@pytest.fixture
def scene(
    control_plane: Access, control_namespace: str, api_http_proxy: tuple[HttpProxy, Path], tmp_path: Path
) -> Iterator[Scene]:
    proxy, kubeconfig = api_http_proxy
    shop.deploy(control_plane, control_namespace)
    control_plane.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"many-{number}", "namespace": control_namespace, "labels": {"many": "yes"}},
                "data": {"number": str(number)},
            }
            for number in range(COUNT)
        )
    )
    service = Service(tmp_path / "data", kubeconfig).start()
    application = service.done("POST", "/app", {"name": "shop", "namespace": control_namespace})["id"]
    made = service.finished("POST", "/app/backup", {"id": application})
    assert made["state"] == "succeeded", made
    control_plane.api.delete(f"/api/v1/namespaces/{control_namespace}/configmaps?labelSelector=many")
    yield Scene(service, control_plane, control_namespace, application, made["outcome"]["version"], proxy)
    service.kill()


def test_an_orderly_end_in_the_middle_of_a_restore_loses_nothing(scene: Scene) -> None:
    operation = scene.start_restore()
    took = scene.service.stop()
    assert scene.service.process is not None
    assert scene.service.process.returncode == 0, scene.service.log
    assert took < 25
    assert "Traceback" not in scene.service.log
    assert scene.restored() < COUNT
    scene.service.start()
    scene.assert_whole(scene.service.ended(operation))


def kill_the_worker(service: Service) -> None:
    service.kill_worker()


def crash_everything(service: Service) -> None:
    service.kill()
    service.start()


@pytest.mark.parametrize("crash", [kill_the_worker, crash_everything])
def test_a_crash_in_the_middle_of_a_restore_is_survived(scene: Scene, crash: Callable[[Service], None]) -> None:
    operation = scene.start_restore()
    crash(scene.service)
    ended = scene.service.ended(operation)
    assert ended["attempts"] >= 2
    scene.assert_whole(ended)


def test_who_waits_is_answered_when_the_service_ends(scene: Scene) -> None:
    from concurrent.futures import ThreadPoolExecutor

    scene.proxy.delay("POST|PATCH", r"/configmaps", seconds=0.4, times=None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            scene.service.ask,
            "PUT",
            f"/version/restoreVersion?versionId={scene.version}",
            {},
            headers={"Prefer": "wait=15"},
        )
        time.sleep(1.5)
        assert scene.service.process is not None
        scene.service.process.send_signal(signal.SIGTERM)
        said = waiting.result(20)
    assert said.status == 202
    assert said.json["ended"] is False
    scene.service.process.wait(40)
