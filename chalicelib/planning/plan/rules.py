"""`restore.order` of the document, compiled: which object waits for which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chalicelib.domain.document import Order, Restore
from chalicelib.domain.document.restore import ObjectRef
from chalicelib.domain.objects import ObjectKey
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.plan.order import After


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules as pairs of objects, and a sentence for each rule that means nothing here."""

    after: tuple[After, ...] = ()
    problems: tuple[str, ...] = ()


NO_RULES = Rules()


def compile_rules(restore: Restore, keys: Iterable[ObjectKey], context: PlanContext) -> Rules:
    """The pairs that the rules mean among some objects (those of the version). Where a rule names no namespace and
    several objects go by the name, all of them are meant."""
    if not restore.order:
        return NO_RULES
    names = {ref.name for rule in restore.order for ref in (rule.before, rule.ready)}
    found = sorted(key for key in keys if key.name in names)
    after: dict[After, None] = {}
    problems = []
    for rule in restore.order:
        then, first = _meant(rule.before, found, context), _meant(rule.ready, found, context)
        missing = [_called(ref) for ref, meant in ((rule.before, then), (rule.ready, first)) if not meant]
        if missing:
            problems.append(f"{_told(rule)} has no effect: the version has no {' and no '.join(missing)}.")
        after |= dict.fromkeys(After(one, other) for one in first for other in then if one != other)
    return Rules(tuple(after), tuple(problems))


def _meant(ref: ObjectRef, keys: Sequence[ObjectKey], context: PlanContext) -> list[ObjectKey]:
    meant = []
    for key in keys:
        resource = context.resource_of(key)
        fits = ref.kind.matches(key.group, key.kind, resource.plural if resource else "")
        if fits and key.name == ref.name and ref.namespace in {None, key.namespace}:
            meant.append(key)
    return meant


def _called(ref: ObjectRef) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind} {ref.name}"


def _told(rule: Order) -> str:
    return f"The rule that {_called(rule.before)} waits for {_called(rule.ready)}"
