"""A restore of a part: the objects a user named."""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.patterns import KindPattern, name_matches
from chalicelib.planning.context import PlanContext


class Only:
    """Whether an object is meant by one of these: `Kind`, `Kind/name`, `Kind.group/name`, with wildcards."""

    def __init__(self, given: Iterable[str], context: PlanContext) -> None:
        self._context = context
        self._patterns = [_parse(number, text) for number, text in enumerate(given)]

    def __call__(self, key: ObjectKey) -> bool:
        """Whether this object is meant."""
        resource = self._context.resource_of(key)
        plural = resource.plural if resource is not None else ""
        return any(
            kind.matches(key.group, key.kind, plural) and name_matches(name, key.name)
            for kind, name in self._patterns
        )


def _parse(number: int, text: str) -> tuple[KindPattern, str]:
    kind, _, name = text.partition("/")
    try:
        return KindPattern.parse(kind), name or "*"
    except Invalid as error:
        problem = Problem(f"only[{number}]", f"{text!r} is not `Kind`, `Kind/name` or `Kind.group/name`.")
        raise Invalid(problem.message, [problem]) from error
