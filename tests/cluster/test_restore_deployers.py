"""What deploys (Argo CD, Flux and others) and what has a say in the whole cluster, in a copy: nothing of it reaches
the original or the namespace by its old name, before somebody means it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.harness.access import Access
from tests.harness.errors import ApiError
from tests.support.manifests import HOOK
from tests.support.scene import Kinds, Scene, open_scene

pytestmark = pytest.mark.cluster

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {kind: KIND, plural: PLURAL}
  versions:
  - name: VERSION
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
KINDS = (
    ("argoproj.io", "v1alpha1", "Application", "applications"),
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
    ("kappctrl.k14s.io", "v1alpha1", "App", "apps"),
    ("helm.cattle.io", "v1", "HelmChart", "helmcharts"),
)
APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/{}/applications/shop"
KUSTOMIZATION = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{}/kustomizations/db"
APP = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: {argocd.argoproj.io/instance: shop, tier: front}
data: {colour: blue}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  project: default
  destination: {server: "https://kubernetes.default.svc", namespace: NS}
  source: {repoURL: "https://git.example/shop", path: ., helm: {valuesObject: {where: NS}}}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: db}
spec:
  interval: 1h
  prune: true
  sourceRef: {kind: GitRepository, name: git, namespace: NS}
  targetNamespace: NS
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: bill}
spec:
  schedule: "0 3 1 1 *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: it, image: "scene.test/it:1"}]}}}}
"""
OTHERS = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: mine
  labels: {kapp.k14s.io/app: "1557433075084066000", tier: front}
  annotations: {kapp.k14s.io/identity: "v1;NS//ConfigMap/mine;v1"}
data: {colour: blue}
---
apiVersion: kappctrl.k14s.io/v1alpha1
kind: App
metadata: {name: shop, finalizers: [finalizers.kapp-ctrl.k14s.io/delete]}
spec:
  serviceAccountName: deployer
  fetch: [{git: {url: "https://git.example/shop", ref: origin/main}}]
  template: [{ytt: {}}]
  deploy: [{kapp: {intoNs: NS}}]
