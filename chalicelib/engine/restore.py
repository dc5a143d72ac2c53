"""Restoring a version in place, and undoing a restore: the same machine with another source.

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

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain.errors import (
    Cancelled,
    ClusterError,
    ClusterUnreachable,
    Conflict,
    Interrupted,
    Invalid,
    MainstayError,
    StorageUnavailable,
)
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.operation import OperationKind, State
from chalicelib.domain.plan import Plan, Verb
from chalicelib.engine import health, results, safety
from chalicelib.engine.apply import Applied, apply
from chalicelib.engine.carrying import speak_as_kept, wanted_of
from chalicelib.engine.ledger import Ledger, read_entries, state_of
from chalicelib.engine.live import read_objects
from chalicelib.engine.original import recognise
from chalicelib.engine.planner import Target, context_of, make
from chalicelib.engine.plans import read_plan_of, store_plan
from chalicelib.engine.stale import refuse_if_stale
from chalicelib.engine.volumes import settle_all
from chalicelib.engine.work import Finish, Flow, Next, Step, Work
from chalicelib.engine.writes import Writer
from chalicelib.planning.elsewhere import Destination

_CONNECTIONS = 16
#: Reasons of a plan to leave an object as it is although the restore was to bring it back. What was agreed upon (a
#: mode, protection) or decided by the version's own rules is none.
_NOT_DONE = frozenset({"refused", "unread", "not-served", "incomplete", "in-use"})


@dataclass(frozen=True, slots=True)
class Options:
    """What a restore was asked to do, with the document's word where the request is silent."""

    version: str
    mode: str
    safety: str
    on_failure: str
    consent: frozenset[str]
    only: tuple[str, ...]
    shared: bool
    saved_plan: str | None

    @classmethod
    def of(cls, work: Work) -> Options:
        """From the operation's arguments and the application's document."""
        arguments, said = work.operation.arguments, work.document.spec.restore
        return cls(
            version=str(arguments.get("version") or work.checkpoint.get("version") or ""),
            mode=arguments.get("mode") or ("merge" if work.destination.elsewhere else said.mode),
            safety=arguments.get("safety") or said.safety,
            on_failure=arguments.get("onFailure") or said.on_failure,
            consent=frozenset(arguments.get("consent") or ()),
            only=tuple(arguments.get("only") or ()),
            shared=bool(arguments.get("shared")),
            saved_plan=arguments.get("plan"),
        )


def _target(work: Work) -> Target:
    """What the operation is to bring the application to: a version, or what was before another restore."""
    if work.operation.kind is not OperationKind.UNDO:
        options, said = Options.of(work), work.document.spec.restore
        there = work.destination
        if there.elsewhere:
            classes = {**said.storage_classes, **there.storage_classes}
            suspend = said.suspend if there.suspend is None else there.suspend
            there = replace(there, storage_classes=classes, suspend=suspend)
        return Target(
            options.version,
            options.mode,
            options.consent,
            options.only,
            shared=options.shared,
            destination=there,
            rewrites=said.rewrite,
        )
    return before_restore(work, str(work.operation.arguments["restore"]))


def before_restore(work: Work, operation: str) -> Target:
    """The state before a restore, as its safety version and its ledger tell: exact, for what it wrote only."""
    repository = work.repository
    restore = repository.operations.get(work.operation.application, operation)
    version = restore.checkpoint.get("safetyVersion")
    written = written_by(work, operation)
    if written.keys and version is None:
        raise Conflict(f"{operation} was made without a safety version (`safety: none`), so it cannot be undone.")
    return Target(version, "exact", frozenset({"*"}), keys=written.keys)


@dataclass(frozen=True, slots=True)
class WrittenBy:
    """What a restore wrote (or may have), and what it created that is somebody else's by now: that is left alone."""

    keys: frozenset[ObjectKey]
    strangers: frozenset[ObjectKey]


