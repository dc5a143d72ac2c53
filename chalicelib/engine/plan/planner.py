"""Making a plan: reads both sides, gathers what the rules need to know of the cluster, and asks the server where only
the server knows.

    version's index ─┐
                     ├─► planning.plan ─► Plan          (pure; bodies are read only where digests differ)
    live selection ──┘
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

import orjson

from chalicelib.cluster.listing import Listing
from chalicelib.domain.document import Document
from chalicelib.domain.document.restore import Rewrite
from chalicelib.domain.objects import NAMESPACE, Body, ObjectKey
from chalicelib.domain.plan import Plan
from chalicelib.domain.version import Gap, Pulled
from chalicelib.engine.capture import closure
from chalicelib.engine.capture.live import read_objects
from chalicelib.engine.capture.reading import read
from chalicelib.engine.capture.rows import Row
from chalicelib.engine.capture.strayed import add_pulled, add_strayed
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.lane.work import Work
from chalicelib.engine.plan import original
from chalicelib.engine.plan.carrying import elsewhere_blockers, place_of, wanted_of
from chalicelib.engine.plan.dependents import Attached, RowsOnly, live_row, owners_of
from chalicelib.engine.plan.dry_run import DryRun
from chalicelib.engine.plan.facts import AUTOSCALER, context_of
from chalicelib.engine.plan.gating import with_gates
from chalicelib.engine.plan.neighbours import neighbours, written_scopes
from chalicelib.engine.plan.stale import rests_on
from chalicelib.engine.plan.wanted import Wanted
from chalicelib.language.loader import load
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import digest, normalise
from chalicelib.planning.elsewhere.destination import HERE, Destination
from chalicelib.planning.elsewhere.namespaces import home_of
from chalicelib.planning.plan.making import make_plan
from chalicelib.planning.plan.rules import compile_rules
from chalicelib.planning.plan.shared import Shared
from chalicelib.planning.selecting.accounts import accounts_named
from chalicelib.planning.selecting.capture_rules import Reason
from chalicelib.planning.selecting.only import Only
from chalicelib.planning.selecting.references import references_of
from chalicelib.planning.selecting.selection import Selection
from chalicelib.store.repository import Repository

#: Bytes of live content that are kept (compressed) while reading; what does not fit is read again one by one.
_MOST_KEPT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """What the application is to be brought to. Without `keys`, the whole selection of the version; with them, just
    these objects, as the version has them or (those it does not have) absent."""

    version: str | None
    mode: str
    consent: frozenset[str] = frozenset()
    only: tuple[str, ...] = ()
    keys: frozenset[ObjectKey] | None = None
    #: Whether what the version pulled in is changed where it differs.
    shared: bool = False
    #: Where to, and what is changed on the way.
    destination: Destination = HERE
    rewrites: tuple[Rewrite, ...] = ()

    @property
    def as_kept(self) -> bool:
        """Whether everything is to be as the version has it."""
        return self.destination == HERE and not self.rewrites


@dataclass(frozen=True, slots=True)
class Planning:
    """A plan and what it was made from."""

    target: Target
    plan: Plan
    wanted: Wanted


class _Differing:
    """The visitor that keeps the live objects which differ from what is wanted: the only ones the planner will ask
    for in full."""

    keeps_raw = True

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._kept: dict[ObjectKey, bytes] = {}
        self._size = 0

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:  # noqa: ARG002
        """Keep it if it differs and there is room: it can be read again. An autoscaler, which tells of others, is
        always kept: nobody would know that there is one to read."""
        wanted = self._wanted.index.digest(key)
        differs = wanted is not None and wanted != digest
        scales = (key.group, key.kind) == AUTOSCALER
        if differs or scales:
            packed = zlib.compress(raw, 1)
            size = self._size + len(packed) - len(self._kept.get(key, b""))
            if scales or size <= _MOST_KEPT:
                self._kept[key] = packed
                self._size = size
        return 0

    def misses(self, key: ObjectKey) -> bool:
        """An object that no version would hold, but this one does: without a row it would be taken for missing."""
        return key in self._wanted.index

    def restart(self, listing: Listing) -> None:
        """What was kept is the same or will be overwritten."""

    def get(self, key: ObjectKey) -> Body | None:
        """The object as the server sent it, if it was kept."""
        packed = self._kept.get(key)
        return None if packed is None else orjson.loads(zlib.decompress(packed))

    def autoscalers(self) -> Iterator[Body]:
        """Every autoscaler that was read."""
        for key in self._kept:
            body = self.get(key) if (key.group, key.kind) == AUTOSCALER else None
            if body is not None:
                yield body


@dataclass(slots=True)
class _Live:
    """The live side: rows sorted by key (read more than once), gaps, and the content of what differs."""

    session: ClusterSession
    pause: Callable[[], None]
    rows: Iterable[Row]
    gaps: list[Gap]
    kept: _Differing
    #: Kinds of what was pulled in that may not be read.
    shared_gaps: list[Gap] = field(default_factory=list)

    def raw(self, key: ObjectKey) -> Body | None:
        """A live object as the server sent it; what was not kept is read again."""
        kept = self.kept.get(key)
        if kept is not None:
            return kept
        self.pause()
        resource = self.session.discovery.resource_for(key.group, key.kind)
        return self.session.objects.get(resource, key.namespace, key.name) if resource else None

    def content(self, key: ObjectKey) -> Body | None:
        """Its normalised content."""
        raw, resource = self.raw(key), self.session.discovery.resource_for(key.group, key.kind)
        return normalise(raw, resource) if raw is not None and resource is not None else None


@dataclass(frozen=True, slots=True)
class Ground:
    """Where planning takes place: a repository, an application, its cluster, and what stands between two looks."""

    repository: Repository
    application: str
    document: Document
    session: ClusterSession
    pause: Callable[[], None] = lambda: None
    progress: Callable[[int, int], None] = lambda _done, _total: None


def make(
    work: Work, target: Target, *, ask_server: bool = True, about: frozenset[ObjectKey] = frozenset()
) -> Planning:
    """Plan on behalf of an operation. If the server is not asked about everything, it is `about` these objects."""
    ground = Ground(
        work.repository,
        work.application.id,
        work.document,
        work.session,
        work.pause,
        lambda done, total: work.report(done, total, "kinds"),
    )
    return plan_on(ground, target, ask_server=ask_server, about=about)


def plan_on(
    ground: Ground, target: Target, *, ask_server: bool, about: frozenset[ObjectKey] = frozenset()
) -> Planning:
    """Read what is and what is wanted, and plan the way. Changes nothing; asks by dry run what could not be known.

    The selection is the version's own, as its document described it then: nothing outside it is ever deleted.
    """
    session = ground.session
    wanted = wanted_of(ground.repository, ground.application, session, target.version, target, ask_fields=ask_server)
    if target.keys is None and wanted.manifest is not None and wanted.manifest.purpose == "safety":
        # It holds what one restore was to change, and its silence about everything else says nothing.
        target = replace(target, keys=frozenset(row.key for row in wanted.index))
    document = ground.document
    if target.keys is None:
        document = target.destination.document(load(wanted.document_text()))
        live = _read_selection(ground, document, wanted)
    else:
        live = _read_keys(ground, target.keys, wanted)
    context = context_of(session, document, wanted, live.kept.autoscalers())
    only = Only(target.only, context) if target.only else None
    rules = compile_rules(ground.document.spec.restore, (row.key for row in wanted.index), context)
    version_gaps = wanted.gaps if target.keys is None else ()
    plan = make_plan(
        (row for row in wanted.index if target.keys is None or row.key in target.keys),
        (live_row(row) for row in live.rows),
        application=ground.application,
        version=target.version or "",
        mode=target.mode,
        restore=document.spec.restore,
        read_wanted=wanted.contents,
        read_live=live.content,
        context=context,
        consent=target.consent,
        only=only,
        gaps=(*live.gaps, *version_gaps),
        ask_server=DryRun(live, context, None if ask_server else about) if ask_server or about else None,
        attached=Attached(session, lambda: _owned(ground, target, live)),
        shared=_shared(wanted, target, live, document),
        rules=rules.after,
    )
    plan = with_gates(plan, wanted, rules, context)
    restored = _restored(target, only)
    plan = elsewhere_blockers(plan, wanted, context, restored)
    there = target.destination
    scopes = document.spec.state.objects if only is None else written_scopes(plan)
    others = () if plan.empty else neighbours(ground.repository, ground.application, there, scopes)
    others = (*original.warnings(session, there, wanted.manifest), *others)
    into = {home_of(row.key) for row in wanted.index if restored(row.key)}
    blockers = original.blockers(ground.repository, session, there, wanted.manifest, into)
    withheld = _withheld(wanted, context, only)
    plan = plan.model_copy(
        update={
            "destination": place_of(there),
            "rests_on": rests_on(ground.document),
            "blockers": (*blockers, *plan.blockers),
            "warnings": (*others, *plan.warnings, *closure.missing(withheld, context.exists)),
        }
    )
    return Planning(target, _with_unmet(plan, only), wanted)


def _restored(target: Target, only: Only | None) -> Callable[[ObjectKey], bool]:
    """Whether an object of the version is restored, rather than passed over: what a plan tells is about those."""

    def restored(key: ObjectKey) -> bool:
        return (target.keys is None or key in target.keys) and (only is None or only(key))

    return restored


def _withheld(wanted: Wanted, context: PlanContext, only: Only | None) -> list[Pulled]:
    """The Secrets of others that what is restored refers to, and that the version does not hold. For each it has the
    first reason only: whether an object that is named needs one too, its content tells."""
    withheld = wanted.withheld()
    if only is None or not withheld:
        return withheld
    needed = {
        reference.key
        for key, body in wanted.contents([row for row in wanted.index if only(row.key)])
        if (resource := context.resource_of(key)) is not None
        for reference in references_of(body, resource)
    }
    return [each for each in withheld if each.key in needed]


def _shared(wanted: Wanted, target: Target, live: _Live, document: Document) -> Shared:
    """What others may use too: what was pulled in, namespaces of which only a part is selected, and at a destination
    all that is outside of the namespaces that are restored."""
    into = set(target.destination.names.values())
    theirs = wanted.outside - {key for key in wanted.doubled if _given_to(live.content(key), into)}
    asked = target.shared and not target.destination.beside
    reasons = {**wanted.pulled(), **(_part_of(wanted, document) if target.keys is None else {})}
    inside, prepared = None, frozenset[ObjectKey]()
    if target.destination.elsewhere and target.keys is None:
        inside = frozenset(document.spec.state.namespaces)
        prepared = frozenset(row.key for row in live.rows if row.key[:2] == NAMESPACE and row.key.name in inside)
    return Shared(
        reasons,
        asked,
        tuple(live.shared_gaps),
        outside=theirs,
        prepared=prepared,
        doubled=wanted.doubled,
        beside=target.destination.beside,
        inside=inside,
    )


def _part_of(wanted: Wanted, document: Document) -> dict[ObjectKey, str]:
    """The Namespace objects of a version that are not the application's alone, each with the reason."""
    selection = Selection(document.spec.state.objects)
    # Their labels are read only where labels decide.
    rows = [
        row
        for row in wanted.index.rows_of("", "Namespace")
        if selection.by_labels or not selection.owns_namespace(row.key.name, {})
    ]
    return {
        key: "some of what is in it is selected, not all"
        for key, body in wanted.contents(rows)
        if not selection.owns_namespace(key.name, body["metadata"].get("labels") or {})
    }


