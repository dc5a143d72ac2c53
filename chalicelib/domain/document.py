"""The document: what a user writes about an application, read and checked.

    Document ─ metadata.name
             └ spec ┬ cluster
                    ├ state ─ objects: scopes │ closure │ dumps │ volumes │ images │ hooks
                    ├ backup ─ schedule │ keep │ quota │ alert │ notify
                    ├ restore ─ mode │ protect │ order │ rewrite │ health │ safety │ onFailure
                    └ drill ─ schedule │ namespace │ rewrite │ health

Every part is checked here whether or not this release carries it out; `chalicelib.language.support` says what
is carried out. Text becomes a document in `chalicelib.language.loader`, which adds lines and columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from chalicelib.domain.fields import (
    ClusterName,
    Command,
    Cron,
    DailyWindow,
    Duration,
    Group,
    Kinds,
    LabelName,
    NamePattern,
    ObjectName,
    Pointer,
    Selector,
    Size,
    TimeZone,
    Webhook,
)
from chalicelib.domain.objects import Resource
from chalicelib.domain.patterns import CLUSTER_KINDS, NAMESPACED_KINDS, KindPattern, name_matches

API_VERSION = "mainstay.dev/v1"

Count = Annotated[StrictInt, Ge(0), Le(100_000)]


def refusal(sentence: str, *at: str | int, hint: str | None = None) -> PydanticCustomError:
    """The error of a rule that concerns several fields. `at` is the place below the model that it points at."""
    context: dict[str, Any] = {"sentence": sentence, "at": at, "hint": hint}
    return PydanticCustomError("sentence", "{sentence}", context)


class Part(BaseModel):
    """A part of the document: camelCase names, nothing unknown, unchangeable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", arbitrary_types_allowed=True
    )


# ── state ────────────────────────────────────────────────────────────────────────────────────────────────────


