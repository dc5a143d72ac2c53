"""Who else keeps an object as it is, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.plan.deployers import Deployed, Deployer, deployers_of, forget


def _body(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **metadata: Any) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "namespace": "shop",
            "name": "web",
            "labels": labels or {},
            "annotations": annotations or {},
            **metadata,
        },
    }


_RELEASE = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"}
_FLEET = {"objectset.rio.cattle.io/id": "default-shop", **_RELEASE}
_ADDON = {
    "objectset.rio.cattle.io/applied": "H4sI",
    "objectset.rio.cattle.io/id": "",
    "objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon",
    "objectset.rio.cattle.io/owner-name": "shop",
    "objectset.rio.cattle.io/owner-namespace": "kube-system",
}
_KAPP = {"kapp.k14s.io/app": "1557433075084066000", "kapp.k14s.io/association": "v1.c39c"}
_SVELTOS = {"projectsveltos.io/owner-kind": "ClusterProfile", "projectsveltos.io/owner-name": "shop"}
_FLUX_RELEASE = {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "flux-system"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (_body(), []),
        (_body({"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm"}), []),
        (
            _body(annotations={"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}),
            [Deployer("Argo CD", "shop")],
        ),
        (_body({"argocd.argoproj.io/instance": "shop"}), [Deployer("Argo CD", "shop")]),
        (
            _body({"app.kubernetes.io/instance": "shop"}, {"argocd.argoproj.io/sync-wave": "1"}),
            [Deployer("Argo CD", "shop")],
        ),
        (
            _body({"app.kubernetes.io/instance": "shop"}, managedFields=[{"manager": "argocd-controller"}]),
            [Deployer("Argo CD", "shop")],
        ),
        (
            _body(
                {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
            ),
            [Deployer("Flux", "shop", "flux-system")],
        ),
        (_body(annotations=_RELEASE), [Deployer("Helm", "shop", "shop")]),
        (_body(_FLUX_RELEASE, _RELEASE), [Deployer("Flux, with Helm", "shop", "flux-system")]),
        (_body(annotations=_FLEET), [Deployer("Fleet", "shop", "shop")]),
        (_body(annotations=_ADDON), [Deployer("Rancher", "Addon.k3s.cattle.io kube-system/shop")]),
        (_body(_KAPP), [Deployer("kapp", "1557433075084066000")]),
        (_body(annotations={"kapp.k14s.io/update-strategy": "skip"}), []),
        (_body(annotations=_SVELTOS), [Deployer("Sveltos", "ClusterProfile shop")]),
    ],
)
def test_signs_are_told_from_customs(body: Any, expected: list[Deployer]) -> None:
    assert list(deployers_of(body)) == expected


@pytest.mark.parametrize(
    ("body", "what_to_do"),
    [
        (_body({"argocd.argoproj.io/instance": "shop"}), "`argocd app set shop --sync-policy none`"),
        (
            _body(
                {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
            ),
            "`flux suspend kustomization shop -n flux-system`",
        ),
        (_body(_FLUX_RELEASE), "`flux suspend helmrelease shop -n flux-system`"),
        (_body(annotations=_RELEASE), "`helm history shop -n shop`"),
        (_body(annotations=_FLEET), "Pause its GitRepo or Bundle first (`spec.paused`)"),
        (_body(annotations=_ADDON), "as Addon.k3s.cattle.io kube-system/shop says"),
        (_body(_KAPP), "`kctrl app pause -a APP -n NAMESPACE`"),
        (_body(annotations=_SVELTOS), "annotation `profile.projectsveltos.io/paused`"),
    ],
)
def test_each_deployer_is_told_once_with_what_to_do(body: Any, what_to_do: str) -> None:
    deployed = Deployed()
    other = {**body, "metadata": {**body["metadata"], "name": "other"}}
    deployed.add(body, body)
    deployed.add(other)
    deployed.add(None)
    (said,) = deployed.sentences()
    assert what_to_do in said
    assert "Deployment.apps shop/web and others" in said


def test_a_copy_is_nobodys_but_helms_who_goes_by_records() -> None:
    body = _body(
        {"argocd.argoproj.io/instance": "shop", "app": "web", **_FLUX_RELEASE},
        {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web", **_RELEASE},
    )
    assert forget(body) == ""
    assert (body["metadata"]["labels"], body["metadata"]["annotations"]) == ({"app": "web"}, _RELEASE)
    assert list(deployers_of(body)) == [Deployer("Helm", "shop", "shop")]
    bare = _body({"argocd.argoproj.io/instance": "shop"})
    forget(bare)
    assert "labels" not in bare["metadata"]


def test_a_copy_has_nothing_by_which_kapp_fleet_or_sveltos_would_take_it_for_theirs() -> None:
    identity = {
        "kapp.k14s.io/identity": "v1;shop/apps/Deployment/web;apps/v1",
        "kapp.k14s.io/update-strategy": "skip",
    }
    labels = {**_KAPP, "objectset.rio.cattle.io/hash": "bce2", "app": "web"}
    body = _body(labels, {**identity, **_ADDON, **_SVELTOS})
    assert forget(body) == ""
    assert body["metadata"]["labels"] == {"app": "web"}
    assert body["metadata"]["annotations"] == {"kapp.k14s.io/update-strategy": "skip"}
    # Services select pods by kapp's label.
    pod = {**_body(dict(_KAPP), dict(identity)), "apiVersion": "v1", "kind": "Pod"}
    forget(pod)
    assert pod["metadata"]["labels"] == {"kapp.k14s.io/app": "1557433075084066000"}
    assert pod["metadata"]["annotations"] == {"kapp.k14s.io/update-strategy": "skip"}


@pytest.mark.parametrize(
    ("annotations", "manager", "application"),
    [
        ({}, "argocd-controller", "shop"),
        ({"argocd.argoproj.io/sync-wave": "1"}, "helm", "shop"),
        ({"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}, "argocd-controller", ""),
        ({}, "helm", ""),
    ],
)
def test_a_copy_that_argo_cd_may_take_for_its_own_by_a_label_of_charts_keeps_it_and_is_told(
    annotations: dict[str, str], manager: str, application: str
) -> None:
    labels = {"app.kubernetes.io/instance": "shop"}
    body = _body(dict(labels), dict(annotations), managedFields=[{"manager": manager}])
    assert forget(body) == application
    assert body["metadata"]["labels"] == labels
