"""Other applications in the place that one is restored to: their objects may be changed with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from chalicelib.domain.document import Scope
from chalicelib.domain.errors import MainstayError
from chalicelib.domain.patterns import KindPattern
from chalicelib.domain.plan import Plan
from chalicelib.language.loader import load
from chalicelib.planning.elsewhere.destination import Destination
from chalicelib.planning.elsewhere.namespaces import home_of
from chalicelib.planning.selecting.overlap import shared
from chalicelib.store.repository import Repository

#: Applications that are looked at: each is a request and a document to read.
_MOST_COMPARED = 200


def written_scopes(plan: Plan) -> list[Scope]:
    """What a plan writes in namespaces, as scopes mean objects: of a restore of a part, all that it concerns."""
    names: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for action in plan.actions:
        key = action.object.key
        if action.verb.writes and home_of(key):
            names[(home_of(key), key.kind, key.group)].append(key.name)
    # Nobody wrote these: what a document is refused for (how many names, a kind's usual place) says nothing of them.
    return [
        Scope.model_construct(namespaces=(home,), kinds=(KindPattern(kind, group),), names=tuple(called))
        for (home, kind, group), called in sorted(names.items())
    ]


def neighbours(
    repository: Repository, application: str, there: Destination, scopes: Sequence[Scope]
) -> Iterator[str]:
    """A sentence for each other application that means objects of the destination too. `scopes` are what is restored
    there."""
    if not there.elsewhere:
        return
    cluster = there.cluster or repository.applications.get(application).cluster
    clusters = repository.clusters.names_of_one(cluster)
    for other in islice(repository.applications.list(), _MOST_COMPARED):
        if other.id == application or other.cluster not in clusters or other.status == "deleted":
            continue
        try:
            both = shared(scopes, load(other.document).spec.state.objects)
        except MainstayError:
            continue  # written by a newer release: not ours to judge
        if both:
            yield f"It is restored into what application {other.name} has too ({', '.join(both)}): that may change."
