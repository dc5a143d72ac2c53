"""What is protected, and what a user agreed to nevertheless."""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.errors import Invalid
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.patterns import KindPattern
from chalicelib.planning.bodies.context import PlanContext


class Consent:
    """Whether an object may be deleted or replaced.

    `protect` are the document's protected kinds. `given` holds kinds (`PersistentVolumeClaim`,
    `CustomResourceDefinition.apiextensions.k8s.io`, `*` for all) or single objects as plans write them
    (`PersistentVolumeClaim shop/data-0`).
    """

    def __init__(self, protect: Iterable[KindPattern], given: Iterable[str], context: PlanContext) -> None:
        self._protect = tuple(protect)
        self._context = context
        self._objects = frozenset(given)
        self._kinds = tuple(pattern for text in sorted(self._objects) if (pattern := _pattern(text)) is not None)

    def lacks(self, key: ObjectKey) -> bool:
        """Whether it is protected and nobody agreed."""
        return self._names(self._protect, key) and not (
            "*" in self._objects or str(key) in self._objects or self._names(self._kinds, key)
        )

    def _names(self, patterns: tuple[KindPattern, ...], key: ObjectKey) -> bool:
        resource = self._context.resource_of(key)
        plural = resource.plural if resource is not None else ""
        return any(pattern.matches(key.group, key.kind, plural) for pattern in patterns)


def _pattern(text: str) -> KindPattern | None:
    try:
        return KindPattern.parse(text)
    except Invalid:
        return None
