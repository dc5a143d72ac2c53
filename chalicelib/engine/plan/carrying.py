"""What a version holds, carried to where it is to be restored: which API versions are spoken there, and what there
keeps the restore from being begun."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.domain.document.restore import Rewrite
from chalicelib.domain.objects import DEFINITION, NAMESPACE, ObjectKey
from chalicelib.domain.plan import Place, Plan, Verb
from chalicelib.domain.version import KindSummary, Manifest
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.plan.known_fields import KnownFields
from chalicelib.engine.plan.wanted import Wanted
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.elsewhere.carrier import Carrier
from chalicelib.planning.elsewhere.destination import Destination
from chalicelib.planning.elsewhere.rewrite import Rewrites
from chalicelib.planning.elsewhere.suspend import FROM_SOURCES
from chalicelib.planning.elsewhere.versions import Served
from chalicelib.planning.plan.sayings import named
from chalicelib.store.repository import Repository

_Kind = tuple[str, str]
_CLASS = ("storage.k8s.io", "StorageClass")
#: Objects named in one warning.
_MOST_NAMED = 20
#: Said as a request has it, and as the command line does.
_GOING_ON = "not suspended (`suspend: false`, `--no-suspend`) they are restored as they were."


class Aim(Protocol):
    """Where to, and what is changed on the way."""

    @property
    def destination(self) -> Destination: ...

    @property
    def rewrites(self) -> tuple[Rewrite, ...]: ...


def wanted_of(
    repository: Repository,
    application: str,
    session: ClusterSession,
    version: str | None,
    aim: Aim,
    *,
    ask_fields: bool = False,
) -> Wanted:
    """The content of a version as it is to be at its destination, and the session made to speak its API versions.

    With `ask_fields` the cluster is asked which fields it knows and what they take: a plan says once what it drops
    (of what comes to another cluster, or was rewritten) and where a rewrite does not fit, and who carries it out need
    not read the cluster's schemas again.
    """
    if not version:
        return Wanted(repository, application, None)
    manifest = repository.versions(application).get(version)
    found = _versions(session, manifest)
    session.speak(found.spoken)
    plurals = {(each.group, each.kind): each.plural for each in manifest.kinds}
    rewrites = Rewrites(aim.rewrites, plurals)
    carrier = Carrier(aim.destination, rewrites, found.converted, found.unspoken)
    if ask_fields:
        fields = KnownFields(session, found.converted)
        carrier.unknown, rewrites.misfits = fields.unknown, fields.misfits
    return Wanted(repository, application, version, carrier)


def speak_as_kept(repository: Repository, application: str, session: ClusterSession, version: str | None) -> None:
    """Read and write in the API versions that a plan for this version rests on: another worker may have made it."""
    if version:
        session.speak(_versions(session, repository.versions(application).get(version)).spoken)


@dataclass(slots=True)
class _Versions:
    """The API version of each kind to speak with the cluster; of those the ones in which it was not kept; and for
    kinds that it serves only in versions to which no way is known, these."""

    spoken: dict[_Kind, str] = field(default_factory=dict)
    converted: dict[_Kind, str] = field(default_factory=dict)
    unspoken: dict[_Kind, str] = field(default_factory=dict)


def _versions(session: ClusterSession, manifest: Manifest) -> _Versions:
    found = _Versions()
    for each in manifest.kinds:
        kind = (each.group, each.kind)
        versions = session.discovery.versions.get(kind, ())
        if each.version in versions:
            found.spoken[kind] = each.version
        elif versions:
            chosen = Served(versions, one_shape=_one_shape(session, each)).choose(kind, each.version)
            if chosen is None:
                found.unspoken[kind] = ", ".join(versions)
            else:
                found.spoken[kind] = found.converted[kind] = chosen
    return found


def _one_shape(session: ClusterSession, kind: KindSummary) -> bool:
    """Whether the cluster's definition of a kind says that all of its versions have one shape."""
    resource = session.discovery.resource_for(*DEFINITION)
    body = session.objects.get(resource, "", f"{kind.plural}.{kind.group}") if resource is not None else None
    return body is not None and ((body.get("spec") or {}).get("conversion") or {}).get("strategy", "None") == "None"


