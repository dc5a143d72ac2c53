"""Which kinds an API server keeps: every one that can be listed, read and created, each once.

Two requests (aggregated discovery), or one for each group and version on servers and proxies that do not know it.
A group whose aggregated API server is down is named in `unavailable`; the others are there all the same.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chalicelib.cluster.client import Client
from chalicelib.cluster.transport import Transport, foreign, now
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, Resource

#: Seconds an answer is used. A CRD made meanwhile is found by `refresh`.
CACHE_SECONDS = 120.0

_AGGREGATED = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)

#: Times it is asked when the answer takes longer than a confirmation that the server is ready holds.
_BELIEVED_AFTER = 5

_NEEDED = frozenset({"list", "get", "create"})

#: Kinds that two groups serve from the same storage: the group that counts, by (other group, kind).
COHABITING = {
    ("events.k8s.io", "Event"): "",
    ("extensions", "Deployment"): "apps",
    ("extensions", "DaemonSet"): "apps",
    ("extensions", "ReplicaSet"): "apps",
    ("extensions", "Ingress"): "networking.k8s.io",
    ("extensions", "NetworkPolicy"): "networking.k8s.io",
    ("extensions", "PodSecurityPolicy"): "policy",
}


class Unavailable(NamedTuple):
    """A group's version that cannot be asked just now, and why."""

    group: str
    version: str
    message: str


class _Found(NamedTuple):
    resources: list[Resource]
    unavailable: list[Unavailable]


@dataclass(frozen=True)
class Discovery:
    """The kinds of one API server at one time, sorted by group and kind, in their preferred versions."""

    resources: tuple[Resource, ...]
    unavailable: tuple[Unavailable, ...] = ()
    #: Every version in which a kind is served, the preferred one first, by (group, kind).
    versions: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], Resource] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {(found.group, found.kind): found for found in self.resources})

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources)

    def resource_for(self, group: str, kind: str) -> Resource | None:
        """The resource of one kind, `None` if it is not served (or only under a group that cohabits)."""
        return self._by_key.get((COHABITING.get((group, kind), group), kind)) or self._by_key.get((group, kind))

    def resource_of(self, body: Body) -> Resource | None:
        """The resource that takes a body: in the body's own version where that is served, else the preferred."""
        group, _, version = str(body.get("apiVersion", "")).rpartition("/")
        resource = self._by_key.get((group, str(body.get("kind", ""))))
        if resource is not None and version in self.versions.get((group, resource.kind), ()):
            return dataclasses.replace(resource, version=version)
        return resource

    def speaking(self, versions: Mapping[tuple[str, str], str]) -> Discovery:
        """The same, with these kinds in these versions where they are served."""
        changed = {
            key: dataclasses.replace(found, version=version)
            for key, version in versions.items()
            if (found := self._by_key.get(key)) is not None
            and found.version != version
            and version in self.versions.get(key, ())
        }
        if not changed:
            return self
        resources = tuple(changed.get((found.group, found.kind), found) for found in self.resources)
        return dataclasses.replace(self, resources=resources)


def discover(client: Client, *, max_age: float = CACHE_SECONDS) -> Discovery:
    """What this API server serves; an answer that is younger than `max_age` seconds is used again."""
    with _lock:
        known = _cache.get(client.transport)
    if known is not None and now() - known[0] <= max_age:
        return known[1]
    return refresh(client)


def refresh(client: Client, *, deadline: float | None = None) -> Discovery:
    """Ask now, and believe only a server that was ready before: one that is starting leaves groups out."""
    for _ in range(_BELIEVED_AFTER):
        client.wait_until_ready(deadline)
        at = now()
        found = [_aggregated(client, root, deadline) for root in ("/api", "/apis")]
        if client.transport.standing.confirmed(now()):
            break
    discovery = choose(
        [resource for part in found for resource in part.resources],
        [missing for part in found for missing in part.unavailable],
    )
    with _lock:
        _cache[client.transport] = (at, discovery)
    return discovery


