"""Documents: checking a text without storing it, and writing a first one from what runs in a namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.services.access import Asker
from chalicelib.services.looking import MOST_SECONDS, within
from chalicelib.services.models.documents import DocumentCheck, DocumentRequest, Draft, DraftRequest, ProblemView

if TYPE_CHECKING:
    from chalicelib.cluster.client import Client
    from chalicelib.cluster.discovery import Discovery
    from chalicelib.domain.objects import Body, Resource
    from chalicelib.language.loader import LoadedDocument
    from chalicelib.language.writer import Observed, Workload
    from chalicelib.services.clusters import RegisteredClusters

#: Kinds that no first document needs to mention: they are left out of every version, or of no interest.
_UNSEEN = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease", "ControllerRevision", "PodMetrics"})
_WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet")


class Documents:
    """What can be asked about documents."""

    def __init__(self, clusters: RegisteredClusters) -> None:
        self._clusters = clusters

    def check(self, asker: Asker, request: DocumentRequest) -> DocumentCheck:  # noqa: ARG002
        """Everything that is wrong in a document, and what of it this release does not carry out."""
        try:
            loaded = accepted(request.document)
        except Invalid as error:
            problems = [ProblemView(**_members(problem)) for problem in error.problems]
            return DocumentCheck(valid=False, name=None, problems=problems)
        return DocumentCheck(valid=True, name=loaded.document.metadata.name, problems=[])

    def draft(self, asker: Asker, request: DraftRequest) -> Draft:
        """A document written from what runs in a namespace now."""
        name = request.name or request.namespace
        return Draft(document=self.write(asker, name, request.namespace, request.cluster))

    def write(self, asker: Asker, name: str, namespace: str, cluster: str | None) -> str:
        """The document's text. `Invalid` if there is nothing in the namespace or it cannot be read in time."""
        from chalicelib.language.writer import draft

        record = self._clusters.find(asker, cluster)
        observed = within(lambda: self._observe(record.id, namespace), f"Cluster {record.name}")
        said = record.name if cluster else None
        try:
            return draft(name, namespace, said, observed)
        except Invalid:
            # An application may go by a name that a document cannot have, such as one with spaces.
            return draft(namespace, namespace, said, observed)

    def _observe(self, cluster: str, namespace: str) -> Observed:
        from chalicelib.cluster.transport import now

        deadline = now() + MOST_SECONDS
        session = self._clusters.connect(cluster)
        resource = session.discovery.resource_for("", "Namespace")
        if resource is None or not _exists(session.client, resource, namespace, deadline):
            raise Invalid(
                f"There is no namespace {namespace} on this cluster.",
                [Problem("namespace", f"there is no namespace {namespace}")],
            )
        return _seen(list(_bodies(session.client, session.discovery, namespace, deadline)))


def accepted(text: str) -> LoadedDocument:
    """The document in `text`, all of which this release carries out; else `Invalid` with every problem."""
    from chalicelib.language.support import accept

    return accept(text)


def _members(problem: Problem) -> dict[str, object]:
    return {name: getattr(problem, name) for name in ("path", "message", "line", "column", "hint")}


def _exists(client: Client, resource: Resource, namespace: str, deadline: float) -> bool:
    from chalicelib.domain.errors import ClusterRefused

    try:
        client.get_json(resource.object_path("", namespace), deadline=deadline)
    except ClusterRefused as error:
        if error.http_status == 404:
            return False
        raise
    return True


def _bodies(client: Client, discovery: Discovery, namespace: str, deadline: float) -> Iterable[Body]:
    """Every object in a namespace that is not made by another; kinds that may not be read are left out."""
    from chalicelib.cluster.listing import Listing, Page, Restarted, each_parallel

    wanted = [
        Listing(resource, namespace)
        for resource in discovery
        if resource.namespaced and "list" in resource.verbs and resource.kind not in _UNSEEN
    ]
    bodies: dict[Listing, list[Body]] = {}
    for listing, event in each_parallel(client, wanted, deadline=deadline):
        match event:
            case Page():
                bodies.setdefault(listing, []).extend(event.items)
            case Restarted():
                bodies.pop(listing, None)
    for found in bodies.values():
        for body in found:
            owners = (body.get("metadata") or {}).get("ownerReferences") or []
            if not any(owner.get("controller") for owner in owners):
                yield body


def _seen(bodies: list[Body]) -> Observed:
    from chalicelib.language.writer import Observed

    counts = Counter(str(body.get("kind")) for body in bodies)
    custom = {
        f"{body['kind']}.{group}"
        for body in bodies
        if "." in (group := str(body.get("apiVersion", "")).rpartition("/")[0]) and not group.endswith(".k8s.io")
    }
    return Observed(
        counts=dict(counts),
        claims=tuple(sorted(_name(body) for body in bodies if body.get("kind") == "PersistentVolumeClaim")),
        custom_kinds=tuple(sorted(custom)),
        workloads=tuple(_workloads(bodies)),
    )


def _workloads(bodies: list[Body]) -> Iterable[Workload]:
    from chalicelib.language.writer import Workload

    for kind in _WORKLOADS:
        for body in bodies:
            if body.get("kind") == kind and str(body.get("apiVersion")) == "apps/v1":
                labels = ((body.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
                yield Workload(kind, _name(body), ",".join(f"{key}={value}" for key, value in sorted(labels.items())))


def _name(body: Body) -> str:
    return str((body.get("metadata") or {}).get("name", ""))