def place_of(there: Destination) -> Place | None:
    """A destination as plans tell it; `None` for where the application is."""
    if not (there.elsewhere or there.cluster or there.storage_classes or there.suspends):
        return None
    return Place(
        cluster=there.cluster,
        namespaces=dict(there.names),
        storage_classes=dict(there.storage_classes),
        suspend=there.suspends,
    )


def elsewhere_blockers(
    plan: Plan, wanted: Wanted, context: PlanContext, restored: Callable[[ObjectKey], bool]
) -> Plan:
    """The plan with everything that keeps it from being carried out at its destination, found before anything is
    written; and with what there is to know. Both of what is restored, which need not be all of the version."""
    carrier = wanted.carrier
    if carrier is None:
        return plan
    blockers = [sentence for sentence, key in carrier.problems.items() if restored(key)]
    if carrier.destination.elsewhere:
        blockers += _not_served(plan)
        blockers += _no_namespace(plan, context)
    blockers += _no_class(carrier, wanted, context, restored)
    warnings = (*plan.warnings, *_acting(plan, carrier), *carrier.warnings(restored))
    return plan.model_copy(update={"blockers": (*plan.blockers, *blockers), "warnings": warnings})


def _acting(plan: Plan, carrier: Carrier) -> Iterator[str]:
    """What the plan writes of all that begins something by itself: what waits, and what runs there too."""
    written = [action.object.key for action in plan.actions if action.verb.writes]
    waiting = [key for key in written if carrier.acting.get(key) is True]
    running = [key for key in written if carrier.acting.get(key) is False]
    renamed = [key for key in waiting if not carrier.destination.suspends and key[:2] in FROM_SOURCES]
    twice = [key for key in waiting if key not in renamed]
    if twice:
        yield (
            f"Suspended, so that nothing happens twice: {named(twice, _MOST_NAMED)}. They do nothing until "
            f"somebody has them go on; {_GOING_ON}"
        )
    if renamed:
        yield (
            f"Suspended, as what they deploy may know namespaces by their old names: {named(renamed, _MOST_NAMED)}. "
            f"They do nothing until somebody has them go on; {_GOING_ON}"
        )
    if running and carrier.destination.elsewhere:
        yield (
            f"These begin by themselves, and do so where the original is as well: {named(running, _MOST_NAMED)}. "
            "Suspended (`suspend: true`, `--suspend`) they wait."
        )


def _not_served(plan: Plan) -> Iterator[str]:
    kinds: defaultdict[str, list[ObjectKey]] = defaultdict(list)
    for action in plan.actions:
        if action.verb is Verb.SKIP and action.reason == "not-served":
            key = action.object.key
            kinds[f"{key.kind}.{key.group}" if key.group else key.kind].append(key)
    for kind, keys in sorted(kinds.items()):
        named = ", ".join(str(key) for key in keys[:3])
        yield (
            f"The cluster does not serve {kind} ({len(keys)}: {named}{', …' if len(keys) > 3 else ''}). "
            "Install what defines it, or leave these out with `only`."
        )


def _no_namespace(plan: Plan, context: PlanContext) -> Iterator[str]:
    made = {action.object.name for action in plan.actions if action.object.key[:2] == NAMESPACE}
    needed = {action.object.namespace for action in plan.actions if action.verb is Verb.CREATE} - {""}
    for name in sorted(needed - made):
        if not context.exists(ObjectKey(*NAMESPACE, "", name)):
            yield f"Namespace {name} is not there, and it is not among what is restored. Create it first."


def _no_class(
    carrier: Carrier, wanted: Wanted, context: PlanContext, restored: Callable[[ObjectKey], bool]
) -> Iterator[str]:
    for name, users in sorted(carrier.classes.items()):
        key = ObjectKey(*_CLASS, "", name)
        made = key in wanted.index and restored(key)
        if any(map(restored, users)) and not made and not context.exists(key):
            yield f"There is no StorageClass {name}, which claims are to have instead of their own."
