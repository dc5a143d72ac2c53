"""The planner: a version and the live state in, what a restore will do out.

    version rows ─┐
                  ├─ join ─► missing · extra · differing ─► compare (read in full) ─► ask the server ─► order ─► Plan
    live rows ────┘

| mode      | missing | differing        | extra                                          |
|-----------|---------|------------------|------------------------------------------------|
| `exact`   | create  | update / replace | delete, only roots, only where all was read    |
| `merge`   | create  | update / replace | –                                              |
| `missing` | create  | –                | –                                              |

What is protected is neither deleted nor replaced without consent: it becomes a `skip`, and a warning says how to
consent. The rest of the plan can be applied all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from chalicelib.domain.document import Restore
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Identity, Plan, Verb
from chalicelib.domain.version import Gap, IndexRow
from chalicelib.planning import budgets, dependents, effects, immutable, services
from chalicelib.planning.capture_rules import Reason, implied
from chalicelib.planning.compare import Comparison, compare
from chalicelib.planning.consent import Consent
from chalicelib.planning.context import PlanContext
from chalicelib.planning.deployers import Deployed
from chalicelib.planning.immutable import Refusal
from chalicelib.planning.join import OWNED, LiveRow, join
from chalicelib.planning.normalise import digest
from chalicelib.planning.order import After, order
from chalicelib.planning.sayings import WHY_LEFT, left_alone
from chalicelib.planning.shared import NOTHING_SHARED, SHARED, Shared

__all__ = ["OWNED", "AskServer", "LiveRow", "Question", "ReadLive", "ReadWanted", "make_plan"]

#: Objects read in full, and asked about, at once.
BATCH = 200

_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
_NAMESPACE = ("", "Namespace")
_VOLUME = ("", "PersistentVolume")
_CLAIM = ("", "PersistentVolumeClaim")
_SERVICE = ("", "Service")
_BUDGET = ("policy", "PodDisruptionBudget")

#: Objects of one kind and verb that are looked at for who deployed them: the others will bear the same signs.
_LOOKED_AT = 10

#: Why something is left alone that is not to be lost either.
_SPARED = frozenset({"protected", "in-use"})

#: Reads stored content: the rows asked for → their keys and normalised bodies, in any order.
ReadWanted = Callable[[Sequence[IndexRow]], Iterable[tuple[ObjectKey, Body]]]
#: Reads the normalised content of one live object; `None` if it is gone by now.
ReadLive = Callable[[ObjectKey], Body | None]


class Question(NamedTuple):
    """An update to try without effect: what is planned, and the content to write (see `creation.for_update`)."""

    action: Action
    target: Body


#: For each question, in order: the normalised content that would come of it, or why it would be refused, or `None`
#: if the answer does not matter any more (the object moved).
AskServer = Callable[[Sequence[Question]], Iterable[Body | Refusal | None]]


def make_plan(
    version_rows: Iterable[IndexRow],
    live_rows: Iterable[LiveRow],
    *,
    application: str,
    version: str,
    mode: str,
    restore: Restore,
    read_wanted: ReadWanted,
    read_live: ReadLive,
    context: PlanContext,
    consent: frozenset[str] = frozenset(),
    only: Callable[[ObjectKey], bool] | None = None,
    gaps: Sequence[Gap] = (),
    ask_server: AskServer | None = None,
    attached: dependents.Attached = lambda _going: (),
    rules: Sequence[After] = (),
    shared: Shared = NOTHING_SHARED,
) -> Plan:
    """What it takes to bring the live state to the version, in a mode (`exact`, `merge` or `missing`).

    Both streams come in the order of their keys; `ValueError` if they do not. `gaps` are what could not be read of
    either side; `only` restricts the plan to some objects; of `restore` the protected kinds are used. Without
    `ask_server` the table of `immutable` must do. `attached` finds what is owned by what is deleted or replaced.
    `shared` is what the version pulled in.
    """
    planner = _Planner(
        mode=mode,
        consent=Consent(restore.protect, consent, context),
        only=only,
        gaps=tuple(gaps),
        context=context,
        read_wanted=read_wanted,
        read_live=read_live,
        ask_server=ask_server,
        shared=shared,
    )
    planner.sort_out(join(version_rows, live_rows))
    planner.plan_missing()
    planner.plan_differing()
    planner.plan_extra()
    planner.plan_dependents(attached)
    planner.look_for_deployers()
    ordered = order(planner.actions, rules)
    actions = [action.model_copy(update={"wave": ordered.waves[action.object.key]}) for action in planner.actions]
    actions.sort(key=lambda action: (action.wave, action.object.key))
    counts = Counter({Verb.KEEP.value: planner.kept})
    counts.update(action.verb.value for action in actions)
    return Plan(
        application=application,
        version=version,
        mode=mode,
        actions=tuple(actions),
        counts={verb: count for verb, count in sorted(counts.items()) if count},
        warnings=(
            *left_alone(planner.left),
            *planner.deployed.sentences(),
            *sorted(planner.warnings),
            *ordered.problems,
        ),
        gaps=tuple(gaps),
        blockers=tuple(planner.blockers()),
    )


@dataclass(slots=True)
class _Planner:
    """The plan while it is being made."""

    mode: str
    consent: Consent
    only: Callable[[ObjectKey], bool] | None
    gaps: tuple[Gap, ...]
    context: PlanContext
    read_wanted: ReadWanted
    read_live: ReadLive
    ask_server: AskServer | None
    shared: Shared
    actions: list[Action] = field(default_factory=list)
    kept: int = 0
    warnings: list[str] = field(default_factory=list)
    #: Keys by why nothing is done about them, for the warnings at the end.
    left: dict[str, list[ObjectKey]] = field(default_factory=dict)
    deployed: Deployed = field(default_factory=Deployed)
    _missing: list[tuple[IndexRow, LiveRow | None]] = field(default_factory=list)
    _differing: list[tuple[IndexRow | None, LiveRow]] = field(default_factory=list)
    _extra: list[LiveRow] = field(default_factory=list)
    #: Names of volumes that are made again.
    _arriving: set[str] = field(default_factory=set)
    _needs: services.Needs = field(default_factory=services.Needs)
    #: Hashes of all keys of both sides: keeping the keys would cost more than the rest of the plan.
    _known: set[int] = field(default_factory=set)
    _namespaces: set[str] = field(default_factory=set)

    # ── the three heaps ─────────────────────────────────────────────────────────────────────────────────

    def sort_out(self, pairs: Iterable[tuple[IndexRow | None, LiveRow | None]]) -> None:
        """Missing, differing and extra objects; what is equal is only counted."""
        for wanted, live in pairs:
            row = wanted if wanted is not None else live
            if row is None:
                continue
            self._known.add(hash(row.key))
            if self.only is not None and not self.only(row.key):
                continue
            self._namespaces.add(row.key.namespace)
            if wanted is None:
                if live is not None:
                    self._extra.append(live)
            elif live is None:
                self._missing.append((wanted, None))
            elif live.standing == Reason.TERMINATING:
                self._missing.append((wanted, live))
            elif live.digest == wanted.digest:
                self.kept += 1
            elif live.standing in {"", OWNED, Reason.UNTOUCHED}:
                self._differing.append((wanted, live))
            else:
                self._leave(live.key, live.standing, WHY_LEFT.get(live.standing, ""), live)

    def _leave(self, key: ObjectKey, reason: str, message: str, live: LiveRow | None = None) -> None:
        self.left.setdefault(reason, []).append(key)
        self.actions.append(
            Action(
                verb=Verb.SKIP,
                object=Identity.of(key),
                reason=reason,
                message=message,
                live_uid=live.uid if live else None,
                live_resource_version=live.resource_version if live else None,
            )
        )

    # ── missing ─────────────────────────────────────────────────────────────────────────────────────────

    def plan_missing(self) -> None:
        """Creates, but for what could not be looked for, cannot be made here, or would come back empty."""
        arriving = {
            row.key.name.partition(".")[2] for row, _ in self._missing if (row.key.group, row.key.kind) == _DEFINITION
        }
        seen = self._wanted(self._worth_a_look())
        self._arriving = {key.name for key, body in seen.items() if key[:2] == _VOLUME and not _volume_went(body)}
        for row, terminating in self._missing:
            key = row.key
            if _in_a_gap(key, (*self.gaps, *self.shared.gaps)):
                self._leave(key, "unread", "It is not known whether it is there: this kind could not be read.")
            elif self.context.resources and self.context.resource_of(key) is None and key.group not in arriving:
                self._leave(key, "not-served", "The cluster does not serve this kind.")
            elif key in seen and _volume_went(seen[key]):
                self._leave(
                    key, "volume-gone", "Its storage was given up together with it; there is nothing to bind."
                )
            else:
                self.actions.append(self._create(row, terminating, seen.get(key)))

    def _worth_a_look(self) -> list[IndexRow]:
        kinds = {_VOLUME, _SERVICE, _BUDGET} | ({_CLAIM} if self.context.volume_free is not None else set())
        return [row for row, _ in self._missing if (row.key.group, row.key.kind) in kinds]

    def _create(self, row: IndexRow, terminating: LiveRow | None, body: Body | None) -> Action:
        key = row.key
        felt: tuple[str, ...] = ()
        if (key.group, key.kind) == ("batch", "Job"):
            felt = ("The Job runs from its beginning.",)
        elif (key.group, key.kind) == _CLAIM and body is not None and self.context.volume_free is not None:
            volume = (body.get("spec") or {}).get("volumeName")
            arrives = volume in self._arriving
            if not volume or not (arrives or self.context.volume_free(key, volume)):
                felt = ("The claim gets a new, empty volume.",)
            else:
                felt = (f"The claim is bound to its volume {volume} again, with its data.",)
        elif (key.group, key.kind) == _SERVICE and body is not None:
            self._needs.add(body)
            felt = effects.of_create(body)
        elif (key.group, key.kind) == _BUDGET and body is not None:
            felt = budgets.blocking(body)
        message = "It is being deleted; it is made again as soon as it is gone." if terminating else ""
        message = f"{message} {self.shared.why(key)}".strip()
        return Action(
            verb=Verb.CREATE,
            object=Identity.of(key),
            reason=Reason.TERMINATING.value if terminating else "missing",
            message=message,
            wanted_digest=row.digest.hex(),
            effects=felt,
        )

    # ── differing ───────────────────────────────────────────────────────────────────────────────────────

    def plan_differing(self) -> None:
        """Read what differs in full; what then is equal after all is kept, the rest updated or replaced."""
        if self.mode == "exact":
            self._differing += [(None, row) for row in self._extra if _is_implied(row)]
        pending = iter(self._differing)
        while batch := list(islice(pending, BATCH)):
            self._plan_batch(batch)

    def _plan_batch(self, batch: list[tuple[IndexRow | None, LiveRow]]) -> None:
        stored = self._wanted([row for row, _ in batch if row is not None])
        found: list[_Differing] = []
        for row, here in batch:
            key = here.key
            wanted, live = stored[key] if row is not None else implied(*key), self.read_live(key)
            if wanted is None:
                continue
            if live is None:
                if row is not None:
                    self.actions.append(self._create(row, None, None))
                continue
            comparison = compare(wanted, live, self.context, self._exists)
            if (key.group, key.kind) == _CLAIM:
                self.warnings += effects.claim_notes(wanted, comparison.live)
            if comparison.equal:
                self.kept += 1
            elif self.shared.leaves(key):
                self.left.setdefault(SHARED, []).append(key)
                self.actions.append(_Differing(here, comparison, "").action(Verb.SKIP, SHARED, self.shared.why(key)))
            else:
                if (key.group, key.kind) == _SERVICE:
                    self._needs.add(comparison.target)
                found.append(_Differing(here, comparison, (row.digest if row else digest(wanted)).hex()))
        if self.mode == "missing":
            self.actions += [each.action(Verb.SKIP, "mode", "It differs; this mode only creates.") for each in found]
            return
        for each, answer in zip(found, self._answers(found), strict=True):
            self._decide(each, answer)

    def _answers(self, found: list[_Differing]) -> Iterable[Body | Refusal | None]:
        if self.ask_server is None or not found:
            return [_CANNOT_TELL] * len(found)
        return self.ask_server(
            [Question(each.action(Verb.UPDATE, "differs"), each.comparison.target) for each in found]
        )

    def _decide(self, each: _Differing, answer: Body | Refusal | None) -> None:
        live, target = each.comparison.live, each.comparison.target
        refusal: Refusal | None = None
        if isinstance(answer, Refusal):
            refusal = immutable.conclude(answer, live, target)
        elif answer is not None and digest(answer) == digest(live) and not _owners_differ(live, target):
            # The server fills in again what differs: defaults of a newer release, for one.
            self.kept += 1
            return
        if refusal is None:
            felt = (*effects.of_update(live, target), *self._budgets_of(live, target))
            self.actions.append(each.action(Verb.UPDATE, "differs", effects=felt))
        elif refusal.kind != "immutable":
            self.left.setdefault("refused", []).append(each.row.key)
            self.actions.append(each.action(Verb.SKIP, "refused", f"The server refuses it: {refusal.message}"))
        elif self.consent.lacks(each.row.key):
            self.left.setdefault("protected", []).append(each.row.key)
            said = f"It would have to be replaced ({refusal.field or 'a field'} cannot be changed), and is protected."
            self.actions.append(each.action(Verb.SKIP, "protected", said))
        else:
            self.actions.append(
                each.action(
                    Verb.REPLACE,
                    "immutable",
                    refusal.message,
                    effects=(*effects.of_replace(live, target), *self._budgets_of(live, None)),
                    propagation=effects.propagation(live, target),
                )
            )

    def _budgets_of(self, live: Body, target: Body | None) -> tuple[str, ...]:
        """What is felt of budgets: of those that fewer pods stay than they promise, and of one that blocks."""
        if target is None:
            orphans = live["kind"] == "StatefulSet"  # its pods stay
            return () if orphans else tuple(budgets.broken(live, None, self.context.budgets))
        if live["kind"] == "PodDisruptionBudget":
            return budgets.blocking(target)
        restarts = (live.get("spec") or {}).get("template") != (target.get("spec") or {}).get("template")
        return tuple(budgets.broken(live, target, self.context.budgets)) if restarts else ()

    def _wanted(self, rows: list[IndexRow]) -> dict[ObjectKey, Body]:
        return dict(self.read_wanted(rows)) if rows else {}

    def _exists(self, key: ObjectKey) -> bool:
        return hash(key) in self._known or self.context.exists(key)

    # ── extra ───────────────────────────────────────────────────────────────────────────────────────────

    def plan_extra(self) -> None:
        """Deletes: in exact mode, of roots, and only if nothing was overlooked on either side."""
        if self.mode != "exact":
            return
        for row in self._extra:
            if row.standing != "" or _is_implied(row):
                continue
            if self.gaps:
                self._leave(row.key, "incomplete", "Not everything could be read, so nothing is deleted.", row)
            elif self.consent.lacks(row.key):
                self._leave(row.key, "protected", "It is not in the version, and is protected.", row)
            else:
                self.actions.append(self._delete(row))

    def _delete(self, row: LiveRow) -> Action:
        in_the_way = self._in_the_way(row.key)
        return Action(
            verb=Verb.DELETE,
            object=Identity.of(row.key),
            reason="in-the-way" if in_the_way else "extra",
            message=f"It is not in the version. {in_the_way}".rstrip(),
            live_uid=row.uid,
            live_resource_version=row.resource_version,
            live_digest=row.digest.hex(),
            effects=effects.of_delete(row.key.group, row.key.kind),
        )

    def _in_the_way(self, key: ObjectKey) -> str:
        """Why an extra object has to go before others can be made."""
        if (key.group, key.kind) != _SERVICE:
            return ""
        live = self.read_live(key)
        return "" if live is None else self._needs.met_by(live)

    # ── what hangs together with what goes ──────────────────────────────────────────────────────────────

    def plan_dependents(self, attached: dependents.Attached) -> None:
        """Let nothing go unnoticed with its owner, and nothing be doomed that is used."""
        owned = {row.key for row in self._extra if row.standing == OWNED}
        found, extra = dependents.left_behind(
            self.actions,
            attached,
            lambda row: (
                self.mode == "exact" and not self.gaps and row.key in owned and not self.consent.lacks(row.key)
            ),
        )
        self.actions += [self._delete(row) for row in extra]
        self._spare({_CLAIM})
        self._spare({_NAMESPACE, _DEFINITION})
        extras = {row.key for row in self._extra}
        touched = extras | {action.object.key for action in self.actions}
        self.actions = dependents.attach(self.actions, found, self.read_live)
        # What was counted as kept is touched after all.
        late = [key for action in self.actions if (key := action.object.key) not in touched]
        self.kept -= sum(hash(key) in self._known and (self.only is None or self.only(key)) for key in late)

    def _spare(self, kinds: set[tuple[str, str]]) -> None:
        """Leave alone what others use or are in, if these stay."""
        gone = frozenset(action.live_uid for action in self.actions if action.verb is Verb.DELETE and action.live_uid)
        for number, action in enumerate(self.actions):
            if action.verb not in {Verb.DELETE, Verb.REPLACE}:
                continue
            key = action.object.key
            if key[:2] in kinds:
                why = self.context.held(key, gone) or self._spared_inside(key)
                if why:
                    self.left.setdefault("in-use", []).append(key)
                    self.actions[number] = action.model_copy(
                        update={"verb": Verb.SKIP, "reason": "in-use", "message": why, "effects": ()}
                    )

    def _spared_inside(self, key: ObjectKey) -> str:
        inside = [
            str(action.object.key)
            for action in self.actions
            if action.verb is Verb.SKIP and action.object.namespace == key.name and action.reason in _SPARED
        ]
        named = ", ".join(inside[:5])
        return (
            f"With it these would be lost, which are left alone: {named}." if inside and key[:2] == _NAMESPACE else ""
        )

    def look_for_deployers(self) -> None:
        """Note whose signs the objects bear that are written: of each kind and verb a few are looked at."""
        looked: Counter[tuple[str, str, str]] = Counter()
        creates: set[ObjectKey] = set()
        others: list[ObjectKey] = []
        for action in self.actions:
            key = action.object.key
            if action.verb.writes and looked[(action.verb, *key[:2])] < _LOOKED_AT:
                looked[(action.verb, *key[:2])] += 1
                if action.verb is Verb.CREATE:
                    creates.add(key)
                else:
                    others.append(key)
        for body in self._wanted([row for row, _ in self._missing if row.key in creates]).values():
            self.deployed.add(body)
        for key in others:
            self.deployed.add(self.read_live(key))

    # ── what there is to say ────────────────────────────────────────────────────────────────────────────

    def blockers(self) -> Iterator[str]:
        """Reasons why the plan may not be applied as it is."""
        for namespace in sorted(self._namespaces & self.context.terminating_namespaces):
            yield f"Namespace {namespace} is being deleted. Wait until it is gone, then make a new plan."
        if self.mode == "exact" and self.gaps:
            kinds = ", ".join(sorted({gap.kind if gap.kind != "*" else gap.group for gap in self.gaps}))
            yield (
                f"Not everything could be read ({kinds}), and an exact restore deletes what is not in the version. "
                "Ask for mode `merge`, or use a complete version."
            )


@dataclass(frozen=True, slots=True)
class _Differing:
    """One object that differs, with all that is known of it."""

    row: LiveRow
    comparison: Comparison
    wanted_digest: str

    def action(
        self,
        verb: Verb,
        reason: str,
        message: str = "",
        *,
        effects: tuple[str, ...] = (),
        propagation: str = "Background",
    ) -> Action:
        """An action on it, resting on the live object as it was read."""
        return Action(
            verb=verb,
            object=Identity.of(self.row.key),
            reason=reason,
            message=message,
            differences=self.comparison.differences,
            live_uid=self.row.uid,
            live_resource_version=self.row.resource_version,
            live_digest=digest(self.comparison.live).hex(),
            wanted_digest=self.wanted_digest,
            effects=effects,
            propagation=propagation,
        )


_CANNOT_TELL = Refusal("", "", "cannot-tell")


def _owners_differ(live: Body, target: Body) -> bool:
    """A dry run cannot tell of owners that are made by the same plan."""
    return bool(live["metadata"].get("ownerReferences") != target["metadata"].get("ownerReferences"))


def _is_implied(row: LiveRow) -> bool:
    return row.standing == "" and implied(*row.key) is not None


def _in_a_gap(key: ObjectKey, gaps: Sequence[Gap]) -> bool:
    return any(
        gap.group == key.group and gap.kind in {"*", key.kind} and gap.namespace in {"", key.namespace}
        for gap in gaps
    )


def _volume_went(body: Body) -> bool:
    """Whether a volume that is not there any more took its data with it: its provisioner deleted both."""
    spec, annotations = body.get("spec") or {}, body["metadata"].get("annotations") or {}
    return (
        body.get("kind") == "PersistentVolume"
        and spec.get("persistentVolumeReclaimPolicy") == "Delete"
        and "pv.kubernetes.io/provisioned-by" in annotations
    )
