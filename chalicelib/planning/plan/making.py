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

from chalicelib.domain.document import Restore
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Plan, Verb
from chalicelib.domain.version import Gap, IndexRow
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.plan import dependents
from chalicelib.planning.plan.consent import Consent
from chalicelib.planning.plan.differing import plan_differing
from chalicelib.planning.plan.draft import AskServer, Draft, ReadLive, ReadWanted
from chalicelib.planning.plan.extra import plan_dependents, plan_extra
from chalicelib.planning.plan.join import OWNED, LiveRow, join
from chalicelib.planning.plan.missing import plan_missing
from chalicelib.planning.plan.order import After, order
from chalicelib.planning.plan.sayings import WHY_LEFT, left_alone
from chalicelib.planning.plan.scopes import refuse_other_scopes
from chalicelib.planning.plan.shared import NOTHING_SHARED, Shared
from chalicelib.planning.selecting.capture_rules import Reason

#: Objects of one kind and verb that are looked at for who deployed them: the others will bear the same signs.
_LOOKED_AT = 10


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
    draft = Draft(
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
    _sort_out(draft, join(version_rows, live_rows))
    plan_missing(draft)
    plan_differing(draft)
    plan_extra(draft)
    plan_dependents(draft, attached)
    other_scopes = tuple(refuse_other_scopes(draft))
    _look_for_deployers(draft)
    ordered = order(draft.actions, rules)
    actions = [action.model_copy(update={"wave": ordered.waves[action.object.key]}) for action in draft.actions]
    actions.sort(key=lambda action: (action.wave, action.object.key))
    counts = Counter({Verb.KEEP.value: draft.kept})
    counts.update(action.verb.value for action in actions)
    return Plan(
        application=application,
        version=version,
        mode=mode,
        actions=tuple(actions),
        counts={verb: count for verb, count in sorted(counts.items()) if count},
        warnings=(
            *left_alone(draft.left, beside=draft.shared.beside),
            *draft.deployed.sentences(),
            *sorted(draft.warnings),
            *ordered.problems,
        ),
        gaps=tuple(gaps),
        blockers=(*_blockers(draft), *other_scopes),
    )


def _sort_out(draft: Draft, pairs: Iterable[tuple[IndexRow | None, LiveRow | None]]) -> None:
    """Missing, differing and extra objects; what is equal is only counted."""
    for wanted, live in pairs:
        row = wanted if wanted is not None else live
        if row is None:
            continue
        draft.known.add(hash(row.key))
        if draft.only is not None and not draft.only(row.key):
            continue
        draft.namespaces.add(row.key.namespace)
        if wanted is None:
            if live is not None:
                draft.extra.append(live)
        elif live is None:
            draft.missing.append((wanted, None))
        elif live.standing == Reason.TERMINATING:
            draft.missing.append((wanted, live))
        elif live.digest == wanted.digest:
            draft.kept += 1
        elif live.standing in {"", OWNED, Reason.UNTOUCHED}:
            draft.differing.append((wanted, live))
        else:
            draft.leave(live.key, live.standing, WHY_LEFT.get(live.standing, ""), live)


def _look_for_deployers(draft: Draft) -> None:
    """Note whose signs the objects bear that are written: of each kind and verb a few are looked at. What is made
    beside the original is nobody's yet."""
    looked: Counter[tuple[str, str, str]] = Counter()
    creates: set[ObjectKey] = set()
    others: list[ObjectKey] = []
    for action in draft.actions:
        key = action.object.key
        if action.verb.writes and looked[(action.verb, *key[:2])] < _LOOKED_AT:
            looked[(action.verb, *key[:2])] += 1
            if action.verb is Verb.CREATE:
                creates.add(key)
            else:
                others.append(key)
    made = [] if draft.shared.beside else [row for row, _ in draft.missing if row.key in creates]
    for body in draft.wanted(made).values():
        draft.deployed.add(body)
    for key in others:
        draft.deployed.add(draft.read_live(key))


def _blockers(draft: Draft) -> Iterator[str]:
    """Reasons why the plan may not be applied as it is."""
    for namespace in sorted(draft.namespaces & draft.context.terminating_namespaces):
        yield f"Namespace {namespace} is being deleted. Wait until it is gone, then make a new plan."
    if draft.mode == "exact" and draft.gaps:
        kinds = ", ".join(sorted({gap.kind if gap.kind != "*" else gap.group for gap in draft.gaps}))
        yield (
            f"Not everything could be read ({kinds}), and an exact restore deletes what is not in the version. "
            "Ask for mode `merge`, or use a complete version."
        )
