"""One object as it is wanted, beside the same as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.domain.plan import Difference
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.diff import differences
from chalicelib.planning.bodies.normalise import content_of
from chalicelib.planning.bodies.overlay import overlay


@dataclass(frozen=True, slots=True)
class Comparison:
    """`live`: the live content, normalised. `target`: what it would be made into. Equal: nothing is to be done."""

    live: Body
    target: Body
    equal: bool

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The fields that differ, fit to be shown."""
        return differences(self.live, self.target)


def compare(
    wanted: Body,
    live: Body,
    context: PlanContext,
    exists: Callable[[ObjectKey], bool] | None = None,
) -> Comparison:
    """Compare a stored content with a live one, both normalised. Neither is changed.

    `exists` tells whether the owner of an object is there; a reference to one that is not cannot be kept.
    """
    if wanted.get("apiVersion") != live.get("apiVersion"):
        # Another release of the API serves it in another version by now. Fields that are the same there compare
        # equal; whether the rest is understood is for the server to say.
        wanted = {**wanted, "apiVersion": live["apiVersion"]}
    wanted = _with_possible_owners(wanted, live, exists or context.exists)
    target = overlay(wanted, live, context)
    return Comparison(live, target, content_of(target) == content_of(live))


def owner_keys(reference: dict[str, Any], namespace: str) -> Iterator[ObjectKey]:
    """What an owner reference may mean: an object in the same namespace, or a cluster-scoped one."""
    group = str(reference.get("apiVersion") or "").rpartition("/")[0]
    kind, name = str(reference.get("kind") or ""), str(reference.get("name") or "")
    if namespace:
        yield ObjectKey(group, kind, namespace, name)
    yield ObjectKey(group, kind, "", name)


def _with_possible_owners(wanted: Body, live: Body, exists: Callable[[ObjectKey], bool]) -> Body:
    references = wanted["metadata"].get("ownerReferences")
    if not references:
        return wanted
    here = [_named(reference) for reference in live["metadata"].get("ownerReferences") or ()]
    namespace = key_of(wanted).namespace
    kept = [
        reference
        for reference in references
        if _named(reference) in here or any(exists(key) for key in owner_keys(reference, namespace))
    ]
    if len(kept) == len(references):
        return wanted
    metadata = {name: value for name, value in wanted["metadata"].items() if name != "ownerReferences"}
    if kept:
        metadata["ownerReferences"] = kept
    return {**wanted, "metadata": metadata}


def _named(reference: dict[str, Any]) -> tuple[Any, Any, Any]:
    return reference.get("apiVersion"), reference.get("kind"), reference.get("name")
