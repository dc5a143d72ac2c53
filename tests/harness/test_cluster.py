"""The test cluster is a real one, and nothing of it stays."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import binaries, keeper
from tests.harness.__main__ import main
from tests.harness.access import Access
from tests.harness.cache import cache_root
from tests.harness.cluster import Cluster, clusters_root, sweep_abandoned
from tests.harness.errors import ApiError, HarnessError
from tests.harness.images import BUSYBOX, Image
from tests.harness.processes import Identity, wait_until
from tests.harness.provisioner import RETAIN_CLASS, WAIT_CLASS

REPOSITORY = Path(__file__).parents[2]

MakeCluster = Callable[..., Cluster]


def claim(namespace: str, name: str, storage_class: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def web_pod(namespace: str, name: str, claim_name: str) -> dict[str, Any]:
    script = "echo started; echo kept >> /data/index.html; exec httpd -f -p 8080 -h /data"
    container = {
        "name": "web",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [volume]},
    }


def wait_ready(cluster: Access, namespace: str, pod: str) -> None:
    cluster.kubectl("wait", "-n", namespace, f"pod/{pod}", "--for=condition=Ready", "--timeout=60s", seconds=70)


def volume_of(cluster: Access, namespace: str, name: str) -> dict[str, Any]:
    bound = cluster.api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    volume: dict[str, Any] = cluster.api.get(f"/api/v1/persistentvolumes/{bound['spec']['volumeName']}")
    return volume


@pytest.mark.node
def test_a_pod_with_a_claim_runs_and_can_be_asked(cluster: Access, namespace: str) -> None:
    cluster.apply(claim(namespace, "data"), web_pod(namespace, "web", "data"))
    wait_ready(cluster, namespace, "web")
    assert cluster.kubectl("logs", "-n", namespace, "web") == "started\n"
    said = cluster.kubectl(
        "exec", "-i", "-n", namespace, "web", "--", "sh", "-c", "cat; cat /data/index.html", stdin="hi "
    )
    assert said == "hi kept\n"
    address = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/web")["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
        assert answer.read() == b"kept\n"


@pytest.mark.node
def test_a_released_volume_is_deleted_with_its_data_unless_its_class_retains_it(
    cluster: Access, namespace: str
) -> None:
    cluster.apply(claim(namespace, "gone"), claim(namespace, "kept", RETAIN_CLASS))
    for name in ("gone", "kept"):
        cluster.kubectl(
            "wait", "-n", namespace, f"pvc/{name}", "--for=jsonpath={.status.phase}=Bound", "--timeout=20s"
        )
    gone, kept = volume_of(cluster, namespace, "gone"), volume_of(cluster, namespace, "kept")
    cluster.kubectl("delete", "-n", namespace, "pvc", "gone", "kept", "--timeout=30s")
    path = f"/api/v1/persistentvolumes/{gone['metadata']['name']}"
    wait_until(lambda: not cluster.api.exists(path), seconds=20, what="the volume to go")
    assert not Path(gone["spec"]["hostPath"]["path"]).exists()
    path = f"/api/v1/persistentvolumes/{kept['metadata']['name']}"
    wait_until(lambda: cluster.api.get(path)["status"]["phase"] == "Released", seconds=20, what="the release")
    assert Path(kept["spec"]["hostPath"]["path"]).is_dir()
    cluster.api.delete(path)


@pytest.mark.node
def test_a_waiting_claim_is_bound_by_its_first_pod(cluster: Access, namespace: str) -> None:
    cluster.apply(claim(namespace, "late", WAIT_CLASS))
    time.sleep(1)
    assert "volumeName" not in cluster.api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/late")["spec"]
    cluster.apply(web_pod(namespace, "web", "late"))
    wait_ready(cluster, namespace, "web")


@pytest.mark.node
def test_any_static_program_becomes_an_image(cluster: Access, namespace: str) -> None:
    if not isinstance(cluster, Cluster):
        pytest.fail("a given cluster cannot load images: run this test without MAINSTAY_TEST_KUBECONFIG")
    cluster.load_image(Image("mainstay.test/own:1", {"opt/own": binaries.pause()}, ["/opt/own"]))
    cluster.kubectl(
        "run", "own", "-n", namespace, "--image=mainstay.test/own:1", "--image-pull-policy=Never", "--restart=Never"
    )
    wait_ready(cluster, namespace, "own")


@pytest.mark.cluster
def test_an_identity_may_do_only_what_roles_give_it(control_plane: Access, control_namespace: str) -> None:
    someone = control_plane.identity("someone", ["some-group"])

    def asked(kubeconfig: Path) -> str:
        return control_plane.kubectl(
            "auth", "can-i", "list", "secrets", "-n", control_namespace, kubeconfig=kubeconfig, check=False
        ).strip()

    assert asked(someone) == "no"
    account = control_plane.service_account(control_namespace, "default")
    assert asked(account) == "no"
    control_plane.kubectl(
        "create",
        "rolebinding",
        "viewers",
        "-n",
        control_namespace,
        "--clusterrole=admin",
        "--group=some-group",
        f"--serviceaccount={control_namespace}:default",
    )
    wait_until(lambda: (asked(someone), asked(account)) == ("yes", "yes"), seconds=10, what="the binding to count")


@pytest.mark.cluster
def test_a_certificate_can_also_come_from_the_clusters_own_api(control_plane: Access, tmp_path: Path) -> None:
    given = Access(control_plane.kubeconfig, tmp_path)
    who = given.kubectl("auth", "whoami", "-o", "json", kubeconfig=given.identity("guest", ["guests"]))
    assert json.loads(who)["status"]["userInfo"]["username"] == "guest"
    assert "guests" in json.loads(who)["status"]["userInfo"]["groups"]


@pytest.mark.cluster
@pytest.mark.slow
def test_a_killed_api_server_comes_back_with_its_data_on_the_same_port(make_cluster: MakeCluster) -> None:
    own = make_cluster(apiserver_flags=["--watch-cache=true"])
    own.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    own.kill_apiserver()
    with pytest.raises(OSError, match="refused"):
        own.api.get("/readyz")
    # Started by a thread that ends: the API server must outlive it.
    thread = threading.Thread(target=own.restart_apiserver, args=(["--watch-cache=false"],))
    thread.start()
    thread.join(60)
    assert own.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"
    time.sleep(0.5)
    assert own.healthy()
    own.program("kube-apiserver").freeze()
    with pytest.raises(HarnessError, match="no end after"):
        own.kubectl("get", "configmaps", seconds=2)
    own.program("kube-apiserver").thaw()
    assert own.healthy(patience=10)


@pytest.mark.cluster
@pytest.mark.slow
def test_a_list_that_was_left_for_long_expires_where_compaction_is_fast(make_cluster: MakeCluster) -> None:
    own = make_cluster(apiserver_flags=["--etcd-compaction-interval=1s"])
    path = "/api/v1/namespaces/default/configmaps"
    for number in range(3):
        own.api.post(path, {"metadata": {"name": f"c{number}"}})
    token = own.api.get(f"{path}?limit=1")["metadata"]["continue"]

    def expired() -> bool:
        own.api.post(path, {"metadata": {"generateName": "more-"}})
        try:
            own.api.get(f"{path}?limit=1&continue={token}")
        except ApiError as error:
            return (error.status, error.reason) == (410, "Expired")
        return False

    wait_until(expired, seconds=30, what="the token to expire", pause=0.5)


@pytest.mark.cluster
def test_a_program_that_does_not_start_is_named_with_the_end_of_its_log(make_cluster: MakeCluster) -> None:
    with pytest.raises(HarnessError, match=r"kube-apiserver ended(?s:.*)unknown flag: --no-such-flag"):
        make_cluster(apiserver_flags=["--no-such-flag"])


@pytest.mark.node
@pytest.mark.slow
def test_two_clusters_stand_side_by_side_and_leave_nothing() -> None:
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    with Cluster() as one, Cluster() as other:
        assert one.url != other.url
        for each in (one, other):
            each.apply(claim("default", "data"), web_pod("default", f"web-of-{each.directory.name}", "data"))
        for each in (one, other):
            wait_ready(each, "default", f"web-of-{each.directory.name}")
            assert each.kubectl("get", "pods", "-o", "name").split() == [f"pod/web-of-{each.directory.name}"]
        traces = [Traces.of(each) for each in (one, other)]
        assert all(found.names() for found in traces)
    for found in traces:
        assert found.names() == []
    assert subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout == rules


@pytest.mark.node
@pytest.mark.slow
def test_a_cluster_whose_owner_is_killed_dies_with_it_and_is_swept() -> None:
    script = (
        "import json, time; from tests.harness.cluster import Cluster; c = Cluster(); c.start();"
        "c.kubectl('run', 'p', '--image=mainstay.test/busybox:1', '--image-pull-policy=Never', '--', 'sleep', '99');"
        "c.kubectl('wait', 'pod/p', '--for=condition=Ready', '--timeout=90s', seconds=100);"
        "print(c.directory, flush=True); time.sleep(600)"
    )
    with owner_of(script) as owner:
        assert owner.stdout is not None
        cluster = Cluster.load(Path(owner.stdout.readline().strip()))
        traces = Traces.of(cluster)
        owner.kill()
    wait_until(lambda: not traces.processes(), seconds=10, what="its processes to end")
    assert cluster.directory.name in sweep_abandoned()
    assert traces.names() == []


@pytest.mark.cluster
@pytest.mark.slow
def test_processes_share_a_cluster_that_ends_after_the_last_of_them() -> None:
    name = f"shared-{os.getpid()}"
    script = (
        "import sys; from tests.harness.keeper import borrow; from tests.harness.cluster import Options;"
        f"c = borrow(Options(node=False), '{name}'); print(c.url, flush=True); sys.stdin.read()"
    )
    with owner_of(script) as first, owner_of(script) as second:
        assert first.stdout is not None
        assert second.stdout is not None
        assert first.stdout.readline() == second.stdout.readline() != ""
        first.kill()
        time.sleep(2)
        assert Cluster.load(clusters_root() / name).healthy()
        second.kill()
    wait_until(lambda: not (clusters_root() / name).exists(), seconds=30, what="the cluster to be gone")
    log = cache_root() / "keepers" / "logs" / f"keeper-{name}.log"
    assert "nobody uses" in log.read_text()
    log.unlink()
    keeper.forget(name)


@pytest.mark.cluster
@pytest.mark.slow
def test_up_is_idempotent_and_down_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAINSTAY_TEST_KUBECONFIG", raising=False)
    name = f"cli-{os.getpid()}"
    try:
        assert main(["up", "--no-node", "--name", name]) == 0
        first = capsys.readouterr().out
        assert "export KUBECONFIG=" in first
        # A machine may have no `python`: only this one is known to run it.
        assert f"End it with: {sys.executable} -m tests.harness down --name {name}" in first
        pid = Cluster.load(clusters_root() / name).program("etcd").identity()
        assert main(["up", "--no-node", "--name", name]) == 0
        assert capsys.readouterr().out == first
        assert Cluster.load(clusters_root() / name).program("etcd").identity() == pid
        assert main(["up", "--name", name]) == 1
        assert "`down` it first" in capsys.readouterr().err
        assert main(["status"]) == 0
        assert f"{name}: healthy" in capsys.readouterr().out
        Cluster.load(clusters_root() / name).program("kube-scheduler").kill()
        assert main(["up", "--no-node", "--name", name]) == 0
        assert "starting it afresh" in capsys.readouterr().err
        monkeypatch.setenv("MAINSTAY_TEST_KUBECONFIG", str(clusters_root() / name / "kubeconfig"))
        assert main(["up", "--name", "other"]) == 0
        assert "nothing was started" in capsys.readouterr().out
    finally:
        assert main(["down", "--name", name]) == 0
    assert not (clusters_root() / name).exists()


class Traces:
    """What a cluster with a node leaves on the machine while it runs."""

    def __init__(self, cluster: Cluster, spaces: set[str], devices: set[str]) -> None:
        self._marks = [str(cluster.directory), f"mainstay-tests/{cluster.node.key}", f"mainstay-{cluster.node.key}"]
        self._spaces = spaces
        self._devices = devices

    @classmethod
    def of(cls, cluster: Cluster) -> "Traces":
        found = cls(cluster, set(), set())
        for pid in found.processes():
            for kind in ("pid", "mnt", "net"):
                found._spaces.add(_space(pid, kind))
        found._spaces -= {_space(os.getpid(), kind) for kind in ("pid", "mnt", "net")}
        bridge = (cluster.directory / "node" / "bridge").read_text()
        links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
        found._devices |= {link["ifname"] for link in links if bridge in (link["ifname"], link.get("master"))}
        # The pod has a sandbox, a program and a shim; the node its namespaces, a network and its pod's.
        assert len(found.processes()) >= 11
        assert len(found._spaces) >= 4
        assert len(found._devices) >= 2
        return found

    def processes(self) -> list[int]:
        """Everything that was started for it, inside its namespaces too."""
        return [pid for pid in _pids() if self._belongs(pid)]

    def names(self) -> list[str]:
        """What there is of it now."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        places = [*Path("/sys/fs/cgroup").glob("*"), *Path("/sys/fs/cgroup").glob("*/*")]
        places += [*clusters_root().iterdir(), *Path("/run").glob("mainstay-tests/*"), *Path("/run/netns").glob("*")]
        links = {link.name for link in Path("/sys/class/net").iterdir()}
        return [
            *(f"process {pid}" for pid in self.processes()),
            *(line for line in mounts if self._marked(line)),
            *(str(place) for place in places if self._marked(str(place))),
            *sorted(links & self._devices),
        ]

    def _marked(self, text: str) -> bool:
        return any(mark in text for mark in self._marks)

    def _belongs(self, pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            groups = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            return False
        spaces = {_space(pid, kind) for kind in ("pid", "mnt", "net")}
        return self._marked(command) or self._marked(groups) or bool(spaces & self._spaces)


def _pids() -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and Identity.of(int(folder.name)) is not None:
            yield int(folder.name)


def _space(pid: int, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


def owner_of(script: str) -> "subprocess.Popen[str]":
    """A Python process of its own that runs the script; to be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
