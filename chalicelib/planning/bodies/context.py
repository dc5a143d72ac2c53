"""What a plan needs to know of the cluster beside the two states: looked up by who plans, told here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chalicelib.domain.objects import Body, ObjectKey, Resource


@dataclass(frozen=True, slots=True)
class PlanContext:
    """Facts about the live cluster. Everything may be left out; then the careful assumption holds."""

    #: How each kind is served now. A kind that is missing here is not served.
    resources: Mapping[tuple[str, str], Resource] = field(default_factory=dict)
    #: Objects whose `spec.replicas` an autoscaler sets (see `autoscaled_by`).
    autoscaled: frozenset[ObjectKey] = frozenset()
    #: Whether a volume is there and free for a claim (unclaimed, or left by this very claim). `None`: who sends the
    #: claim has looked already, and took the name of the volume out if it is not.
    volume_free: Callable[[ObjectKey, str], bool] | None = None
    #: Namespaces that are being deleted.
    terminating_namespaces: frozenset[str] = frozenset()
    #: Why a claim, a namespace or a definition cannot be deleted, in sentences with what to do; empty if it can.
    #: Asked with the uids of what the plan deletes before.
    held: Callable[[ObjectKey, frozenset[str]], str] = lambda _key, _going: ""
    #: The PodDisruptionBudgets of the version.
    budgets: tuple[Body, ...] = ()
    #: Whether an object outside the plan's two states is there: owners that are not in the selection.
    exists: Callable[[ObjectKey], bool] = lambda _key: False

    def resource_of(self, key: ObjectKey) -> Resource | None:
        """How the kind of an object is served now; `None` if it is not."""
        return self.resources.get((key.group, key.kind))


def autoscaled_by(body: Body) -> ObjectKey | None:
    """The object whose replicas a HorizontalPodAutoscaler sets."""
    spec = body.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    if not target.get("kind") or not target.get("name"):
        return None
    group = str(target.get("apiVersion") or "").rpartition("/")[0]
    return ObjectKey(group, target["kind"], body["metadata"].get("namespace") or "", target["name"])
