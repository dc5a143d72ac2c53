"""Commands in real containers, and the health of real workloads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.discovery import discover
from chalicelib.cluster.exec import run
from chalicelib.cluster.health import observe
from chalicelib.cluster.waiting import until
from chalicelib.cluster.writing import Objects
from chalicelib.domain.application import WorkloadHealth
from chalicelib.domain.errors import ClusterRefused, DeadlineExceeded, LeaseLost
from tests.harness.images import BUSYBOX

pytestmark = [pytest.mark.cluster, pytest.mark.node]


def pod_spec(*command: str, image: str = BUSYBOX) -> dict:
    container = {"name": "web", "image": image, "imagePullPolicy": "Never", "command": list(command)}
    return {"containers": [container], "terminationGracePeriodSeconds": 0}


def workload(kind: str, namespace: str, name: str, spec: dict, replicas: int = 1, **more: object) -> dict:
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    shape = {"selector": {"matchLabels": {"app": name}}, "template": template} | more
    if kind != "DaemonSet":
        shape["replicas"] = replicas
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": shape}


@pytest.fixture(scope="module")
def client(cluster) -> Iterator[Client]:
    made = Client(load_kubeconfig(cluster.kubeconfig))
    yield made
    made.close()


def until_ready(client: Client, namespace: str, names: set[tuple[str, str]]) -> dict[tuple[str, str], WorkloadHealth]:
    """Wait until these workloads, by kind and name, are ready; everything there by then."""
    seen: dict[tuple[str, str], WorkloadHealth] = {}

    def look() -> str:
        seen.update({(each.kind, each.name): each for each in observe(client, discover(client), [namespace])})
        return ", ".join(name for kind, name in names if (kind, name) not in seen or not seen[kind, name].healthy)

    until(look, f"workloads in {namespace} to be ready", timeout=60)
    return seen


@pytest.fixture(scope="module")
def space(cluster, client: Client) -> Iterator[str]:
    """A namespace with one running pod, `shell`."""
    with cluster.namespace("exec") as namespace:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": "shell"}}
        Objects(client).create(body | {"spec": pod_spec("sleep", "3600")})
        until_ready(client, namespace, {("Pod", "shell")})
        yield namespace


def sh(client: Client, space: str, script: str, **more: object):
    return run(client, space, "shell", "web", ["sh", "-c", script], **({"timeout": 20} | more))


def test_a_command_that_ends_well_gives_its_output(client: Client, space: str) -> None:
    result = sh(client, space, "echo out; echo err >&2")
    assert (result.exit_code, result.ok) == (0, True)
    assert (result.stdout, result.stderr, result.truncated) == (b"out\n", b"err\n", False)


def test_words_reach_the_command_as_they_are(client: Client, space: str) -> None:
    words = ["printf", "%s|", "a b", "$HOME", "ü & = ?", "--", "new\nline", ""]
    result = run(client, space, "shell", "web", words, timeout=20)
    assert result.stdout.decode() == "a b|$HOME|ü & = ?|--|new\nline||"


def test_a_command_that_fails_gives_its_exit_code(client: Client, space: str) -> None:
    result = sh(client, space, "echo sorry >&2; exit 42")
    assert (result.exit_code, result.ok, result.stderr) == (42, False, b"sorry\n")


def test_a_command_that_takes_too_long_is_left_within_its_time(client: Client, space: str) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"'sh' in exec-.*/shell \(web\) did not end within 1 s"):
        sh(client, space, "echo start; sleep 30", timeout=1)
    assert time.monotonic() - began < 15


def test_only_so_much_output_is_kept_and_the_rest_is_read_away(client: Client, space: str) -> None:
    result = sh(client, space, "yes | head -c 3000000; exit 3", max_output=1000)
    assert (result.exit_code, len(result.stdout), result.truncated) == (3, 1000, True)


@pytest.mark.parametrize(
    ("pod", "container", "status", "said"),
    [("shell", "nope", 400, "container nope is not valid"), ("nope", "web", 404, 'pods "nope" not found')],
)
def test_a_pod_or_container_that_is_not_there_is_named(
    client: Client, space: str, pod: str, container: str, status: int, said: str
) -> None:
    with pytest.raises(ClusterRefused) as raised:
        run(client, space, pod, container, ["true"], timeout=20)
    assert raised.value.http_status == status
    assert said in raised.value.message
    assert f"pods (exec) {space}/{pod}" in raised.value.message


def test_a_program_that_is_not_there_is_named(client: Client, space: str) -> None:
    with pytest.raises(ClusterRefused, match="/no/such/program"):
        run(client, space, "shell", "web", ["/no/such/program"], timeout=20)


def test_who_may_not_exec_is_told(cluster, space: str) -> None:
    stranger = Client(load_kubeconfig(cluster.identity("stranger")))
    with pytest.raises(ClusterRefused) as raised:
        run(stranger, space, "shell", "web", ["true"], timeout=20)
    assert raised.value.http_status == 403
    stranger.close()


def test_a_token_is_enough_to_exec(cluster, space: str) -> None:
    cluster.kubectl(
        "create", "rolebinding", "editor", "--clusterrole=admin", f"--serviceaccount={space}:default", "-n", space
    )
    client = Client(load_kubeconfig(cluster.service_account(space, "default")))
    assert run(client, space, "shell", "web", ["true"], timeout=20).ok
    client.close()


def test_an_exec_asks_the_guard_like_any_write(client: Client, space: str) -> None:
    def before_write() -> None:
        raise LeaseLost("another worker owns the lane")

    with pytest.raises(LeaseLost):
        sh(client.guarded(before_write), space, "touch /tmp/written")
    assert not sh(client, space, "test -e /tmp/written").ok


def test_many_commands_run_side_by_side(client: Client, space: str) -> None:
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda number=number: codes.append(sh(client, space, f"exit {number}").exit_code))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))


def test_workloads_that_run_are_healthy_and_the_others_say_why_not(cluster, client: Client) -> None:
    with cluster.namespace("health") as namespace:
        objects = Objects(client)
        objects.create(workload("Deployment", namespace, "web", pod_spec("sleep", "3600"), 2))
        objects.create(workload("DaemonSet", namespace, "agent", pod_spec("sleep", "3600")))
        objects.create(workload("StatefulSet", namespace, "db", pod_spec("sleep", "3600"), serviceName="db"))
        seen = until_ready(client, namespace, {("Deployment", "web"), ("DaemonSet", "agent"), ("StatefulSet", "db")})
        assert {(health.kind, health.wanted, health.ready) for health in seen.values()} == {
            ("Deployment", 2, 2),
            ("DaemonSet", 1, 1),
            ("StatefulSet", 1, 1),
        }
        objects.create(workload("Deployment", namespace, "absent", pod_spec("true", image="mainstay.test/none:1")))
        objects.create(workload("Deployment", namespace, "crash", pod_spec("sh", "-c", "exit 7")))
        unfit = pod_spec("true") | {"nodeSelector": {"disk": "gold"}}
        objects.create(workload("Deployment", namespace, "unfit", unfit))
        wanted = {
            "absent": "ErrImageNeverPull",
            "crash": "exit code 7",
            "unfit": "cannot be scheduled: 0/1 nodes are available",
        }
        end = time.monotonic() + 60
        while True:
            found = {health.name: health for health in observe(client, discover(client), [namespace])}
            missing = [name for name, words in wanted.items() if words not in found[name].message]
            if not missing or time.monotonic() > end:
                break
            time.sleep(0.5)
        assert missing == [], {name: found[name].message for name in wanted}
        assert not any(found[name].healthy for name in wanted)
        assert all(found[name].healthy for name in ("web", "agent", "db"))
