"""A Kubernetes cluster of one machine: etcd, API server, controllers and, if wanted, a node.

Everything listens on 127.0.0.1, on ports that were free, and is kept in one directory, so several clusters
stand side by side. What is in the directory is enough for another process to find, use and end the cluster.
"""

import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness import pki, provisioner
from tests.harness.access import Access
from tests.harness.binaries import CONTROL_PLANE, CONTROLLERS, NODE, Programs, kubernetes_programs
from tests.harness.cache import cache_root, locked, write_whole
from tests.harness.control_plane import Options, commands
from tests.harness.errors import HarnessError
from tests.harness.images import Image
from tests.harness.node import NAME as NODE_NAME
from tests.harness.node import Node
from tests.harness.ports import answers, free_ports
from tests.harness.processes import Identity, Program, wait_until

__all__ = ["Cluster", "Options", "clusters_root", "standing_clusters", "sweep_abandoned"]

_REPOSITORY = Path(__file__).parents[2]
_PORTS = ("etcd", "peer", "apiserver", "kubelet")


@dataclass
class _State:
    """What `cluster.json` holds; `owner` is the process whose end is the cluster's end, or None."""

    options: Options
    ports: Mapping[str, int]
    owner: Identity | None
    complete: bool = False
    took: Mapping[str, float] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        owner = self.owner.dump() if self.owner else None
        write_whole(path, json.dumps({**asdict(self), "owner": owner}, indent=1))

    @classmethod
    def read(cls, path: Path) -> "_State":
        data = json.loads(path.read_text())
        owner = Identity.load(data.pop("owner") or {}) if data["owner"] else data.pop("owner")
        return cls(**{**data, "options": Options(**data["options"]), "owner": owner})


def clusters_root() -> Path:
    return cache_root() / "clusters"


