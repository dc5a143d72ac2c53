"""What a change does to PodDisruptionBudgets."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.plan.budgets import blocking, broken


def _workload(kind: str = "Deployment", replicas: int = 4, **spec: Any) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": "web"}}}, **spec},
    }


def _budget(namespace: str = "shop", app: str = "web", **spec: Any) -> Any:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"namespace": namespace, "name": "web"},
        "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
    }


_ROLLING = {"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}
_RECREATE = {"strategy": {"type": "Recreate"}}


@pytest.mark.parametrize(
    ("live", "wanted", "budget", "left", "needed"),
    [
        (_workload(), None, _budget(minAvailable=1), 0, 1),
        (_workload(), None, _budget(maxUnavailable="50%"), 0, 2),
        (_workload(), _workload(**_RECREATE), _budget(minAvailable="30%"), 0, 2),
        (_workload(), _workload(**_ROLLING), _budget(minAvailable=4), 3, 4),
        (_workload(), _workload(), _budget(maxUnavailable=0), 3, 4),
        (_workload("StatefulSet"), _workload("StatefulSet"), _budget(maxUnavailable=0), 3, 4),
    ],
)
def test_a_budget_that_is_broken_is_named(live: Any, wanted: Any, budget: Any, left: int, needed: int) -> None:
    (said,) = broken(live, wanted, [budget])
    assert said.startswith(f"For a while {left} of 4 pods run, less than PodDisruptionBudget web promises ({needed})")


@pytest.mark.parametrize(
    ("live", "wanted", "budget"),
    [
        (_workload(), _workload(**_ROLLING), _budget(minAvailable=3)),
        (_workload(), _workload(**_ROLLING), _budget(maxUnavailable=1)),
        (_workload(), None, _budget("other", minAvailable=1)),
        (_workload(), None, _budget(app="other", minAvailable=1)),
        (_workload(replicas=0), None, _budget(minAvailable=1)),
        ({**_workload(), "kind": "DaemonSet"}, None, _budget(minAvailable=1)),
    ],
)
def test_a_budget_that_is_kept_or_means_others_is_not(live: Any, wanted: Any, budget: Any) -> None:
    assert list(broken(live, wanted, [budget])) == []


@pytest.mark.parametrize("spec", [{"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"minAvailable": "100%"}])
def test_a_budget_that_allows_nothing_will_be_felt(spec: dict[str, Any]) -> None:
    assert blocking(_budget(**spec)) == ("It allows no eviction: draining a node will wait for it.",)


def test_a_budget_that_allows_something_is_not_felt() -> None:
    assert blocking(_budget(maxUnavailable=1)) == ()
