"""Who is at the place that an application is restored to already: other applications, or the original itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from chalicelib.domain.document import Document
from chalicelib.domain.errors import MainstayError
from chalicelib.domain.version import Manifest
from chalicelib.engine.clusters import ClusterSession
from chalicelib.language.loader import load
from chalicelib.planning.elsewhere import Destination
from chalicelib.planning.overlap import shared
from chalicelib.store.repository import Repository

#: Applications that are looked at: each is a request and a document to read.
_MOST_COMPARED = 200


def original(session: ClusterSession, there: Destination, manifest: Manifest | None) -> Iterator[str]:
    """A sentence if the other cluster is the very one that the version was made on: what it does not move into other
    namespaces lies on top of the original."""
    kept = manifest.cluster_uid if manifest is not None else ""
    if there.cluster is not None and kept and session.identity() == kept:
        yield (
            f"{session.record.name} is the cluster that the version was made on (or a copy of it): the original "
            "itself is restored there. For a copy beside it give a namespace, and no cluster."
        )


def neighbours(repository: Repository, application: str, there: Destination, document: Document) -> Iterator[str]:
    """A sentence for each other application that means objects of the destination too. `document` is the one that
    holds there."""
    if not there.elsewhere:
        return
    cluster = there.cluster or repository.applications.get(application).cluster
    for other in islice(repository.applications.list(), _MOST_COMPARED):
        if other.id == application or other.cluster != cluster or other.status == "deleted":
            continue
        try:
            both = shared(document.spec.state.objects, load(other.document).spec.state.objects)
        except MainstayError:
            continue  # written by a newer release: not ours to judge
        if both:
            yield f"It is restored into what application {other.name} has too ({', '.join(both)}): that may change."
