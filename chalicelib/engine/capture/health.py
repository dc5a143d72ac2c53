"""The application's health before and after a restore.

A restore is judged by what it could have made worse: workloads that were ready when the version was made, and the
document's checks. What was broken before it and is broken after it is said, but does not undo the restore: an
application is not brought back to being broken.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from chalicelib.cluster import exec as pod_exec
from chalicelib.cluster import health as cluster_health
from chalicelib.cluster.health import pod_problem
from chalicelib.cluster.listing import items
from chalicelib.domain.application import WorkloadHealth
from chalicelib.domain.document import Check
from chalicelib.domain.errors import ClusterError, DeadlineExceeded
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.engine.lane.work import Work

#: Seconds between two looks.
_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one of the document's checks said."""

    command: str
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """Health at one moment."""

    workloads: tuple[WorkloadHealth, ...]
    checks: tuple[CheckResult, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For checkpoints and outcomes."""
        return {
            "workloads": [workload.model_dump(mode="json", by_alias=True) for workload in self.workloads],
            "checks": [
                {"command": check.command, "passed": check.passed, "message": check.message} for check in self.checks
            ],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Observed:
        """Back from a checkpoint."""
        return cls(
            tuple(WorkloadHealth.model_validate(each) for each in stored.get("workloads", ())),
            tuple(CheckResult(**each) for each in stored.get("checks", ())),
        )

    @property
    def unwell(self) -> dict[str, str]:
        """What is not well, by a name for people, with the reason."""
        found = {_name(each): each.trouble for each in self.workloads if not each.healthy}
        found |= {check.command: check.message for check in self.checks if not check.passed}
        return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """Health after a restore, and what is worse than before it, in sentences."""

    now: Observed
    worse: tuple[str, ...]
    #: What is not well although it must be, by name with the reason; `worse` is the part that was well before.
    missing: Mapping[str, str] = field(default_factory=dict)


def _name(workload: WorkloadHealth) -> str:
    return f"{workload.kind} {workload.namespace}/{workload.name}"


def observe(work: Work, *, checks: bool = True) -> Observed:
    """Look once, at the workloads and (unless told not to) with the document's checks."""
    return Observed(_workloads(work), _checks(work, work.document.spec.restore.health.checks) if checks else ())


def settle(work: Work, version: str | None, was: Observed, refused: Iterable[ObjectKey] = ()) -> Verdict:
    """Look until everything that must be well is, or the document's time is over, in however many turns.

    What must be well: workloads that were ready when `version` was made (without a version: that were ready before),
    and every check. What was `refused` is not waited for.
    """
    limit = work.document.spec.restore.health.timeout.total_seconds()
    end = time.monotonic() + limit - work.elapsed("health", limit)
    required = _required(work, version, was) - {f"{key.kind} {key.namespace}/{key.name}" for key in refused}
    unwell_before = was.unwell
    known_before = {_name(workload) for workload in was.workloads}
    while True:
        work.look()
        now = observe(work)
        missing = _missing(now, required)
        if not missing:
            return Verdict(now, ())
        if time.monotonic() >= end:
            break
        work.pause()  # after the look: a turn that is short sees how things are all the same
        awaited = len(required) + len(now.checks)
        work.report(awaited - len(missing), awaited, "workloads and checks")
        time.sleep(_INTERVAL)
    worse = tuple(
        f"{name}: {why} (waited {limit:.0f} s)"
        for name, why in sorted(missing.items())
        if name not in unwell_before and (name in known_before or name.startswith("check "))
    )
    return Verdict(now, worse, missing)


def _required(work: Work, version: str | None, was: Observed) -> frozenset[str]:
    if version is None:
        names = {_name(workload) for workload in was.workloads if workload.healthy}
    else:
        manifest = work.repository.versions(work.operation.application).get(version)
        there = work.destination
        names = {
            f"{each.kind} {there.names.get(each.namespace, each.namespace)}/{each.name}"
            for each in manifest.health
            if each.ready and there.takes(each.namespace)
        }
    return frozenset(names)


def _missing(now: Observed, required: frozenset[str]) -> dict[str, str]:
    there = {_name(workload): workload for workload in now.workloads}
    missing = {
        name: there[name].trouble if name in there else "missing"
        for name in required
        if name not in there or not there[name].healthy
    }
    missing |= {check.command: check.message for check in now.checks if not check.passed}
    return missing


def _workloads(work: Work) -> tuple[WorkloadHealth, ...]:
    namespaces = work.document.spec.state.namespaces
    return tuple(cluster_health.observe(work.session.client, work.session.discovery, namespaces))


def _checks(work: Work, checks: Iterable[Check]) -> tuple[CheckResult, ...]:
    wanted = list(checks)
    if not wanted:
        return ()
    with ThreadPoolExecutor(min(8, len(wanted)), thread_name_prefix="check") as pool:
        return tuple(pool.map(lambda check: _check(work, check), wanted))


def _check(work: Work, check: Check) -> CheckResult:
    name = f"check `{' '.join(check.command)[:120]}`"
    try:
        pod = _ready_pod(work, check)
        if pod is None:
            return CheckResult(name, passed=False, message="no ready pod to run it in")
        metadata = pod["metadata"]
        namespace, pod_name = metadata["namespace"], metadata["name"]
        container = check.container or _default_container(pod)
        seconds = check.timeout.total_seconds()
        result = pod_exec.run(
            work.session.client, namespace, pod_name, container, list(check.command), timeout=seconds
        )
    except (ClusterError, DeadlineExceeded) as error:
        return CheckResult(name, passed=False, message=error.public().message)
    if result.ok:
        return CheckResult(name, passed=True)
    # What the command printed is not told: it can be anything, and this is kept where nothing is encrypted.
    return CheckResult(name, passed=False, message=f"exit status {result.exit_code} in {namespace}/{pod_name}")


def _ready_pod(work: Work, check: Check) -> Body | None:
    """The first pod by name that the check fits and that is ready."""
    resource = work.session.discovery.resource_for("", "Pod")
    if resource is None:
        return None
    namespaces = [check.pod.namespace] if check.pod.namespace else list(work.document.spec.state.namespaces)
    selector = str(check.pod.labels) if check.pod.labels is not None else ""
    pods = [
        pod
        for namespace in namespaces
        for pod in items(work.session.client, resource, namespace, label_selector=selector)
        if check.pod.name in {None, pod["metadata"]["name"]}
    ]
    return next((pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and not pod_problem(pod)), None)


def _default_container(pod: Body) -> str:
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get("kubectl.kubernetes.io/default-container") or pod["spec"]["containers"][0]["name"])
