"""What a version holds: the roots of the selection, nothing that controllers make, nothing that was excluded. And
what a restore of it may touch."""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from chalicelib.domain.errors import ClusterUnreachable
from chalicelib.domain.operation import State
from chalicelib.engine.lane.clusters import Clusters
from chalicelib.services.observing import observe
from tests.harness.processes import wait_until
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "scene.test/web:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "scene.test/db:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "scene.test/agent:1"}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: "scene.test/job:1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: "scene.test/job:1"}]}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare}, spec: {containers: [{name: pod, image: "scene.test/pod:1"}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: by-hand}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: by-hand},
 subsets: [{addresses: [{ip: 10.1.2.3}], ports: [{port: 80}]}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 1, maxReplicas: 9,
       metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: leader}, spec: {holderIdentity: somebody}}
"""
ROOTS = {
    "Deployment/web",
    "StatefulSet/db",
    "DaemonSet/agent",
    "CronJob/nightly",
    "Job/once",
    "Pod/bare",
    "Service/web",
    "Service/by-hand",
    "Endpoints/by-hand",
    "HorizontalPodAutoscaler/web",
    "PodDisruptionBudget/web",
}


def kinds_there(scene: Scene) -> set[str]:
    """The kinds of everything in the namespace, by kubectl."""
    kinds = "pods,replicasets,controllerrevisions,endpointslices,endpoints,leases,jobs"
    lines = scene.cluster.kubectl("-n", scene.namespace, "get", kinds, "-o", "name").split()
    return {line.partition("/")[0].partition(".")[0] for line in lines}


def test_a_version_holds_roots_only(control_plane) -> None:
    with open_scene(control_plane, WORKLOADS) as scene:
        made = {"pod", "replicaset", "controllerrevision", "endpointslice", "endpoints", "lease", "job"}
        wait_until(lambda: kinds_there(scene) >= made, seconds=30, what="what controllers make")
        wait_until(
            lambda: len(scene.api.get(f"/api/v1/namespaces/{scene.namespace}/pods")["items"]) >= 4,
            seconds=30,
            what="pods of every workload",
        )
        version = scene.backup()
        assert scene.held(version).keys() == ROOTS | {f"Namespace/{scene.namespace}"}
        # What controllers made is no extra either.
        assert scene.restore_well(version).writes == []


def test_a_document_that_is_written_for_a_namespace_tells_of_what_its_first_version_holds(control_plane) -> None:
    with open_scene(control_plane, WORKLOADS) as scene:
        wait_until(lambda: "endpointslice" in kinds_there(scene), seconds=30, what="what controllers make")
        record = scene.repository.clusters.get(scene.application.cluster)
        session = Clusters(scene.repository, str(control_plane.kubeconfig)).connect(record)
        observed = observe(session, scene.namespace, lambda: True)
        held = scene.held(scene.backup())
        assert observed.counts == Counter(key.partition("/")[0] for key in held)
        assert [(seen.name, seen.labels) for seen in observed.workloads] == [
            ("db", "app=db"),
            ("web", "app=web"),
            ("agent", "app=agent"),
        ]
        with pytest.raises(ClusterUnreachable):
            observe(session, scene.namespace, lambda: False)


def test_everything_of_a_namespace_comes_back_from_nothing(control_plane) -> None:
    with open_scene(control_plane, WORKLOADS) as scene:
        wanted, version = scene.look(), scene.backup()
        scene.delete(*(ROOTS - {"Endpoints/by-hand"}))
        scene.restore_well(version)
        assert {key: scene.look()[key] for key in ROOTS} == {key: wanted[key] for key in ROOTS}


# ── scopes and exclusions ───────────────────────────────────────────────────────────────────────────────────

LABELLED = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {part-of: shop}}, data: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: {part-of: other}}, data: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: tmp-d, labels: {part-of: shop, tier: cache}}, data: {a: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: a, labels: {part-of: shop}}, stringData: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: out, labels: {mainstay.dev/exclude: "true"}}, data: {a: "1"}}
"""
EVERYTHING = {"ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "ConfigMap/tmp-d", "Secret/a"}
NEWCOMERS = {"ConfigMap/x-a", "ConfigMap/x-b", "ConfigMap/x-c", "ConfigMap/tmp-x", "Secret/x-a"}
#: Scopes, what a version of them holds, and which of the newcomers are extra to it.
SCOPES = [
    ("{namespaces: [NS]}", EVERYTHING, NEWCOMERS),
    (
        '{namespaces: [NS], labels: "part-of=shop"}',
        {"ConfigMap/a", "ConfigMap/tmp-d", "Secret/a"},
        {"ConfigMap/x-a", "ConfigMap/tmp-x", "Secret/x-a"},
    ),
    ("{namespaces: [NS], exclude: {kinds: [Secret]}}", EVERYTHING - {"Secret/a"}, NEWCOMERS - {"Secret/x-a"}),
    (
        '{namespaces: [NS], exclude: {labels: "tier=cache"}}',
        EVERYTHING - {"ConfigMap/tmp-d"},
        NEWCOMERS - {"ConfigMap/tmp-x"},
    ),
    (
        '{namespaces: [NS], exclude: {names: ["tmp-*", c]}}',
        EVERYTHING - {"ConfigMap/tmp-d", "ConfigMap/c"},
        NEWCOMERS - {"ConfigMap/tmp-x"},
    ),
    ("{namespaces: [NS], kinds: [Secret]}", {"Secret/a"}, {"Secret/x-a"}),
    ('{namespaces: [NS], names: ["?"], kinds: [ConfigMap]}', {"ConfigMap/a", "ConfigMap/b", "ConfigMap/c"}, set()),
    (
        '{namespaces: [NS], kinds: [Secret]}, {namespaces: [NS], labels: "part-of=other"}',
        {"Secret/a", "ConfigMap/b"},
        {"Secret/x-a", "ConfigMap/x-b"},
    ),
]


@pytest.fixture
def labelled(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, LABELLED) as opened:
        yield opened


@pytest.mark.parametrize(("scopes", "taken", "extra"), SCOPES, ids=[scopes for scopes, _, _ in SCOPES])
def test_a_selection_takes_what_it_says_and_a_restore_touches_nothing_else(
    labelled: Scene, scopes: str, taken: set[str], extra: set[str]
) -> None:
    scene = labelled
    scene.describe(f"objects: [{scopes}]")
    wanted, version = scene.look(), scene.backup()
    assert {key for key in scene.held(version) if not key.startswith("Namespace/")} == taken
    for key in wanted:
        scene.patch(key, {"stringData" if key.startswith("Secret/") else "data": {"a": "changed"}})
    scene.make(LABELLED.replace("name: ", "name: x-").replace("name: x-tmp-d", "name: tmp-x"))
    before = scene.look()
    restored = scene.restore_well(version)
    assert restored.outcomes() == dict.fromkeys(taken, "update") | dict.fromkeys(extra, "delete")
    expected = {key: wanted[key] if key in taken else body for key, body in before.items() if key not in extra}
    assert scene.look() == expected


def test_cluster_scoped_objects_are_kept_and_deleted_only_where_their_labels_say_so(control_plane) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    with open_scene(control_plane) as scene:
        mark, other = f"part-of: {scene.namespace}", "part-of: somebody-else"
        made = [f"{scene.namespace}-{name}" for name in ("kept", "gone", "extra", "others")]
        scene.describe(f'objects: [{{kinds: [ClusterRole], labels: "part-of={scene.namespace}"}}]')

        def make(name: str, label: str) -> None:
            scene.make(
                f"{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {name}, "
                f"labels: {{{label}}}}}, rules: [{{apiGroups: [''], resources: [pods], verbs: [get]}}]}}"
            )

        try:
            make(made[0], mark)
            make(made[1], mark)
            version = scene.backup()
            assert scene.held(version).keys() == {f"ClusterRole/{name}" for name in made[:2]}
            scene.api.patch(f"{roles}/{made[0]}", {"rules": []})
            scene.api.delete(f"{roles}/{made[1]}")
            make(made[2], mark)
            make(made[3], other)
            assert scene.restore_well(version).outcomes() == {
                f"ClusterRole/{made[0]}": "update",
                f"ClusterRole/{made[1]}": "create",
                f"ClusterRole/{made[2]}": "delete",
            }
            assert scene.api.exists(f"{roles}/{made[3]}")
        finally:
            for name in made:
                if scene.api.exists(f"{roles}/{name}"):
                    scene.api.delete(f"{roles}/{name}")


def test_a_label_that_came_since_takes_an_object_out_of_the_restore(labelled: Scene) -> None:
    version = labelled.backup()
    labelled.patch("ConfigMap/a", {"metadata": {"labels": {"mainstay.dev/exclude": "true"}}, "data": {"a": "2"}})
    restored = labelled.restore_well(version)
    assert restored.rows["ConfigMap/a"].reason == "excluded"
    assert labelled.get("ConfigMap/a")["data"] == {"a": "2"}


@pytest.mark.parametrize(
    "scopes",
    [
        '{namespaces: [NS], labels: "part-of=shop"}',
        '{namespaces: [NS], labels: "part-of=shop"}, {namespaces: [NS], kinds: [Service]}',
        '{namespaces: [NS], exclude: {labels: "part-of=other"}}',
    ],
)
def test_an_object_that_left_the_selection_by_a_label_is_brought_back_into_it(labelled: Scene, scopes: str) -> None:
    labelled.describe(f"objects: [{scopes}]")
    wanted, version = labelled.look(), labelled.backup()
    labelled.patch("ConfigMap/a", {"metadata": {"labels": {"part-of": "other"}}, "data": {"a": "2"}})
    assert labelled.restore_well(version, mode="missing").writes == []
    restored = labelled.restore_well(version)
    assert restored.outcomes() == {"ConfigMap/a": "update"}
    assert labelled.look() == wanted
    labelled.undo_well(restored)
    assert labelled.get("ConfigMap/a")["data"] == {"a": "2"}


# ── absent namespaces ───────────────────────────────────────────────────────────────────────────────────────


def test_a_namespace_that_is_not_there_makes_a_version_partial_and_is_named(labelled: Scene) -> None:
    labelled.describe("objects: [{namespaces: [NS, nowhere-at-all]}]")
    made = labelled.run("backup")
    assert made.state is State.PARTIAL
    assert [(gap["namespace"], gap["kind"]) for gap in made.outcome["gaps"]] == [("nowhere-at-all", "*")]
    assert "no namespace nowhere-at-all" in made.outcome["gaps"][0]["message"]
    refused = labelled.restore(made.outcome["version"])
    assert refused.state is State.FAILED
    assert "merge" in refused.message
    labelled.patch("ConfigMap/a", {"data": {"a": "2"}})
    merged = labelled.restore(made.outcome["version"], mode="merge")
    assert merged.state is State.PARTIAL
    assert merged.outcomes() == {"ConfigMap/a": "update"}


def test_a_backup_of_nothing_but_absent_namespaces_makes_no_version(labelled: Scene) -> None:
    labelled.describe("objects: [{namespaces: [nowhere-at-all, nor-here]}]")
    made = labelled.run("backup")
    assert made.state is State.FAILED
    assert "nor-here" in made.error.message
    assert list(labelled.repository.versions(labelled.application.id).list()) == []


# ── content ─────────────────────────────────────────────────────────────────────────────────────────────────

LONG = "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61
TEXT = "Grüße, 世界 \U0001f6e1️\u0000\u2028 \\ \"'\n\ttab \r end".replace("\u0000", "")


def test_names_and_content_of_every_script_and_length_come_back_as_they_were(control_plane) -> None:
    with open_scene(control_plane) as scene:
        scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: seed}}")
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": LONG,
                "annotations": {"note": TEXT},
                "labels": {"p" * 63 + "." + "q" * 63 + ".example/" + "l" * 63: "v" * 63},
            },
            "data": {"text": TEXT, "empty": "", "k" * 253: "long key"},
            "binaryData": {"bytes": base64.b64encode(bytes(range(256))).decode()},
        }
        scene.post(body)
        wanted, version = scene.look(), scene.backup()
        scene.delete(f"ConfigMap/{LONG}")
        scene.restore_well(version)
        assert scene.look() == wanted
        scene.patch(f"ConfigMap/{LONG}", {"data": {"text": TEXT[::-1]}, "binaryData": None})
        scene.restore_well(version)
        assert scene.look() == wanted


