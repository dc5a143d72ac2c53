"""`spec.restore` and `spec.drill`: how a version is put back, for good or as a test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from annotated_types import MaxLen, MinLen
from pydantic import Field, model_validator

from chalicelib.domain.document.backup import Schedule
from chalicelib.domain.document.part import Part, PodRef, refusal
from chalicelib.domain.fields import (
    Command,
    Duration,
    Kinds,
    LabelName,
    NamePattern,
    ObjectName,
    Pointer,
    Selector,
)
from chalicelib.domain.objects import INCARNATION
from chalicelib.domain.patterns import KindPattern

#: Metadata that no rewrite can say anything about: it is the cluster's, or (field ownership) comes back as it was.
_NOT_RESTORED = frozenset({*INCARNATION, "managedFields"})


class ObjectRef(Part):
    """One object of the state."""

    kind: Kinds = Field(description="Its kind.")
    name: ObjectName = Field(description="Its name.")
    namespace: LabelName | None = Field(None, description="Its namespace, where the state has several.")


class Order(Part):
    """Before one object is restored, another must be ready."""

    before: ObjectRef = Field(description="The object that waits.")
    ready: ObjectRef = Field(description="The object it waits for.")

    @model_validator(mode="after")
    def _two_objects(self) -> Self:
        if self.before == self.ready:
            raise refusal("An object cannot wait for itself.", "ready")
        return self


class Match(Part):
    """Objects to rewrite: those that meet every condition given."""

    kind: Kinds | None = Field(None, description="Only this kind.")
    name: NamePattern | None = Field(None, description="Only this name; `*` and `?` are wildcards.")
    namespace: LabelName | None = Field(None, description="Only in this namespace.")
    labels: Selector | None = Field(None, description="Only with such labels.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise refusal("Say which objects: at least one of `kind`, `name`, `namespace` and `labels`.")
        return self


class PatchOperation(Part):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"] = Field(description="What to do.")
    path: Pointer = Field(description="Where, as a JSON Pointer.")
    from_: Pointer | None = Field(None, alias="from", description="Where from, for `move` and `copy`.")
    value: Any = Field(None, description="The value, for `add`, `replace` and `test`.")

    @model_validator(mode="after")
    def _members_fit(self) -> Self:
        given = self.model_fields_set
        for member, operations in (("value", {"add", "replace", "test"}), ("from", {"move", "copy"})):
            is_given = (f"{member}_" if member == "from" else member) in given
            if self.op in operations and not is_given:
                raise refusal(f"`{self.op}` needs `{member}`.")
            if self.op not in operations and is_given:
                raise refusal(f"`{self.op}` takes no `{member}`.", member)
        return self


class Rewrite(Part):
    """A change to objects on their way back."""

    match: Match = Field(description="Which objects.")
    merge_patch: dict[str, Any] | None = Field(
        None, description="A JSON merge patch (RFC 7386): laid over the object; null removes a field."
    )
    json_patch: Annotated[tuple[PatchOperation, ...], MinLen(1), MaxLen(100)] | None = Field(
        None, description="A JSON Patch (RFC 6902): a list of operations."
    )

    @model_validator(mode="after")
    def _one_patch(self) -> Self:
        if (self.merge_patch is None) == (self.json_patch is None):
            raise refusal("A rewrite needs exactly one of `mergePatch` and `jsonPatch`.")
        if self.merge_patch is not None and not self.merge_patch:
            raise refusal("This merge patch changes nothing.", "mergePatch")
        for member in ("apiVersion", "kind"):
            if member in (self.merge_patch or {}):
                raise refusal(f"A rewrite cannot change the `{member}` of an object.", "mergePatch", member)
            for number, operation in enumerate(self.json_patch or ()):
                if operation.path == f"/{member}" and operation.op != "test":
                    place = ("jsonPatch", number, "path")
                    raise refusal(f"A rewrite cannot change the `{member}` of an object.", *place)
        return self

    def in_vain(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where the patch says something about metadata that is not restored (`uid`, `resourceVersion`, …): the place
        in the rewrite, and the field's name."""
        if self.merge_patch is not None:
            yield from _in_vain(("mergePatch",), "", self.merge_patch)
        for number, operation in enumerate(self.json_patch or ()):
            if operation.op == "test":
                continue
            at = ("jsonPatch", number)
            yield from _in_vain((*at, "value"), operation.path, operation.value)
            for member, pointer in (("path", operation.path), ("from", operation.from_)):
                _, metadata, name, *_ = [*(pointer or "").split("/"), "", "", ""]
                if metadata == "metadata" and name in _NOT_RESTORED and (member == "path" or operation.op == "move"):
                    yield (*at, member), name