---
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata: {name: db, finalizers: [wrangler.cattle.io/on-helm-chart-remove]}
spec: {chart: db, repo: "https://charts.example", targetNamespace: NS, valuesContent: "where: NS"}
"""
STATE = "objects: [{namespaces: [NS]}, {kinds: [ValidatingWebhookConfiguration], names: [NS-hook]}]"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def define(cluster: Access) -> None:
    """Have the cluster serve the kinds of the deployers, whose own definitions are large."""
    for group, version, kind, plural in KINDS:
        text = DEFINITION.replace("GROUP", group).replace("VERSION", version)
        cluster.kubectl("apply", "-f", "-", stdin=text.replace("KIND", kind).replace("PLURAL", plural))
        name = f"customresourcedefinition/{plural}.{group}"
        cluster.kubectl("wait", "--for=condition=Established", name, "--timeout=30s")


def undefine(cluster: Access) -> None:
    for group, version, _, plural in KINDS:
        for body in cluster.api.get(f"/apis/{group}/{version}/{plural}")["items"]:
            metadata = body["metadata"]
            if metadata.get("finalizers"):  # nobody is there who would take it off
                path = f"/apis/{group}/{version}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
                cluster.api.patch(path, {"metadata": {"finalizers": None}})
        cluster.api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}")


@pytest.fixture(scope="module")
def served(control_plane: Access) -> Iterator[Access]:
    """A cluster that serves the kinds of the deployers, and has nobody who acts on them."""
    define(control_plane)
    yield control_plane
    undefine(control_plane)


@pytest.fixture(scope="module")
def served_there(older_control_plane: Access) -> Iterator[Access]:
    """Another one."""
    define(older_control_plane)
    yield older_control_plane
    undefine(older_control_plane)


@pytest.fixture
def scene(served: Access) -> Iterator[Scene]:
    with open_scene(served, APP, state=STATE) as opened:
        opened.make(HOOK)
        yield opened
        _gone(served, f"{HOOKS}/{opened.namespace}-hook")


@pytest.fixture
def there(scene: Scene, served_there: Access) -> Iterator[Scene]:
    """The scene as it looks in another cluster, where nothing is yet."""
    yield replace(scene, cluster=served_there, kinds=Kinds(served_there.api), _used=scene._used)
    _gone(served_there, f"{HOOKS}/{scene.namespace}-hook")


@pytest.fixture
def copy(scene: Scene) -> Iterator[str]:
    """The name of a namespace that is not there yet."""
    name = f"copy-{secrets.token_hex(3)}"
    yield name
    _gone(scene.cluster, f"/api/v1/namespaces/{name}")


def _gone(cluster: Access, path: str) -> None:
    with contextlib.suppress(ApiError):
        cluster.api.delete(path)


def specs(scene: Scene, namespace: str) -> tuple[Any, Any]:
    """What the Application and the Kustomization in a namespace say."""
    return tuple(scene.api.get(path.format(namespace))["spec"] for path in (APPLICATION, KUSTOMIZATION))


def test_beside_the_original_what_deploys_waits_and_leads_into_the_copy(scene: Scene, copy: str) -> None:
    version, before = scene.backup(), specs(scene, scene.namespace)
    restored = scene.restore_well(version, namespaces={scene.namespace: copy})
    application, kustomization = specs(scene, copy)
    assert application["destination"]["namespace"] == copy
    assert application["syncPolicy"] == {"syncOptions": ["CreateNamespace=true"]}
    assert "finalizers" not in scene.api.get(APPLICATION.format(copy))["metadata"]
    assert kustomization["sourceRef"]["namespace"] == kustomization["targetNamespace"] == copy
    assert kustomization["suspend"] is True
    labels = scene.api.get(f"/api/v1/namespaces/{copy}/configmaps/settings")["metadata"]["labels"]
    assert labels == {"tier": "front"}
    said = " ".join(scene.plan_of(restored).warnings)
    assert f"cannot be seen from here: Application.argoproj.io {copy}/shop." in said
    assert f"Application.argoproj.io {copy}/shop /spec/source/helm/valuesObject/where" in said
    # An undo deletes the copy's Application, and Argo CD is not asked to delete what the original's deployed.
    scene.undo_well(restored)
    assert specs(scene, scene.namespace) == before


def test_other_deployers_wait_in_a_copy_too_and_an_undo_takes_them_away(scene: Scene, copy: str) -> None:
    scene.make(OTHERS)
    app, chart = (
        "/apis/kappctrl.k14s.io/v1alpha1/namespaces/{}/apps/shop",
        "/apis/helm.cattle.io/v1/namespaces/{}/helmcharts/db",
    )
    version, before = scene.backup(), [scene.api.get(path.format(scene.namespace)) for path in (app, chart)]
    restored = scene.restore_well(version, namespaces={scene.namespace: copy})
    there = scene.api.get(app.format(copy))
    assert (there["spec"]["paused"], there["spec"]["deploy"]) == (True, [{"kapp": {"intoNs": copy}}])
    other = scene.api.get(chart.format(copy))
    assert other["metadata"]["annotations"] == {"helmcharts.helm.cattle.io/unmanaged": "true"}
    assert other["spec"]["targetNamespace"] == copy
    assert not {"finalizers"} & (there["metadata"].keys() | other["metadata"].keys())
    mine = scene.api.get(f"/api/v1/namespaces/{copy}/configmaps/mine")["metadata"]
    assert (mine["labels"], "annotations" in mine) == ({"tier": "front"}, False)
    said = " ".join(scene.plan_of(restored).warnings)
    assert f"App.kappctrl.k14s.io {copy}/shop" in said
    assert f"HelmChart.helm.cattle.io {copy}/db /spec/valuesContent" in said
    # Nobody is there who would take a finalizer off: with one, what waits would never go.
    scene.undo_well(restored)
    assert [scene.api.get(path.format(scene.namespace)) for path in (app, chart)] == before
    # In place the plan says who will put their own state back.
    scene.patch("ConfigMap/mine", {"data": {"colour": "red"}})
    assert "`kctrl app pause -a APP -n NAMESPACE`" in " ".join(scene.plan(version).warnings)


def test_to_another_cluster_and_namespace_jobs_run_and_what_deploys_waits(
    scene: Scene, there: Scene, copy: str
) -> None:
    version, cluster = scene.backup(), scene.register(there.cluster)
    into: dict[str, Any] = {"cluster": cluster, "namespaces": {scene.namespace: copy}}
    try:
        restored = scene.restore_well(version, **into)
        application, kustomization = specs(there, copy)
        assert ("automated" in application["syncPolicy"], kustomization["suspend"]) == (False, True)
        assert (application["destination"]["namespace"], kustomization["targetNamespace"]) == (copy, copy)
        assert there.api.get(f"/apis/batch/v1/namespaces/{copy}/cronjobs/bill")["spec"]["suspend"] is False
        said = " ".join(scene.plan_of(restored).warnings)
        assert "Suspended, as what they deploy may know namespaces by their old names: Application" in said
        assert f"do so where the original is as well: CronJob.batch {copy}/bill." in said
        # Somebody means it: one update each.
        going = scene.restore_well(version, **into, suspend=False)
        assert going.outcomes() == {"Application/shop": "update", "Kustomization/db": "update"}
        assert "automated" in specs(there, copy)[0]["syncPolicy"]
    finally:
        _gone(there.cluster, f"/api/v1/namespaces/{copy}")


def test_to_another_cluster_by_the_same_names_everything_goes_on_as_it_was(scene: Scene, there: Scene) -> None:
    version, cluster = scene.backup(), scene.register(there.cluster)
    try:
        restored = scene.restore_well(version, cluster=cluster)
        assert specs(there, scene.namespace) == specs(scene, scene.namespace)
        assert "cannot be seen" not in " ".join(scene.plan_of(restored).warnings)
    finally:
        _gone(there.cluster, f"/api/v1/namespaces/{scene.namespace}")


def test_a_webhook_that_is_missing_is_not_made_beside_the_original_which_it_would_judge_too(
    scene: Scene, copy: str
) -> None:
    version, into, hook = scene.backup(), {scene.namespace: copy}, f"{HOOKS}/{scene.namespace}-hook"
    # There, it is the original's: it names what it named, and nothing differs.
    assert "ValidatingWebhookConfiguration" not in str(scene.plan(version, namespaces=into).actions)
    scene.api.delete(hook)
    restored = scene.restore_well(version, namespaces=into)
    row = restored.rows[f"ValidatingWebhookConfiguration/{scene.namespace}-hook"]
    assert (row.outcome, row.reason) == ("skipped", "reaches-the-original")
    assert "Not made beside the original" in " ".join(scene.plan_of(restored).warnings)
    assert not scene.api.exists(hook)


def test_on_another_cluster_a_webhook_leads_to_its_service_by_the_new_name(
    scene: Scene, there: Scene, copy: str
) -> None:
    version, cluster = scene.backup(), scene.register(there.cluster)
    try:
        scene.restore_well(version, cluster=cluster, namespaces={scene.namespace: copy})
        hook = there.api.get(f"{HOOKS}/{scene.namespace}-hook")
        assert hook["webhooks"][0]["clientConfig"]["service"]["namespace"] == copy
    finally:
        _gone(there.cluster, f"/api/v1/namespaces/{copy}")
