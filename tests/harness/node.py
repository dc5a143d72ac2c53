"""A node: containerd, runc, CNI and kubelet, all inside one PID and one mount namespace.

What the kernel does not clean up with those namespaces is in `machine`, and undone in `stop`.
"""

import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness import images, machine
from tests.harness.api import Api
from tests.harness.cache import locked, write_whole
from tests.harness.errors import ApiError, HarnessError
from tests.harness.processes import Identity, Program, wait_until

NAME = "node-1"


@dataclass
class Node:
    """The one node of the cluster in `cluster` (its directory); the kubelet listens on `port`."""

    cluster: Path
    port: int
    owned: bool

    @property
    def key(self) -> str:
        """What its names on the machine contain: in /run, of cgroups."""
        return hashlib.sha256(str(self.cluster).encode()).hexdigest()[:8]

    @property
    def directory(self) -> Path:
        return self.cluster / "node"

    @property
    def _run(self) -> Path:
        # A short path: those of the sockets below it may have 107 characters at most.
        return machine.RUN / self.key

    @property
    def _socket(self) -> Path:
        return self._run / "containerd.sock"

    @property
    def program(self) -> Program:
        """The outside of the namespaces."""
        unshare = shutil.which("unshare") or "unshare"
        spaces = [
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child=KILL",
        ]
        script = Path(__file__).with_name("node_init.py")
        command: list[str | Path] = [unshare, *spaces, "--", sys.executable, script, self.directory / "init.json"]
        return Program("node", command, self.cluster, self.owned)

    @property
    def logs(self) -> list[Program]:
        """The two programs inside, for the tails of their logs."""
        return [Program(name, [], self.cluster) for name in ("containerd", "kubelet")]

    def start(self, kubelet_program: Path, kubeconfig: Path, ca: Path) -> None:
        """Start it, without waiting for it to be ready: see `join`."""
        if os.geteuid() != 0:
            raise HarnessError("a node needs root; without it start the cluster with no node")
        machine.prepare_machine()
        for folder in ("cni", "plugins", "containerd", "kubelet", "pods"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        with locked("node", seconds=60):
            self._run.mkdir(parents=True)
            machine.remember()
        subnet = machine.make_bridge(self._bridge)
        machine.make_cgroups(self._cgroup)
        write_whole(
            self.directory / "cni" / "10-bridge.conflist",
            json.dumps(_network(subnet, self._bridge.read_text(), self._run)),
        )
        write_whole(self.directory / "containerd.toml", self._containerd_settings())
        write_whole(self.directory / "kubelet.json", json.dumps(self._kubelet_settings(ca), indent=1))
        kubelet: list[str | Path] = [
            kubelet_program,
            f"--config={self.directory}/kubelet.json",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={self.directory}/kubelet",
            f"--cert-dir={self.directory}/pki",
            f"--hostname-override={NAME}",
            # The kubelet accepts no loopback address as its own, but leaves addresses to a cloud provider.
            "--cloud-provider=external",
        ]
        init = {
            "binds": {place: str(self.directory / "binds" / place.strip("/")) for place in machine.FIXED_PLACES},
            "containerd": ["containerd", "--config", str(self.directory / "containerd.toml")],
            "kubelet": [str(part) for part in kubelet],
            "logs": str(self.cluster / "logs"),
            "socket": str(self._socket),
        }
        write_whole(self.directory / "init.json", json.dumps(init, indent=1))
        self.program.start()
        self._remember_init()

    def join(self, api: Api) -> None:
        """Wait until pods can run: images loaded, node registered, addressed, untainted and ready."""
        programs = [self.program]
        wait_until(self._socket.exists, seconds=30, what="containerd's socket", programs=programs)
        for image in (images.pause(), images.busybox()):
            self.load(image)
        path = f"/api/v1/nodes/{NAME}"
        try:
            wait_until(lambda: _settled(api, path), seconds=90, what="the node to be ready", programs=programs)
        except HarnessError as error:
            raise HarnessError("\n".join([str(error), *(program.tail() for program in self.logs)])) from None

    def load(self, image: images.Image) -> None:
        """Make an image available to the node's pods (imagePullPolicy Never or IfNotPresent)."""
        archive = self.directory / f"image-{secrets.token_hex(4)}.tar"
        image.write(archive)
        command = [
            "ctr",
            "--address",
            str(self._socket),
            "--namespace",
            "k8s.io",
            "images",
            "import",
            str(archive),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        archive.unlink()
        if done.returncode:
            raise HarnessError(f"{image.tag} could not be imported: {done.stderr.strip()}")

    def running(self) -> bool:
        return self.program.identity() is not None and self._init() is not None

    def stop(self) -> None:
        """End everything of the node at once and undo what it did to the machine."""
        init = self._init()
        if init is not None and init.signal(signal.SIGKILL) and not init.wait_gone(30):
            raise HarnessError(f"the node's first process (pid {init.pid}) is still there 30 s after SIGKILL")
        self.program.kill()
        self._init_file.unlink(missing_ok=True)
        machine.remove_bridge(self._bridge)
        machine.remove_cgroups(self._cgroup)
        with locked("node", seconds=60):
            shutil.rmtree(self._run, ignore_errors=True)
            machine.restore()

    @property
    def _init_file(self) -> Path:
        return self.cluster / "run" / "node-init.json"

    def _remember_init(self) -> None:
        """Keep which process is process 1 inside: the kernel lets it end only after all others there."""
        outer = self.program.identity()

        def found() -> bool:
            for child in [] if outer is None else _children(outer.pid):
                identity = Identity.of(child)
                if identity is not None:
                    write_whole(self._init_file, json.dumps(identity.dump()))
                    return True
            return False

        wait_until(found, seconds=10, what="the node's first process", programs=[self.program], pause=0.01)

    def _init(self) -> Identity | None:
        try:
            identity = Identity.load(json.loads(self._init_file.read_text()))
        except (OSError, ValueError, KeyError):
            return None
        return identity if identity.alive else None

    @property
    def _bridge(self) -> Path:
        return self.directory / "bridge"

    @property
    def _cgroup(self) -> str:
        return f"mainstay-{self.key}"

    # -- settings ------------------------------------------------------------------------------------------

    def _containerd_settings(self) -> str:
        return f"""version = 2
root = "{self.directory}/containerd"
state = "{self._run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
  address = "{self._socket}"

[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  sandbox_image = "{images.PAUSE}"
  # Machines without CAP_SYS_RESOURCE may not lower a score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{machine.CNI}"
    conf_dir = "{self.directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{self._run}/runc"
"""

    def _kubelet_settings(self, ca: Path) -> Mapping[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self.port,
            "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(ca)},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "volumePluginDir": str(self.directory / "plugins"),
            "podLogsDir": str(self.directory / "pods"),
            "resolvConf": "/dev/null",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._cgroup}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "oomScoreAdj": 0,
            "makeIPTablesUtilChains": False,
            # The images cannot be pulled again and the disk is shared: nothing is ever evicted or collected.
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "maxPods": 250,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
        }


def _network(subnet: str, bridge: str, run: Path) -> Mapping[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(run / "addresses"),
        "ranges": [[{"subnet": f"{subnet}.0/24", "gateway": f"{subnet}.1"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "bridge", "bridge": bridge, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "mainstay-test", "plugins": [plugin]}


def _settled(api: Api, path: str) -> bool:
    """Do for the node what a cloud's controller would; whether it is ready for pods."""
    try:
        node: dict[str, Any] = api.get(path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    address = {"type": "InternalIP", "address": "127.0.0.1"}
    if address not in node["status"].get("addresses", []):
        hostname = {"type": "Hostname", "address": NAME}
        api.patch(f"{path}/status", {"status": {"addresses": [address, hostname]}})
    taints = node["spec"].get("taints", [])
    foreign = [taint for taint in taints if taint["key"] != "node.cloudprovider.kubernetes.io/uninitialized"]
    if len(foreign) < len(taints):
        # With the version that was read: the node controller changes the same list.
        version = node["metadata"]["resourceVersion"]
        try:
            api.patch(path, {"metadata": {"resourceVersion": version}, "spec": {"taints": foreign or None}})
        except ApiError as error:
            if error.status != 409:
                raise
        return False
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))
    return ready and not taints


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            if int(stat[stat.rindex(")") + 2 :].split()[1]) == parent:
                yield int(folder.name)
