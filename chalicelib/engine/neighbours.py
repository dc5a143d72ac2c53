"""Other applications in the place that one is restored to: their objects may be changed with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from chalicelib.domain.document import Document
from chalicelib.domain.errors import MainstayError
from chalicelib.language.loader import load
from chalicelib.planning.destination import Destination
from chalicelib.planning.overlap import shared
from chalicelib.store.repository import Repository

#: Applications that are looked at: each is a request and a document to read.
_MOST_COMPARED = 200


def neighbours(repository: Repository, application: str, there: Destination, document: Document) -> Iterator[str]:
    """A sentence for each other application that means objects of the destination too. `document` is the one that
    holds there."""
    if not there.elsewhere:
        return
    cluster = there.cluster or repository.applications.get(application).cluster
    clusters = repository.clusters.names_of_one(cluster)
    for other in islice(repository.applications.list(), _MOST_COMPARED):
        if other.id == application or other.cluster not in clusters or other.status == "deleted":
            continue
        try:
            both = shared(document.spec.state.objects, load(other.document).spec.state.objects)
        except MainstayError:
            continue  # written by a newer release: not ours to judge
        if both:
            yield f"It is restored into what application {other.name} has too ({', '.join(both)}): that may change."