class Cluster(Access):
    """One cluster; a context manager that starts it and leaves nothing of it.

    `directory` defaults to a fresh one in the cache. An `owned` cluster ends with this process, however that
    ends; one that is not goes on until somebody calls `stop`, in this process or (`Cluster.load`) another.
    """

    def __init__(self, directory: Path | None = None, options: Options | None = None, *, owned: bool = True) -> None:
        directory = (directory or clusters_root() / f"own-{secrets.token_hex(4)}").absolute()
        super().__init__(directory / "kubeconfig", directory)
        self.options = options or Options()
        self._owned = owned
        self._programs: Programs | None = None
        if self.options.node and not self.options.controllers:
            raise HarnessError("a node needs the controllers: without them it keeps its taint")

    @classmethod
    def load(cls, directory: Path) -> "Cluster":
        """A cluster that another process started (or this one, earlier)."""
        state = _State.read(directory / "cluster.json")
        return cls(directory, state.options, owned=state.owner == Identity.own())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def prepare(self) -> None:
        """Find or build its programs; `start` does it too."""
        _ = self.programs

    # -- life ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait until it can be used; on failure nothing is left of it. May take a build, once."""
        programs = self.programs
        sweep_abandoned()
        self.directory.mkdir(parents=True)
        try:
            began = time.monotonic()
            ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
            state = _State(
                replace(self.options, version=programs.version), ports, Identity.own() if self._owned else None
            )
            state.write(self.directory / "cluster.json")
            self._write_credentials()
            self._start_control_plane()
            state.took = {"control plane": round(time.monotonic() - began, 2)}
            if self.options.controllers:
                self.wait_for_account("default")
            state.took |= {"controllers": round(time.monotonic() - began, 2)}
            if self.options.node:
                self.node.join(self.api)
                provisioner.install_classes(self.api)
                self._provisioner.start()
            state.took |= {"all": round(time.monotonic() - began, 2)}
            state.complete = True
            state.write(self.directory / "cluster.json")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all of its processes and remove its directory. It may have been started by another process."""
        if not self.directory.exists():
            return
        with ExitStack() as steps:  # from the last to the first, each whatever became of the others
            if (self.directory / "cluster.json").exists():
                for program in self._handles:
                    # They keep nothing that outlives the directory, so there is nothing to end gently.
                    steps.callback(program.kill)
                if self.options.node:
                    steps.callback(self.node.stop)
                    steps.callback(self._provisioner.kill)
        # Only if all of that went well, so that it can be tried again, and last of all the file that tells others
        # that there is something to end.
        for folder in [path for path in self.directory.iterdir() if path.is_dir()]:
            shutil.rmtree(folder, ignore_errors=True)  # a kubectl that runs still may be writing its cache
        shutil.rmtree(self.directory)

    def running(self) -> dict[str, bool]:
        """The programs of the cluster, and whether each runs."""
        found = {program.name: program.identity() is not None for program in self._handles}
        if self.options.node:
            found |= {"node": self.node.running(), "provisioner": self._provisioner.identity() is not None}
        return found

    def healthy(self, patience: float = 0) -> bool:
        """Whether it came up, all its programs run, its API server is ready and so is its node.

        On a busy machine a node is late to say so: `patience` is how many seconds it may still become healthy,
        as long as all its programs run.
        """
        deadline = time.monotonic() + patience
        while not (healthy := self._healthy_now()) and time.monotonic() < deadline:
            if not all(self.running().values()):
                return False
            time.sleep(0.5)
        return healthy

    def _healthy_now(self) -> bool:
        try:
            if not self.state.complete or not all(self.running().values()):
                return False
            self.api.get("/readyz")
            node = self.api.get(f"/api/v1/nodes/{NODE_NAME}") if self.options.node else None
        except (OSError, HarnessError):
            return False
        conditions = node["status"]["conditions"] if node else []
        return not node or any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    @property
    def state(self) -> _State:
        return _State.read(self.directory / "cluster.json")

    # -- faults --------------------------------------------------------------------------------------------

    def kill_apiserver(self) -> None:
        """End the API server the way a crash would; its port refuses connections from then on."""
        self.program("kube-apiserver").kill()

    def restart_apiserver(self, flags: Sequence[str] | None = None) -> None:
        """Start the API server (again), on the same port and data, and wait until it is ready.

        `flags` replace the cluster's own apiserver_flags from now on.
        """
        if flags is not None:
            state = self.state
            state.options = self.options = replace(state.options, apiserver_flags=tuple(flags))
            state.write(self.directory / "cluster.json")
        program = self.program("kube-apiserver")
        program.stop()
        program.start()
        self._wait_ready()

    def program(self, name: str) -> Program:
        """A program of the control plane by name, to kill, freeze, thaw, start or read its log."""
        return next(program for program in self._control_plane if program.name == name)

    def load_image(self, image: Image) -> None:
        """Make an image of static programs available to pods (imagePullPolicy Never or IfNotPresent)."""
        self.node.load(image)

    # -- parts ---------------------------------------------------------------------------------------------

    @property
    def programs(self) -> Programs:
        if self._programs is None:
            needed = [*CONTROL_PLANE]
            needed += CONTROLLERS if self.options.controllers else ()
            needed += NODE if self.options.node else ()
            self._programs = kubernetes_programs(self.options.version, needed)
        return self._programs

    @property
    def kubectl_program(self) -> Path:
        return self.programs["kubectl"]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.state.ports['apiserver']}"

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = json.loads(self.kubeconfig.read_text())
        return config

    @property
    def _pki(self) -> Path:
        return self.directory / "pki"

    @property
    def node(self) -> Node:
        return Node(self.directory, self.state.ports["kubelet"], self._owned)

    def _credential(self, user: str, groups: Sequence[str]) -> pki.Credential:
        return pki.Authority(self._pki).client(user, groups)

    def _write_credentials(self) -> None:
        authority = pki.Authority.create(self._pki)
        pki.token_keys(self._pki)
        for name, credential in (
            ("server", authority.server()),
            ("kubelet-client", authority.client("kube-apiserver-kubelet-client", ["system:masters"])),
        ):
            write_whole(self._pki / f"{name}.crt", credential.certificate)
            write_whole(self._pki / f"{name}.key", credential.key, 0o600)
        ca = authority.certificate_file.read_text()
        for path, user, groups in (
            (self.kubeconfig, "admin", ["system:masters"]),
            (self._pki / "controller-manager.kubeconfig", "system:kube-controller-manager", []),
            (self._pki / "scheduler.kubeconfig", "system:kube-scheduler", []),
            (self._pki / "kubelet.kubeconfig", f"system:node:{NODE_NAME}", ["system:nodes"]),
        ):
            write_whole(path, pki.kubeconfig(self.url, ca, user, authority.client(user, groups)), 0o600)

    def _start_control_plane(self) -> None:
        etcd, apiserver, *controllers = self._control_plane
        etcd.start()
        apiserver.start()  # it waits for etcd by itself
        self._wait_ready()
        for program in controllers:
            program.start()
        if self.options.node:
            self.node.start(self.programs["kubelet"], self._pki / "kubelet.kubeconfig", self._pki / "ca.crt")

    def _wait_ready(self) -> None:
        programs = [self.program("etcd"), self.program("kube-apiserver")]
        port = self.state.ports["apiserver"]
        wait_until(
            lambda: answers(port) and self.api.get("/readyz") == "ok",
            seconds=90,
            what="the API server to be ready",
            programs=programs,
        )

    @property
    def _handles(self) -> list[Program]:
        """The same, to look at and to end, without the commands: those could need a build."""
        names = ["etcd", "kube-apiserver", *(CONTROLLERS if self.options.controllers else ())]
        return [Program(name, [], self.directory, self._owned) for name in names]

    @property
    def _control_plane(self) -> list[Program]:
        """In the order in which they start."""
        state = self.state
        return [
            Program(name, [self.programs[name], *flags], self.directory, self._owned)
            for name, flags in commands(self.directory, state.ports, state.options).items()
        ]

    @property
    def _provisioner(self) -> Program:
        module = [sys.executable, "-m", "tests.harness.provisioner"]
        command = [*module, str(self.kubeconfig), str(self.directory / "volumes")]
        paths = {"PYTHONPATH": str(_REPOSITORY)}
        return Program("provisioner", command, self.directory, self._owned, paths)


def sweep_abandoned() -> list[str]:
    """Remove what is left of clusters whose owners were killed; their names."""
    removed = []
    with locked("sweep", seconds=120):
        for cluster, owner in _clusters():
            if owner is not None and not owner.alive:
                cluster.stop()
                removed.append(cluster.directory.name)
    return removed


def standing_clusters() -> list[Cluster]:
    """The clusters that `up` started and that belong to no process."""
    return [cluster for cluster, owner in _clusters() if owner is None]


def _clusters() -> Iterator[tuple[Cluster, Identity | None]]:
    for path in sorted(clusters_root().glob("*/cluster.json")):
        try:
            cluster = Cluster.load(path.parent)
            yield cluster, cluster.state.owner
        except FileNotFoundError:
            continue  # it was being removed
