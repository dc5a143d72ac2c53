"""What is on both sides and not equal: read in full, compared, asked about, and then kept, updated or replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.domain.version import IndexRow
from chalicelib.planning.bodies import immutable
from chalicelib.planning.bodies.compare import Comparison, compare
from chalicelib.planning.bodies.diff import is_lost
from chalicelib.planning.bodies.immutable import Refusal
from chalicelib.planning.bodies.normalise import digest
from chalicelib.planning.plan import budgets, effects
from chalicelib.planning.plan.draft import Draft, Question
from chalicelib.planning.plan.join import LiveRow
from chalicelib.planning.plan.missing import create
from chalicelib.planning.plan.sayings import NOT_KEPT, not_kept
from chalicelib.planning.plan.shared import SHARED
from chalicelib.planning.selecting.capture_rules import implied

#: Objects read in full, and asked about, at once.
BATCH = 200

_CLAIM = ("", "PersistentVolumeClaim")
_SERVICE = ("", "Service")
_CANNOT_TELL = Refusal("", "", "cannot-tell")
#: Refusals of an update that may not be ones of a creation.
_MADE_ANEW = frozenset({"immutable", "invalid"})


def plan_differing(draft: Draft) -> None:
    """Read what differs in full; what then is equal after all is kept, the rest updated or replaced."""
    if draft.mode == "exact":
        draft.differing += [(None, row) for row in draft.extra if is_implied(row)]
    pending = iter(draft.differing)
    while batch := list(islice(pending, BATCH)):
        _plan_batch(draft, batch)


def _plan_batch(draft: Draft, batch: list[tuple[IndexRow | None, LiveRow]]) -> None:
    stored = draft.wanted([row for row, _ in batch if row is not None])
    found: list[_Differing] = []
    for row, here in batch:
        key = here.key
        wanted, live = stored[key] if row is not None else implied(*key), draft.read_live(key)
        if wanted is None:
            continue
        if live is None:
            if row is not None:
                draft.actions.append(create(draft, row, None, None))
            continue
        comparison = compare(wanted, live, draft.context, draft.exists)
        if (key.group, key.kind) == _CLAIM:
            draft.warnings += effects.claim_notes(wanted, comparison.live)
        if comparison.equal:
            draft.kept += 1
        elif draft.shared.leaves(key):
            draft.left.setdefault(SHARED, []).append(key)
            draft.actions.append(
                _Differing(here, comparison, "", wanted).action(Verb.SKIP, SHARED, draft.shared.why(key))
            )
        else:
            if (key.group, key.kind) == _SERVICE:
                draft.needs.add(comparison.target)
            found.append(_Differing(here, comparison, (row.digest if row else digest(wanted)).hex(), wanted))
    if draft.mode == "missing":
        draft.actions += [each.action(Verb.SKIP, "mode", "It differs; this mode only creates.") for each in found]
        return
    answers = [_concluded(*pair) for pair in zip(found, _answers(draft, found), strict=True)]
    as_it_is = _made_the_same(draft, found, answers)
    for each, answer in zip(found, answers, strict=True):
        if each.row.key in as_it_is:
            _keep(draft, each)
        else:
            _decide(draft, each, answer)


def _answers(draft: Draft, found: list[_Differing]) -> Iterable[Body | Refusal | None]:
    if draft.ask_server is None or not found:
        return [_CANNOT_TELL] * len(found)
    return draft.ask_server([Question(each.action(Verb.UPDATE, "differs"), each.comparison.target) for each in found])


def _concluded(each: _Differing, answer: Body | Refusal | None) -> Body | Refusal | None:
    """The answer, or what the table says where it is none."""
    if isinstance(answer, Refusal):
        return immutable.conclude(answer, each.comparison.live, each.comparison.target)
    return answer


def _made_the_same(draft: Draft, found: list[_Differing], answers: list[Body | Refusal | None]) -> set[ObjectKey]:
    """Of those that cannot be updated, the ones that would be made just as they are: admission adds when it makes an
    object, and nobody can change that afterwards. Else each restore would make them anew, and the next one again."""
    doomed = [
        each
        for each, answer in zip(found, answers, strict=True)
        if isinstance(answer, Refusal) and answer.kind in _MADE_ANEW and not _owners_differ(*each.contents)
    ]
    if draft.ask_server is None or not doomed:
        return set()
    made = draft.ask_server([Question(each.action(Verb.REPLACE, "immutable"), each.wanted) for each in doomed])
    return {
        each.row.key
        for each, answer in zip(doomed, made, strict=True)
        if isinstance(answer, dict) and compare(answer, each.comparison.live, draft.context, draft.exists).equal
    }


def _keep(draft: Draft, each: _Differing) -> None:
    """The server fills in again what differs: defaults of a newer release, or what its admission adds. Or it takes it
    away again, a field that is switched off there; or its admission says something else than the version: both are
    told."""
    lost = tuple(filter(is_lost, each.comparison.differences))
    if lost:
        draft.left.setdefault(NOT_KEPT, []).append(each.row.key)
        draft.actions.append(each.action(Verb.SKIP, NOT_KEPT, not_kept(lost)))
    else:
        draft.kept += 1


def _decide(draft: Draft, each: _Differing, answer: Body | Refusal | None) -> None:
    live, target = each.contents
    refusal = answer if isinstance(answer, Refusal) else None
    if isinstance(answer, dict) and digest(answer) == digest(live) and not _owners_differ(live, target):
        _keep(draft, each)
    elif refusal is None:
        felt = (*effects.of_update(live, target), *_budgets_of(draft, live, target))
        draft.actions.append(each.action(Verb.UPDATE, "differs", effects=felt))
    elif refusal.kind != "immutable":
        draft.left.setdefault("refused", []).append(each.row.key)
        draft.actions.append(each.action(Verb.SKIP, "refused", f"The server refuses it: {refusal.message}"))
    elif draft.consent.lacks(each.row.key):
        draft.left.setdefault("protected", []).append(each.row.key)
        said = f"It would have to be replaced ({refusal.field or 'a field'} cannot be changed), and is protected."
        draft.actions.append(each.action(Verb.SKIP, "protected", said))
    else:
        draft.actions.append(
            each.action(
                Verb.REPLACE,
                "immutable",
                refusal.message,
                effects=(*effects.of_replace(live, target), *_budgets_of(draft, live, None)),
                propagation=effects.propagation(live, target),
            )
        )


def _budgets_of(draft: Draft, live: Body, target: Body | None) -> tuple[str, ...]:
    """What is felt of budgets: of those that fewer pods stay than they promise, and of one that blocks."""
    if target is None:
        orphans = live["kind"] == "StatefulSet"  # its pods stay
        return () if orphans else tuple(budgets.broken(live, None, draft.context.budgets))
    if live["kind"] == "PodDisruptionBudget":
        return budgets.blocking(target)
    restarts = (live.get("spec") or {}).get("template") != (target.get("spec") or {}).get("template")
    return tuple(budgets.broken(live, target, draft.context.budgets)) if restarts else ()


@dataclass(frozen=True, slots=True)
class _Differing:
    """One object that differs, with all that is known of it."""

    row: LiveRow
    comparison: Comparison
    wanted_digest: str
    wanted: Body

    @property
    def contents(self) -> tuple[Body, Body]:
        """What is live, and what it would be made into."""
        return self.comparison.live, self.comparison.target

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


def _owners_differ(live: Body, target: Body) -> bool:
    """A dry run cannot tell of owners that are made by the same plan."""
    return bool(live["metadata"].get("ownerReferences") != target["metadata"].get("ownerReferences"))


def is_implied(row: LiveRow) -> bool:
    """Whether every namespace has it, so that an extra one is brought back to what it is anew."""
    return row.standing == "" and implied(*row.key) is not None
