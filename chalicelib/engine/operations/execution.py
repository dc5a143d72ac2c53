"""What a restore's way there and its way back have in common: a plan is carried out, and its end is told."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Plan, Verb
from chalicelib.engine.lane.work import Work
from chalicelib.engine.operations.asked import Options
from chalicelib.engine.plan.carrying import wanted_of
from chalicelib.engine.plan.facts import context_of
from chalicelib.engine.plan.planner import Target
from chalicelib.engine.write.apply import Applied, apply
from chalicelib.engine.write.ledger import Ledger, read_entries, state_of
from chalicelib.engine.write.volumes import settle_all
from chalicelib.engine.write.writes import Writer
from chalicelib.planning.elsewhere.destination import Destination

_CONNECTIONS = 16


def carry_out(work: Work, of: Plan, phase: str, target: Target) -> Applied:
    """Carry a plan out, from where the ledger says that an earlier worker was; `phase` is `apply` or `undo`."""
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    session, known = work.session, state_of(entries, phase)
    wanted = wanted_of(work.repository, work.application.id, session, target.version, target)
    context = context_of(session, work.document, wanted)
    coming = frozenset(action.object.key for action in of.actions if action.verb in {Verb.CREATE, Verb.REPLACE})
    return apply(
        work,
        session,
        of.actions,
        phase=phase,
        wanted=wanted.bodies,
        writer=Writer(session, context, work.pause, work.look, work.operation.id, coming, work.left, known.open),
        ledger=Ledger(work),
        known=known,
        keep_going=phase == "undo" or Options.of(work).on_failure == "keep",
        connections=_CONNECTIONS,
    )


def written_in(work: Work, phase: str) -> frozenset[ObjectKey]:
    """What this operation has written in a phase, and was not refused."""
    state = state_of(read_entries(work.repository, work.application.id, work.operation.id), phase)
    return frozenset(entry.object.key for entry in state.settled.values() if entry.mark == "done")


def settle_volumes(work: Work) -> None:
    """Give the volumes behind the claims that were touched their reclaim policies back, now that they are bound."""
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    if entries:
        work.warn(settle_all(work.session, (entry.object.key for entry in entries)))


def outcome_of(work: Work) -> dict[str, Any]:
    """What the operation's document says of its end, as far as it is known."""
    known = work.checkpoint
    outcome = {
        "version": Options.of(work).version,
        "destination": _told(work.destination),
        "safetyVersion": known.get("safetyVersion"),
        "counts": known.get("counts", {}),
        "healthBefore": known.get("healthBefore"),
        "healthAfter": known.get("healthAfter"),
        "unwell": known.get("unwell") or None,
        "warnings": known.get("warnings") or None,
    }
    return {name: value for name, value in outcome.items() if value is not None}


def _told(there: Destination) -> dict[str, Any] | None:
    if not there.elsewhere and there.cluster is None:
        return None
    return {"cluster": there.cluster, "namespaces": dict(there.names)}


def tell_consequence(work: Work, sentence: str) -> None:
    """Say beside the error what it led to."""
    if work.operation.error is not None:
        work.save(error=work.operation.error.model_copy(update={"consequence": sentence}))