_cache: weakref.WeakKeyDictionary[Transport, tuple[float, Discovery]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def choose(resources: Iterable[Resource], unavailable: Iterable[Unavailable]) -> Discovery:
    """Each kind once: in the first (preferred) version that serves it, and in one of the groups that share it."""
    served: dict[tuple[str, str], list[Resource]] = {}
    for resource in resources:
        if resource.verbs >= _NEEDED:
            served.setdefault((resource.group, resource.kind), []).append(resource)
    kept = {
        key: found
        for key, found in served.items()
        if key not in COHABITING or (COHABITING[key], key[1]) not in served
    }
    return Discovery(
        resources=tuple(kept[key][0] for key in sorted(kept)),
        unavailable=tuple(sorted(unavailable)),
        versions={key: tuple(found.version for found in kept[key]) for key in kept},
    )


def _aggregated(client: Client, root: str, deadline: float | None) -> _Found:
    answer = client.get_json(root, accept=_AGGREGATED, deadline=deadline)
    kind = answer.get("kind") if isinstance(answer, dict) else None
    if kind == "APIGroupDiscoveryList":
        return read_aggregated(answer)
    if kind in {"APIVersions", "APIGroupList"}:
        return _one_by_one(client, root, answer, deadline)
    # Taken for an answer it would mean that the server has no kinds.
    raise foreign(f"GET {root}", "no discovery of an API server")


def read_aggregated(answer: Mapping[str, Any]) -> _Found:
    """The resources in an `APIGroupDiscoveryList`, versions of a group in the server's order of preference."""
    found = _Found([], [])
    for group in answer.get("items") or []:
        name = str((group.get("metadata") or {}).get("name") or "")
        for version in group.get("versions") or []:
            label = str(version.get("version", ""))
            if version.get("freshness") == "Stale":
                message = "the API server that serves it does not answer (its APIService is not available)"
                found.unavailable.append(Unavailable(name, label, message))
                continue
            found.resources.extend(_discovered(name, label, each) for each in version.get("resources") or [])
    return found


def _discovered(group: str, version: str, entry: Mapping[str, Any]) -> Resource:
    subresources = {str(each.get("subresource")): each.get("verbs") or [] for each in entry.get("subresources") or []}
    return Resource(
        group=group,
        version=version,
        plural=str(entry.get("resource", "")),
        kind=str((entry.get("responseKind") or {}).get("kind", "")),
        namespaced=entry.get("scope") == "Namespaced",
        verbs=frozenset(entry.get("verbs") or []),
        has_status="update" in subresources.get("status", []),
    )


def _one_by_one(client: Client, root: str, answer: Mapping[str, Any], deadline: float | None) -> _Found:
    """The old way: a request for each group and version."""
    if root == "/api":
        wanted = [("", str(version)) for version in answer.get("versions") or []]
    else:
        wanted = [
            (str(group.get("name", "")), version)
            for group in answer.get("groups") or []
            for version in _preferred_first(group)
        ]
    found = _Found([], [])
    for group, version in wanted:
        path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
        try:
            listed = client.get_json(path, deadline=deadline)
        except ClusterRefused as refusal:
            if refusal.http_status in {401, 403}:
                raise
            found.unavailable.append(Unavailable(group, version, refusal.message))
            continue
        found.resources.extend(read_resource_list(group, version, listed))
    return found


def _preferred_first(group: Mapping[str, Any]) -> list[str]:
    versions = [str(each.get("version", "")) for each in group.get("versions") or []]
    preferred = str((group.get("preferredVersion") or {}).get("version", ""))
    return sorted(versions, key=lambda version: version != preferred)


def read_resource_list(group: str, version: str, listed: Mapping[str, Any]) -> list[Resource]:
    """The resources in an `APIResourceList`; subresources are entries of their own there (`pods/status`)."""
    entries = listed.get("resources") or []
    with_status = {
        str(entry.get("name", "")).removesuffix("/status")
        for entry in entries
        if str(entry.get("name", "")).endswith("/status") and "update" in (entry.get("verbs") or [])
    }
    return [
        Resource(
            group=group,
            version=version,
            plural=str(entry.get("name", "")),
            kind=str(entry.get("kind", "")),
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or []),
            has_status=entry.get("name") in with_status,
        )
        for entry in entries
        if "/" not in str(entry.get("name", ""))
    ]