def _given_to(binding: Body | None, namespaces: Collection[str]) -> bool:
    """Whether a binding that goes by the name of a second one is not there, or is one: it names accounts there."""
    return binding is None or any(account.namespace in namespaces for account in accounts_named(binding))


def _with_unmet(plan: Plan, only: Only | None) -> Plan:
    """Say of each name that nothing goes by it; a restore of nothing but those is a mistake."""
    unmet = only.unmet if only is not None else ()
    said = tuple(f"Nothing goes by `{text}`, neither in the version nor in the cluster." for text in unmet)
    if only is not None and only.none_met:
        return plan.model_copy(update={"blockers": (*plan.blockers, *said)})
    return plan.model_copy(update={"warnings": (*plan.warnings, *said)})


def _read_selection(ground: Ground, document: Document, wanted: Wanted) -> _Live:
    kept = _Differing(wanted)
    selection = Selection(document.spec.state.objects)
    reading = read(ground.session, selection, kept, pause=ground.pause, progress=ground.progress)
    pulled = wanted.pulled().keys() | wanted.outside
    gaps = add_pulled(ground.session, reading, pulled, kept, ground.pause) if pulled else []
    if selection.by_labels:
        held = (row.key for row in wanted.index if row.key not in pulled)
        add_strayed(ground.session, reading, held, kept, ground.pause)
    return _Live(ground.session, ground.pause, reading.rows, reading.gaps, kept, gaps)


def _owned(ground: Ground, target: Target, live: _Live) -> Iterable[Row]:
    """Where what goes may have dependents: the selection, even if the plan is for single objects."""
    if target.keys is None:
        return live.rows
    selection = Selection(ground.document.spec.state.objects)
    others = read(ground.session, selection, RowsOnly(), pause=ground.pause).rows
    return [*(row for row in others if row.key not in target.keys), *live.rows]


def _read_keys(ground: Ground, keys: frozenset[ObjectKey], wanted: Wanted) -> _Live:
    kept, rows = _Differing(wanted), []
    for key, resource, body in read_objects(ground.session, keys, ground.pause):
        metadata = body["metadata"]
        uid, version = metadata["uid"], metadata["resourceVersion"]
        standing = Reason.TERMINATING.value if metadata.get("deletionTimestamp") else ""
        raw, owners = orjson.dumps(body), owners_of(body)
        content = normalise(body, resource)
        hashed = digest(content)
        kept.take(Listing(resource, key.namespace), key, content, hashed, raw)
        rows.append(Row(key, hashed, uid, version, None, 0, standing, owners))
    rows.sort(key=lambda row: row.key)
    return _Live(ground.session, ground.pause, rows, [], kept)
