"""A document's scopes, compiled for streaming: which lists to ask for, and which of their objects are meant.

scopes × discovery ─► ListRequest (one for each kind and namespace) ─► takes(namespace, name, labels)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chalicelib.domain.document import Scope
from chalicelib.domain.objects import Resource
from chalicelib.domain.patterns import name_matches
from chalicelib.planning.selecting.capture_rules import NEVER_GROUPS, listable


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One list to ask the server for: a kind, in one namespace or (`""`) cluster-wide.

    The selectors are what all scopes that want the list agree on. They only spare traffic: `takes` decides.
    """

    resource: Resource
    namespace: str
    label_selector: str
    scopes: tuple[Scope, ...]
    field_selector: str = ""

    def takes(self, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Whether an object that came with this list belongs to the selection."""
        if not self.resource.namespaced:
            return any(_takes_cluster_scoped(scope, name, labels) for scope in self.scopes)
        return any(
            namespace in scope.namespaces and scope.takes_name_and_labels(name, labels) for scope in self.scopes
        )


def _takes_cluster_scoped(scope: Scope, name: str, labels: Mapping[str, str]) -> bool:
    # A scope with namespaces wants but one cluster-scoped kind: the Namespace objects themselves. Which names and
    # labels it wants speaks of what is inside them: without its namespace nothing of that could be made again. So a
    # namespace is selected by being named, if it is not excluded; whose it is `owns_namespace` tells.
    if scope.namespaces:
        return name in scope.namespaces and not scope.exclude.takes_out(name, labels)
    return scope.takes_name_and_labels(name, labels)


@dataclass(frozen=True, slots=True)
class Selection:
    """The union of a document's scopes."""

    scopes: tuple[Scope, ...]

    def requests(self, resources: Iterable[Resource]) -> list[ListRequest]:
        """The lists to ask for, given what the discovery found. Deterministic; no kind and namespace twice."""
        requests = []
        for resource in sorted(listable(resources), key=lambda found: (found.group, found.kind)):
            wanting = tuple(scope for scope in self.scopes if scope.takes_kind(resource))
            if not wanting:
                continue
            if not resource.namespaced:
                requests.extend(_cluster_scoped(resource, wanting))
                continue
            for namespace in sorted({name for scope in wanting for name in scope.namespaces}):
                here = tuple(scope for scope in wanting if namespace in scope.namespaces)
                requests.append(ListRequest(resource, namespace, _labels(here), here, _names(here)))
        return requests

    def matches(self, resource: Resource, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Whether one object belongs to the selection (the rules of `capture_rules` aside)."""
        if resource.namespaced:
            return any(scope.takes(resource, namespace, name, labels) for scope in self.scopes)
        return any(scope.takes_kind(resource) and _takes_cluster_scoped(scope, name, labels) for scope in self.scopes)

    def takes_whole(self, resource: Resource, namespace: str) -> bool:
        """Whether every object of a kind in a namespace belongs to it: there is none left to look for."""
        return any(
            namespace in scope.namespaces
            and scope.takes_kind(resource)
            and scope.labels is None
            and not scope.names
            and scope.exclude.labels is None
            and not scope.exclude.names
            for scope in self.scopes
        )

    def leaves_out(self, resource: Resource, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Whether an object was left out in so many words (`exclude`): in its namespace, or by any scope if it is in
        none of theirs."""
        here = [scope for scope in self.scopes if namespace and namespace in scope.namespaces] or self.scopes
        return any(
            scope.exclude.takes_out_kind(resource.group, resource.kind, resource.plural)
            or scope.exclude.takes_out(name, labels)
            for scope in here
        )

    def may_concern(self, group: str) -> bool:
        """Whether objects of an API group whose kinds are not known (its server is down) could be meant."""
        return group not in NEVER_GROUPS and any(_may_concern(scope, group) for scope in self.scopes)

    def owns_namespace(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a Namespace object that it takes is the application's own: it meets all conditions of a scope
        itself. Of a namespace in which labels or names choose some objects there are others who live in it."""
        return any(
            (name in scope.namespaces if scope.namespaces else _takes_namespaces(scope))
            and scope.takes_name_and_labels(name, labels)
            for scope in self.scopes
        )

    @property
    def by_labels(self) -> bool:
        """Whether a changed label takes an object out of it."""
        return any(scope.labels is not None or scope.exclude.labels is not None for scope in self.scopes)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All namespaces of its scopes, sorted."""
        return tuple(sorted({name for scope in self.scopes for name in scope.namespaces}))


def _takes_namespaces(scope: Scope) -> bool:
    return any(pattern.matches("", "Namespace", "namespaces") for pattern in scope.kinds)


def _may_concern(scope: Scope, group: str) -> bool:
    if scope.groups and not any(name_matches(pattern, group) for pattern in scope.groups):
        return False
    if any(
        pattern.name == "*" and (pattern.group is None or name_matches(pattern.group, group))
        for pattern in scope.exclude.kinds
    ):
        return False
    if not scope.kinds:
        return True
    # A kind without a group could be any group's, but it was looked for where the server could answer, and every
    # built-in kind is found there; only wildcards and groups that are named reach into a group that is down.
    return any(
        name_matches(pattern.group, group) if pattern.group is not None else set("*?[") & set(pattern.name)
        for pattern in scope.kinds
    )


def _cluster_scoped(resource: Resource, wanting: tuple[Scope, ...]) -> list[ListRequest]:
    if (resource.group, resource.kind) != ("", "Namespace") or any(not scope.namespaces for scope in wanting):
        return [ListRequest(resource, "", _labels(wanting), wanting, _names(wanting))]
    # An account of one namespace may read its own Namespace object without being allowed to list all of them in
    # full; by name it is one small request each.
    names = sorted({name for scope in wanting for name in scope.namespaces})
    return [
        ListRequest(
            resource,
            "",
            "",
            tuple(scope for scope in wanting if name in scope.namespaces),
            f"metadata.name={name}",
        )
        for name in names
    ]


def _labels(scopes: tuple[Scope, ...]) -> str:
    """The label selector all of these scopes share, as the server takes it; `""` if they differ."""
    shared = {str(scope.labels) if scope.labels is not None else "" for scope in scopes}
    return shared.pop() if len(shared) == 1 else ""


def _names(scopes: tuple[Scope, ...]) -> str:
    """A field selector if all of these scopes want the same single object."""
    shared = {scope.names for scope in scopes}
    names = shared.pop() if len(shared) == 1 else ()
    if len(names) == 1 and not set("*?[") & set(names[0]):
        return f"metadata.name={names[0]}"
    return ""
