"""Reading a selection as it is now: in parallel, page by page, keeping only what is needed to compare and to find.

One thread consumes what many threads list. Of each object that belongs to the selection there stays a row
(`rows`): identity, digest, uid, and the uid of its controller. Only when everything was listed is it known which
objects are *derived* (their controller is in the selection and will make them again) and drop out.

    list ─► capture rules ─► scopes ─► normalise ─► digest ─► visitor (packs it, or keeps it for the planner)
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import orjson

from chalicelib.cluster.listing import Listing, Page, Restarted, each_parallel, vanished
from chalicelib.domain.errors import ClusterRefused, MainstayError
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.version import Gap
from chalicelib.engine.capture.rows import Row, Rows, Run
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.planning.bodies.normalise import digest, normalise
from chalicelib.planning.plan.join import OWNED
from chalicelib.planning.selecting import capture_rules
from chalicelib.planning.selecting.ownership_roots import controller_of, controller_reference
from chalicelib.planning.selecting.selection import ListRequest, Selection

#: Threads that list, and pages that may wait for the one that consumes them (about 3 MB each of small objects).
_WORKERS = 8
_AHEAD = 4


class Visitor(Protocol):
    """What is done with the content of each object, in the server's order within one listing."""

    #: Whether `take` is given the object as the server sent it, too (`b""` otherwise).
    keeps_raw: bool

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:
        """Called once for each object, with its normalised content; what it returns stays in the row."""

    def misses(self, key: ObjectKey) -> bool:
        """Whether a row is wanted of an object that no version would hold (any more)."""

    def restart(self, listing: Listing) -> None:
        """Everything taken from this listing is void; it begins anew."""


@dataclass(slots=True)
class Reading:
    """The selection as it was read: rows sorted by key, and what could not be read."""

    rows: Rows = field(default_factory=Rows)
    gaps: list[Gap] = field(default_factory=list)
    #: How each kind that has rows was served.
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)


@dataclass(slots=True)
class Listed:
    """What has been read of one listing: by this turn (`run`), and by earlier ones."""

    run: Run = field(default_factory=Run)
    earlier: list[Run] = field(default_factory=list)
    #: Marks of the uids of all its objects that the selection takes, by this turn and by earlier ones.
    selected: array[int] = field(default_factory=lambda: array("Q"))
    earlier_selected: array[int] = field(default_factory=lambda: array("Q"))
    #: Where to go on; empty at the beginning, and at the end.
    following: str = ""
    ended: bool = False
    gap: Gap | None = None
    #: Whether this turn began it anew: what earlier ones read of it is void.
    anew: bool = False

    def begin_anew(self) -> None:
        """Forget what was read."""
        self.run, self.earlier, self.following, self.anew = Run(), [], "", True
        self.selected, self.earlier_selected = array("Q"), array("Q")

    @property
    def runs(self) -> list[Run]:
        """All its rows."""
        return [*self.earlier, self.run]


def requests_of(session: ClusterSession, selection: Selection) -> dict[Listing, ListRequest]:
    """What is to be listed."""
    return {_listing(request): request for request in selection.requests(session.discovery.resources)}


def mark(uid: str) -> int:
    """A uid as 64 bits: enough to tell one from a million, and the same in every process."""
    if len(uid) == 36:
        try:
            return int(uid[:8] + uid[9:13] + uid[14:18], 16)
        except ValueError:
            pass
    return int.from_bytes(blake2b(uid.encode(), digest_size=8).digest())


