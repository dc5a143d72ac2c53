"""Restoring a version, in place or elsewhere, and undoing a restore: the same machine with another source.

    plan ─► safety ─► before ─► apply ─► health ─► verify ─► succeeded | partial
                                  │         │         │
                                  └────┬────┴─────────┘   (a failure, a cancel, a health that got worse)
                                       ▼
                                  rollback ─► verify-rollback ─► failed | cancelled

Until `apply` nothing is written to the cluster. From there the ledger tells what was, and `rollback` plans the way
back from the safety version and the objects the ledger names, and applies that with the same executor. An undo by
command is an operation of its own whose plan is made in the same way, with a safety version of its own: it can be
undone too.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import (
    ClusterUnreachable,
    Conflict,
    Interrupted,
    Invalid,
    MainstayError,
    StorageUnavailable,
)
from chalicelib.domain.operation import OperationKind, State
from chalicelib.domain.plan import Plan
from chalicelib.engine.capture import health
from chalicelib.engine.lane.work import Finish, Flow, Next, Step, Work
from chalicelib.engine.operations import results, rollback, safety
from chalicelib.engine.operations.asked import Options, target_of, written_by
from chalicelib.engine.operations.execution import carry_out, outcome_of, settle_volumes, written_in
from chalicelib.engine.plan.carrying import speak_as_kept
from chalicelib.engine.plan.original import recognise
from chalicelib.engine.plan.planner import make
from chalicelib.engine.plan.plans import read_plan_of, store_plan
from chalicelib.engine.plan.stale import refuse_if_stale
from chalicelib.engine.write.ledger import read_entries, state_of
from chalicelib.planning.plan.sayings import NOT_KEPT, left_alone, unread

# ── plan ────────────────────────────────────────────────────────────────────────────────────────────────────


def plan(work: Work) -> Next:
    """Make the plan (or take the one that was asked for, if nothing moved since) and keep it."""
    recognise(work)
    work.keep_document()
    planning = make(work, target_of(work))
    if planning.plan.blockers:
        raise Conflict("The restore was not begun. " + " ".join(planning.plan.blockers))
    saved = work.operation.arguments.get("plan")
    if saved:
        refuse_if_stale(read_plan_of(work, saved), planning.plan)
    store_plan(work, planning.plan)
    known: dict[str, Any] = {
        "planFence": work.fence,
        "counts": planning.plan.counts,
        "version": planning.target.version,
    }
    if not saved:
        # Nobody has read them: the outcome has to say them.
        known["warnings"] = list(dict.fromkeys((*work.checkpoint.get("warnings", ()), *planning.plan.warnings)))
    if planning.plan.empty:
        return Next("verify", known)
    return Next("safety", known)


# ── safety version, state before ────────────────────────────────────────────────────────────────────────────


def safety_version(work: Work) -> Next:
    """Seal a version of everything the plan will change, so that it can be put back."""
    options = Options.of(work)
    if options.safety == "none":
        return Next("before")
    planned = read_plan_of(work, work.operation.id)
    speak_as_kept(work.repository, work.application.id, work.session, planned.version)
    try:
        version = safety.make(work, planned)
    except (Interrupted, Conflict, StorageUnavailable, ClusterUnreachable):
        # Stopped in order; the cluster moved, so nothing may be written on this plan; or another try may succeed.
        raise
    except MainstayError as error:
        if options.safety == "required":
            raise
        safety.give_up(work)
        work.warn([f"No safety version could be made, so this restore cannot be undone: {error.public().message}"])
        return Next("before")
    return Next("before", {"safetyVersion": version})


def health_before(work: Work) -> Next:
    """Observe the application's health before anything is changed."""
    known = {"healthBefore": health.observe(work).as_json(), "currentBefore": work.application.current_version}
    return Next("apply", {**known, "applied": True})


# ── apply ───────────────────────────────────────────────────────────────────────────────────────────────────


def apply_plan(work: Work) -> Next:
    """Carry the plan out."""
    applied = carry_out(work, read_plan_of(work, work.operation.id), "apply", target_of(work))
    failed = applied.failed
    if failed and Options.of(work).on_failure == "rollback":
        first = failed[0]
        where = f"The server's own words are in `mainstay result {work.operation.id}`."
        raise Conflict(f"{first.object.key}: {first.told} {where}", details={"failed": len(failed)})
    return Next("health", {"failed": len(failed)})


