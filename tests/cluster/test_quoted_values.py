"""What a server quotes of an object when it refuses it: for whoever may read the result, and nobody else."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator

import pytest

from chalicelib.domain.operation import State
from tests.harness.access import Access
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support.scene import Body, Scene, open_scene

pytestmark = pytest.mark.cluster

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PASSWORD = "hunter2-in-a-vault"


def versions(password: Body) -> list[Body]:
    spec = {"type": "object", "properties": {"password": {"type": "string", **password}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return [{"name": "v1", "served": True, "storage": True, "schema": schema}]


@pytest.fixture
def group(control_plane: Access) -> Iterator[str]:
    """A group with a kind `Vault` that takes any password."""
    name = f"quoted-{secrets.token_hex(3)}.example"
    control_plane.api.post(
        DEFINITIONS,
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"vaults.{name}"},
            "spec": {
                "group": name,
                "scope": "Namespaced",
                "names": {"plural": "vaults", "singular": "vault", "kind": "Vault", "listKind": "VaultList"},
                "versions": versions({}),
            },
        },
    )
    path = f"/apis/{name}/v1/namespaces/default/vaults"
    wait_until(lambda: control_plane.api.exists(path), seconds=30, what=path)
    yield name
    control_plane.api.delete(f"{DEFINITIONS}/vaults.{name}")


def vault(group: str, name: str = "one") -> Body:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Vault",
        "metadata": {"name": name},
        "spec": {"password": PASSWORD},
    }


def narrow(scene: Scene, group: str) -> None:
    """From now on the server takes no password but `a` and `b`, and quotes every other one."""
    scene.api.patch(f"{DEFINITIONS}/vaults.{group}", {"spec": {"versions": versions({"enum": ["a", "b"]})}})

    def refuses() -> bool:
        try:
            scene.api.post(f"/apis/{group}/v1/namespaces/{scene.namespace}/vaults?dryRun=All", vault(group, "probe"))
        except ApiError as error:
            return error.status == 422
        return False

    wait_until(refuses, seconds=30, what="the new schema to be asked")
    time.sleep(0.5)


def plain_in_control(scene: Scene) -> list[str]:
    """Keys under `control/` whose bytes hold the password."""
    control = scene.repository.control
    found = []
    for listed in control.list("control/"):
        blob = control.get(listed.key)
        if blob is not None and PASSWORD.encode() in blob.data:
            found.append(listed.key)
    return found


@pytest.mark.parametrize("on_failure", ["rollback", "keep"])
def test_a_refused_value_is_told_in_the_result_only(
    control_plane: Access, group: str, on_failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with open_scene(control_plane) as scene:
        scene.post(vault(group))
        version = scene.backup()
        scene.delete("Vault/one")
        narrow(scene, group)
        done = scene.restore(version, onFailure=on_failure)
        # The one place with the server's own words: encrypted, and shown to who may see it.
        assert f'spec.password: Unsupported value: "{PASSWORD}"' in done.rows["Vault/one"].message
        if on_failure == "rollback":
            assert done.state is State.FAILED
            assert "422 Invalid: spec.password is none of the values it may have." in done.message
            assert f"mainstay result {done.id}" in done.message
        assert plain_in_control(scene) == []
        assert PASSWORD not in caplog.text


def test_a_plan_that_the_server_would_refuse_quotes_nothing_in_the_clear(
    control_plane: Access, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with open_scene(control_plane) as scene:
        scene.post(vault(group))
        version = scene.backup()
        scene.patch("Vault/one", {"spec": {"password": "a"}})
        narrow(scene, group)
        action = scene.planned(version)["Vault/one"]
        assert (action.verb.value, action.reason) == ("skip", "refused")
        assert PASSWORD in action.message
        done = scene.restore(version)
        assert done.state is State.PARTIAL
        assert plain_in_control(scene) == []
        assert PASSWORD not in caplog.text
