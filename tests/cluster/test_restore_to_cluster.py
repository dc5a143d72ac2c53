"""A version restored to another cluster, of an older Kubernetes: what that one serves in other versions is converted,
what it does not serve is named before anything is written, and the original does not notice."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.errors import ClusterNotConfigured, Conflict, Invalid
from chalicelib.domain.operation import State
from chalicelib.engine.lane.clusters import Clusters
from chalicelib.engine.lane.schedules import Schedules
from chalicelib.services.access import ADMINISTRATOR
from chalicelib.services.applications import Applications
from chalicelib.services.clusters import RegisteredClusters
from chalicelib.services.documents import Documents
from chalicelib.services.models.applications import StatusQuery, StatusView
from chalicelib.services.models.clusters import ClusterQuery, ClusterSettings, ClusterView
from chalicelib.services.models.comparing import CompareQuery
from chalicelib.services.operations import Operations
from chalicelib.services.versions import Versions
from tests.harness.access import Access
from tests.harness.errors import ApiError
from tests.support.scene import Kinds, Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.invalid/web:1}]}
"""
DEVICES = """
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: gpu}
spec: {spec: {devices: {requests: [{name: one, exactly: {deviceClassName: gpu.example.com, count: 2}}]}}}
"""


@pytest.fixture
def scene(control_plane: Access) -> Iterator[Scene]:
    with open_scene(control_plane, APP) as opened:
        yield opened


@pytest.fixture
def there(scene: Scene, older_control_plane: Access) -> Iterator[Scene]:
    """The scene as it looks in the other cluster, where nothing is yet."""
    yield replace(scene, cluster=older_control_plane, kinds=Kinds(older_control_plane.api), _used=scene._used)
    _gone(older_control_plane, scene.namespace)


def _gone(cluster: Access, namespace: str) -> None:
    with contextlib.suppress(ApiError):
        cluster.api.delete(f"/api/v1/namespaces/{namespace}")


def contents(scene: Scene) -> dict[str, Any]:
    """What is there, without what each cluster chooses by itself."""
    found = scene.look()
    for body in found.values():
        spec = body.get("spec") or {}
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)
        # Older servers write an empty time here.
        spec.get("template", {}).get("metadata", {}).pop("creationTimestamp", None)
    return found


def test_an_application_is_restored_to_another_cluster_and_undone_there(scene: Scene, there: Scene) -> None:
    version, before = scene.backup(), scene.look()
    cluster = scene.register(there.cluster)
    restored = scene.restore_well(version, cluster=cluster)
    assert contents(there) == contents(scene)
    assert scene.look() == before
    assert restored.operation.outcome["destination"] == {"cluster": cluster, "namespaces": {}}
    scene.undo_well(restored)
    assert there.look() == {}
    assert scene.look() == before


def test_what_is_there_already_is_changed_and_put_back_by_an_undo(scene: Scene, there: Scene) -> None:
    version, cluster = scene.backup(), scene.register(there.cluster)
    scene.restore_well(version, cluster=cluster)
    there.patch("ConfigMap/settings", {"data": {"colour": "red"}})
    there.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}")
    before = there.look()
    restored = scene.restore_well(version, cluster=cluster, mode="exact")
    assert restored.outcomes() == {"ConfigMap/settings": "update", "ConfigMap/extra": "delete"}
    assert contents(there) == contents(scene)
    # The safety version is of the other cluster.
    safety = scene.repository.versions(scene.application.id).get(restored.operation.outcome["safetyVersion"])
    assert safety.cluster == cluster
    scene.undo_well(restored)
    assert there.look() == before


def test_another_cluster_and_another_namespace_at_once(scene: Scene, there: Scene) -> None:
    version, cluster = scene.backup(), scene.register(there.cluster)
    name = f"moved-{secrets.token_hex(3)}"
    try:
        scene.restore_well(
            version, cluster=cluster, namespaces={scene.namespace: name}, only=["Namespace", "ConfigMap"]
        )
        assert there.look() == {}
        assert there.api.get(f"/api/v1/namespaces/{name}/configmaps/settings")["data"] == {"colour": "blue"}
        assert not scene.api.exists(f"/api/v1/namespaces/{name}")
    finally:
        _gone(there.cluster, name)


