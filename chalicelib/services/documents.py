"""Documents: checking a text without storing it, and writing a first one from what runs in a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.services.access import Asker
from chalicelib.services.looking import MOST_SECONDS, within
from chalicelib.services.models.documents import DocumentCheck, DocumentRequest, Draft, DraftRequest, ProblemView

if TYPE_CHECKING:
    from chalicelib.cluster.client import Client
    from chalicelib.domain.objects import Resource
    from chalicelib.language.loader import LoadedDocument
    from chalicelib.language.writer import Observed
    from chalicelib.services.clusters import RegisteredClusters


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
        from chalicelib.services.observing import observe

        deadline = now() + MOST_SECONDS
        session = self._clusters.connect(cluster)
        resource = session.discovery.resource_for("", "Namespace")
        if resource is None or not _exists(session.client, resource, namespace, deadline):
            raise Invalid(
                f"There is no namespace {namespace} on this cluster.",
                [Problem("namespace", f"there is no namespace {namespace}")],
            )
        return observe(session, namespace, lambda: now() < deadline)


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
