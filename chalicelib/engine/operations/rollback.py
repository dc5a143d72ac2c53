"""The way back of a restore that failed or was cancelled: everything that it wrote is put back as it was."""

from __future__ import annotations

import contextlib

from chalicelib.domain.errors import Cancelled, ClusterError, MainstayError
from chalicelib.domain.operation import State
from chalicelib.engine.lane.work import Finish, Next, Work
from chalicelib.engine.operations import results, safety
from chalicelib.engine.operations.asked import Options, before_restore, written_by
from chalicelib.engine.operations.execution import carry_out, outcome_of, settle_volumes, tell_consequence, written_in
from chalicelib.engine.plan.planner import make
from chalicelib.engine.plan.plans import read_plan_of, store_plan


def put_back(work: Work) -> Next:
    """Plan the way back from what the ledger names, and apply it."""
    work.undoing = True
    if "undoFence" not in work.checkpoint:
        back = make(work, before_restore(work, work.operation.id))
        store_plan(work, back.plan, name="undo-plan")
        work.note(undoFence=work.fence)
    way_back = read_plan_of(work, work.operation.id, name="undo-plan")
    applied = carry_out(work, way_back, "undo", before_restore(work, work.operation.id))
    return Next("verify-rollback", {"undoFailed": len(applied.failed)})


def verify(work: Work) -> Finish:
    """Read back that everything is as it was, and say so object by object."""
    work.undoing = True
    before = before_restore(work, work.operation.id)
    # Of what was put back, or was as before by that question, admission may have made something else than was kept.
    # What the way back had to leave or could not do is not asked about: who hangs would be waited for again.
    planned = {action.object.key for action in read_plan_of(work, work.operation.id, name="undo-plan").actions}
    about = written_in(work, "undo") | (before.keys or frozenset()) - planned
    again = make(work, before, ask_server=False, about=about).plan
    settle_volumes(work)
    result = results.of_rollback(work, again, written_by(work, work.operation.id).strangers)
    results.store(work, result.rows, "undone")
    left = sum(row.outcome not in {"undone", "left", "failed"} for row in result.rows)
    strangers = sum(row.outcome == "left" for row in result.rows)
    consequence = "Every change was undone."
    if left:
        consequence = f"{left} objects could not be put back; the result names them."
    elif strangers:
        consequence = f"Every change was undone, but for {strangers} objects that somebody else made since."
    tell_consequence(work, consequence)
    error = work.operation.error
    cancelled = error is not None and error.code == Cancelled.code and not left
    state = State.CANCELLED if cancelled else State.FAILED
    return Finish(state, {**outcome_of(work), "undone": not left, "verified": result.verified})


def failed(work: Work, error: MainstayError) -> Next | Finish:
    """Where a failure leads: before the first write nowhere, after it to the way back."""
    cancelled = isinstance(error, Cancelled)
    if work.undoing:
        return _give_up(work, "Putting the changes back failed as well; the result names what is left.")
    if not work.checkpoint.get("applied"):
        safety.give_up(work)
        tell_consequence(work, "Nothing was changed.")
        return Finish(State.CANCELLED if cancelled else State.FAILED, outcome_of(work))
    options = Options.of(work)
    has_way_back = bool(work.checkpoint.get("safetyVersion"))
    if (options.on_failure == "rollback" or cancelled) and has_way_back:
        work.save(state=State.ROLLING_BACK)
        work.undoing = True
        return Next("rollback")
    why = "as asked for" if options.on_failure == "keep" else "since there is no safety version to go back to"
    return _give_up(work, f"What was changed stays, {why}; the result names it.")


def _give_up(work: Work, consequence: str) -> Finish:
    tell_consequence(work, consequence)
    with contextlib.suppress(ClusterError):
        settle_volumes(work)
    rows = results.of_ledger(work, read_plan_of(work, work.operation.id), undoing=work.undoing)
    results.store(work, rows, "left")
    return Finish(State.FAILED, {**outcome_of(work), "undone": False})