def test_what_the_cluster_serves_in_an_older_version_is_converted(scene: Scene, there: Scene) -> None:
    scene.make(DEVICES)
    version, cluster = scene.backup(), scene.register(there.cluster)
    scene.restore_well(version, cluster=cluster)
    path = f"/apis/resource.k8s.io/v1beta1/namespaces/{scene.namespace}/resourceclaimtemplates/gpu"
    request = there.api.get(path)["spec"]["spec"]["devices"]["requests"][0]
    assert (request["deviceClassName"], request["count"]) == ("gpu.example.com", 2)


WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
  - name: VERSION
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


@pytest.fixture
def group(control_plane: Access, older_control_plane: Access) -> Iterator[str]:
    """An API group of the test's own."""
    name = f"g{secrets.token_hex(3)}.scene.test"
    yield name
    for cluster in (control_plane, older_control_plane):
        with contextlib.suppress(ApiError):
            cluster.api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{name}")


def _define(scene: Scene, group: str, version: str) -> None:
    scene.make(WIDGETS.replace("GROUP", group).replace("VERSION", version))
    scene.cluster.kubectl(
        "wait", "--for=condition=Established", f"customresourcedefinition/widgets.{group}", "--timeout=30s"
    )


def test_what_the_cluster_does_not_serve_is_named_before_anything_is_written(
    scene: Scene, there: Scene, group: str
) -> None:
    _define(scene, group, "v1")
    scene.make(f"{{apiVersion: {group}/v1, kind: Widget, metadata: {{name: one}}, spec: {{size: 1}}}}")
    version, cluster = scene.backup(), scene.register(there.cluster)
    refused = scene.restore(version, cluster=cluster)
    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert f"does not serve Widget.{group} (1: Widget.{group} {scene.namespace}/one)" in refused.message
    plan = scene.plan(version, cluster=cluster, only=["ConfigMap/*", "Namespace"])
    assert plan.blockers == ()


def test_custom_objects_of_one_shape_are_restored_in_the_version_that_is_served(
    scene: Scene, there: Scene, group: str
) -> None:
    _define(scene, group, "v1beta1")
    scene.make(f"{{apiVersion: {group}/v1beta1, kind: Widget, metadata: {{name: one}}, spec: {{size: 1}}}}")
    version, cluster = scene.backup(), scene.register(there.cluster)
    _define(there, group, "v1")
    scene.restore_well(version, cluster=cluster)
    widget = there.api.get(f"/apis/{group}/v1/namespaces/{scene.namespace}/widgets/one")
    assert widget["spec"] == {"size": 1}


def test_fields_that_the_older_cluster_would_drop_are_named_in_the_plan(scene: Scene, there: Scene) -> None:
    scene.patch("Deployment/web", {"spec": {"template": {"spec": {"hostnameOverride": "shop"}}}})
    version, cluster = scene.backup(), scene.register(there.cluster)
    where = f"Deployment.apps {scene.namespace}/web spec.template.spec.hostnameOverride"
    warnings = scene.plan(version, cluster=cluster).warnings
    assert warnings == (f"Fields that the cluster does not know, and drops: {where}.",)
    # Beside the original everything is known.
    assert scene.plan(version, namespaces={scene.namespace: "elsewhere"}).warnings == ()


def test_fields_that_are_switched_off_there_are_told_when_the_object_is_read_back(scene: Scene, there: Scene) -> None:
    # Both know the field; only the newer one keeps it.
    scene.patch("HorizontalPodAutoscaler/web", {"spec": {"behavior": {"scaleUp": {"tolerance": "50m"}}}})
    kept = scene.get("HorizontalPodAutoscaler/web")["spec"]["behavior"]["scaleUp"]
    assert kept["tolerance"] == "50m"
    version, cluster = scene.backup(), scene.register(there.cluster)
    restored = scene.restore_well(version, cluster=cluster)
    assert "tolerance" not in there.get("HorizontalPodAutoscaler/web")["spec"]["behavior"]["scaleUp"]
    row = restored.rows["HorizontalPodAutoscaler/web"]
    assert (row.verified, [each.path for each in row.differences]) == (
        "differs",
        ["/spec/behavior/scaleUp/tolerance"],
    )
    assert "does not keep /spec/behavior/scaleUp/tolerance" in row.message
    (said,) = [each for each in restored.operation.outcome["warnings"] if each.startswith("The cluster drops fields")]
    assert "HorizontalPodAutoscaler" in said
    again = scene.restore_well(version, cluster=cluster)
    assert again.writes == []
    assert again.rows["HorizontalPodAutoscaler/web"].reason == "not-kept"


