"""The demo: one application, made a version of, broken in many ways, and brought back.

Everything runs for real: an API server and a node, the runner, the command line. It ends with status 0 only if the
application was the same, object by object, after each restore.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.demo import snapshot
from tests.harness.access import Access
from tests.harness.cluster import Cluster, Options, standing_clusters
from tests.harness.ports import free_port

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
_MANY = 600
_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def title(text: str) -> None:
    print(f"\n\033[1m▶ {text}\033[0m" if _COLOUR else f"\n▶ {text}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


@contextlib.contextmanager
def a_cluster() -> Iterator[Access]:
    """The cluster that `make cluster` left running, else one of our own, ended afterwards."""
    for standing in standing_clusters():
        if standing.directory.name == "dev" and standing.state.options.node and standing.healthy():
            say(f"using the cluster that runs already (Kubernetes {standing.state.options.version})")
            yield standing
            return
    say("starting etcd, an API server, controllers and a node on this machine")
    say("(the first time ever this builds Kubernetes from source: about 5 minutes on two cores)")
    with Cluster(options=Options(node=True)) as own:
        say(f"Kubernetes {own.state.options.version} is up after {own.state.took['all']:.0f} s")
        yield own


class Service:
    """`mainstay serve` in a process group of its own, so that it can be killed as a power cut would."""

    def __init__(self, cluster: Access, directory: Path) -> None:
        self.environment = {
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig),
            "MAINSTAY_DATA": str(directory / "data"),
            "MAINSTAY_LISTEN": f"127.0.0.1:{free_port()}",
            "MAINSTAY_LEASE_SECONDS": "4",
        }
        self.environment["MAINSTAY_URL"] = f"http://{self.environment['MAINSTAY_LISTEN']}"
        self.log = directory / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "mainstay", "serve"],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self._mainstay("status").returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.2)
        raise SystemExit(f"the service did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL, to the whole group: nothing is written any more, nothing is cleaned up."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=30)
                return
            self.kill()

    def _mainstay(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "mainstay", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run(self, *arguments: str, show: bool = True, indent: str = "    ") -> str:
        """A command as the user types it, and what it prints."""
        if show:
            print(f"  $ mainstay {' '.join(arguments)}", flush=True)
        done = self._mainstay(*arguments)
        if show:
            print("\n".join(indent + line for line in done.stdout.rstrip().splitlines()), flush=True)
        if done.returncode != 0:
            raise SystemExit(f"mainstay {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def ask(self, *arguments: str) -> dict[str, object]:
        """A command's answer as JSON."""
        answer: dict[str, object] = json.loads(self.run(*arguments, "--output", "json", show=False))
        return answer


def deploy(cluster: Access) -> None:
    shop = (HERE / "shop.yaml").read_text()
    definition = shop.split("---\n")[1]
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=definition)
    cluster.kubectl("wait", "--for=condition=Established", "crd/coupons.shop.example", "--timeout=30s")
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=shop)
    many = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: product-{number:03}, namespace: shop, labels: {{kind: product}}}}\n"
        f"data: {{price: '{number}'}}\n"
        for number in range(_MANY)
    )
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=many)
    wait_until_ready(cluster)


def wait_until_ready(cluster: Access) -> None:
    cluster.kubectl("-n", "shop", "rollout", "status", "statefulset/database", "--timeout=120s", seconds=130)
    cluster.kubectl("-n", "shop", "rollout", "status", "deployment/web", "--timeout=120s", seconds=130)


def damage(cluster: Access) -> None:
    """A bad deploy, a bad cleanup and a bad night."""
    in_shop = ("-n", "shop")
    say("a setting edited, a secret and a database deleted, permissions pointed elsewhere (an immutable field),")
    say("a stray Deployment and Job added, the web tier's Deployment replaced by another one, a coupon raised")
    cluster.kubectl(
        *in_shop, "patch", "configmap", "web", "--type=merge", "-p", '{"data":{"banner":"Welcom","debug":"1"}}'
    )
    cluster.kubectl(*in_shop, "delete", "secret", "database")
    cluster.kubectl(*in_shop, "delete", "statefulset", "database")
    cluster.kubectl(*in_shop, "delete", "rolebinding", "web-reads-config")
    cluster.kubectl(
        *in_shop, "create", "rolebinding", "web-reads-config", "--role=admin", "--serviceaccount=shop:web"
    )
    cluster.kubectl(
        *in_shop, "create", "deployment", "miner", "--image=mainstay.test/busybox:1", "--", "sleep", "1000000"
    )
    cluster.kubectl(*in_shop, "delete", "deployment", "web")
    cluster.kubectl(*in_shop, "create", "deployment", "web", "--image=mainstay.test/busybox:1", "--", "false")
    cluster.kubectl(*in_shop, "delete", "service", "web")
    cluster.kubectl(*in_shop, "patch", "coupon", "spring", "--type=merge", "-p", '{"spec":{"percent":90}}')


