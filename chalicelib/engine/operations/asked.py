"""What a restore was asked to do, and the state that it is to bring about: a version, or what was before another
restore, as its safety version and its ledger tell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.domain.errors import Conflict
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.operation import OperationKind
from chalicelib.domain.plan import Verb
from chalicelib.engine.capture.live import read_objects
from chalicelib.engine.lane.work import Work
from chalicelib.engine.plan.planner import Target
from chalicelib.engine.write.ledger import read_entries, state_of


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
        )


def target_of(work: Work) -> Target:
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
    strangers = {
        key: uid
        for key, _, body in read_objects(work.session, created, work.pause)
        if (uid := body["metadata"]["uid"]) != created[key]
    }
    if strangers:
        ours = _made_since(work, operation)
        strangers = {key: uid for key, uid in strangers.items() if uid not in ours}
    return WrittenBy(frozenset(wrote) - strangers.keys(), frozenset(strangers))


def _made_since(work: Work, operation: str) -> set[str]:
    """The uids of what undoing a restore, and undoing that, made anew: the way back of an undo that failed, say."""
    operations, application = work.repository.operations, work.operation.application
    ours, chain = set[str](), {operation}
    # Their names are in the order of time.
    for later in sorted(each for each in operations.list(application) if each > operation):
        found = operations.get(application, later)
        if found.kind is not OperationKind.UNDO or found.arguments.get("restore") not in chain:
            continue
        chain.add(later)
        ours |= {each.uid_after for each in read_entries(work.repository, application, later) if each.uid_after}
    return ours
