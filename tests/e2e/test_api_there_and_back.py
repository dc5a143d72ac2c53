"""One namespace, there and back, over HTTP: on a real API server, through the app as it is served."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import shop
from tests.e2e.running import Service
from tests.harness.access import Access

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def service(control_plane: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("api") / "data", control_plane.kubeconfig).start()
    yield running
    running.stop()


@pytest.fixture
def application(service: Service, control_plane: Access, control_namespace: str) -> Any:
    """The application in a namespace of its own, registered."""
    shop.deploy(control_plane, control_namespace)
    return service.done("POST", "/app", {"name": control_namespace, "namespace": control_namespace})


def backup(service: Service, application: Any, **more: Any) -> str:
    """The version that a backup made."""
    operation = service.finished("POST", "/app/backup", {"id": application["id"], **more})
    assert operation["state"] == "succeeded", operation
    version: str = operation["outcome"]["version"]
    return version


def restore(service: Service, version: str, **body: Any) -> Any:
    return service.finished("PUT", f"/version/restoreVersion?versionId={version}", body)


def damage(cluster: Access, namespace: str) -> None:
    """Change one object, delete one, add one."""
    shop.set_config(cluster, namespace, "config-0", number="wrong")
    shop.delete_config(cluster, namespace, "config-1")
    shop.set_config(cluster, namespace, "stranger", came="later")


def changed(plan: Any) -> dict[str, str]:
    return {action["object"]["name"]: action["verb"] for action in plan["actions"]}


def test_the_cluster_is_there_at_first_use(service: Service) -> None:
    status = service.done("GET", "/kubernetes/checkKubernetesStatus")
    assert status["reachable"] is True
    assert status["missingPermissions"] == []
    assert status["version"].startswith("v1.")
    clusters = service.done("GET", "/kubernetes/clusters")["items"]
    assert [cluster["name"] for cluster in clusters] == ["default"]


def test_what_was_damaged_comes_back_exactly_and_can_be_damaged_again_by_undo(
    service: Service, control_plane: Access, control_namespace: str, application: Any
) -> None:
    version = backup(service, application, name="good", labels={"release": "1"})
    damage(control_plane, control_namespace)

    said = service.ask(
        "PUT", f"/version/restoreVersion?versionId={version}", {"dryRun": True}, headers={"Prefer": "wait=15"}
    )
    assert said.status == 200
    plan = said.json["plan"]
    assert changed(plan) == {"config-0": "update", "config-1": "create", "stranger": "delete"}
    assert shop.config(control_plane, control_namespace, "stranger") == {"came": "later"}

    applied = restore(service, version, plan=said.json["id"])
    assert applied["state"] == "succeeded", applied
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "0"}
    assert shop.config(control_plane, control_namespace, "config-1") == {"number": "1"}
    assert shop.config(control_plane, control_namespace, "stranger") is None

    rows = service.done("GET", f"/operation/{applied['id']}/result")["items"]
    outcomes = {row["object"]["name"]: (row["verb"], row["outcome"]) for row in rows}
    assert outcomes["config-1"] == ("create", "done")
    assert outcomes["stranger"] == ("delete", "done")

    again = service.finished("PUT", f"/version/restoreVersion?versionId={version}", {"dryRun": True})
    assert again["outcome"]["empty"] is True

    undone = service.finished("POST", f"/operation/{applied['id']}/undo")
    assert undone["state"] == "succeeded", undone
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "wrong"}
    assert shop.config(control_plane, control_namespace, "config-1") is None
    assert shop.config(control_plane, control_namespace, "stranger") == {"came": "later"}


def test_a_plan_is_applied_as_it_was_shown_or_not_at_all(
    service: Service, control_plane: Access, control_namespace: str, application: Any
) -> None:
    version = backup(service, application)
    shop.set_config(control_plane, control_namespace, "config-0", number="wrong")
    plan = service.finished("PUT", f"/version/restoreVersion?versionId={version}", {"dryRun": True})["id"]
    shop.set_config(control_plane, control_namespace, "config-0", number="moved")
    refused = restore(service, version, plan=plan)
    assert refused["state"] == "failed"
    assert refused["error"]["code"] == "conflict"
    assert any("config-0" in moved for moved in refused["error"]["details"]["moved"])
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "moved"}


def test_secrets_are_in_no_answer(
    service: Service, control_plane: Access, control_namespace: str, application: Any
) -> None:
    version = backup(service, application)
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "password", "namespace": control_namespace},
            "stringData": {"password": "letmein99"},
        }
    )
    plan = service.finished("PUT", f"/version/restoreVersion?versionId={version}", {"dryRun": True})["id"]
    shown = json.dumps(
        [
            service.done("GET", f"/operation/{plan}/plan"),
            service.done("GET", f"/version/compare?from={version}&to=live"),
            service.done("GET", f"/version/selectVersion?versionId={version}"),
        ]
    )
    assert "password" in shown
    for secret in ("letmein99", "hunter2", "aHVudGVyMg==", "bGV0bWVpbjk5"):
        assert secret not in shown
        assert secret not in service.log


def test_a_version_tells_what_it_holds_and_how_it_differs(
    service: Service, control_plane: Access, control_namespace: str, application: Any
) -> None:
    first = backup(service, application)
    damage(control_plane, control_namespace)
    second = backup(service, application)

    detail = service.done("GET", f"/version/selectVersion?versionId={first}")
    assert detail["state"] == "complete"
    assert detail["namespaces"] == [control_namespace]
    assert {kind["kind"] for kind in detail["kinds"]} >= {"ConfigMap", "Secret", "Service", "Role", "Deployment"}
    assert detail["document"] == application["document"]

    expected = {"config-0": "changed", "config-1": "removed", "stranger": "added"}
    for to in (second, "live"):
        compared = service.done("GET", f"/version/compare?from={first}&to={to}")
        assert {change["object"]["name"]: change["change"] for change in compared["changes"]} == expected
        assert compared["counts"]["same"] > 5
        edited = next(each for each in compared["changes"] if each["object"]["name"] == "config-0")
        number = next(field for field in edited["fields"] if field["path"] == "/data/number")
        assert (number["from"], number["to"], number["change"]) == ("0", "wrong", "changed")

    listed = service.done("GET", f"/version/getAllVersionsOfApp?appId={application['id']}")["items"]
    assert [version["id"] for version in listed] == [second, first]
    status = service.done("GET", f"/app/status/{application['id']}?refresh=true")
    assert status["state"] == "active"
    assert status["lastGoodVersion"]["id"] == second
    assert any(workload["name"] == "web" for workload in status["health"])


def test_only_the_objects_that_were_asked_for_are_touched(
    service: Service, control_plane: Access, control_namespace: str, application: Any
) -> None:
    version = backup(service, application)
    damage(control_plane, control_namespace)
    restored = restore(service, version, only=["ConfigMap/config-0"])
    assert restored["state"] == "succeeded", restored
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "0"}
    assert shop.config(control_plane, control_namespace, "config-1") is None
    assert shop.config(control_plane, control_namespace, "stranger") == {"came": "later"}


def test_deleting_an_application_ends_its_versions_and_frees_its_name(
    service: Service, control_namespace: str, application: Any
) -> None:
    version = backup(service, application)
    deleted = service.finished("DELETE", f"/app/{application['id']}")
    assert deleted["state"] == "succeeded", deleted
    assert service.ask("GET", f"/app/{application['id']}").status == 404
    assert service.ask("GET", f"/version/selectVersion?versionId={version}").status == 404
    again = {"name": control_namespace, "namespace": control_namespace}
    assert service.done("POST", "/app", again)["id"] != application["id"]


def test_a_namespace_that_is_not_there_cannot_be_registered(service: Service) -> None:
    said = service.ask("POST", "/app", {"name": "ghost", "namespace": "no-such-namespace"})
    assert said.status == 422
    assert said.error["details"]["problems"][0]["path"] == "namespace"


def test_a_kubeconfig_is_tried_before_it_is_stored_and_never_shown(
    service: Service, control_plane: Access, control_namespace: str
) -> None:
    good = json.dumps(control_plane.config)
    settings = {"name": "second", "kubeconfig": good, "pods_amount": 3}
    # It is the default cluster once more: who means that says so.
    twice = service.ask("PUT", "/kubernetes/setKubernetesSettings", settings)
    assert (twice.status, "registered as default already" in twice.error["message"]) == (409, True)
    stored = service.done("PUT", "/kubernetes/setKubernetesSettings", {**settings, "sameAs": "default"})
    assert stored["sameAs"] == "default"
    assert (stored["name"], stored["source"], stored["pods_amount"]) == ("second", "stored", 3)
    assert "client-key" not in json.dumps(stored)
    assert service.done("GET", "/kubernetes/checkKubernetesStatus?cluster=second")["reachable"] is True

    broken = good.replace(control_plane.config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:1")
    said = service.ask("PUT", "/kubernetes/setKubernetesSettings", {"name": "third", "kubeconfig": broken})
    assert said.status == 422
    assert said.error["details"]["problems"][0]["path"] == "kubeconfig"
    names = [cluster["name"] for cluster in service.done("GET", "/kubernetes/clusters")["items"]]
    assert sorted(names) == ["default", "second"]

    # With two clusters one has to say which.
    unsaid = service.ask("POST", "/document/draft", {"namespace": control_namespace})
    assert unsaid.status == 422
    assert unsaid.error["details"]["problems"][0]["path"] == "cluster"
    assert service.done("POST", "/document/draft", {"namespace": control_namespace, "cluster": "second"})["document"]
    assert service.done("DELETE", f"/kubernetes/clusters/{stored['id']}")["deleted"] is True


def test_a_path_of_this_machine_is_no_kubeconfig_to_store(service: Service, control_plane: Access) -> None:
    body = {"name": "mine", "kubeconfig": str(control_plane.kubeconfig)}
    said = service.ask("PUT", "/kubernetes/setKubernetesSettings", body)
    assert said.status == 422


def test_a_dead_cluster_is_told_within_five_seconds(control_plane: Access, tmp_path: Path) -> None:
    config = json.dumps(control_plane.config)
    server = control_plane.config["clusters"][0]["cluster"]["server"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(config.replace(server, "https://127.0.0.1:1"))
    running = Service(tmp_path / "data", kubeconfig).start()
    try:
        began = time.monotonic()
        said = running.ask("GET", "/kubernetes/checkKubernetesStatus")
        assert time.monotonic() - began < 7
        assert (said.status, said.error["code"]) == (505, "cluster-dead")
        assert said.error["details"]["reachable"] is False
    finally:
        running.stop()
