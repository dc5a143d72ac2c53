"""What begins something by itself waits, if it is to."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.elsewhere import suspend


def body(version: str, kind: str, spec: Any, **more: Any) -> dict[str, Any]:
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": "one", "namespace": "copy"}}
    return {**head, "spec": copy_of(spec), **more}


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("batch/v1", "CronJob"),
        ("batch/v1", "Job"),
        ("argoproj.io/v1alpha1", "CronWorkflow"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
        ("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation"),
        ("postgresql.cnpg.io/v1", "ScheduledBackup"),
    ],
)
def test_kinds_with_the_field_are_suspended_by_it(version: str, kind: str) -> None:
    one = body(version, kind, {"a": 1})
    assert suspend.acts(one)
    suspend.suspend(one)
    assert one["spec"] == {"a": 1, "suspend": True}
    assert not suspend.acts(one)


@pytest.mark.parametrize(
    ("version", "kind", "finalizer"),
    [
        ("kappctrl.k14s.io/v1alpha1", "App", "finalizers.kapp-ctrl.k14s.io/delete"),
        ("packaging.carvel.dev/v1alpha1", "PackageInstall", "finalizers.packageinstall.packaging.carvel.dev/delete"),
        ("fleet.cattle.io/v1alpha1", "GitRepo", ""),
        ("fleet.cattle.io/v1alpha1", "Bundle", ""),
        ("fleet.cattle.io/v1alpha1", "BundleDeployment", ""),
    ],
)
def test_kinds_that_are_paused_by_a_field_wait_and_delete_nothing(version: str, kind: str, finalizer: str) -> None:
    one = body(version, kind, {"a": 1})
    one["metadata"]["finalizers"] = [*([finalizer] if finalizer else []), "theirs.example/keep"]
    assert suspend.acts(one)
    suspend.suspend(one)
    assert one["spec"] == {"a": 1, "paused": True}
    assert one["metadata"]["finalizers"] == ["theirs.example/keep"]
    assert not suspend.acts(one)


@pytest.mark.parametrize(
    ("version", "kind", "annotation", "finalizer"),
    [
        (
            "helm.cattle.io/v1",
            "HelmChart",
            "helmcharts.helm.cattle.io/unmanaged",
            "wrangler.cattle.io/on-helm-chart-remove",
        ),
        (
            "helm.crossplane.io/v1beta1",
            "Release",
            "crossplane.io/paused",
            "finalizer.managedresource.crossplane.io",
        ),
        (
            "helm.m.crossplane.io/v1beta1",
            "Release",
            "crossplane.io/paused",
            "finalizer.managedresource.crossplane.io",
        ),
        (
            "config.projectsveltos.io/v1beta1",
            "ClusterProfile",
            "profile.projectsveltos.io/paused",
            "clusterprofilefinalizer.projectsveltos.io",
        ),
    ],
)
def test_kinds_that_are_paused_by_an_annotation_wait_and_delete_nothing(
    version: str, kind: str, annotation: str, finalizer: str
) -> None:
    one = body(version, kind, {"a": 1})
    one["metadata"] |= {"annotations": {"own": "1"}, "finalizers": [finalizer]}
    assert suspend.acts(one)
    suspend.suspend(one)
    assert one["metadata"]["annotations"] == {"own": "1", annotation: "true"}
    assert "finalizers" not in one["metadata"]
    assert one["spec"] == {"a": 1}
    assert not suspend.acts(one)
    one["metadata"]["annotations"][annotation] = "false"
    assert suspend.acts(one)


def test_other_kinds_begin_nothing_and_stay_as_they_are() -> None:
    one = body("apps/v1", "Deployment", {"replicas": 1})
    suspend.suspend(one)
    assert not suspend.acts(one)
    assert one["spec"] == {"replicas": 1}


AUTOMATED = {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"]}


def test_an_application_of_argo_cd_no_longer_syncs_by_itself_nor_deletes_what_it_deployed() -> None:
    one = body("argoproj.io/v1alpha1", "Application", {"syncPolicy": AUTOMATED}, operation={"sync": {}})
    one["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io", "theirs.example/keep"]
    assert suspend.acts(one)
    suspend.suspend(one)
    assert one["spec"] == {"syncPolicy": {"syncOptions": ["CreateNamespace=true"]}}
    assert one["metadata"]["finalizers"] == ["theirs.example/keep"]
    assert "operation" not in one
    assert not suspend.acts(one)


@pytest.mark.parametrize("policy", [None, {}, {"automated": {"enabled": False}}])
def test_an_application_that_somebody_syncs_by_hand_begins_nothing(policy: Any) -> None:
    assert not suspend.acts(body("argoproj.io/v1alpha1", "Application", {"syncPolicy": policy}))


def test_the_applications_of_a_set_wait_too_whichever_template_makes_them() -> None:
    inner = {"spec": {"syncPolicy": AUTOMATED}}
    generators = [{"matrix": {"generators": [{"git": {"template": inner}}, {"list": {}}]}}]
    metadata = {"finalizers": ["resources-finalizer.argocd.argoproj.io/background"]}
    spec = {
        "generators": generators,
        "template": {"metadata": metadata, **inner},
        "strategy": {"type": "RollingSync"},
        "templatePatch": "spec: {syncPolicy: {automated: {}}}",
    }
    one = body("argoproj.io/v1alpha1", "ApplicationSet", spec)
    suspend.suspend(one)
    assert not suspend.acts(one)
    assert "automated" not in str(one)
    assert one["spec"].keys() == {"generators", "template"}
    assert one["spec"]["template"]["metadata"] == {}


def test_an_application_that_somebody_syncs_by_hand_deletes_nothing_of_the_originals_either() -> None:
    one = body("argoproj.io/v1alpha1", "Application", {"project": "default"})
    one["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io/foreground"]
    suspend.suspend(one)
    assert one["spec"] == {"project": "default"}
    assert "finalizers" not in one["metadata"]