def _in_vain(place: tuple[str | int, ...], pointer: str, value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The same of a value that is put in the place of an object (`""`) or of its metadata."""
    if pointer == "" and isinstance(value, dict):
        place, pointer, value = (*place, "metadata"), "/metadata", value.get("metadata")
    if pointer == "/metadata" and isinstance(value, dict):
        yield from (((*place, name), name) for name in value if name in _NOT_RESTORED)


class Check(Part):
    """A command in a pod that succeeds (exit status 0) when the application is well."""

    pod: PodRef = Field(description="The pod in which the command runs.")
    container: LabelName | None = Field(None, description="Its container; the pod's default one if not said.")
    command: Command = Field(description="The command and its arguments; no shell is involved.")
    timeout: Duration = Field(timedelta(seconds=30), description="How long one run may take.")


class Health(Part):
    """How to tell that the application is well again."""

    timeout: Duration = Field(
        timedelta(minutes=5), description="How long workloads and checks may take to be well after a restore."
    )
    checks: Annotated[tuple[Check, ...], MaxLen(50)] = Field(
        (), description="Checks beside the readiness of workloads."
    )


def _protected() -> tuple[KindPattern, ...]:
    kinds = ("PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition")
    return tuple(KindPattern(kind) for kind in kinds)


class Restore(Part):
    """How a version is put back. A request for a restore can say otherwise for that one time."""

    mode: Literal["exact", "merge", "missing"] = Field(
        "exact",
        description="`exact` creates, updates and deletes what is not in the version; `merge` creates and "
        "updates; `missing` only creates.",
    )
    protect: Annotated[tuple[Kinds, ...], MaxLen(100)] = Field(
        default_factory=_protected, description="Kinds that are never deleted or replaced without consent."
    )
    order: Annotated[tuple[Order, ...], MaxLen(200)] = Field((), description="What waits for what.")
    rewrite: Annotated[tuple[Rewrite, ...], MaxLen(100)] = Field((), description="Changes on the way back.")
    storage_classes: Annotated[dict[ObjectName, ObjectName], MaxLen(100)] = Field(
        default_factory=dict,
        description="Restored elsewhere, claims of one storage class (the name on the left) get another one.",
    )
    suspend: bool | None = Field(
        None,
        description="Restored elsewhere, what begins something by itself (CronJobs, Jobs, what deploys as Flux and "
        "Argo CD do) is suspended. Not said: beside the original; on another cluster only what deploys, and only "
        "under other names of namespaces.",
    )
    health: Health = Field(default_factory=Health, description="How to tell that the application is well.")
    safety: Literal["required", "bestEffort", "none"] = Field(
        "bestEffort",
        description="A version of what will be touched, made first: `required` restores only with it, "
        "`bestEffort` tries, `none` does not (and cannot be undone).",
    )
    on_failure: Literal["rollback", "keep"] = Field(
        "rollback", description="If applying fails or health is worse than before: undo it, or leave it so."
    )

    @model_validator(mode="after")
    def _undo_needs_safety(self) -> Self:
        if self.safety == "none" and self.on_failure == "rollback" and "on_failure" in self.model_fields_set:
            raise refusal("`onFailure: rollback` needs a safety version, and `safety` is `none`.", "onFailure")
        return self


class Drill(Schedule):
    """A test restore into a scratch namespace, to prove that versions can be put back."""

    namespace: LabelName | None = Field(
        None, description="The scratch namespace, deleted after each drill; `<name>-drill` if not said."
    )
    rewrite: Annotated[tuple[Rewrite, ...], MaxLen(100)] = Field((), description="Changes for the drill.")
    health: Health = Field(default_factory=Health, description="How to tell that the drill went well.")

    @model_validator(mode="after")
    def _has_a_schedule(self) -> Self:
        if self.every is None and self.cron is None:
            raise refusal("A drill needs a schedule: `every` or `cron`.")
        return self
