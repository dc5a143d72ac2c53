"""Waiting between the waves of a plan: for what an action needs to be ready (see `planning.gates`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.cluster import health as cluster_health
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Awaited, Plan
from chalicelib.domain.version import IndexRow, Manifest
from chalicelib.engine.clusters import ClusterSession
from chalicelib.engine.wanted import Wanted
from chalicelib.engine.work import Work
from chalicelib.planning.context import PlanContext
from chalicelib.planning.gates import PERMISSIONS, WORKLOADS, Seen, answered, gate, operated
from chalicelib.planning.references import SERVICE
from chalicelib.planning.rules import Rules

#: How long what should be ready is waited for at most, seconds. The document's `health.timeout` may be shorter.
_SHOULD_LIMIT = 120.0
#: All waits of one restore together, in times of the document's `health.timeout`.
_IN_ALL = 2.0
#: In the checkpoint: seconds that were waited before each wave.
_WAITED = "waited"
#: Seconds between two looks.
_INTERVAL = 1.0

_GROUPS = {kind: group for group, kind in cluster_health.KINDS}


def ready_then(manifest: Manifest, names: Mapping[str, str]) -> frozenset[ObjectKey]:
    """The workloads that were ready when a version was made, with their namespaces by the names they get."""
    return frozenset(
        ObjectKey(_GROUPS.get(each.kind, each.group), each.kind, names.get(each.namespace, each.namespace), each.name)
        for each in manifest.health
        if each.ready
    )


def with_gates(plan: Plan, wanted: Wanted, rules: Rules, context: PlanContext) -> Plan:
    """The plan, each action with what it awaits. On the way back to a safety version nothing is waited for: it says
    nothing of what was ready, and what was before was perhaps not."""
    manifest = wanted.manifest
    if manifest is None or manifest.purpose == "safety":
        return plan
    ready = ready_then(manifest, wanted.carrier.destination.names if wanted.carrier else {})
    seen = _look(plan.actions, wanted, ready) if ready else Seen()
    gated = gate(plan.actions, rules.after, ready, seen, context.resources)
    return plan.model_copy(
        update={
            "actions": gated.actions,
            "warnings": (*plan.warnings, *rules.problems, *gated.warnings),
        }
    )


def _look(actions: Sequence[Action], wanted: Wanted, ready: frozenset[ObjectKey]) -> Seen:
    """Read of the version what tells who answers and who operates what the plan makes: nothing, for most plans."""
    hooks = [action.object.key for action in actions if answered(action)]
    custom = any(map(operated, actions))
    seen = Seen()
    if not hooks and not custom:
        return seen

    def bodies(rows: Iterable[IndexRow]) -> Iterable[Body]:
        return (body for _, body in wanted.contents(list(rows)))

    def rows_of(kinds: Iterable[tuple[str, str]]) -> Iterable[IndexRow]:
        return (row for kind in kinds for row in wanted.index.rows_of(*kind))

    seen.workloads = list(bodies(row for row in rows_of(WORKLOADS) if row.key in ready))
    if hooks:
        rows = (row for key in hooks if (row := wanted.index.get(key)) is not None)
        seen.answered = dict(wanted.contents(list(rows)))
        seen.services = dict(wanted.contents(list(wanted.index.rows_of(*SERVICE))))
    if custom:
        seen.permissions = list(bodies(rows_of(PERMISSIONS)))
    return seen


@dataclass(slots=True)
class Gate:
    """Waits before the waves of one plan: before each no longer than `health.timeout`, and no longer than twice that
    before all of them together, however many waves and turns there are."""

    work: Work
    session: ClusterSession
    #: Why objects that were to be written were not, if so: nobody waits for those.
    failed: Callable[[], Mapping[ObjectKey, str]]
    #: What was waited for in vain, in sentences.
    told: list[str] = field(default_factory=list)

    def before(self, wave: str, actions: Iterable[Action]) -> dict[ObjectKey, str]:
        """Wait for what the actions of a wave await; those of them that cannot be begun, with the reason."""
        awaited = {action.object.key: action.awaits for action in actions if action.awaits}
        if not awaited:
            return {}
        unready = self._wait(wave, {each.object.key: each for found in awaited.values() for each in found})
        refused: dict[ObjectKey, str] = {}
        for key, found in awaited.items():
            for each in found:
                why = unready.get(each.object.key)
                if why is None:
                    continue
                if each.required:
                    refused[key] = (
                        f"It waits for {each.object.key} by {each.reason}, which {why}. It was not begun. Find out "
                        "why that is not ready; if it only takes longer, raise `restore.health.timeout`."
                    )
                else:
                    self.told.append(f"{key} was written although {each.object.key} {why} ({each.reason}).")
        return refused

    def _wait(self, wave: str, awaited: Mapping[ObjectKey, Awaited]) -> dict[ObjectKey, str]:
        """What is not ready in time, as the rest of a sentence that begins with its name."""
        timeout = self.work.document.spec.restore.health.timeout.total_seconds()
        waited = dict(self.work.checkpoint.get(_WAITED) or {})
        before = sum(seconds for earlier, seconds in waited.items() if earlier != wave)
        left = max(0.0, _IN_ALL * timeout - before)
        unready: dict[ObjectKey, str] = {}
        passed = 0.0
        while True:
            failed = self.failed()
            seen = self._unready(key for key in awaited if key not in failed)
            own = {key: timeout if awaited[key].required else min(timeout, _SHOULD_LIMIT) for key in seen}
            passed = self.work.elapsed(f"gate-{wave}", min(left, max(own.values()))) if seen else passed
            over = {
                key: _late(passed, before, own[key], why)
                for key, why in seen.items()
                if passed >= min(left, own[key])
            }
            if over.keys() == seen.keys():
                unready = over
                break
            self.work.pause()
            self.work.report(len(awaited) - len(seen), len(awaited), "workloads to be ready")
            time.sleep(_INTERVAL)
        if passed and wave not in waited:
            self.work.note(**{_WAITED: {**waited, wave: round(passed, 1)}})
        return unready | {key: "could not be written" for key in awaited if key in failed}

    def _unready(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, str]:
        wanted = {(key.kind, key.namespace, key.name): key for key in keys}
        if not wanted:
            return {}
        namespaces = sorted({key.namespace for key in wanted.values()})
        found = cluster_health.observe(self.session.client, self.session.discovery, namespaces)
        seen = {(each.kind, each.namespace, each.name): each for each in found}
        return {
            key: seen[name].trouble if name in seen else "it is not there"
            for name, key in wanted.items()
            if name not in seen or not seen[name].healthy
        }


def _late(passed: float, before: float, limit: float, why: str) -> str:
    """What is said of a workload that is not ready after a wait, which ends at its own limit or at that of all."""
    in_all = f", and this restore has waited {before + passed:.0f} s in all" if passed < limit else ""
    return f"is not ready after {passed:.0f} s{in_all} ({why})"
