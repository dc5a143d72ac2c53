"""PodDisruptionBudgets: which of them a change falls below, and which will let nobody drain a node.

A budget holds up evictions, not a rollout and not a deletion: it stops no restore, but what it promises is broken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.content.selectors import selects

_ROLLED = {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("", "ReplicationController")}


def broken(live: Body, wanted: Body | None, budgets: Iterable[Body]) -> Iterator[str]:
    """Sentences about the budgets that fewer pods stay than promised, while `live` is changed into `wanted`, or is
    replaced or deleted (`None`)."""
    key = key_of(live)
    replicas = _replicas(live)
    if (key.group, key.kind) not in _ROLLED or replicas < 1:
        return
    left = 0 if wanted is None else _left_while_rolling(wanted, replicas)
    labels = _template(live).get("metadata", {}).get("labels") or {}
    for budget in budgets:
        metadata, spec = budget["metadata"], budget.get("spec") or {}
        if metadata.get("namespace") != key.namespace or not selects(spec.get("selector") or {}, labels):
            continue
        needed = _needed(spec, replicas)
        if left < needed:
            yield (
                f"For a while {left} of {replicas} pods run, less than PodDisruptionBudget {metadata['name']} "
                f"promises ({needed}): budgets hold up evictions, not this."
            )


def blocking(budget: Body) -> tuple[str, ...]:
    """What will be felt of a budget that allows no eviction at all."""
    spec = budget.get("spec") or {}
    most, least = str(spec.get("maxUnavailable", "")), str(spec.get("minAvailable", ""))
    if most in {"0", "0%"} or least == "100%":
        return ("It allows no eviction: draining a node will wait for it.",)
    return ()


def _left_while_rolling(wanted: Body, replicas: int) -> int:
    """How many pods a rollout leaves running at the least."""
    spec = wanted.get("spec") or {}
    if wanted["kind"] == "StatefulSet":
        rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return max(0, replicas - max(1, _part(rolling.get("maxUnavailable", 1), replicas, math.floor)))
    if wanted["kind"] != "Deployment":
        return replicas
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0
    most = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    return max(0, replicas - _part(most, replicas, math.floor))


def _needed(spec: Body, replicas: int) -> int:
    if "minAvailable" in spec:
        return min(replicas, _part(spec["minAvailable"], replicas, math.ceil))
    return max(0, replicas - _part(spec.get("maxUnavailable", replicas), replicas, math.ceil))


def _part(value: Any, whole: int, rounded: Any) -> int:
    """A number, or a percentage of the whole."""
    text = str(value)
    if text.endswith("%") and text[:-1].isdigit():
        return int(rounded(whole * int(text[:-1]) / 100))
    return int(text) if text.isdigit() else 0


def _replicas(body: Body) -> int:
    value = (body.get("spec") or {}).get("replicas", 1)
    return int(value) if value is not None else 1


def _template(body: Body) -> Body:
    found: Body = (body.get("spec") or {}).get("template") or {}
    return found