def read(
    session: ClusterSession,
    selection: Selection,
    visitor: Visitor,
    *,
    pause: Callable[[], None],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    so_far: dict[Listing, Listed] | None = None,
) -> Reading:
    """Read the whole selection once. A part that stays refused becomes a gap; a server that is away raises.

    `so_far` is what earlier turns have read, and is filled while this one reads: who is interrupted keeps it.
    """
    requests = requests_of(session, selection)
    known = so_far if so_far is not None else {}
    for gone in known.keys() - requests.keys():
        del known[gone]  # its kind is no longer served, and so are its objects
    for listing in requests:
        known.setdefault(listing, Listed())
    reading = Reading()
    reading.gaps.extend(
        Gap(group=each.group, kind="*", status=503, message=each.message)
        for each in session.discovery.unavailable
        if selection.may_concern(each.group)
    )
    todo = [listing for listing in requests if not known[listing].ended]
    tokens = {listing: known[listing].following for listing in todo}
    done = len(requests) - len(todo)
    for listing, event in each_parallel(session.client, todo, workers=_WORKERS, ahead=_AHEAD, tokens=tokens):
        listed = known[listing]
        if isinstance(event, Page):
            _page(event, listing, requests[listing], listed, visitor)
            pause()  # after it: a turn in which a page came is further by that page
            continue
        if isinstance(event, Restarted) or event.error is not None:
            listed.begin_anew()
            visitor.restart(listing)
        if isinstance(event, Restarted):
            continue
        listed.gap = _gap(listing, event.error) if event.error is not None else None
        listed.ended = True
        done += 1
        progress(done, len(requests))
    for listing, listed in known.items():
        if any(map(len, listed.runs)):
            resource = listing.resource
            reading.resources[(resource.group, resource.kind)] = resource
    _drop_derived(known.values(), visitor)
    reading.rows = Rows(run for listed in known.values() for run in listed.runs)
    reading.gaps.extend(listed.gap for listed in known.values() if listed.gap is not None)
    reading.gaps.sort(key=lambda gap: (gap.group, gap.kind, gap.namespace))
    return reading


def _listing(request: ListRequest) -> Listing:
    return Listing(request.resource, request.namespace, request.label_selector, request.field_selector)


def _page(page: Page, listing: Listing, request: ListRequest, listed: Listed, visitor: Visitor) -> None:
    resource = listing.resource
    group, kind = resource.group, resource.kind
    for body in page.items:
        metadata = body["metadata"]
        namespace, name = metadata.get("namespace") or "", metadata["name"]
        if not request.takes(namespace, name, metadata.get("labels") or {}):
            continue
        listed.selected.append(mark(metadata["uid"]))
        row = row_of(body, listing, ObjectKey(group, kind, namespace, name), visitor)
        if row is not None:
            listed.run.append(row)
    # The end is known with the last page: who is interrupted before it is told must not begin anew beside its rows.
    listed.following, listed.ended = page.following, not page.following


def row_of(body: Body, listing: Listing, key: ObjectKey, visitor: Visitor) -> Row | None:
    """The row of one object, which the visitor is given if it belongs to a version; `None` if there is none to be.
    Changes the body."""
    resource, metadata = listing.resource, body["metadata"]
    uid, version = metadata["uid"], metadata["resourceVersion"]
    verdict = capture_rules.verdict(body, resource)
    if not verdict.take:
        if not visitor.misses(key):
            return None
        hashed = digest(normalise(body, resource)) if verdict.reason is capture_rules.Reason.UNTOUCHED else b""
        return Row(key, hashed, uid, version, None, 0, verdict.reason.value)
    owner, standing = controller_of(body), ""
    if owner is None and "ownerReferences" in metadata and controller_reference(body) is not None:
        standing = OWNED
    owners = tuple(each.get("uid") or "" for each in metadata.get("ownerReferences") or ())
    raw = orjson.dumps(body) if visitor.keeps_raw else b""
    content = normalise(body, resource)
    hashed = digest(content)
    token = visitor.take(listing, key, content, hashed, raw)
    return Row(key, hashed, uid, version, owner, token, standing, owners)


def _gap(listing: Listing, error: MainstayError) -> Gap | None:
    if vanished(error):
        return None  # the kind is gone, and so are its objects: there is nothing that was not read
    if isinstance(error, ClusterRefused):
        resource = listing.resource
        return Gap(
            group=resource.group,
            kind=resource.kind,
            namespace=listing.namespace,
            status=error.http_status,
            message=error.public().message,
        )
    raise error


def _drop_derived(listed: Collection[Listed], visitor: Visitor) -> None:
    runs = [run for each in listed for run in each.runs]
    named = {mark(owner) for run in runs for owner in run.owners()}
    here: set[int] = set()
    if named:
        marks: Iterable[array[int]] = (array for each in listed for array in (each.selected, each.earlier_selected))
        here = {one for array in marks for one in named.intersection(array)}

    def settle(row: Row) -> Row | None:
        if row.owner is None or mark(row.owner) not in here:
            return row
        return row._replace(standing=capture_rules.Reason.DERIVED.value) if visitor.misses(row.key) else None

    for run in runs:
        run.revise(settle)
