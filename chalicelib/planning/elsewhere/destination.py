"""Where an application is restored to: in which cluster, by which names, and what that means for it.

here        where it was
beside      into other namespaces of the same cluster, where the original lives
far         to another cluster, by the same names or by others
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chalicelib.domain.document import Document
from chalicelib.domain.document.state import Scope
from chalicelib.domain.objects import NAMESPACE, ObjectKey
from chalicelib.domain.version import Gap
from chalicelib.planning.elsewhere.suspend import FROM_SOURCES, KINDS

BINDING = ("rbac.authorization.k8s.io", "ClusterRoleBinding")
BINDING_INSIDE = ("rbac.authorization.k8s.io", "RoleBinding")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an application is restored to. Nothing said: where it was."""

    #: Old name → new name; names that stay are not in it.
    names: Mapping[str, str] = field(default_factory=dict)
    storage_classes: Mapping[str, str] = field(default_factory=dict)
    #: The id of the cluster, if it is not the one that the application is registered on.
    cluster: str | None = None
    #: Whether that is the original's own cluster all the same, under another name.
    same: bool = False
    #: Whether what begins something by itself is suspended; nothing said: see `suspends`.
    suspend: bool | None = None

    @property
    def far(self) -> bool:
        """Whether it is another cluster than the original's."""
        return self.cluster is not None and not self.same

    @property
    def elsewhere(self) -> bool:
        """Whether it is another place: not just other classes."""
        return bool(self.names) or self.far

    @property
    def beside(self) -> bool:
        """Whether the original lives in the same cluster."""
        return bool(self.names) and not self.far

    @property
    def suspends(self) -> bool:
        """Whether jobs on a timetable and the like wait there until somebody has them go on."""
        return self.beside if self.suspend is None else self.suspend

    def has_wait(self, kind: tuple[str, str]) -> bool:
        """Whether objects of a kind wait there. What deploys from sources does so on another cluster too, if
        namespaces have other names: the sources know the old ones."""
        if self.suspend is None and self.names and kind in FROM_SOURCES:
            return True
        return self.suspends and kind in KINDS

    def keeps(self, key: ObjectKey) -> bool:
        """Whether an object of the version is left as it was kept although namespaces have other names: beside the
        original, what belongs to the whole cluster is the original's. A binding is made a second time."""
        return self.beside and not key.namespace and key[:2] not in {NAMESPACE, BINDING}

    def takes(self, namespace: str) -> bool:
        """Whether what is in a namespace is restored: beside the original only what goes into another one."""
        return not self.beside or namespace in self.names

    def may_double(self, key: ObjectKey) -> bool:
        """Whether a binding is made a second time for accounts of the copy, if it names any of the original's: beside
        the original, those of the whole cluster and of namespaces that are not restored."""
        return self.beside and (key[:2] == BINDING or (key[:2] == BINDING_INSIDE and not self.takes(key.namespace)))

    def document(self, document: Document) -> Document:
        """The document as it holds there: its namespaces by their new names. What it says of the whole cluster is no
        selection there, where others live: nothing of it is ever extra."""
        if not self.elsewhere:
            return document
        spec = document.spec
        scopes = tuple(moved for scope in spec.state.objects if (moved := self._scope(scope)) is not None)
        checks = tuple(
            check.model_copy(
                update={"pod": check.pod.model_copy(update={"namespace": self._name(check.pod.namespace)})}
            )
            for check in spec.restore.health.checks
            # What a check runs in pods of the original may change it, and says nothing of the copy.
            if check.pod.namespace is None or self.takes(check.pod.namespace)
        )
        order = tuple(
            rule.model_copy(
                update={
                    member: ref.model_copy(update={"namespace": self._name(ref.namespace)})
                    for member, ref in (("before", rule.before), ("ready", rule.ready))
                }
            )
            for rule in spec.restore.order
        )
        health = spec.restore.health.model_copy(update={"checks": checks})
        restore = spec.restore.model_copy(update={"health": health, "order": order})
        state = spec.state.model_copy(update={"objects": scopes})
        return document.model_copy(update={"spec": spec.model_copy(update={"state": state, "restore": restore})})

    def _scope(self, scope: Scope) -> Scope | None:
        there = tuple(self.names.get(name, name) for name in scope.namespaces if self.takes(name))
        return scope.model_copy(update={"namespaces": there}) if there else None

    def _name(self, namespace: str | None) -> str | None:
        return None if namespace is None else self.names.get(namespace, namespace)

    def gaps(self, gaps: Iterable[Gap]) -> tuple[Gap, ...]:
        """What could not be read of the version, by the new names."""
        return tuple(
            gap.model_copy(update={"namespace": self.names.get(gap.namespace, gap.namespace)})
            for gap in gaps
            if not gap.namespace or self.takes(gap.namespace)
        )


HERE = Destination()
