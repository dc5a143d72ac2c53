"""Where what deploys leads to: namespaces of its own cluster are changed, and what cannot be seen is told."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.elsewhere import deploying
from chalicelib.planning.elsewhere.namespaces import move

THERE = {"shop": "copy"}
INTO = frozenset({"copy"})
ARGO = "argoproj.io/v1alpha1"
FAR = "https://far.example"
OWN = "https://kubernetes.default.svc"
PLACE = {"destination": {"namespace": "shop", "server": OWN}}
KUSTOMIZED = {"source": {"kustomize": {"namespace": "shop"}}}


def flux(kind: str, **spec: Any) -> dict[str, Any]:
    group = "helm.toolkit.fluxcd.io/v2" if kind == "HelmRelease" else "kustomize.toolkit.fluxcd.io/v1"
    return body(group, kind, spec)


def body(version: str, kind: str, spec: Any, **more: Any) -> dict[str, Any]:
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": "one", "namespace": "copy"}}
    return {**head, "spec": copy_of(spec), **more}


def told(one: dict[str, Any], *, beside: bool = False, names: dict[str, str] | None = None) -> str:
    """Everything that is said of an object."""
    said = deploying.told(one, THERE if names is None else names, beside=beside)
    return " ".join(f"{what}: {where}." for what, where in said)


@pytest.mark.parametrize(
    ("kind", "spec", "places"),
    [
        ("Application", {"destination": {"namespace": "copy"}}, []),
        ("Application", {"destination": {"namespace": "copy", "server": OWN}}, []),
        ("Application", {"destination": {"namespace": "infra"}}, ["/spec/destination/namespace"]),
        ("Application", {"destination": {"server": FAR}}, ["/spec/destination/server"]),
        (
            "ApplicationSet",
            {"template": {"spec": {"destination": {"namespace": "{{ns}}", "name": "in-cluster"}}}},
            ["/spec/template/spec/destination/namespace"],
        ),
        (
            "ApplicationSet",
            {"template": {"spec": {"destination": {"namespace": "{{ns}}", "name": "far"}}}},
            ["/spec/template/spec/destination/name"],
        ),
    ],
)
def test_an_application_that_reaches_beyond_the_copy_is_found(kind: str, spec: Any, places: list[str]) -> None:
    assert list(deploying.leads_out(body(ARGO, kind, spec), INTO)) == places


def test_an_object_of_flux_that_reaches_beyond_the_copy_is_found() -> None:
    def places(kind: str, **spec: Any) -> list[str]:
        return list(deploying.leads_out(flux(kind, **spec), INTO))

    assert places("Kustomization", targetNamespace="copy") == []
    assert places("Kustomization", targetNamespace="infra") == ["/spec/targetNamespace"]
    assert places("HelmRelease") == []
    assert places("HelmRelease", targetNamespace="shop") == ["/spec/targetNamespace"]
    assert places("HelmRelease", storageNamespace="infra") == ["/spec/storageNamespace"]
    assert places("HelmRelease", kubeConfig={"secretRef": {"name": "far"}}) == ["/spec/kubeConfig"]


@pytest.mark.parametrize(
    "far",
    [
        body(ARGO, "Application", {**KUSTOMIZED, "destination": {"namespace": "shop", "server": FAR}}),
        body(ARGO, "Application", {"destination": {"namespace": "shop", "name": "far"}}),
        body(ARGO, "AppProject", {"destinations": [{"namespace": "shop", "server": FAR}]}),
        flux("Kustomization", targetNamespace="shop", kubeConfig={"secretRef": {"name": "far"}}),
        flux("HelmRelease", storageNamespace="shop", kubeConfig={"secretRef": {"name": "far"}}),
    ],
)
def test_a_namespace_of_another_cluster_is_not_the_one_that_has_another_name(far: dict[str, Any]) -> None:
    assert move(copy_of(far), THERE) == far


def test_each_destination_of_a_set_is_looked_at_by_itself() -> None:
    generators = [
        {"list": {"template": {"spec": PLACE}}},
        {"list": {"template": {"spec": {"destination": {"namespace": "shop", "server": FAR}}}}},
    ]
    moved = move(body(ARGO, "ApplicationSet", {"generators": generators}), THERE)["spec"]["generators"]
    found = [each["list"]["template"]["spec"]["destination"]["namespace"] for each in moved]
    assert found == ["copy", "shop"]


def test_patterns_of_a_project_and_targets_of_patches_mean_something_else_and_stay() -> None:
    project = body(ARGO, "AppProject", {"destinations": [{"namespace": "shop-*", "server": "*"}]})
    patched = flux("Kustomization", patches=[{"target": {"namespace": "shop"}, "patch": "-"}])
    for one in (project, patched):
        assert move(copy_of(one), THERE) == one


@pytest.mark.parametrize(
    ("one", "hidden"),
    [
        (body(ARGO, "Application", {"destination": {"namespace": "copy"}}), True),
        (body(ARGO, "Application", {"source": {"kustomize": {"namespace": "copy"}}}), False),
        (body(ARGO, "Application", {"sources": [{"kustomize": {"namespace": "copy"}}, {"path": "x"}]}), True),
        (body(ARGO, "Application", {"destination": {"server": FAR}}), False),
        (flux("Kustomization"), True),
        (flux("Kustomization", targetNamespace="copy"), False),
        (flux("HelmRelease"), True),
        (body(ARGO, "AppProject", {}), False),
    ],
)
def test_namespaces_in_sources_that_hold_cannot_be_seen_and_are_told(one: dict[str, Any], hidden: bool) -> None:
    assert ("Deploy what their sources say" in told(one)) is hidden
    assert "Deploy what their sources say" not in told(one, names={})


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        ({"values": {"namespace": "shop", "image": "registry/shop/web"}}, ["/spec/values/namespace"]),
        ({"values": {"a/b": ["x", "shop"]}}, ["/spec/values/a~1b/1"]),
        ({"values": {"where": "shopping"}}, []),
        ({"chart": {"spec": {"chart": "shop"}}}, []),
    ],
)
def test_values_called_like_the_old_namespace_are_told_with_their_place(spec: Any, places: list[str]) -> None:
    said = told(flux("HelmRelease", **spec))
    assert [f"copy/one {place}" in said for place in places] == [True] * len(places)
    assert ("called like the old namespace" in said) is bool(places)


@pytest.mark.parametrize(
    ("text", "found"),
    [("a: 1\nnamespace: shop\n", True), ("ns: 'shop' # ours", True), ("ns=shop", True), ("host: db.shop", False)],
)
def test_such_a_value_is_found_in_a_text_too(text: str, found: bool) -> None:
    one = body(ARGO, "Application", {"source": {"helm": {"values": text}}})
    assert ("copy/one /spec/source/helm/values." in told(one)) is found


def test_a_release_that_is_called_after_its_namespace_will_be_another_one() -> None:
    assert "release of another name" in told(flux("HelmRelease", targetNamespace="copy"))
    assert "release of another name" not in told(flux("HelmRelease", targetNamespace="copy", releaseName="shop-web"))
    assert "release of another name" not in told(flux("HelmRelease"))


def test_on_another_cluster_who_names_a_cluster_is_told_and_what_its_end_would_delete_there() -> None:
    one = body(ARGO, "Application", {"destination": {"server": FAR}})
    said = "Deploy to the cluster that they name, as the original does"
    assert told(one, names={}) == f"{said}: Application.argoproj.io copy/one /spec/destination/server."
    one["metadata"]["finalizers"] = [deploying.CASCADE]
    assert "Have Argo CD delete what it finds of theirs, the original's too" in told(one, names={})
    own = body(ARGO, "Application", PLACE)
    own["metadata"]["finalizers"] = [deploying.CASCADE]
    assert told(own, names={}) == ""
    assert "Have Argo CD delete" in told(own, beside=True)


KAPP, CHART = "kappctrl.k14s.io/v1alpha1", "helm.cattle.io/v1"


@pytest.mark.parametrize(
    ("one", "spec"),
    [
        (
            body(KAPP, "App", {"defaultNamespace": "shop", "deploy": [{"kapp": {"intoNs": "shop"}}]}),
            {"defaultNamespace": "copy", "deploy": [{"kapp": {"intoNs": "copy"}}]},
        ),
        (
            body(KAPP, "App", {"defaultNamespace": "shop", "cluster": {"namespace": "shop"}}),
            {"defaultNamespace": "shop", "cluster": {"namespace": "shop"}},
        ),
        (
            body("packaging.carvel.dev/v1alpha1", "PackageInstall", {"defaultNamespace": "shop"}),
            {"defaultNamespace": "copy"},
        ),
        (
            body(CHART, "HelmChart", {"targetNamespace": "shop", "chart": "shop"}),
            {"targetNamespace": "copy", "chart": "shop"},
        ),
        (body("fleet.cattle.io/v1alpha1", "GitRepo", {"targetNamespace": "shop"}), {"targetNamespace": "shop"}),
        (
            body("helm.m.crossplane.io/v1beta1", "Release", {"forProvider": {"namespace": "shop"}}),
            {"forProvider": {"namespace": "shop"}},
        ),
    ],
)
def test_other_deployers_lead_to_the_copy_where_they_name_their_own_cluster(one: dict[str, Any], spec: Any) -> None:
    assert move(one, THERE)["spec"] == spec


@pytest.mark.parametrize(
    ("one", "places"),
    [
        (body(KAPP, "App", {}), []),
        (body(KAPP, "App", {"deploy": [{"kapp": {"intoNs": "infra"}}]}), ["/spec/deploy/*/kapp/intoNs"]),
        (body(KAPP, "App", {"cluster": {"kubeconfigSecretRef": {"name": "far"}}}), ["/spec/cluster"]),
        (body(CHART, "HelmChart", {"targetNamespace": "infra"}), ["/spec/targetNamespace"]),
        (body("fleet.cattle.io/v1alpha1", "GitRepo", {"targets": [{"clusterName": "a"}]}), ["/spec/targets"]),
        (body("fleet.cattle.io/v1alpha1", "BundleDeployment", {}), ["/spec"]),
        (
            body("helm.crossplane.io/v1beta1", "Release", {"providerConfigRef": {"name": "default"}}),
            ["/spec/providerConfigRef"],
        ),
    ],
)
def test_who_else_reaches_beyond_the_copy_is_found(one: dict[str, Any], places: list[str]) -> None:
    assert list(deploying.leads_out(one, INTO)) == places
    assert ("Deploy to where the original is" in told(one, beside=True)) is bool(places)


def test_of_other_deployers_hidden_namespaces_values_and_what_their_end_deletes_are_told() -> None:
    assert "Deploy what their sources say" in told(body(KAPP, "App", {}))
    assert "Deploy what their sources say" not in told(body(KAPP, "App", {"deploy": [{"kapp": {"intoNs": "copy"}}]}))
    assert "Deploy what their sources say" in told(body(CHART, "HelmChart", {"targetNamespace": "copy"}))
    values = {"valuesContent": "namespace: shop"}
    for kind in ("HelmChart", "HelmChartConfig"):
        assert f"{kind}.helm.cattle.io copy/one /spec/valuesContent." in told(body(CHART, kind, values))
    inline = {"fetch": [{"inline": {"paths": {"config.yml": "namespace: shop"}}}]}
    assert "copy/one /spec/fetch/0/inline/paths/config.yml." in told(body(KAPP, "App", inline))
    app = body(KAPP, "App", {})
    app["metadata"]["finalizers"] = ["finalizers.kapp-ctrl.k14s.io/delete"]
    assert "Have what they deployed deleted when they are deleted" in told(app, beside=True)
    assert "Have what they deployed deleted" not in told(app, names={})
