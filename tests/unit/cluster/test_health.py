"""Who is ready, and the reason that is given for who is not."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.cluster.health import health_of, pod_problem


def body(kind: str, name: str, spec: dict | None = None, status: dict | None = None, **metadata: Any) -> dict:
    return {
        "kind": kind,
        "metadata": {"namespace": "shop", "name": name, "generation": 1} | metadata,
        "spec": spec or {},
        "status": {"observedGeneration": 1} | (status or {}),
    }


def owned(kind: str, name: str) -> list[dict]:
    return [{"kind": kind, "name": name, "controller": True, "uid": "u"}]


def pod(name: str, containers: list[dict] | None = None, *, ready: bool = False, **more: Any) -> dict:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": containers or []}
    return body("Pod", name, status=status, **more)


def waiting(reason: str, message: str = "", **more: Any) -> dict:
    return {"name": "web", "ready": False, "state": {"waiting": {"reason": reason, "message": message}}} | more


def only(*bodies: dict) -> Any:
    (found,) = health_of(bodies)
    return found


def test_a_deployment_whose_pods_are_all_new_and_available_is_healthy() -> None:
    found = only(body("Deployment", "web", {"replicas": 3}, {"availableReplicas": 3, "updatedReplicas": 3}))
    assert (found.wanted, found.ready, found.healthy, found.message) == (3, 3, True, "")


def test_a_rollout_that_hangs_is_not_healthy_though_the_old_pods_run() -> None:
    found = only(body("Deployment", "web", {"replicas": 3}, {"availableReplicas": 3, "updatedReplicas": 1}))
    assert (found.ready, found.healthy) == (1, False)


def test_a_paused_rollout_counts_the_pods_there_are() -> None:
    spec = {"replicas": 3, "paused": True}
    assert only(body("Deployment", "web", spec, {"availableReplicas": 3, "updatedReplicas": 0})).healthy


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
def test_a_change_that_no_controller_has_seen_is_not_health(kind: str) -> None:
    status = {
        "availableReplicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "desiredNumberScheduled": 1,
        "numberAvailable": 1,
        "updatedNumberScheduled": 1,
    }
    found = only(body(kind, "web", {"replicas": 1}, status, generation=2))
    assert not found.healthy
    assert "has not seen" in found.message


def test_a_workload_scaled_to_nothing_is_healthy() -> None:
    assert only(body("Deployment", "web", {"replicas": 0})).healthy


def test_a_stateful_set_that_is_rolling_counts_its_new_pods() -> None:
    status = {"readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
    assert only(body("StatefulSet", "db", {"replicas": 3}, status)).ready == 1
    on_delete = {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}
    assert only(body("StatefulSet", "db", on_delete, status)).healthy
    partitioned = {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
    assert only(body("StatefulSet", "db", partitioned, status)).healthy


def test_a_daemon_set_counts_nodes() -> None:
    status = {"desiredNumberScheduled": 4, "numberAvailable": 3, "updatedNumberScheduled": 4}
    found = only(body("DaemonSet", "agent", {}, status))
    assert (found.wanted, found.ready) == (4, 3)


def test_a_failed_job_is_told_and_others_are_not() -> None:
    failed = {"conditions": [{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]}
    complete = {"conditions": [{"type": "Complete", "status": "True"}]}
    found = only(
        body("Job", "migrate", status=failed),
        body("Job", "done", status=complete),
        body("Job", "running"),
        body("Job", "nightly-1", status=failed, ownerReferences=owned("CronJob", "nightly")),
    )
    assert (found.name, found.healthy, found.message) == ("migrate", False, "failed: BackoffLimitExceeded")


def test_pods_of_workloads_and_dying_pods_are_not_workloads() -> None:
    assert (
        health_of([pod("a", ownerReferences=owned("ReplicaSet", "web-1")), pod("b", deletionTimestamp="now")]) == []
    )


def test_a_bare_pod_is_a_workload() -> None:
    assert only(pod("job", ready=True)).healthy
    assert only(pod("job", [waiting("ErrImagePull", "no such image")])).message == (
        "container web: ErrImagePull (no such image)"
    )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            pod("p", [waiting("ImagePullBackOff", "back-off pulling image")]),
            "ImagePullBackOff (back-off pulling image)",
        ),
        (
            pod("p", [waiting("CrashLoopBackOff", "back-off", lastState={"terminated": {"exitCode": 137}})]),
            "CrashLoopBackOff (it ended with exit code 137)",
        ),
        (pod("p", [waiting("CreateContainerConfigError", 'secret "db" not found')]), 'secret "db" not found'),
        (pod("p", [waiting("ContainerCreating")]), "not ready yet"),
        (pod("p", [{"name": "web", "ready": False, "state": {"running": {}}}]), "readiness probe does not pass"),
        (
            pod("p", [{"name": "web", "ready": False, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]),
            "ended with exit code 1 (Error)",
        ),
        (
            body(
                "Pod",
                "p",
                status={
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}],
                },
            ),
            "cannot be scheduled: 0/3 nodes are available",
        ),
        (body("Pod", "p", status={"phase": "Failed", "reason": "Evicted"}), "failed: Evicted"),
    ],
)
def test_a_pods_problem_is_said(broken: dict, said: str) -> None:
    assert said in pod_problem(broken)


def test_a_pod_that_ended_well_has_no_problem() -> None:
    assert pod_problem(body("Pod", "p", status={"phase": "Succeeded"})) == ""


def test_a_failing_init_container_is_named_before_the_others() -> None:
    broken = pod("p", [waiting("PodInitializing")])
    broken["status"]["initContainerStatuses"] = [waiting("ImagePullBackOff") | {"name": "init"}]
    assert pod_problem(broken) == "container init: ImagePullBackOff"


def test_a_workload_gives_the_reason_of_its_own_pods() -> None:
    selector = {"selector": {"matchLabels": {"app": "web"}}, "replicas": 1}
    labels = {"labels": {"app": "web"}}
    mine = pod("web-5d-x", [waiting("ImagePullBackOff")], ownerReferences=owned("ReplicaSet", "web-5d"), **labels)
    starting = pod("web-5d-a", ownerReferences=owned("ReplicaSet", "web-5d"), **labels)
    other = pod("web-api-7f-x", [waiting("CrashLoopBackOff")], ownerReferences=owned("ReplicaSet", "web-api-7f"))
    found = only(body("Deployment", "web", selector), starting, mine, other)
    assert found.message == "pod web-5d-x: container web: ImagePullBackOff"


def failing(message: str, reason: str = "FailedCreate") -> dict:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}
    return body("Deployment", "web", {"replicas": 1}, {"conditions": [condition]})


def test_a_workload_without_pods_gives_its_conditions_reason() -> None:
    said = 'pods "web-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3'
    assert only(failing(said)).message == said
    assert only(body("Deployment", "web", {"replicas": 1})).message == "its pods are not there yet"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('Pod "web-1" is invalid: spec.containers[0].env[0].value: Invalid value: "hunter2"', "FailedCreate (its"),
        ('admission webhook "guard.example.com" denied the request: hunter2 is weak', 'webhook "guard.example.com"'),
    ],
)
def test_a_reason_never_quotes_a_pods_template(said: str, told: str) -> None:
    message = only(failing(said)).message
    assert told in message
    assert "hunter2" not in message


@pytest.mark.parametrize("reason", ["RunContainerError", "CreateContainerError", "PostStartHookError"])
def test_a_reason_never_quotes_a_command_line(reason: str) -> None:
    said = "exec: [psql --password=hunter2]: not found"
    assert only(pod("p", [waiting(reason, said)])).message == f"container web: {reason}"
