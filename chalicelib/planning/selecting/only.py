"""A restore of a part: the objects a user named.

Deployment                    every object of the kind (in any group; `Deployment.apps` in this one)
Deployment/web                of this name, in any namespace; `*` and `?` are wildcards
Deployment shop/web           as plans write them: namespace and name
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.patterns import KindPattern, name_matches
from chalicelib.planning.bodies.context import PlanContext


class _Pattern(NamedTuple):
    kind: KindPattern
    namespace: str
    name: str


class Only:
    """Whether an object is meant by one of these texts. Raises `Invalid` for a text of another form."""

    def __init__(self, given: Iterable[str], context: PlanContext) -> None:
        self._context = context
        self._texts = tuple(given)
        self._patterns = [_parse(number, text) for number, text in enumerate(self._texts)]
        self._met: set[int] = set()

    def __call__(self, key: ObjectKey) -> bool:
        """Whether this object is meant."""
        resource = self._context.resource_of(key)
        plural = resource.plural if resource is not None else ""
        met = {
            number
            for number, pattern in enumerate(self._patterns)
            if pattern.kind.matches(key.group, key.kind, plural)
            and name_matches(pattern.namespace, key.namespace)
            and name_matches(pattern.name, key.name)
        }
        self._met |= met
        return bool(met)

    @property
    def unmet(self) -> tuple[str, ...]:
        """The texts by which nothing was meant of all that was asked about so far."""
        return tuple(text for number, text in enumerate(self._texts) if number not in self._met)

    @property
    def none_met(self) -> bool:
        """Whether nothing at all was meant."""
        return not self._met


def _parse(number: int, text: str) -> _Pattern:
    kind, space, rest = text.strip().partition(" ")
    if space:
        namespace, slash, name = rest.strip().rpartition("/")
        namespace = namespace if slash else "*"
    else:
        kind, slash, name = kind.partition("/")
        namespace, name = "*", name if slash else "*"
    try:
        pattern = KindPattern.parse(kind)
    except Invalid as error:
        raise _refusal(number, text) from error
    if not name or not namespace or "/" in f"{namespace}{name}":
        raise _refusal(number, text)
    return _Pattern(pattern, namespace, name)


def _refusal(number: int, text: str) -> Invalid:
    message = f"{text[:80]!r} is not `Kind`, `Kind/name`, `Kind.group/name` or `Kind namespace/name`."
    return Invalid(message, [Problem(f"only[{number}]", message)])