def written_by(work: Work, operation: str) -> WrittenBy:
    """From the ledger: outcomes that wrote something, and intents whose outcome nobody knows."""
    entries = read_entries(work.repository, work.operation.application, operation)
    state = state_of(entries, "apply")
    wrote = {
        entry.object.key: entry
        for entry in (*state.settled.values(), *state.open.values())
        if entry.mark != "failed" or entry.wrote
    }
    created = {key: entry.uid_after for key, entry in wrote.items() if entry.verb is Verb.CREATE and entry.uid_after}
    strangers = frozenset(
        key
        for key, _, body in read_objects(work.session, created, work.pause)
        if body["metadata"]["uid"] != created[key]
    )
    return WrittenBy(frozenset(wrote) - strangers, strangers)


# ── plan ────────────────────────────────────────────────────────────────────────────────────────────────────


def plan(work: Work) -> Next:
    """Make the plan (or take the one that was asked for, if nothing moved since) and keep it."""
    recognise(work)
    work.keep_document()
    planning = make(work, _target(work))
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
        work.note(
            warnings=[f"No safety version could be made, so this restore cannot be undone: {error.public().message}"]
        )
        return Next("before")
    return Next("before", {"safetyVersion": version})


def before(work: Work) -> Next:
    """Observe the application's health before anything is changed."""
    known = {"healthBefore": health.observe(work).as_json(), "currentBefore": work.application.current_version}
    return Next("apply", {**known, "applied": True})


# ── apply ───────────────────────────────────────────────────────────────────────────────────────────────────


def apply_plan(work: Work) -> Next:
    """Carry the plan out."""
    applied = _carry_out(work, read_plan_of(work, work.operation.id), "apply", _target(work))
    failed = applied.failed
    if failed and Options.of(work).on_failure == "rollback":
        first = failed[0]
        where = f"The server's own words are in `mainstay result {work.operation.id}`."
        raise Conflict(f"{first.object.key}: {first.told} {where}", details={"failed": len(failed)})
    return Next("health", {"failed": len(failed)})


def _carry_out(work: Work, of: Plan, phase: str, target: Target) -> Applied:
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    session = work.session
    wanted = wanted_of(work.repository, work.application.id, session, target.version, target)
    context = context_of(session, work.document, wanted, None)
    coming = frozenset(action.object.key for action in of.actions if action.verb in {Verb.CREATE, Verb.REPLACE})
    return apply(
        work,
        session,
        of.actions,
        phase=phase,
        wanted=wanted.bodies,
        writer=Writer(session, context, work.pause, work.look, work.operation.id, coming),
        ledger=Ledger(work),
        known=state_of(entries, phase),
        keep_going=phase == "undo" or Options.of(work).on_failure == "keep",
        connections=_CONNECTIONS,
    )


def after(work: Work) -> Next:
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
    target = _target(work)
    again = done if done.empty else make(work, target, ask_server=not target.as_kept).plan
    _settle_volumes(work)
    rows, verified = results.of(work, done, again, phase="apply")
    if work.operation.kind is OperationKind.UNDO:
        rows += results.of_strangers(written_by(work, str(work.operation.arguments["restore"])).strangers)
    results.store(work, rows, "verified")
    whole = (
        all(row.outcome != "failed" and row.verified in {"", "equal"} for row in rows)
        and not work.checkpoint.get("unwell")
        and not (done.gaps or again.gaps)
        and not any(action.verb is Verb.SKIP and action.reason in _NOT_DONE for action in done.actions)
    )
    if whole:
        _set_current(work, done)
    return Finish(
        State.SUCCEEDED if whole else State.PARTIAL, {**_outcome(work), "undone": False, "verified": verified}
    )


def _settle_volumes(work: Work) -> None:
    """Give the volumes behind the claims that were touched their reclaim policies back, now that they are bound."""
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    said = entries and settle_all(work.session, (entry.object.key for entry in entries))
    if said:
        work.note(warnings=[*(work.checkpoint.get("warnings") or ()), *said])


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


