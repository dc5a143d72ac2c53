"""`closure: references`: what the selection's objects refer to and that is not in it, with the reason for each.

    while reading   references are noted, listing by listing         (`noting`)
    afterwards      named objects are read, and what these name; bindings, webhooks and the like that name accounts
                    and Services of the application are looked for     (`pull`)

Rounds, until one brings nothing new: deterministic, and bounded by `MOST_PULLED`. What could not be read is told; it
makes no version worse than it would be without.

Secrets of namespaces in which nothing is selected are others': the certificate of a platform's gateway, the key of
its storage. Whoever may name them may not read them for that. They are followed where their namespace lets the
application refer to them (a ReferenceGrant of the Gateway API), and else only told, as `withheld`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from chalicelib.cluster.listing import Listing, Restarted, pages, vanished
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import NAMESPACE, Body, ObjectKey, Resource, key_of
from chalicelib.domain.version import Gap, Pulled
from chalicelib.engine.capture.live import read_objects
from chalicelib.engine.capture.noting import Noted, is_others, placed
from chalicelib.engine.capture.reading import Reading, Visitor, row_of
from chalicelib.engine.capture.rows import Row
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.content.selectors import selects
from chalicelib.planning.selecting import capture_rules
from chalicelib.planning.selecting.accounts import ACCOUNT, EVERY
from chalicelib.planning.selecting.references import CLUSTER_ROLE, SERVICE, Reference, references_of
from chalicelib.planning.selecting.referrers import GRANT, LIMITING, NAMING, aggregates, grants, named_by
from chalicelib.planning.selecting.selection import Selection

#: Objects that one version pulls in at most.
MOST_PULLED = 2000
#: Secrets of others that a plan looks for.
_MOST_LOOKED_FOR = 50

_Kind = tuple[str, str]
T = TypeVar("T")


@dataclass(slots=True)
class Closure:
    """What was pulled in, with its reasons, what could not be followed, and the Secrets of others that were not."""

    pulled: list[Pulled] = field(default_factory=list)
    unfollowed: list[Gap] = field(default_factory=list)
    withheld: list[Pulled] = field(default_factory=list)


def pull(
    session: ClusterSession,
    selection: Selection,
    noted: Mapping[Listing, Noted],
    reading: Reading,
    visitor: Visitor,
    pause: Callable[[], None],
) -> Closure:
    """Read what is referred to, give it to the visitor, and add its rows to the reading."""
    pulling = _Pulling(session, selection, visitor, pause)
    pulling.begin(noted, reading)
    pulling.follow()
    for row, resource in pulling.rows:
        reading.rows.append(row)
        reading.resources[(resource.group, resource.kind)] = resource
    return Closure(
        pulling.pulled,
        sorted(pulling.unfollowed.values(), key=lambda gap: (gap.group, gap.kind)),
        [Pulled.of(key, reason) for key, reason in sorted(pulling.withheld.items())],
    )


def missing(withheld: Iterable[Pulled], exists: Callable[[ObjectKey], bool]) -> Iterator[str]:
    """A sentence for each Secret of others that the version refers to, does not hold, and that is not there."""
    for each in islice(withheld, _MOST_LOOKED_FOR):
        try:
            there = exists(each.key)
        except ClusterRefused:
            continue  # an account that may not see what is others'
        if not there:
            yield (
                f"{each.key} is not there, and the version does not hold it, as its namespace is not the "
                f"application's ({each.reason}). Have whoever it belongs to make it."
            )


class _Pulling:
    """The closure while it is being made."""

    def __init__(
        self, session: ClusterSession, selection: Selection, visitor: Visitor, pause: Callable[[], None]
    ) -> None:
        self._session = session
        self._selection = selection
        self._visitor = visitor
        self._pause = pause
        self._discovery = session.discovery
        self.pulled: list[Pulled] = []
        self.rows: list[tuple[Row, Resource]] = []
        self.unfollowed: dict[_Kind, Gap] = {}
        self.withheld: dict[ObjectKey, str] = {}
        #: Hashes of the keys that are in the version, or were looked at.
        self._seen: set[int] = set()
        #: Hashes of the uids of what is in the version: what these control is made again by them.
        self._uids: set[int] = set()
        #: What is to be looked at next, and why.
        self._wanted: dict[ObjectKey, str] = {}
        #: Accounts, Services and namespaces of the application: whom others may name.
        self._anchors: set[ObjectKey] = set()
        self._limited: set[str] = set()
        #: What names somebody: its key, and whom with the reason.
        self._naming: list[tuple[ObjectKey, list[Reference]]] | None = None
        self._roles: list[tuple[ObjectKey, Mapping[str, str]]] | None = None
        #: By namespace, what lets others refer to its objects.
        self._grants: dict[str, list[Body]] = {}

    def begin(self, noted: Mapping[Listing, Noted], reading: Reading) -> None:
        """From what was noted while the selection was read."""
        for row in reading.rows:
            self._seen.add(hash(row.key))
            self._uids.add(hash(row.uid))
            if row.key[:2] in {ACCOUNT, SERVICE}:
                self._anchor(row.key)
        for listing in sorted(noted, key=lambda each: (each.resource.group, each.resource.kind, each.namespace)):
            for account in noted[listing].accounts:
                self._anchor(account)
                self._limited.add(account.namespace)
            for key, reason in noted[listing].references.items():
                self._want(key, reason)
            for (key, by), reason in noted[listing].secrets.items():
                self._want_secret(Reference(key, reason, by))

    def follow(self) -> None:
        """Round after round."""
        while True:
            self._name()
            wanted = {key: reason for key, reason in self._wanted.items() if hash(key) not in self._seen}
            self._wanted = {}
            if not wanted:
                return
            self._seen.update(map(hash, wanted))
            for key, resource, body in sorted(self._read(wanted), key=lambda found: found[0]):
                if len(self.pulled) >= MOST_PULLED:
                    self._miss(key, 0, f"A version pulls in {MOST_PULLED} objects at most.")
                    return
                self._take(key, resource, body, wanted[key])

    def _want(self, key: ObjectKey, reason: str) -> None:
        if hash(key) not in self._seen:
            self._wanted.setdefault(key, reason)

    def _want_secret(self, reference: Reference) -> None:
        """Want a Secret of others if the application may refer to it, else tell it."""
        if self._may_refer(reference):
            self.withheld.pop(reference.key, None)
            self._want(reference.key, reference.reason)
        elif hash(reference.key) not in self._seen and reference.key not in self._wanted:
            self.withheld.setdefault(reference.key, reference.reason)

    def _may_refer(self, reference: Reference) -> bool:
        """Only what is in the application's own namespaces speaks for it."""
        if reference.by.namespace not in self._selection.namespaces:
            return False
        namespace = reference.key.namespace
        if namespace not in self._grants:
            unfollowed = dict(self.unfollowed)
            self._grants[namespace] = self._look_through(GRANT, namespace, lambda grant: grant)
            self.unfollowed = unfollowed  # where nobody may look there is no grant
        return any(grants(grant, reference) for grant in self._grants[namespace])

    def _anchor(self, key: ObjectKey) -> None:
        self._anchors.add(key)
        if key[:2] == ACCOUNT:
            self._anchors.add(key._replace(name=EVERY))
            self._anchors.add(ObjectKey(*ACCOUNT, EVERY, EVERY))

    def _take(self, key: ObjectKey, resource: Resource, body: Body, reason: str) -> None:
        labels = body["metadata"].get("labels") or {}
        if self._selection.leaves_out(resource, key.namespace, key.name, labels):
            return
        if key.name.startswith("system:") and resource.group == CLUSTER_ROLE[0]:
            return
        listing = Listing(resource, key.namespace, "", f"metadata.name={key.name}")
        row = row_of(copy_of(body), listing, key, self._visitor)
        if row is None or (row.owner is not None and hash(row.owner) in self._uids):
            return
        self.rows.append((row._replace(owner=None), resource))
        self.pulled.append(Pulled.of(key, reason))
        body.setdefault("apiVersion", resource.api_version)
        body.setdefault("kind", resource.kind)
        if key[:2] in {ACCOUNT, SERVICE}:
            self._anchor(key)
        if key.namespace:
            self._want(ObjectKey(*NAMESPACE, "", key.namespace), f"namespace of {key}")
        for reference in references_of(body, resource):
            found = self._discovery.resource_for(*reference.key[:2])
            if found is None:
                continue
            named = reference._replace(key=placed(reference.key, found))
            if is_others(named.key, self._selection):
                self._want_secret(named)
            else:
                self._want(named.key, named.reason)
        if key[:2] == CLUSTER_ROLE:
            self._aggregate(key, body)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, wanted: Mapping[ObjectKey, str]) -> Iterator[tuple[ObjectKey, Resource, Body]]:
        kinds: dict[_Kind, list[ObjectKey]] = {}
        for key in wanted:
            kinds.setdefault(key[:2], []).append(key)
        for kind, keys in sorted(kinds.items()):
            resource = self._discovery.resource_for(*kind)
            if resource is None or capture_rules.never_listed(resource):
                continue
            try:
                yield from read_objects(self._session, sorted(keys), self._pause)
            except ClusterRefused as error:
                if not vanished(error):
                    self._miss(keys[0], error.http_status, error.public().message)

    def _look_through(self, kind: _Kind, namespace: str, see: Callable[[Body], T | None]) -> list[T]:
        """What `see` finds in the objects of a kind; the objects themselves are not kept."""
        resource = self._discovery.resource_for(*kind)
        found: list[T] = []
        if resource is None:
            return found
        try:
            for page in pages(self._session.client, resource, namespace):
                self._pause()
                if isinstance(page, Restarted):
                    found.clear()
                    continue
                for body in page.items:
                    seen = see({"apiVersion": resource.api_version, "kind": resource.kind, **body})
                    if seen is not None:
                        found.append(seen)
        except ClusterRefused as error:
            if not vanished(error):
                self._miss(ObjectKey(*kind, namespace, ""), error.http_status, error.public().message)
        return found

    def _miss(self, key: ObjectKey, status: int, message: str) -> None:
        gap = Gap(group=key.group, kind=key.kind, namespace=key.namespace, status=status, message=message)
        self.unfollowed.setdefault(key[:2], gap)

    # ── what names the application from elsewhere ───────────────────────────────────────────────────────

    def _name(self) -> None:
        """Want what names an account, a Service or a namespace of the application."""
        if not self._anchors and not self._limited:
            return
        if self._naming is None:
            places = [(kind, "") for kind in NAMING]
            places += [(kind, namespace) for kind in LIMITING for namespace in sorted(self._limited)]
            self._anchors.update(ObjectKey(*NAMESPACE, "", namespace) for namespace in self._limited)
            self._naming = [each for place in places for each in self._look_through(*place, _names)]
        for key, references in self._naming:
            reason = next((each.reason for each in references if each.key in self._anchors), None)
            if reason is not None:
                self._want(key, reason)

    def _aggregate(self, key: ObjectKey, role: Body) -> None:
        """Want the roles whose rules another takes over."""
        selectors = aggregates(role)
        if not selectors:
            return
        if self._roles is None:
            self._roles = self._look_through(CLUSTER_ROLE, "", _labelled)
        for other, labels in self._roles:
            if other != key and any(selects(selector, labels) for selector in selectors):
                self._want(other, f"aggregated into {key}")


def _names(body: Body) -> tuple[ObjectKey, list[Reference]] | None:
    references = list(named_by(body))
    return (key_of(body), references) if references else None


def _labelled(role: Body) -> tuple[ObjectKey, Mapping[str, str]]:
    return key_of(role), role["metadata"].get("labels") or {}