def _known_as_one(scene: Scene, twin: str) -> None:
    """Somebody says that both names are meant to be one cluster."""
    own = scene.application.cluster
    scene.repository.clusters.update(twin, lambda found: found.model_copy(update={"same_as": own}))


def test_the_original_is_not_restored_by_another_name_of_its_cluster_unless_that_is_meant(scene: Scene) -> None:
    version, twin = scene.backup(), scene.register(scene.cluster)
    scene.patch("ConfigMap/settings", {"data": {"colour": "red"}})
    refused = scene.restore(version, cluster=twin)
    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert "the original itself would be restored. To do that leave `cluster` out" in refused.message
    # Meant, it is a restore in place: with its mode, its addresses, and as the application's current version.
    _known_as_one(scene, twin)
    scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}")
    address = scene.get("Service/web")["spec"]["clusterIP"]
    restored = scene.restore_well(version, cluster=twin)
    assert restored.outcomes() == {"ConfigMap/settings": "update", "ConfigMap/extra": "delete"}
    assert scene.get("Service/web")["spec"]["clusterIP"] == address
    assert "the original itself is restored" in scene.plan_of(restored).warnings[0]
    assert scene.repository.applications.get(scene.application.id).current_version == version
    scene.undo_well(restored)
    assert scene.get("ConfigMap/settings")["data"] == {"colour": "red"}


def test_another_namespace_by_another_name_of_the_cluster_is_a_copy_beside_the_original(scene: Scene) -> None:
    name = f"copy-{secrets.token_hex(3)}"
    scene.make("""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: {name: NS-reads}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
        subjects: [{kind: ServiceAccount, name: default, namespace: NS}]
    """)
    scene.describe(
        "{objects: [{namespaces: [NS]}, {kinds: [ClusterRoleBinding], names: [NS-reads]}]}",
    )
    version, twin = scene.backup(), scene.register(scene.cluster)
    before = scene.look()
    binding = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{scene.namespace}-reads"
    try:
        restored = scene.restore_well(version, cluster=twin, namespaces={scene.namespace: name})
        assert "this is a copy beside the original" in scene.plan_of(restored).warnings[0]
        assert scene.look() == before
        # What belongs to the whole cluster stays the original's: its accounts are bound as they were.
        assert [each["namespace"] for each in scene.api.get(binding)["subjects"]] == [scene.namespace]
        assert [each["namespace"] for each in scene.api.get(f"{binding}-{name}")["subjects"]] == [name]
        scene.undo_well(restored)
        assert not scene.api.exists(f"{binding}-{name}")
    finally:
        _gone(scene.cluster, name)
        for path in (binding, f"{binding}-{name}"):
            with contextlib.suppress(ApiError):
                scene.api.delete(path)


def test_a_namespace_of_the_version_is_no_place_for_another_one_by_whatever_name_of_the_cluster(scene: Scene) -> None:
    other = f"{scene.namespace}-b"
    scene.make(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {other}}}}}")
    try:
        scene.describe(f"{{objects: [{{namespaces: [NS, {other}]}}]}}")
        version, twin = scene.backup(), scene.register(scene.cluster)
        refused = scene.restore(version, cluster=twin, namespaces={scene.namespace: other})
        assert (refused.state, refused.writes) == (State.FAILED, [])
        assert f"{other} is a namespace of the version itself" in refused.message
    finally:
        _gone(scene.cluster, other)


