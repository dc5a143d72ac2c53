"""`python -m tests.harness build|up|down|status`: a cluster that outlives the command.

`build` makes the programs beforehand (minutes, once), so that no test's time limit has to hold a build.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.harness import binaries, images, localstack
from tests.harness.access import given_cluster
from tests.harness.cache import locked, say
from tests.harness.cluster import Cluster, Options, clusters_root, standing_clusters, sweep_abandoned
from tests.harness.errors import HarnessError
from tests.harness.machine import prepare_machine

# A start may have to wait for a build that another process does.
_SECONDS = binaries.LONGEST_WAIT + 5 * 60


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="find or build all programs and install what a node needs")
    build.add_argument("--version", help="of Kubernetes, such as 1.34.4")
    up = commands.add_parser("up", help="start the cluster unless it runs, and say how to use it")
    up.add_argument("--name", default="dev")
    up.add_argument("--no-node", action="store_true", help="API server and controllers only: no pod runs")
    up.add_argument("--version", help="of Kubernetes, such as 1.34.4")
    down = commands.add_parser("down", help="end the cluster and leave nothing of it")
    down.add_argument("--name", default="dev")
    down.add_argument("--all", action="store_true", help="every cluster that `up` started")
    commands.add_parser("status", help="what runs")
    given = parser.parse_args(arguments)
    try:
        if given.command == "build":
            _build(given.version)
            return 0
        for name in sweep_abandoned():
            say(f"removed what was left of {name}, whose owner is gone")
        if given.command == "up":
            _up(given.name, Options(version=given.version, node=not given.no_node))
        elif given.command == "down":
            names = [cluster.directory.name for cluster in standing_clusters()] if given.all else [given.name]
            for name in names:
                _down(name)
        else:
            _status()
    except HarnessError as error:
        say(str(error))
        return 1
    return 0


def _build(version: str | None) -> None:
    # pip works with one core at most, and Go with all of them.
    with ThreadPoolExecutor(1) as beside:
        installed = beside.submit(localstack.python)
        needed = (*binaries.CONTROL_PLANE, *binaries.CONTROLLERS, *binaries.NODE)
        programs = binaries.kubernetes_programs(version, needed)
        print(f"Kubernetes {programs.version}: {programs['kube-apiserver'].parent}")
        if version is None:
            older = binaries.kubernetes_programs(binaries.OLDER_KUBERNETES, needed)
            print(f"Kubernetes {older.version}: {older['kube-apiserver'].parent}")
        print(f"versitygw {binaries.VERSITYGW}: {binaries.versitygw().parent}")
        print(f"LocalStack {localstack.LOCALSTACK}: {installed.result().parents[1]}")
    if os.geteuid() == 0:
        prepare_machine()
        images.pause()
        images.busybox()


def _up(name: str, options: Options) -> None:
    access = given_cluster()
    if access is not None:
        access.kubectl("get", "--raw", "/readyz")
        print(f"MAINSTAY_TEST_KUBECONFIG is set and its cluster is ready; nothing was started.\n{access.kubeconfig}")
        return
    directory = clusters_root() / name
    with locked(f"cluster-{name}", seconds=_SECONDS, waiting=f"another process works on {name!r}; waiting for it"):
        cluster = _existing(directory)
        if cluster is not None and cluster.healthy(patience=20):
            _same_kind(name, cluster, options)
        else:
            if cluster is not None:
                say(f"{name!r} is not healthy any more: starting it afresh")
                cluster.stop()
            cluster = Cluster(directory, options, owned=False)
            cluster.start()
    state, kubectl = cluster.state, cluster.kubectl_program
    end = "make cluster-down" if name == "dev" else f"{sys.executable} -m tests.harness down --name {name}"
    print(
        f"The cluster {name!r} is ready (Kubernetes {state.options.version}, started in {state.took['all']:.1f} s).\n"
        f"  export KUBECONFIG={cluster.kubeconfig}\n"
        f"  {kubectl} get nodes,pods -A\n"
        f"End it with: {end}"
    )


def _same_kind(name: str, cluster: Cluster, options: Options) -> None:
    has = cluster.state.options
    if has.node != options.node or options.version not in (None, has.version):
        kind = f"Kubernetes {has.version} {'with' if has.node else 'without'} a node"
        raise HarnessError(f"{name!r} runs already, as {kind}: `down` it first, or take another --name")


def _down(name: str) -> None:
    with locked(f"cluster-{name}", seconds=120, waiting=f"another process works on {name!r}; waiting for it"):
        cluster = _existing(clusters_root() / name)
        if cluster is None:
            say(f"there is no cluster {name!r}")
            return
        cluster.stop()
        say(f"{name!r} is gone")


def _status() -> None:
    if "MAINSTAY_TEST_KUBECONFIG" in os.environ:
        print(f"MAINSTAY_TEST_KUBECONFIG={os.environ['MAINSTAY_TEST_KUBECONFIG']}")
    for directory in sorted(clusters_root().glob("*/")):
        cluster = _existing(directory)
        if cluster is None:
            continue
        health = "healthy" if cluster.healthy() else "NOT healthy"
        print(f"{directory.name}: {health}, Kubernetes {cluster.state.options.version}, {cluster.url}")
        print(f"  KUBECONFIG={cluster.kubeconfig}")
        for program, runs in cluster.running().items():
            print(f"  {program}: {'runs' if runs else 'does not run'}")


def _existing(directory: Path) -> Cluster | None:
    return Cluster.load(directory) if (directory / "cluster.json").exists() else None


if __name__ == "__main__":
    sys.exit(main())
