"""Collections, page by page, as raw JSON: in the server's order (by name), complete or not at all.

When the server has forgotten the moment at which a list began (410 on a `continue` token, after about five
minutes), the collection is begun anew and `Restarted` tells the caller to discard what it had: the result is one
moment again. If that happens too often, the consumer is too slow for it ever to end, and the list goes on with the
token the server gives for that case: nothing is missing or doubled, but the pages are of different moments
(`Page.consistent` is false).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chalicelib.cluster.client import Client
from chalicelib.cluster.refusals import subject
from chalicelib.cluster.transport import foreign
from chalicelib.domain.errors import ClusterRefused, MainstayError
from chalicelib.domain.objects import Body, Resource

#: Times a collection is begun anew before its pages may be of different moments.
MOST_RESTARTS = 2

#: A list and the tale of what is served change one after the other where a definition comes or goes: how often both
#: are asked again while they contradict each other, and seconds between.
_MOST_NOT_THERE = 12
_SETTLING = 0.25

#: Objects in a page at most; in the first, before their size is known; and the bytes a page shall have at most.
PAGE_ITEMS = 500
FIRST_PAGE_ITEMS = 100
PAGE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """One collection to read: a resource, in one namespace or (`""`) all, with selectors in Kubernetes' syntax."""

    resource: Resource
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""

    @property
    def path(self) -> str:
        """The collection's URL path."""
        return self.resource.collection_path(self.namespace if self.resource.namespaced else "")


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, with `apiVersion` and `kind` filled in (lists leave them out), and the list's moment."""

    items: list[Body]
    resource_version: str
    #: Bytes the server sent for it.
    size: int = 0
    consistent: bool = True
    #: The token of the page after it; empty if it is the last. The server keeps it for some minutes.
    following: str = ""


@dataclass(frozen=True, slots=True)
class Restarted:
    """Discard every page of this listing so far: it begins anew."""

    times: int


@dataclass(frozen=True, slots=True)
class Ended:
    """No page of this listing follows. `error` says why, when it is not complete."""

    error: MainstayError | None = None


Event = Page | Restarted | Ended


def pages(
    client: Client,
    resource: Resource,
    namespace: str = "",
    *,
    label_selector: str = "",
    field_selector: str = "",
    limit: int = PAGE_ITEMS,
    deadline: float | None = None,
    token: str = "",
) -> Iterator[Page | Restarted]:
    """The pages of one collection, or those from `token` on. `deadline` (on `now()`) bounds each request with its
    retries.

    Raises `ClusterRefused` (403: a gap for the caller to name; 404: the kind is no longer served, `vanished(error)`)
    and `ClusterUnreachable`.
    """
    listing = Listing(resource, namespace, label_selector, field_selector)
    restarts, not_there, consistent = 0, 0, True
    many = min(limit, FIRST_PAGE_ITEMS)
    while True:
        try:
            page = _page(client, listing, many, token, deadline, consistent=consistent)
        except ClusterRefused as refusal:
            if refusal.http_status == 404:
                if not still_served(client, resource, deadline=deadline):
                    raise _gone(listing, refusal) from refusal
                not_there += 1
                if not_there > _MOST_NOT_THERE:
                    raise
                time.sleep(_SETTLING)
                continue
            if refusal.http_status != 410 or not token:
                raise
            restarts += 1
            later = str(refusal.details.get("continue") or "")
            if restarts > MOST_RESTARTS:
                if not later:
                    raise
                token, consistent = later, False
                continue
            token = ""
            yield Restarted(restarts)
            continue
        yield page
        if not page.following:
            return
        token = page.following
        many = _fitting(page, limit)


def _fitting(page: Page, limit: int) -> int:
    """Objects to ask for next, so that a page of them has about `PAGE_BYTES`: some hold a megabyte each."""
    each = page.size / max(len(page.items), 1)
    return max(1, min(limit, int(PAGE_BYTES / max(each, 1.0))))


def items(
    client: Client,
    resource: Resource,
    namespace: str = "",
    *,
    label_selector: str = "",
    deadline: float | None = None,
) -> list[Body]:
    """A collection that is known to be small, whole."""
    found: list[Body] = []
    for page in pages(client, resource, namespace, label_selector=label_selector, deadline=deadline):
        if isinstance(page, Restarted):
            found.clear()
        else:
            found.extend(page.items)
    return found