def test_a_cluster_has_two_names_and_a_name_another_cluster_only_if_somebody_means_it(
    scene: Scene, there: Scene
) -> None:
    services = RegisteredClusters(scene.repository, Clusters(scene.repository))

    def register(name: str, cluster: Access, **said: object) -> ClusterView:
        text = cluster.kubeconfig.read_text()
        settings = ClusterSettings.model_validate({"name": name, "kubeconfig": text, **said})
        return services.configure(ADMINISTRATOR, settings)

    production = register("production", scene.cluster)
    with pytest.raises(Conflict, match="registered as production already"):
        register("standby", scene.cluster)
    assert register("standby", there.cluster).uid not in {"", production.uid}
    with pytest.raises(Conflict, match="another cluster than the one that is registered as production"):
        register("production", there.cluster)
    with pytest.raises(Invalid, match="standby is another cluster"):
        register("twin", scene.cluster, sameAs="standby")
    twin = register("twin", scene.cluster, sameAs="production")
    assert (twin.same_as, twin.uid) == ("production", production.uid)
    assert register("production", scene.cluster).id == production.id
    # Two that lead to one cluster are told by their status, where nobody looked when they were registered.
    scene.repository.clusters.update(
        twin.id, lambda found: found.model_copy(update={"same_as": "", "uid": "", "name": "older"})
    )
    seen = services.status(ADMINISTRATOR, ClusterQuery(cluster="older"))
    assert "It is registered as production too." in " ".join(seen.warnings)
    # A name that comes to stand for another cluster, as it is rebuilt.
    assert register("standby", scene.cluster, moved=True, sameAs="production").uid == production.uid


def test_nothing_is_kept_or_changed_on_a_cluster_that_is_not_the_registered_one(scene: Scene) -> None:
    version = scene.backup()
    scene.patch("ConfigMap/settings", {"data": {"colour": "red"}})
    record = scene.repository.clusters.get(scene.application.cluster)
    assert record.uid == scene.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    # What led to that cluster leads to this one.
    scene.repository.clusters.update(record.id, lambda found: found.model_copy(update={"uid": "of-another"}))
    refused = scene.restore(version)
    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert f"another cluster than the one that is registered as {record.name}" in refused.message
    assert f"mainstay cluster add {record.name} --moved" in refused.message
    for kind in ("backup", "plan"):
        ended = scene.run(kind, **({"version": version} if kind == "plan" else {}))
        assert ended.state is State.FAILED
    services = RegisteredClusters(scene.repository, Clusters(scene.repository, str(scene.cluster.kubeconfig)))
    # Nor is anything told of it in the other's place.
    operations, documents = Operations(scene.repository, scene.engine), Documents(services)
    versions = Versions(scene.repository, operations, services)
    schedules = Schedules(scene.repository, scene.engine)
    applications = Applications(scene.repository, services, documents, operations, versions, schedules)

    def seen() -> StatusView:
        return applications.status(ADMINISTRATOR, scene.application.id, StatusQuery(refresh=True))

    looks: list[Callable[[], object]] = [
        lambda: versions.compare(ADMINISTRATOR, CompareQuery.model_validate({"from": version, "to": "live"})),
        lambda: documents.write(ADMINISTRATOR, "shop", scene.namespace, record.name),
        lambda: services.connect(record.id),
    ]
    for look in looks:
        with pytest.raises(ClusterNotConfigured, match=f"another cluster than the one .* as {record.name}.*--moved"):
            look()
    assert f"another cluster than the one that is registered as {record.name}" in seen().message
    assert (seen().state, seen().health) == ("unknown", [])
    waiting = scene.start("backup")
    with pytest.raises(Conflict, match=f"{waiting.id}, which is queued, works on cluster {record.name}"):
        services.configure(ADMINISTRATOR, ClusterSettings(name=record.name, moved=True))
    scene.engine.tick()
    services.configure(ADMINISTRATOR, ClusterSettings(name=record.name, moved=True))
    assert [bool(look()) for look in looks] == [True] * len(looks)
    assert seen().message == ""
    assert scene.restore(version).state is State.SUCCEEDED
    assert scene.get("ConfigMap/settings")["data"] == {"colour": "blue"}
