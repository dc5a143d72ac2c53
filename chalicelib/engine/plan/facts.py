"""The facts about a cluster that planning and writing need, looked up when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from chalicelib.domain.document import Document
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.version import IndexRow
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.plan.held import Held
from chalicelib.engine.plan.wanted import Wanted
from chalicelib.engine.write.volumes import Volumes
from chalicelib.planning.bodies.context import PlanContext, autoscaled_by

AUTOSCALER = ("autoscaling", "HorizontalPodAutoscaler")


def context_of(
    session: ClusterSession, document: Document, wanted: Wanted, live_autoscalers: Iterable[Body] | None = None
) -> PlanContext:
    """The facts, for a plan or (without `live_autoscalers`) for who carries one out."""
    discovery = session.discovery
    return PlanContext(
        resources={(resource.group, resource.kind): resource for resource in discovery.resources},
        autoscaled=frozenset(_autoscaled(wanted, live_autoscalers or ())),
        volume_free=Volumes(session, "").is_free,
        held=Held(session),
        terminating_namespaces=frozenset(_terminating(session, document)),
        exists=_Exists(session),
        budgets=tuple(body for _, body in wanted.contents([] if live_autoscalers is None else _budgets(wanted))),
    )


def _budgets(wanted: Wanted) -> list[IndexRow]:
    return list(wanted.index.rows_of("policy", "PodDisruptionBudget"))


def _autoscaled(wanted: Wanted, live: Iterable[Body]) -> Iterator[ObjectKey]:
    kept = (body for _, body in wanted.contents(list(wanted.index.rows_of(*AUTOSCALER))))
    yield from (target for body in (*kept, *live) if (target := autoscaled_by(body)) is not None)


def _terminating(session: ClusterSession, document: Document) -> Iterator[str]:
    resource = session.discovery.resource_for("", "Namespace")
    if resource is None:
        return
    for name in document.spec.state.namespaces:
        body = session.objects.get(resource, "", name)
        if body is not None and body["metadata"].get("deletionTimestamp"):
            yield name


class _Exists:
    """Whether an object is there, each asked for once."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session
        self._known: dict[ObjectKey, bool] = {}
        self._lock = threading.Lock()

    def __call__(self, key: ObjectKey) -> bool:
        with self._lock:
            if key in self._known:
                return self._known[key]
        resource = self._session.discovery.resource_for(key.group, key.kind)
        there = resource is not None and self._session.objects.get(resource, key.namespace, key.name) is not None
        with self._lock:
            self._known[key] = there
        return there
