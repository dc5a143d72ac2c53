"""ServiceAccounts, the Secrets that belong to them, and what is bound to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.processes import wait_until
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner, annotations: {role: reader}}
imagePullSecrets: [{name: registry}]
automountServiceAccountToken: false
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: other}}
---
apiVersion: v1
kind: Secret
metadata: {name: runner-token, annotations: {kubernetes.io/service-account.name: runner}}
type: kubernetes.io/service-account-token
"""


def token_of(scene: Scene, name: str = "runner-token") -> str:
    """The token that the controller filled in."""

    def filled() -> bool:
        return bool((scene.get(f"Secret/{name}").get("data") or {}).get("token"))

    wait_until(filled, seconds=30, what=f"the token in {name}")
    return str(scene.get(f"Secret/{name}")["data"]["token"])


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, APP) as opened:
        token_of(opened)
        yield opened


def test_an_account_comes_back_and_its_token_is_filled_anew(scene: Scene) -> None:
    was, version = token_of(scene), scene.backup()
    assert "data" not in scene.held(version)["Secret/runner-token"]
    scene.delete("ServiceAccount/runner")
    wait_until(lambda: "Secret/runner-token" not in scene.look(), seconds=30, what="its token to go")
    scene.restore_well(version)
    account = scene.get("ServiceAccount/runner")
    assert account["imagePullSecrets"] == [{"name": "registry"}]
    assert account["automountServiceAccountToken"] is False
    assert account["metadata"]["annotations"] == {"role": "reader"}
    assert token_of(scene) != was
    uid = scene.get("Secret/runner-token")["metadata"]["annotations"]["kubernetes.io/service-account.uid"]
    assert uid == account["metadata"]["uid"]


def test_a_token_that_is_in_use_is_no_difference(scene: Scene) -> None:
    version = scene.backup()
    scene.patch(
        "Secret/runner-token", {"metadata": {"labels": {"kubernetes.io/legacy-token-last-used": "2026-01-01"}}}
    )
    assert scene.restore_well(version).writes == []


def test_a_generated_token_is_the_controllers_and_not_kept(scene: Scene) -> None:
    scene.make(
        """
        apiVersion: v1
        kind: Secret
        metadata: {name: runner-token-x7k2p, annotations: {kubernetes.io/service-account.name: runner}}
        type: kubernetes.io/service-account-token
        """
    )
    token_of(scene, "runner-token-x7k2p")
    scene.patch("ServiceAccount/runner", {"secrets": [{"name": "runner-token-x7k2p"}, {"name": "mine"}]})
    version = scene.backup()
    held = scene.held(version)
    assert "Secret/runner-token-x7k2p" not in held
    assert held["ServiceAccount/runner"]["secrets"] == [{"name": "mine"}]
    # Nor is it extra, and the account keeps its reference to it when it is changed back.
    scene.patch("ServiceAccount/runner", {"imagePullSecrets": [{"name": "changed"}]})
    assert scene.restore_well(version).outcomes() == {"ServiceAccount/runner": "update"}
    account = scene.get("ServiceAccount/runner")
    assert {each["name"] for each in account["secrets"]} == {"runner-token-x7k2p", "mine"}
    assert account["imagePullSecrets"] == [{"name": "registry"}]


def test_the_default_account_is_kept_once_it_was_changed_and_brought_back(scene: Scene) -> None:
    untouched = scene.backup()
    assert "ServiceAccount/default" not in scene.held(untouched)
    scene.patch("ServiceAccount/default", {"imagePullSecrets": [{"name": "registry"}]})
    changed = scene.backup()
    assert "ServiceAccount/default" in scene.held(changed)
    uid = scene.uid("ServiceAccount/default")
    assert scene.restore_well(untouched).outcomes() == {"ServiceAccount/default": "update"}
    assert "imagePullSecrets" not in scene.get("ServiceAccount/default")
    assert scene.restore_well(changed).outcomes() == {"ServiceAccount/default": "update"}
    assert scene.get("ServiceAccount/default")["imagePullSecrets"] == [{"name": "registry"}]
    assert scene.uid("ServiceAccount/default") == uid


def test_a_changed_default_account_comes_back_with_its_namespace(control_plane) -> None:
    with open_scene(control_plane, APP) as scene:
        scene.patch("ServiceAccount/default", {"imagePullSecrets": [{"name": "registry"}]})
        version = scene.backup()
        drop_namespace(scene)
        scene.restore_well(version)
        assert scene.get("ServiceAccount/default")["imagePullSecrets"] == [{"name": "registry"}]
        token_of(scene)


def drop_namespace(scene: Scene) -> None:
    path = f"/api/v1/namespaces/{scene.namespace}"
    scene.api.delete(path)
    wait_until(lambda: not scene.api.exists(path), seconds=60, what="the namespace to be gone")
