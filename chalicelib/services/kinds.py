"""The kinds that a request for a restore names: a slip there would select or agree to nothing, without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from chalicelib.domain.errors import Invalid
from chalicelib.domain.patterns import CLUSTER_KINDS, NAMESPACED_KINDS, KindPattern
from chalicelib.domain.version import KindSummary
from chalicelib.services.refusals import invalid

_ONLY = re.compile(r"([^\s/]+)((?:/| +(?:[^\s/]+/)?)[^\s/]+)?")
_CONSENT = re.compile(r"([^\s/]+)( (?:[^\s/]+/)?[^\s/]+)?")


class _Kind(NamedTuple):
    kind: str
    plural: str


class KindsNamed:
    """Reads the `only` and the `consent` of one request.

    Known are the kinds of the version, those that every cluster has, and those that the document protects. A kind
    that only the cluster knows is taken with its group (`Kafka.kafka.strimzi.io`): without one it cannot be told
    from a slip.
    """

    def __init__(self, held: Iterable[KindSummary], protected: Iterable[KindPattern]) -> None:
        builtin = NAMESPACED_KINDS | CLUSTER_KINDS | {"Namespace"}
        self._known = {_Kind(each.kind, each.plural) for each in held} | {
            _Kind(each, _plural(each)) for each in builtin
        }
        self._protected = tuple(protected)

    def only(self, texts: Sequence[str]) -> list[str]:
        """The texts as the planner reads them, plurals as kinds. `Invalid` for the first one that is wrong."""
        form = "write `Kind`, `Kind/name`, `Kind.group/name` or `Kind namespace/name`"
        return [self._read(f"only[{number}]", text, _ONLY, form) for number, text in enumerate(texts)]

    def consent(self, texts: Sequence[str]) -> list[str]:
        """The same for kinds, or single objects as plans write them (`Kind.group namespace/name`)."""
        form = "write `Kind`, `Kind.group`, or an object as the plan does: `Kind namespace/name`"
        return [self._read(f"consent[{number}]", text, _CONSENT, form) for number, text in enumerate(texts)]

    def _read(self, path: str, text: str, form: re.Pattern[str], hint: str) -> str:
        match = form.fullmatch(text.strip())
        if match is None:
            raise invalid(path, "it names neither a kind nor an object", hint)
        said, rest = match.group(1), match.group(2) or ""
        kind = self._as_kind(said)
        try:
            pattern = KindPattern.parse(kind)
        except Invalid as error:
            near = self._near(said)
            raise invalid(path, "it is no kind", f"did you mean `{near}`?" if near else hint) from error
        if not self._knows(pattern):
            near = self._near(pattern.name)
            raise invalid(
                path,
                f"no kind of this version or its cluster is called `{pattern.name}`",
                f"did you mean `{near}`?" if near else "write a kind that only the cluster knows with its group",
            )
        return kind + rest

    def _as_kind(self, said: str) -> str:
        """The kind whose plural or lower-case form this is, if it is one; else what was said."""
        name, dot, group = said.partition(".")
        if name != name.lower():
            return said
        kinds = {each.kind for each in self._known if name in {each.plural, each.kind.lower()}}
        return f"{kinds.pop()}{dot}{group}" if len(kinds) == 1 else said

    def _knows(self, pattern: KindPattern) -> bool:
        if any(fnmatchcase(each.plural if pattern.by_plural else each.kind, pattern.name) for each in self._known):
            return True
        if any(self._protects(each, pattern) for each in self._protected):
            return True
        # Groups of Kubernetes itself are known; others are the cluster's own.
        return pattern.group is not None and "." in pattern.group and not pattern.group.endswith(".k8s.io")

    def _protects(self, protected: KindPattern, named: KindPattern) -> bool:
        name = named.name if protected.by_plural == named.by_plural else _plural(named.name)
        return fnmatchcase(name, protected.name)

    def _near(self, name: str) -> str | None:
        known = {each.kind.lower(): each.kind for each in self._known} | {
            each.plural: each.kind for each in self._known
        }
        near = difflib.get_close_matches(name.partition(".")[0].lower(), sorted(known), 1, 0.75)
        return known[near[0]] if near else None


def _plural(kind: str) -> str:
    """The plural of a kind as Kubernetes forms it."""
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith("y") and lower[-2:-1] not in set("aeiou"):
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith("s") else f"{lower}s"
