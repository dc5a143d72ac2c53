"""The whole document, and the rules between its sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from chalicelib.domain.document.backup import Backup
from chalicelib.domain.document.part import Part, PodRef, refusal
from chalicelib.domain.document.restore import Check, Drill, Restore
from chalicelib.domain.document.state import Dump, Hook, State
from chalicelib.domain.fields import (
    ClusterName,
    LabelName,
)

API_VERSION = "mainstay.dev/v1"


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