def vanished(error: MainstayError) -> bool:
    """Whether a listing ended because its kind is no longer served (its CRD was deleted meanwhile)."""
    return bool(error.details.get("vanished"))


def still_served(client: Client, resource: Resource, *, deadline: float | None = None) -> bool:
    """Whether the server has the resource just now, asked past every cache."""
    path = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    try:
        listed = client.get_json(path, deadline=deadline)
    except ClusterRefused as refusal:
        if refusal.http_status == 404:
            return False
        raise
    return any(entry.get("name") == resource.plural for entry in listed.get("resources") or [])


def each_parallel(
    client: Client,
    wanted: Iterable[Listing],
    *,
    workers: int = 8,
    ahead: int = 8,
    limit: int = PAGE_ITEMS,
    deadline: float | None = None,
    tokens: Mapping[Listing, str] | None = None,
) -> Generator[tuple[Listing, Event]]:
    """The pages of many collections, listed by `workers` threads, handed out in the caller's own thread. Those with a
    token go on from there.

    At most `ahead` pages wait, besides one in the hands of each worker: a slow caller slows the listing, memory
    stays. The events of one listing come in order, those of different ones mixed; the last of each is `Ended`.
    Leaving the generator early (`close`, or an exception) stops and joins the threads.
    """
    todo = list(wanted)
    ready: queue.Queue[tuple[Listing, Event]] = queue.Queue(maxsize=max(ahead, 1))
    stop = threading.Event()

    def hand_over(listing: Listing, event: Event) -> bool:
        while not stop.is_set():
            try:
                ready.put((listing, event), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read(listing: Listing) -> None:
        try:
            for event in _events(client, listing, limit, deadline, (tokens or {}).get(listing, "")):
                if not hand_over(listing, event):
                    return
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread, which raises it
            failures.append(error)
            stop.set()

    failures: list[BaseException] = []
    with ThreadPoolExecutor(max_workers=max(min(workers, len(todo)), 1), thread_name_prefix="list") as pool:
        try:
            for listing in todo:
                pool.submit(read, listing)
            left = len(todo)
            while left:
                try:
                    listing, event = ready.get(timeout=0.1)
                except queue.Empty:
                    if failures:
                        raise failures[0] from None
                    continue
                left -= isinstance(event, Ended)
                yield listing, event
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _events(client: Client, listing: Listing, limit: int, deadline: float | None, token: str) -> Iterator[Event]:
    try:
        yield from pages(
            client,
            listing.resource,
            listing.namespace,
            label_selector=listing.label_selector,
            field_selector=listing.field_selector,
            limit=limit,
            deadline=deadline,
            token=token,
        )
    except MainstayError as error:
        yield Ended(error)
    else:
        yield Ended()


def _page(
    client: Client, listing: Listing, limit: int, token: str, deadline: float | None, *, consistent: bool
) -> Page:
    query: dict[str, str | int] = {"limit": limit}
    if token:
        query["continue"] = token
    if listing.label_selector:
        query["labelSelector"] = listing.label_selector
    if listing.field_selector:
        query["fieldSelector"] = listing.field_selector
    answer = client.request("GET", listing.path, query=query, deadline=deadline)
    body = answer.json()
    if not isinstance(body, dict) or not str(body.get("kind")).endswith("List") or "items" not in body:
        # Taken for an answer it would be an empty collection, and everything in it lost.
        raise foreign(f"GET {listing.path}", "no list of an API server")
    metadata = body.get("metadata") or {}
    resource = listing.resource
    found: list[Body] = body.get("items") or []
    for item in found:
        item["apiVersion"] = resource.api_version
        item["kind"] = resource.kind
    following = str(metadata.get("continue") or "")
    return Page(found, str(metadata.get("resourceVersion") or ""), len(answer.data), consistent, following)


def _gone(listing: Listing, refusal: ClusterRefused) -> ClusterRefused:
    resource = listing.resource
    error = ClusterRefused(
        f"GET {subject(listing.path)}: the kind {resource.kind} ({resource.api_version}) is no longer served: its "
        "CustomResourceDefinition or its API server was removed while it was listed.",
        http_status=refusal.http_status,
        reason=refusal.reason,
        request=refusal.request,
    )
    error.details["vanished"] = True
    return error