def health_after(work: Work) -> Next:
    """Wait for what was ready when the version was made; fail if health is worse than before."""
    was = health.Observed.from_json(work.checkpoint["healthBefore"])
    options = Options.of(work)
    if work.operation.kind is OperationKind.UNDO:
        # What was before may have been broken, and it was asked for: it is looked at, not judged.
        return Next("verify", {"healthAfter": health.observe(work).as_json()})
    state = state_of(read_entries(work.repository, work.application.id, work.operation.id), "apply")
    refused = [entry.object.key for entry in state.settled.values() if entry.mark == "failed"]
    verdict = health.settle(work, None if options.only else options.version, was, refused)
    work.note(healthAfter=verdict.now.as_json())
    if verdict.worse and options.on_failure == "rollback":
        raise Conflict("After the restore the application is worse than before it: " + "; ".join(verdict.worse))
    return Next("verify", {"unwell": [f"{name}: {why}" for name, why in sorted(verdict.missing.items())]})


def verify(work: Work) -> Finish:
    """Read everything back, compare, and tell of each object what became of it."""
    done = read_plan_of(work, work.operation.id)
    # Where nothing was to be done nothing was written: the plan is the look at everything already.
    # What is changed on its way may lack what the server fills in: then only the server can tell whether it is equal.
    # And of what was written, admission may have made something else than it was asked for.
    target = target_of(work)
    written = written_in(work, "apply")
    again = done if done.empty else make(work, target, ask_server=not target.as_kept, about=written).plan
    settle_volumes(work)
    result = results.of(work, done, again)
    if work.operation.kind is OperationKind.UNDO:
        result.rows += results.of_strangers(written_by(work, str(work.operation.arguments["restore"])).strangers)
    results.store(work, result.rows, "verified")
    work.warn(left_alone({NOT_KEPT: sorted(result.not_kept)}))
    gaps = sorted({unread(gap) for gap in (*done.gaps, *again.gaps)})
    work.warn(gaps)
    whole = (
        result.as_asked
        and not work.checkpoint.get("unwell")
        and not gaps
        and not any(map(results.is_left_out, done.actions))
    )
    if whole:
        _set_current(work, done)
    return Finish(
        State.SUCCEEDED if whole else State.PARTIAL,
        {**outcome_of(work), "undone": False, "verified": result.verified},
    )


def _set_current(work: Work, done: Plan) -> None:
    """The application is at the version it was wholly restored to; after an undo at the one it was at before."""
    options = Options.of(work)
    if work.destination.elsewhere:
        return  # the application itself is where it was
    version: str | None = options.version
    if work.operation.kind is OperationKind.UNDO:
        undone = work.repository.operations.get(work.application.id, str(work.operation.arguments["restore"]))
        version = undone.checkpoint.get("currentBefore")
    elif options.only or done.mode != "exact" or _is_safety(work, options.version):
        return
    work.repository.applications.set_current(work.application.id, version, work.now())


def _is_safety(work: Work, version: str) -> bool:
    """Whether a version is only a part of the application."""
    return work.repository.versions(work.application.id).get(version).purpose == "safety"


_STEPS: dict[str, Step] = {
    "plan": plan,
    "safety": safety_version,
    "before": health_before,
    "apply": apply_plan,
    "health": health_after,
    "verify": verify,
    "rollback": rollback.put_back,
    "verify-rollback": rollback.verify,
}

RESTORE = Flow("plan", _STEPS, rollback.failed)
UNDO = Flow("plan", _STEPS, rollback.failed)


def plan_only(work: Work) -> Finish:
    """Make a plan, keep it, and change nothing."""
    recognise(work)
    options = Options.of(work)
    if not options.version:
        raise Invalid("A plan needs a version.")
    planning = make(work, target_of(work))
    store_plan(work, planning.plan)
    work.note(planFence=work.fence)
    made = planning.plan
    return Finish(
        State.SUCCEEDED,
        {
            "version": options.version,
            "mode": made.mode,
            "counts": made.counts,
            "empty": made.empty,
            "warnings": list(made.warnings),
            "blockers": list(made.blockers),
        },
    )


# Somebody waits for a plan and nothing is at stake: a cluster that is away is told at once.
PLAN = Flow("plan", {"plan": plan_only}, takes_lane=False, patient=False)
