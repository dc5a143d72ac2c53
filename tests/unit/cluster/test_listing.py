"""A collection that is not found, of a kind that is said to be served: which of the two is true shows in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from chalicelib.cluster import listing
from chalicelib.cluster.client import Client
from chalicelib.cluster.listing import Page, pages, vanished
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Resource

GADGET = Resource("shop.example.com", "v1", "gadgets", "Gadget", namespaced=True)
PAGE = Page(items=[], resource_version="7")


def not_found() -> ClusterRefused:
    return ClusterRefused("404 page not found", http_status=404, reason="NotFound", request="GET gadgets")


class Server:
    """Answers in turn: a page or an error to a list, and whether the kind is served. The last answer stays."""

    def __init__(self, lists: list[Any], served: list[bool]) -> None:
        self.lists = lists
        self.served = served
        self.asked = 0

    def page(self, *_: Any, **__: Any) -> Page:
        self.asked += 1
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, Exception):
            raise answer
        return cast("Page", answer)

    def still_served(self, *_: Any, **__: Any) -> bool:
        return self.served.pop(0) if len(self.served) > 1 else self.served[0]

    def read(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.setattr(listing, "_page", self.page)
        monkeypatch.setattr(listing, "still_served", self.still_served)
        monkeypatch.setattr(listing, "_SETTLING", 0.0)
        return pages(cast("Client", None), GADGET, "shop")


def test_a_kind_that_just_goes_and_is_told_of_a_moment_longer_is_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterRefused) as raised:
        list(Server([not_found()], [True, True, False]).read(monkeypatch))
    assert vanished(raised.value)


def test_a_kind_that_just_comes_and_is_told_of_a_moment_earlier_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(Server([not_found(), not_found(), PAGE], [True]).read(monkeypatch)) == [PAGE]


def test_a_kind_that_stays_served_and_not_found_is_a_gap_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([not_found()], [True])
    with pytest.raises(ClusterRefused) as raised:
        list(server.read(monkeypatch))
    assert not vanished(raised.value)
    assert server.asked == 13
