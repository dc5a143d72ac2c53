"""Plans, ledgers and results: what a restore will do, is doing and has done."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import Gap, Stored


class Verb(StrEnum):
    """What happens to one object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    KEEP = "keep"
    SKIP = "skip"

    @property
    def writes(self) -> bool:
        """Whether it changes the cluster."""
        return self not in {Verb.KEEP, Verb.SKIP}


class Difference(Stored):
    """One field that differs, as a JSON Pointer. Values of Secrets are never here: `hidden` is true instead."""

    path: str
    live: Any = None
    wanted: Any = None
    #: `added` (only in the version), `removed` (only live) or `changed`.
    change: str = "changed"
    hidden: bool = False


class Identity(Stored):
    """An `ObjectKey` as documents carry it."""

    group: str = ""
    kind: str
    namespace: str = ""
    name: str

    @classmethod
    def of(cls, key: ObjectKey) -> Identity:
        """The document's form of a key."""
        return cls(group=key.group, kind=key.kind, namespace=key.namespace, name=key.name)

    @property
    def key(self) -> ObjectKey:
        """Back again."""
        return ObjectKey(self.group, self.kind, self.namespace, self.name)


class Awaited(Stored):
    """A workload that is to be ready before an action is begun. `required`: the action fails if it is not in time;
    else it is begun all the same, and that is told."""

    object: Identity
    required: bool = False
    reason: str = ""


class Action(Stored):
    """One step of a plan: what will be done to one object, why, and on what live state that rests."""

    verb: Verb
    object: Identity
    #: A stable code (`missing`, `differs`, `immutable`, `extra`, `in-the-way`, `terminating`, `owner`; of a skip:
    #: `protected`, `in-use`, `mode`, `incomplete`, `derived`, `finished`, `refused`, …) and a sentence.
    reason: str
    message: str = ""
    #: Actions of a lower wave are finished before this one starts.
    wave: int = 0
    differences: tuple[Difference, ...] = ()
    #: The live object the action rests on: preconditions of the write.
    live_uid: str | None = None
    live_resource_version: str | None = None
    #: Hex SHA-256 of the live object's normalised content when planned, and of the content wanted.
    live_digest: str | None = None
    wanted_digest: str | None = None
    #: For a delete or replace: what becomes of the objects it owns (`Background`, `Foreground` or `Orphan`).
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background"
    #: What will be felt, in sentences ("2 pods restart").
    effects: tuple[str, ...] = ()
    #: Of a delete or replace: what it owns and must not take with it. Each of them has an action of its own.
    dependents: tuple[Identity, ...] = ()
    #: Of what is owned by such an object: the digest of its content without that owner (it may be met so), and, if
    #: the reason is `owner`, the owner references (without uids) to give it back.
    detached_digest: str | None = None
    owners: tuple[dict[str, Any], ...] = ()
    #: Workloads that are waited for before it is begun.
    awaits: tuple[Awaited, ...] = ()


class Place(Stored):
    """Where a plan leads to, if not to where the application is."""

    #: The id of another cluster.
    cluster: str | None = None
    #: Old name → new name.
    namespaces: dict[str, str] = Field(default_factory=dict)
    storage_classes: dict[str, str] = Field(default_factory=dict)
    #: Whether all that begins something by itself is suspended there. If not, what deploys may be: a warning says so.
    suspend: bool = False


class Plan(Stored):
    """The list of actions a restore will take. Objects that stay as they are are counted, not listed."""

    schema_: int = Field(default=1, alias="schema")
    application: str
    version: str
    mode: str
    destination: Place | None = None
    #: What of the document the plan rests on: the section's name → a hash of it.
    rests_on: dict[str, str] = Field(default_factory=dict)
    #: Every action but plain `keep`s, in the order of execution (wave, then key).
    actions: tuple[Action, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    #: Things to know before agreeing to it, in sentences.
    warnings: tuple[str, ...] = ()
    #: Parts of the live state that could not be read. A plan with gaps deletes nothing.
    gaps: tuple[Gap, ...] = ()
    #: Reasons why it may not be applied as it is (gaps in exact mode, a namespace on its way out), in sentences.
    #: What is protected and was not consented to is no reason: it is skipped, and a warning says so.
    blockers: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(action.verb.writes for action in self.actions)


class LedgerEntry(Stored):
    """One row of the ledger. `intent` is written before the request, `done` or `failed` after it.

    An intent without an outcome is settled by reading the object. Undo reads the rows backwards.
    """

    #: Number of the action in the plan, and the phase: `apply` or `undo`.
    action: int
    phase: str = "apply"
    mark: str
    verb: Verb
    object: Identity
    #: Of the object before the write (`None`: there was none) and after it.
    uid_before: str | None = None
    uid_after: str | None = None
    #: Of a failure: whether a request was sent that may have changed something before it failed.
    wrote: bool = False
    resource_version_after: str | None = None
    #: What undoing needs beside the safety version, such as the volume that was kept for a deleted claim.
    memory: dict[str, Any] = Field(default_factory=dict)
    #: The request that was made, how long it took, and what there is to say of it.
    request: str = ""
    duration_ms: int = 0
    message: str = ""
    #: Of a failure: what may be told of it where nothing is encrypted; `message` and `error` have the server's words.
    told: str = ""
    error: dict[str, Any] | None = None


class ResultRow(Stored):
    """What became of one object, for people and scripts."""

    object: Identity
    verb: Verb
    #: `done`, `failed`, `not-started`, `unknown`, `kept`, `skipped`; after a rollback `undone`, `undo-failed`,
    #: `not-undone`, and `left` for what somebody else made since.
    outcome: str
    reason: str
    message: str = ""
    request: str = ""
    duration_ms: int = 0
    #: After the restore the object is read back: `equal`, `differs`, `missing`, `present`, `unknown` (its kind could
    #: not be read) or `""` (not checked).
    verified: str = ""
    differences: tuple[Difference, ...] = ()
