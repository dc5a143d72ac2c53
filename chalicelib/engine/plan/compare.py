"""What differs between two versions, or between a version and what is live."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from chalicelib.domain.application import Application
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Difference, Identity, Verb
from chalicelib.domain.version import IndexRow
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.plan.planner import Ground, Target, plan_on
from chalicelib.engine.plan.wanted import Wanted
from chalicelib.language.loader import load
from chalicelib.planning.bodies.diff import differences
from chalicelib.store.index import CompactIndex
from chalicelib.store.repository import Repository

_CHANGES = {Verb.CREATE: "removed", Verb.DELETE: "added"}


@dataclass(frozen=True, slots=True)
class Changed:
    """One object that differs. `change`: `added`, `removed` or `changed`, seen from the older side."""

    object: Identity
    change: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of an application's objects from one side to the other. In differences, `live` is the older value
    and `wanted` the newer one."""

    changes: tuple[Changed, ...]
    counts: dict[str, int] = field(default_factory=dict)


def compare_versions(repository: Repository, application: str, from_version: str, to_version: str) -> Comparison:
    """Compare two versions by their indexes; only what differs is read in full."""
    older, newer = Wanted(repository, application, from_version), Wanted(repository, application, to_version)
    changed: list[tuple[IndexRow, IndexRow]] = []
    changes: list[Changed] = []
    same = 0
    for row in newer.index:
        before = older.index.get(row.key)
        if before is None:
            changes.append(Changed(Identity.of(row.key), "added"))
        elif before.digest != row.digest:
            changed.append((before, row))
        else:
            same += 1
    changes += [Changed(Identity.of(key), "removed") for key in _missing(older.index, newer.index)]
    was = dict(older.contents([before for before, _ in changed]))
    now = dict(newer.contents([after for _, after in changed]))
    changes += [
        Changed(Identity.of(after.key), "changed", differences(was[after.key], now[after.key]))
        for _, after in changed
    ]
    return _comparison(changes, same)


def _missing(older: CompactIndex, newer: CompactIndex) -> list[ObjectKey]:
    return [row.key for row in older if newer.get(row.key) is None]


def _comparison(changes: list[Changed], same: int) -> Comparison:
    changes.sort(key=lambda change: change.object.key)
    counts = Counter(change.change for change in changes)
    return Comparison(tuple(changes), {**counts, "same": same})


def compare_live(
    repository: Repository, session: ClusterSession, application: Application, version: str
) -> Comparison:
    """Compare a version with what is live: a plan read the other way round."""
    ground = Ground(repository, application.id, load(application.document), session)
    plan = plan_on(ground, Target(version, "exact", frozenset({"*"}), shared=True), ask_server=False).plan
    changes = [
        Changed(action.object, _CHANGES.get(action.verb, "changed"), tuple(map(_turned, action.differences)))
        for action in plan.actions
        if action.verb.writes
    ]
    return _comparison(changes, plan.counts.get(Verb.KEEP.value, 0))


def _turned(difference: Difference) -> Difference:
    turned = {"added": "removed", "removed": "added"}.get(difference.change, difference.change)
    return difference.model_copy(update={"live": difference.wanted, "wanted": difference.live, "change": turned})
