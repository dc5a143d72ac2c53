"""A collection is complete or not at all, whatever happens between two of its pages."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.listing import Ended, Listing, Page, Restarted, each_parallel, items, pages, vanished
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable
from chalicelib.domain.objects import Resource
from tests.contract.cluster.scripted import Asked, Reply, ScriptedServer, refusal

MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
WIDGETS = Resource("shop.example.com", "v1", "widgets", "Widget", namespaced=True)


def page(*names: str, following: str = "", version: str = "7") -> Reply:
    metadata = {"resourceVersion": version} | ({"continue": following} if following else {})
    return Reply(
        200, {"kind": "List", "metadata": metadata, "items": [{"metadata": {"name": name}} for name in names]}
    )


def expired(later: str = "") -> Reply:
    metadata = {"continue": later} if later else {}
    return refusal(410, "Expired", "The provided continue parameter is too old", metadata=metadata)


def names(events: list[Any]) -> list[str]:
    """What a caller that obeys the signals holds in the end."""
    held: list[str] = []
    for event in events:
        if isinstance(event, Restarted):
            held.clear()
        elif isinstance(event, Page):
            held += [item["metadata"]["name"] for item in event.items]
    return held


def test_pages_follow_each_other_to_the_end(server: ScriptedServer, client: Client) -> None:
    server.replies = [page("a", "b", following="t1"), page("c", following="t2"), page("d")]
    found = list(pages(client, MAPS, "shop", label_selector="app=web", limit=2))
    assert names(found) == ["a", "b", "c", "d"]
    assert [asked.query.get("continue") for asked in server.asked] == [None, "t1", "t2"]
    assert {asked.query["labelSelector"] for asked in server.asked} == {"app=web"}
    assert server.asked[0].path == "/api/v1/namespaces/shop/configmaps"


def test_objects_say_what_they_are(server: ScriptedServer, client: Client) -> None:
    server.replies = [page("a")]
    (only,) = pages(client, WIDGETS)
    assert only.items == [{"apiVersion": "shop.example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}]
    assert only.resource_version == "7"


def test_an_empty_collection_is_one_empty_page(server: ScriptedServer, client: Client) -> None:
    server.replies = [Reply(200, {"kind": "List", "metadata": {"resourceVersion": "3"}, "items": None})]
    assert [found.items for found in pages(client, MAPS)] == [[]]


@pytest.mark.parametrize("body", [{}, [], "ok", {"kind": "Status"}, {"items": []}, {"kind": "ConfigMapList"}])
def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one(
    server: ScriptedServer, client: Client, body: object
) -> None:
    server.replies = [Reply(200, body)]
    with pytest.raises(ClusterUnreachable, match="no list of an API server"):
        list(pages(client, MAPS))


def test_large_objects_come_in_smaller_pages(server: ScriptedServer, client: Client) -> None:
    def answer(asked: Asked) -> Reply:
        at = int(asked.query.get("continue", "0"))
        item = {"metadata": {"name": f"m{at}"}, "data": {"a": "x" * 1_000_000}}
        metadata = {"continue": str(at + 1)} if at < 3 else {}
        return Reply(200, {"kind": "ConfigMapList", "metadata": metadata, "items": [item]})

    server.otherwise = answer
    assert len(list(pages(client, MAPS))) == 4
    assert [asked.query["limit"] for asked in server.asked] == ["100", "2", "2", "2"]


def test_small_objects_come_in_full_pages_once_their_size_is_known(server: ScriptedServer, client: Client) -> None:
    server.replies = [page("a", following="t1"), page("b", following="t2"), page("c")]
    list(pages(client, MAPS))
    assert [asked.query["limit"] for asked in server.asked] == ["100", "500", "500"]


def test_a_page_that_fails_for_a_while_is_asked_for_again(server: ScriptedServer, client: Client) -> None:
    server.replies = [page("a", following="t1"), Reply(503), Reply(drop=True), page("b")]
    assert names(list(pages(client, MAPS))) == ["a", "b"]


def test_a_list_whose_moment_is_forgotten_begins_anew(server: ScriptedServer, client: Client) -> None:
    server.replies = [page("a", following="t1"), expired("later"), page("b", following="t2"), page("c")]
    found = list(pages(client, MAPS))
    assert names(found) == ["b", "c"]
    assert [type(event) for event in found] == [Page, Restarted, Page, Page]
    assert all(event.consistent for event in found if isinstance(event, Page))


def test_a_list_that_is_forgotten_again_and_again_still_ends(server: ScriptedServer, client: Client) -> None:
    server.replies = [
        page("a", following="t1"),
        expired("later"),
        page("a", following="t2"),
        expired("later"),
        page("a", following="t3"),
        expired("later"),
        page("b", following="t4"),
        page("c"),
    ]
    found = list(pages(client, MAPS))
    assert names(found) == ["a", "b", "c"]
    assert server.asked[-2].query["continue"] == "later"
    assert [event.consistent for event in found if isinstance(event, Page)] == [True, True, True, False, False]


def test_a_forgotten_list_that_cannot_go_on_fails(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda asked: expired() if "continue" in asked.query else page("a", following="t")
    with pytest.raises(ClusterRefused) as raised:
        list(pages(client, MAPS))
    assert raised.value.http_status == 410


def test_a_kind_that_vanishes_is_told_from_an_object_that_is_not_there(
    server: ScriptedServer, client: Client
) -> None:
    server.replies = [
        page("a", following="t1"),
        refusal(404, "NotFound", "the server could not find the requested resource"),
        refusal(404, "NotFound", "the server could not find the requested resource"),
    ]
    with pytest.raises(ClusterRefused, match=r"Widget.*no longer served") as raised:
        list(pages(client, WIDGETS))
    assert vanished(raised.value)
    assert server.asked[-1].path == "/apis/shop.example.com/v1"


NOT_THERE = refusal(404, "NotFound", "404 page not found")
#: What the group of a kind answers while it tells of the kind, and when it does not.
TOLD_OF = Reply(200, {"kind": "APIResourceList", "resources": [{"name": "widgets"}]})
NOT_TOLD_OF = Reply(200, {"kind": "APIResourceList", "resources": []})


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pause in which a list and the tale of what is served may come to agree."""
    monkeypatch.setattr("chalicelib.cluster.listing._SETTLING", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_kind_that_just_goes_and_is_told_of_a_moment_longer_is_no_gap(
    server: ScriptedServer, client: Client
) -> None:
    server.replies = [NOT_THERE, TOLD_OF, NOT_THERE, TOLD_OF, NOT_THERE, NOT_TOLD_OF]
    with pytest.raises(ClusterRefused) as raised:
        list(pages(client, WIDGETS))
    assert vanished(raised.value)


@pytest.mark.usefixtures("at_once")
def test_a_kind_that_just_comes_and_is_told_of_a_moment_earlier_is_read(
    server: ScriptedServer, client: Client
) -> None:
    server.replies = [NOT_THERE, TOLD_OF, NOT_THERE, TOLD_OF, page("a")]
    assert names(list(pages(client, WIDGETS))) == ["a"]


@pytest.mark.usefixtures("at_once")
def test_a_kind_that_stays_told_of_and_not_there_is_a_gap_in_the_end(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda asked: NOT_THERE if "limit" in asked.query else TOLD_OF
    with pytest.raises(ClusterRefused) as raised:
        list(pages(client, WIDGETS))
    assert not vanished(raised.value)
    assert len(server.asked) == 26


def test_a_small_collection_is_given_whole(server: ScriptedServer, client: Client) -> None:
    server.replies = [page("a", following="t1"), expired(), page("b")]
    assert [item["metadata"]["name"] for item in items(client, MAPS)] == ["b"]


def collections(server: ScriptedServer, *, many: int = 3) -> list[Listing]:
    """Collections `ns0`, `ns1`, … of `many` pages each; the answer tells its own namespace."""

    def answer(asked: Asked) -> Reply:
        namespace, at = asked.path.split("/")[4], int(asked.query.get("continue", "0"))
        return page(f"{namespace}-{at}", following=str(at + 1) if at + 1 < many else "")

    server.otherwise = answer
    return [Listing(MAPS, f"ns{number}") for number in range(6)]


def test_many_collections_are_listed_in_parallel_each_in_order(server: ScriptedServer, client: Client) -> None:
    wanted = collections(server)
    held: dict[str, list[Any]] = {}
    for listing, event in each_parallel(client, wanted, workers=4):
        held.setdefault(listing.namespace, []).append(event)
    assert {namespace: names(events) for namespace, events in held.items()} == {
        f"ns{number}": [f"ns{number}-{at}" for at in range(3)] for number in range(6)
    }
    assert all(events[-1] == Ended() for events in held.values())
    assert sum(isinstance(event, Ended) for events in held.values() for event in events) == 6


def test_one_collection_that_fails_is_told_and_the_others_are_complete(
    server: ScriptedServer, client: Client
) -> None:
    wanted = collections(server)
    whole = server.otherwise

    def answer(asked: Asked) -> Reply:
        if "ns2" in asked.path:
            return refusal(403, "Forbidden", 'configmaps is forbidden: User "bob" cannot list resource')
        return whole(asked)

    server.otherwise = answer
    ended = {
        listing.namespace: event.error for listing, event in each_parallel(client, wanted) if isinstance(event, Ended)
    }
    assert [namespace for namespace, error in ended.items() if error is not None] == ["ns2"]
    assert isinstance(ended["ns2"], ClusterRefused)


def test_a_slow_caller_holds_the_listing_back(server: ScriptedServer, client: Client) -> None:
    wanted = collections(server, many=50)
    listed = each_parallel(client, wanted, workers=2, ahead=3)
    next(listed)
    time.sleep(0.5)
    # One handed out, three waiting, one in the hands of each worker and one more on its way.
    assert len(server.asked) <= 1 + 3 + 2 + 2
    listed.close()


def test_a_caller_that_leaves_early_leaves_no_threads(server: ScriptedServer, client: Client) -> None:
    wanted = collections(server, many=50)
    for _listing, _event in each_parallel(client, wanted, workers=4, ahead=2):
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("list")]


def test_an_error_that_is_not_the_clusters_reaches_the_caller(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: Reply(200, {"kind": "List", "items": 5})
    with pytest.raises(TypeError):
        list(each_parallel(client, [Listing(MAPS)]))


def test_nothing_to_list_is_nothing(client: Client) -> None:
    assert list(each_parallel(client, [])) == []