def _outcome(work: Work) -> dict[str, Any]:
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


# ── the way back ────────────────────────────────────────────────────────────────────────────────────────────


def rollback(work: Work) -> Next:
    """Plan the way back from what the ledger names, and apply it."""
    work.undoing = True
    if "undoFence" not in work.checkpoint:
        back = make(work, before_restore(work, work.operation.id))
        store_plan(work, back.plan, name="undo-plan")
        work.note(undoFence=work.fence)
    way_back = read_plan_of(work, work.operation.id, name="undo-plan")
    applied = _carry_out(work, way_back, "undo", before_restore(work, work.operation.id))
    return Next("verify-rollback", {"undoFailed": len(applied.failed)})


def verify_rollback(work: Work) -> Finish:
    """Read back that everything is as it was, and say so object by object."""
    work.undoing = True
    again = make(work, before_restore(work, work.operation.id), ask_server=False).plan
    _settle_volumes(work)
    rows, verified = results.of_rollback(work, again, written_by(work, work.operation.id).strangers)
    results.store(work, rows, "undone")
    left = sum(row.outcome not in {"undone", "left", "failed"} for row in rows)
    strangers = sum(row.outcome == "left" for row in rows)
    consequence = "Every change was undone."
    if left:
        consequence = f"{left} objects could not be put back; the result names them."
    elif strangers:
        consequence = f"Every change was undone, but for {strangers} objects that somebody else made since."
    _consequence(work, consequence)
    error = work.operation.error
    cancelled = error is not None and error.code == Cancelled.code and not left
    state = State.CANCELLED if cancelled else State.FAILED
    return Finish(state, {**_outcome(work), "undone": not left, "verified": verified})


def failed(work: Work, error: MainstayError) -> Next | Finish:
    """Where a failure leads: before the first write nowhere, after it to the way back."""
    cancelled = isinstance(error, Cancelled)
    if work.undoing:
        return _give_up(work, "Putting the changes back failed as well; the result names what is left.")
    if not work.checkpoint.get("applied"):
        safety.give_up(work)
        _consequence(work, "Nothing was changed.")
        return Finish(State.CANCELLED if cancelled else State.FAILED, _outcome(work))
    options = Options.of(work)
    has_way_back = bool(work.checkpoint.get("safetyVersion"))
    if (options.on_failure == "rollback" or cancelled) and has_way_back:
        work.save(state=State.ROLLING_BACK)
        work.undoing = True
        return Next("rollback")
    why = "as asked for" if options.on_failure == "keep" else "since there is no safety version to go back to"
    return _give_up(work, f"What was changed stays, {why}; the result names it.")


def _give_up(work: Work, consequence: str) -> Finish:
    _consequence(work, consequence)
    with contextlib.suppress(ClusterError):
        _settle_volumes(work)
    rows = results.of_ledger(work, read_plan_of(work, work.operation.id), undoing=work.undoing)
    results.store(work, rows, "left")
    return Finish(State.FAILED, {**_outcome(work), "undone": False})


def _consequence(work: Work, sentence: str) -> None:
    if work.operation.error is not None:
        work.save(error=work.operation.error.model_copy(update={"consequence": sentence}))


_STEPS: dict[str, Step] = {
    "plan": plan,
    "safety": safety_version,
    "before": before,
    "apply": apply_plan,
    "health": after,
    "verify": verify,
    "rollback": rollback,
    "verify-rollback": verify_rollback,
}

RESTORE = Flow("plan", _STEPS, failed)
UNDO = Flow("plan", _STEPS, failed)


def plan_only(work: Work) -> Finish:
    """Make a plan, keep it, and change nothing."""
    recognise(work)
    options = Options.of(work)
    if not options.version:
        raise Invalid("A plan needs a version.")
    planning = make(work, _target(work))
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