def test_objects_larger_than_a_segment_come_back_as_they_were(control_plane) -> None:
    """A ConfigMap may hold 1 MiB, which is more than a segment once it is written as JSON."""
    with open_scene(control_plane) as scene:
        for name, data in {
            "random": {"a": secrets.token_hex(512 * 1024 - 4)},
            "quotes": {"a": '"' * (1024 * 1024 - 1)},
            "small": {"a": "1"},
        }.items():
            scene.post({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
        wanted, version = scene.look(), scene.backup()
        manifest = scene.repository.versions(scene.application.id).get(version)
        assert max(segment.plain for segment in manifest.segments) > 2 * 1024 * 1024
        scene.delete("ConfigMap/random")
        scene.patch("ConfigMap/quotes", {"data": {"a": "'"}})
        assert scene.restore_well(version).outcomes() == {"ConfigMap/random": "create", "ConfigMap/quotes": "update"}
        assert scene.look() == wanted


def test_generated_names_are_kept_and_not_generated_again(control_plane) -> None:
    with open_scene(control_plane) as scene:
        made = scene.post({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}})
        key = f"ConfigMap/{made['metadata']['name']}"
        version = scene.backup()
        scene.delete(key)
        scene.post({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}})
        scene.restore_well(version)
        assert scene.look().keys() == {key}
        assert "generateName" not in scene.get(key)["metadata"]


def test_a_backup_of_what_did_not_change_stores_no_object_again(control_plane) -> None:
    with open_scene(control_plane, LABELLED) as scene:
        first = scene.run("backup")
        again = scene.run("backup")
        assert first.outcome["addedBytes"] > 0
        assert again.outcome["addedBytes"] == 0
        assert again.outcome["version"] != first.outcome["version"]