class Exclude(Part):
    """What a scope leaves out: an object that fits any one of these is not taken."""

    kinds: Annotated[tuple[Kinds, ...], MaxLen(200)] = Field((), description="Kinds to leave out.")
    labels: Selector | None = Field(None, description="Objects with such labels are left out.")
    names: Annotated[tuple[NamePattern, ...], MaxLen(1000)] = Field(
        (), description="Names to leave out; `*` and `?` are wildcards."
    )

    def takes_out_kind(self, group: str, kind: str, plural: str) -> bool:
        """Whether no object of this kind is left."""
        return any(pattern.matches(group, kind, plural) for pattern in self.kinds)

    def takes_out(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether an object (of a kind that is not excluded) is left out."""
        if self.labels is not None and self.labels.matches(labels):
            return True
        return any(name_matches(pattern, name) for pattern in self.names)


class Scope(Part):
    """A set of objects: those that meet every condition given here. The state is the union of its scopes.

    With `namespaces` it takes objects inside these namespaces, and the Namespace objects themselves; without,
    it takes objects of cluster-scoped kinds, and then needs `kinds`.
    """

    namespaces: Annotated[tuple[LabelName, ...], MaxLen(100)] = Field(
        (), description="Exact names of namespaces. Without it the scope is for cluster-scoped objects."
    )
    kinds: Annotated[tuple[Kinds, ...], MaxLen(200)] = Field(
        (),
        description="Only these kinds: `Kind` (in any API group), `Kind.group` or `plural.group`; the core group "
        "is `core`; `*` and `?` are wildcards.",
    )
    groups: Annotated[tuple[Group, ...], MaxLen(100)] = Field(
        (), description="Only kinds of these API groups; the core group is `core`; `*` and `?` are wildcards."
    )
    labels: Selector | None = Field(None, description="Only objects whose labels meet this selector.")
    names: Annotated[tuple[NamePattern, ...], MaxLen(1000)] = Field(
        (), description="Only objects with one of these names; `*` and `?` are wildcards."
    )
    exclude: Exclude = Field(default_factory=Exclude, description="What to leave out of this scope.")

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if not self.namespaces and not self.kinds:
            raise refusal("This scope selects nothing: say at least `namespaces` or `kinds`.")
        _no_repeats(self.namespaces, "namespaces")
        for number, pattern in enumerate(self.kinds):
            if self.namespaces and _is_builtin(pattern, CLUSTER_KINDS):
                raise refusal(
                    f"`{pattern}` objects are not in any namespace.",
                    "kinds",
                    number,
                    hint="give them a scope of their own, without `namespaces`",
                )
            if not self.namespaces and _is_builtin(pattern, NAMESPACED_KINDS):
                raise refusal(
                    f"`{pattern}` objects live in namespaces, and this scope names none.",
                    "kinds",
                    number,
                    hint="say which with `namespaces: […]`",
                )
        return self

    def takes_kind(self, resource: Resource) -> bool:
        """Whether objects of this kind can be in the scope at all: what is worth listing."""
        group, kind, plural = resource.group, resource.kind, resource.plural
        is_namespace = (group, kind) == ("", "Namespace")
        if resource.namespaced != bool(self.namespaces) and not (is_namespace and self.namespaces):
            return False
        if self.kinds and not any(pattern.matches(group, kind, plural) for pattern in self.kinds):
            return False
        if self.groups and not any(name_matches(pattern, group) for pattern in self.groups):
            return False
        return not self.exclude.takes_out_kind(group, kind, plural)

    def takes(self, resource: Resource, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Whether one object is in the scope. `namespace` is `""` for cluster-scoped objects."""
        if not self.takes_kind(resource):
            return False
        if self.namespaces and (namespace if resource.namespaced else name) not in self.namespaces:
            return False
        return self.takes_name_and_labels(name, labels)

    def takes_name_and_labels(self, name: str, labels: Mapping[str, str]) -> bool:
        """The part of `takes` that is left for an object of a kind and namespace that the scope takes."""
        if self.labels is not None and not self.labels.matches(labels):
            return False
        if self.names and not any(name_matches(pattern, name) for pattern in self.names):
            return False
        return not self.exclude.takes_out(name, labels)


class PodRef(Part):
    """A running pod in which a command is run: by labels (any ready one of them) or by name."""

    labels: Selector | None = Field(None, description="Any ready pod with such labels.")
    name: ObjectName | None = Field(None, description="The pod of this name.")
    namespace: LabelName | None = Field(
        None, description="One of the state's namespaces; without it, all of them are searched."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.labels is None) == (self.name is None):
            raise refusal("Say which pod by either `labels` or `name`.")
        return self


class Dump(Part):
    """Data that a program in a pod writes out, and reads back in."""

    name: LabelName = Field(description="A name for this dump, unique in the document.")
    pod: PodRef = Field(description="The pod in which the commands run.")
    container: LabelName | None = Field(None, description="Its container; the pod's default one if not said.")
    capture: Command = Field(description="The command whose standard output is the dump.")
    load: Command = Field(description="The command that reads the dump from its standard input.")
    check: Command | None = Field(None, description="A command that succeeds if the data are there.")
    timeout: Duration = Field(timedelta(hours=1), description="How long each command may take.")


class Volumes(Part):
    """The contents of persistent volumes, by the claims that hold them."""

    claims: NamePattern = Field(description="Name of the claim, or a pattern for several.")
    method: Literal["stream", "snapshot"] = Field(
        "stream", description="`stream` reads the files through a helper pod; `snapshot` uses the CSI driver."
    )


class Hook(Part):
    """A command to run in a pod around a backup."""

    pod: PodRef = Field(description="The pod in which the command runs.")
    container: LabelName | None = Field(None, description="Its container; the pod's default one if not said.")
    command: Command = Field(description="The command and its arguments; no shell is involved.")
    timeout: Duration = Field(timedelta(seconds=30), description="How long it may take.")
    on_error: Literal["fail", "continue"] = Field(
        "fail", description="`fail` ends the backup; `continue` notes the failure and goes on."
    )


class Hooks(Part):
    """Commands around a backup. Those of `after` are always run, also when the backup fails."""

    before: Annotated[tuple[Hook, ...], MaxLen(50)] = Field((), description="Run before anything is read.")
    after: Annotated[tuple[Hook, ...], MaxLen(50)] = Field((), description="Always run afterwards.")


class State(Part):
    """What the state of the application is."""

    objects: Annotated[tuple[Scope, ...], MinLen(1), MaxLen(100)] = Field(
        description="The API objects: a union of scopes."
    )
    closure: Literal["references", "none"] = Field(
        "none", description="`references` pulls in what these objects refer to; `none` does not."
    )
    dumps: Annotated[tuple[Dump, ...], MaxLen(50)] = Field((), description="Data that programs write out.")
    volumes: Annotated[tuple[Volumes, ...], MaxLen(100)] = Field((), description="Contents of volumes.")
    images: Literal["none", "digests", "archive"] = Field(
        "none", description="`digests` pins the images by digest; `archive` keeps the images themselves."
    )
    hooks: Hooks = Field(default_factory=Hooks, description="Commands around a backup.")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _no_repeats((dump.name for dump in self.dumps), "dumps", "name")
        return self

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every namespace the scopes name, in the order of the document."""
        return tuple(dict.fromkeys(name for scope in self.objects for name in scope.namespaces))


# ── backup ───────────────────────────────────────────────────────────────────────────────────────────────────


class Schedule(Part):
    """When something happens: `every` so often, or by `cron`."""

    every: Duration | None = Field(None, description="How often, at least a minute.")
    cron: Cron | None = Field(None, description="Five fields: minute, hour, day of month, month, day of week.")
    timezone: TimeZone | None = Field(None, description="Time zone of `cron` and `window`; UTC if not said.")
    jitter: Duration | None = Field(None, description="Start at a random moment within this time.")
    window: DailyWindow | None = Field(None, description="Start only between these times of day.")

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if self.every is not None and self.cron is not None:
            raise refusal("`every` and `cron` exclude each other: keep one of them.", "cron")
        if self.every is not None and self.every < timedelta(minutes=1):
            raise refusal("Every minute is the most often.", "every")
        if self.every is None and self.cron is None:
            for name in ("timezone", "jitter", "window"):
                if getattr(self, name) is not None:
                    raise refusal(f"`{name}` has no effect without `every` or `cron`.", name)
        if self.timezone is not None and self.cron is None and self.window is None:
            raise refusal("`timezone` has no effect without `cron` or `window`.", "timezone")
        if self.jitter is not None and self.jitter >= (self.every or timedelta(days=1)):
            raise refusal("`jitter` must be shorter than the time between two runs (a day, for cron).", "jitter")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of `cron` and `window`."""
        return self.timezone or ZoneInfo("UTC")


class Keep(Part):
    """Which versions stay. A version stays if any of these rules keeps it."""

    last: Count = Field(0, description="The newest so many.")
    hourly: Count = Field(0, description="The newest of each of the last so many hours that have one.")
    daily: Count = Field(0, description="The newest of each of the last so many days that have one.")
    weekly: Count = Field(0, description="The newest of each of the last so many weeks that have one.")
    monthly: Count = Field(0, description="The newest of each of the last so many months that have one.")
    yearly: Count = Field(0, description="The newest of each of the last so many years that have one.")
    last_good: StrictBool = Field(True, description="The newest complete one, whatever the other rules say.")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not any((self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)):
            raise refusal("These rules keep nothing: give at least one of them a number above 0.")
        return self


class Alert(Part):
    """When to raise an alarm."""

    no_good_version_for: Duration = Field(description="Alarm if the newest complete version is older than this.")


class Notice(Part):
    """Whom to tell what became of backups and drills."""

    webhook: Webhook = Field(description="An http or https address that gets a POST with JSON.")


class Backup(Schedule):
    """When versions are made by themselves, and how long they stay."""

    keep: Keep | None = Field(None, description="Which versions stay.")
    quota: Size | None = Field(None, description="The most room that all versions may take.")
    alert: Alert | None = Field(None, description="When to raise an alarm.")
    notify: Annotated[tuple[Notice, ...], MaxLen(20)] = Field((), description="Whom to tell.")


# ── restore ──────────────────────────────────────────────────────────────────────────────────────────────────


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
        return self


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


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────


class Metadata(Part):
    """What the document is called."""

    name: LabelName = Field(description="The application's name.")


class Spec(Part):
    """The application."""

    cluster: ClusterName | None = Field(None, description="A registered cluster; the only one if not said.")
    state: State = Field(description="What the state of the application is.")
    backup: Backup | None = Field(None, description="When versions are made, and how long they stay.")
    restore: Restore = Field(default_factory=Restore, description="How a version is put back.")
    drill: Drill | None = Field(None, description="Scheduled test restores.")


class Document(Part):
    """An application, in Mainstay's language."""

    api_version: Literal["mainstay.dev/v1"] = Field(description="The language's version.")
    kind: Literal["Application"] = Field(description="What this document describes.")
    metadata: Metadata = Field(description="What the document is called.")
    spec: Spec = Field(description="The application.")

    @model_validator(mode="after")
    def _namespaces_agree(self) -> Self:
        known = self.spec.state.namespaces
        for place, pod in self._pods():
            if not known:
                raise refusal("No scope names a namespace in which a pod could be found.", *place)
            if pod.namespace is not None and pod.namespace not in known:
                raise refusal(
                    f"`{pod.namespace}` is not among the state's namespaces ({', '.join(known)}): commands run "
                    "only in the application's own pods.",
                    *place,
                    "namespace",
                )
        if self.spec.drill is not None and self.drill_namespace in known:
            raise refusal("The scratch namespace of drills cannot be one of the application's own.", *_DRILL)
        return self

    @property
    def name(self) -> str:
        """The application's name."""
        return self.metadata.name

    @property
    def drill_namespace(self) -> str:
        """The scratch namespace of drills."""
        return (self.spec.drill and self.spec.drill.namespace) or f"{self.name[:57]}-drill"

    def _pods(self) -> Iterator[tuple[tuple[str | int, ...], PodRef]]:
        """Every pod the document refers to, with its place. A drill's are in the scratch namespace."""
        state, health = self.spec.state, self.spec.restore.health
        lists: tuple[tuple[tuple[str, ...], Iterable[Dump | Hook | Check]], ...] = (
            (("spec", "state", "dumps"), state.dumps),
            (("spec", "state", "hooks", "before"), state.hooks.before),
            (("spec", "state", "hooks", "after"), state.hooks.after),
            (("spec", "restore", "health", "checks"), health.checks),
        )
        for place, entries in lists:
            for number, entry in enumerate(entries):
                yield (*place, number, "pod"), entry.pod


_DRILL = ("spec", "drill", "namespace")


def _is_builtin(pattern: KindPattern, kinds: frozenset[str]) -> bool:
    """Whether a pattern without a group names one of these kinds, which every cluster has."""
    return pattern.group is None and pattern.name in kinds


def _no_repeats(values: Iterable[str], place: str, *below: str) -> None:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            raise refusal(f"`{value}` is there twice.", place, number, *below)
        seen.add(value)
