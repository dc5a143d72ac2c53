"""`spec.state`: what the state of an application is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from annotated_types import MaxLen, MinLen
from pydantic import Field, model_validator

from chalicelib.domain.document.part import Part, PodRef, no_repeats, refusal
from chalicelib.domain.fields import (
    Command,
    Duration,
    Group,
    Kinds,
    LabelName,
    NamePattern,
    Selector,
)
from chalicelib.domain.objects import Resource
from chalicelib.domain.patterns import CLUSTER_KINDS, NAMESPACED_KINDS, KindPattern, name_matches


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
        no_repeats(self.namespaces, "namespaces")
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
        no_repeats((dump.name for dump in self.dumps), "dumps", "name")
        return self

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every namespace the scopes name, in the order of the document."""
        return tuple(dict.fromkeys(name for scope in self.objects for name in scope.namespaces))


def _is_builtin(pattern: KindPattern, kinds: frozenset[str]) -> bool:
    """Whether a pattern without a group names one of these kinds, which every cluster has."""
    return pattern.group is None and pattern.name in kinds