def prove(cluster: Access, before: snapshot.Snapshot, what: str) -> None:
    found = snapshot.differences(before, snapshot.take(cluster, "shop"))
    if found:
        raise SystemExit(f"NOT equal {what}: " + "; ".join(found[:20]))
    say(f"✔ compared object by object: {len(before)} objects are {what}")


def orders(cluster: Access) -> str:
    return cluster.kubectl("-n", "shop", "exec", "database-0", "--", "cat", "/data/orders").strip()


def kill_in_the_middle(cluster: Access, service: Service, before: snapshot.Snapshot) -> None:
    say(f"$ kubectl delete configmap -l kind=product      # {_MANY} of them")
    cluster.kubectl("delete", "--raw", "/api/v1/namespaces/shop/configmaps?labelSelector=kind%3Dproduct")
    operation = str(service.ask("restore", "shop", "before-deploy", "--yes", "--no-wait")["id"])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        left = len(cluster.kubectl("-n", "shop", "get", "configmap", "-o", "name").split())
        if left > 60:
            break
        time.sleep(0.02)
    service.kill()
    there = sum(
        "product-" in name for name in cluster.kubectl("-n", "shop", "get", "configmap", "-o", "name").split()
    )
    say(f"SIGKILL to the service with {there} of {_MANY} back; starting another one …")
    started = time.monotonic()
    service.start()
    service.run("operation", operation, "--wait", show=False)
    say(f"… which took the restore up where it was and finished it, {time.monotonic() - started:.0f} s later")
    prove(cluster, before, "as they were in the version")


def main() -> None:
    started = time.monotonic()
    title("A real cluster")
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(a_cluster())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-demo-")))
        service = Service(cluster, directory)
        stack.callback(remove, cluster)
        remove(cluster)
        title(
            "An application: database with a volume, web tier, configuration, secrets, permissions, a custom resource"
        )
        deploy(cluster)
        service.start()
        stack.callback(service.stop)
        story(cluster, service)
    title(f"Done in {time.monotonic() - started:.0f} s. Everything was as it should be, and nothing is left running.")


def story(cluster: Access, service: Service) -> None:
    title("Say what its state is, and make a version before the deploy")
    service.run("app", "add", str(HERE / "application.yaml"), show=False)
    service.run("backup", "shop", "--name", "before-deploy", "--quiet", show=False)
    service.run("versions", "shop")
    healthy, data = snapshot.take(cluster, "shop"), orders(cluster)

    title("Break it")
    damage(cluster)
    broken = snapshot.take(cluster, "shop")

    title("What would going back do?")
    service.run("plan", "shop", "before-deploy")

    title("Go back")
    service.run("restore", "shop", "before-deploy", "--yes")
    prove(cluster, healthy, "as they were in the version")
    wait_until_ready(cluster)
    if orders(cluster) != data:
        raise SystemExit("the database's volume does not hold what it held")
    say(f"✔ the database's volume was kept: {orders(cluster)!r}")
    plan = service.ask("plan", "shop", "before-deploy")
    say("✔ planning again: nothing to do" if not writes(plan) else f"NOT empty: {plan}")

    title("Undo the restore, then restore again")
    service.run("undo", "shop", "--yes")
    prove(cluster, broken, "as they were before the restore")
    service.run("restore", "shop", "before-deploy", "--yes")
    prove(cluster, healthy, "as they were in the version")

    title("Kill the service in the middle of a restore")
    kill_in_the_middle(cluster, service, healthy)


def writes(plan: dict[str, object]) -> int:
    outcome = plan.get("outcome")
    counts = outcome.get("counts", {}) if isinstance(outcome, dict) else {}
    return sum(count for verb, count in counts.items() if verb not in {"keep", "skip"})


def remove(cluster: Access) -> None:
    cluster.kubectl("delete", "namespace", "shop", "--ignore-not-found", "--wait=true", seconds=120)
    cluster.kubectl("delete", "crd", "coupons.shop.example", "--ignore-not-found", "--wait=true", seconds=120)


if __name__ == "__main__":
    main()
