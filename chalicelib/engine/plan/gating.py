"""What each action of a plan waits for, found out from the version: the rules are those of `planning.plan.gates`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.cluster.health import KINDS
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Plan
from chalicelib.domain.version import IndexRow, Manifest
from chalicelib.engine.plan.wanted import Wanted
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.plan.gates import PERMISSIONS, WORKLOADS, Seen, answered, gate, operated
from chalicelib.planning.plan.rules import Rules
from chalicelib.planning.selecting.references import SERVICE

_GROUPS = {kind: group for group, kind in KINDS}


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
