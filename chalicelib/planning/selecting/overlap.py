"""Whether two documents can mean the same objects: decided from their scopes, without asking a cluster.

The answer is careful: scopes overlap unless something in them says that they cannot (other namespaces, other kinds,
other names, labels that no object meets both of).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chalicelib.domain.document import Scope
from chalicelib.domain.labels import LabelSelector, Operator, Requirement
from chalicelib.domain.patterns import KindPattern, name_matches

_WILD = frozenset("*?[")


def shared(mine: Iterable[Scope], theirs: Iterable[Scope]) -> list[str]:
    """What both can mean, for people: `the namespace shop`, `ClusterRole objects`; sorted, each once."""
    theirs = tuple(theirs)
    return sorted({what for one in mine for other in theirs for what in _shared_by(one, other)})


def _shared_by(one: Scope, other: Scope) -> Iterator[str]:
    namespaces = sorted(set(one.namespaces) & set(other.namespaces))
    if bool(one.namespaces) != bool(other.namespaces) or (one.namespaces and not namespaces):
        return
    if one.groups and other.groups and not _any_fit(one.groups, other.groups):
        return
    kinds = _common_kinds(one, other)
    if kinds is None or not _names_meet(one, other) or not _labels_meet(one.labels, other.labels):
        return
    if namespaces:
        yield from (f"the namespace {namespace}" for namespace in namespaces)
    else:
        yield from (f"{kind} objects" for kind in kinds)


def _common_kinds(one: Scope, other: Scope) -> list[str] | None:
    """The kinds that both can take, as the first writes them; empty for "any", `None` if there is none."""
    if not one.kinds or not other.kinds:
        kinds = [*one.kinds, *other.kinds]
        left = [kind for kind in kinds if not _left_out(kind, one) and not _left_out(kind, other)]
        return None if kinds and not left else [kind.name for kind in left]
    both = [
        kind
        for kind in one.kinds
        if any(_kinds_meet(kind, theirs) for theirs in other.kinds)
        and not _left_out(kind, one)
        and not _left_out(kind, other)
    ]
    return [kind.name for kind in both] or None


def _left_out(kind: KindPattern, scope: Scope) -> bool:
    return any(
        out.group in {None, kind.group} and out.by_plural == kind.by_plural and name_matches(out.name, kind.name)
        for out in scope.exclude.kinds
    )


def _kinds_meet(one: KindPattern, other: KindPattern) -> bool:
    if one.group is not None and other.group is not None and not _fit(one.group, other.group):
        return False
    # A plural may well be that of the other's kind.
    return one.by_plural != other.by_plural or _fit(one.name, other.name)


def _names_meet(one: Scope, other: Scope) -> bool:
    pairs = ((one, other), (other, one))
    if any(mine.names and all(_name_left_out(name, theirs) for name in mine.names) for mine, theirs in pairs):
        return False
    return not one.names or not other.names or _any_fit(one.names, other.names)


def _name_left_out(name: str, scope: Scope) -> bool:
    return not set(name) & _WILD and any(name_matches(out, name) for out in scope.exclude.names)


def _any_fit(some: Iterable[str], others: Iterable[str]) -> bool:
    others = tuple(others)
    return any(_fit(one, other) for one in some for other in others)


def _fit(one: str, other: str) -> bool:
    """Whether two patterns can mean the same word. Two with wildcards are taken to."""
    if set(one) & _WILD and set(other) & _WILD:
        return True
    return name_matches(one, other) or name_matches(other, one)


def _labels_meet(one: LabelSelector | None, other: LabelSelector | None) -> bool:
    if one is None or other is None:
        return True
    return not any(
        _contradict(mine, theirs) or _contradict(theirs, mine)
        for mine in one.requirements
        for theirs in other.requirements
        if mine.key == theirs.key
    )


def _contradict(one: Requirement, other: Requirement) -> bool:
    """Whether no label meets both."""
    match one.operator, other.operator:
        case (Operator.IN, Operator.IN):
            return not set(one.values) & set(other.values)
        case (Operator.IN, Operator.NOT_IN):
            return set(one.values) <= set(other.values)
        case (Operator.IN | Operator.EXISTS, Operator.ABSENT):
            return True
    return False
