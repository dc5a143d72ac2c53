"""Objects of the cluster by name: many at once, with as few requests as that takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from chalicelib.cluster.listing import Ended, Listing, Page, Restarted, each_parallel
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.lane.clusters import ClusterSession

#: From so many objects of one kind and namespace on, the collection is listed instead.
_WORTH_A_LIST = 32
_WORKERS = 16


def read_objects(
    session: ClusterSession, keys: Iterable[ObjectKey], pause: Callable[[], None]
) -> Iterator[tuple[ObjectKey, Resource, Body]]:
    """The objects of `keys` that are there, as the server sends them, in no order."""
    groups: dict[tuple[Resource, str], set[ObjectKey]] = defaultdict(set)
    for key in keys:
        resource = session.discovery.resource_for(key.group, key.kind)
        # Of a kind that has another scope by now an object of that name is another one.
        if resource is not None and resource.namespaced == bool(key.namespace):
            groups[(resource, key.namespace)].add(key)
    few = [
        (resource, key) for (resource, _), wanted in groups.items() if len(wanted) < _WORTH_A_LIST for key in wanted
    ]
    many = {
        Listing(resource, namespace): wanted
        for (resource, namespace), wanted in groups.items()
        if len(wanted) >= _WORTH_A_LIST
    }
    yield from _one_by_one(session, few, pause)
    yield from _listed(session, many, pause)


def _one_by_one(
    session: ClusterSession, wanted: list[tuple[Resource, ObjectKey]], pause: Callable[[], None]
) -> Iterator[tuple[ObjectKey, Resource, Body]]:
    def get(item: tuple[Resource, ObjectKey]) -> tuple[ObjectKey, Resource, Body | None]:
        resource, key = item
        pause()
        return key, resource, session.objects.get(resource, key.namespace, key.name)

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="read") as pool:
        for key, resource, body in pool.map(get, wanted):
            if body is not None:
                yield key, resource, body


def _listed(
    session: ClusterSession, wanted: dict[Listing, set[ObjectKey]], pause: Callable[[], None]
) -> Iterator[tuple[ObjectKey, Resource, Body]]:
    given: dict[Listing, set[ObjectKey]] = {listing: set() for listing in wanted}
    for listing, event in each_parallel(session.client, wanted):
        if isinstance(event, Ended):
            if event.error is not None:
                raise event.error
        elif isinstance(event, Page):
            pause()
            resource = listing.resource
            for body in event.items:
                metadata = body["metadata"]
                key = ObjectKey(resource.group, resource.kind, metadata.get("namespace") or "", metadata["name"])
                if key in wanted[listing] and key not in given[listing]:
                    given[listing].add(key)
                    yield key, resource, body
        elif isinstance(event, Restarted):
            continue  # what was given was there; the list begins again and only the rest of it is new
