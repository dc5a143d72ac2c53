"""A restore of some objects only: which ones, as a user writes them.

Deployment                    every object of the kind (in any group; `Deployment.apps` in this one)
Deployment/web                of this name; `*` and `?` are wildcards
Deployment shop/web           as plans write them: namespace and name
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib.domain.errors import Invalid
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.patterns import KindPattern, name_matches


@dataclass(frozen=True, slots=True)
class _Pattern:
    kind: KindPattern
    namespace: str
    name: str


class Only:
    """A test for keys, made from texts of the forms above. Raises `Invalid` for any other text."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._patterns = tuple(_parse(text) for text in texts)

    def __call__(self, key: ObjectKey) -> bool:
        """Whether the object is one of those meant."""
        return any(
            pattern.kind.matches(key.group, key.kind, "")
            and name_matches(pattern.namespace, key.namespace)
            and name_matches(pattern.name, key.name)
            for pattern in self._patterns
        )


def _parse(text: str) -> _Pattern:
    kind, space, rest = text.strip().partition(" ")
    if space:
        namespace, slash, name = rest.strip().rpartition("/")
        pattern = _Pattern(KindPattern.parse(kind), namespace if slash else "*", name)
    else:
        kind, slash, name = kind.partition("/")
        pattern = _Pattern(KindPattern.parse(kind), "*", name if slash else "*")
    if pattern.kind.by_plural:
        raise Invalid(f"`{text[:80]}`: write the kind as manifests do, such as `Deployment/web`.")
    if not pattern.name or not pattern.namespace or "/" in pattern.name:
        raise Invalid(f"`{text[:80]}` names no object: write one such as `Deployment/web` or `Deployment shop/web`.")
    return pattern
