"""Reading a selection in several turns: each page is taken once, wherever a turn ends."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.cluster.listing import Ended, Listing, Page, Restarted
from chalicelib.domain.errors import TurnEnded
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.capture import reading
from chalicelib.engine.capture.reading import Listed, Reading

PODS = Listing(Resource("", "v1", "pods", "Pod", namespaced=True), "shop")
MAPS = Listing(Resource("", "v1", "configmaps", "ConfigMap", namespaced=True), "shop")


def body(place: Listing, number: int) -> Body:
    kind = place.resource.kind
    name = f"{kind.lower()}-{number}"
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


class Counting:
    """A visitor that counts what it is given."""

    keeps_raw = False

    def __init__(self) -> None:
        self.taken: list[str] = []

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:  # noqa: ARG002
        self.taken.append(key.name)
        return len(self.taken)

    def misses(self, key: ObjectKey) -> bool:  # noqa: ARG002
        return False

    def restart(self, listing: Listing) -> None:
        self.taken = [name for name in self.taken if not name.startswith(listing.resource.kind.lower())]


class Server:
    """Three pages of each kind, the token of a page being its number."""

    def __init__(self) -> None:
        self.forgets = False

    def each_parallel(self, _client: Any, wanted: list[Listing], **options: Any) -> Iterator[tuple[Listing, Any]]:
        for listing in wanted:
            begin = int(options["tokens"].get(listing) or 0)
            if begin and self.forgets:
                yield listing, Restarted(1)
                begin = 0
            for number in range(begin, 3):
                following = str(number + 1) if number < 2 else ""
                yield listing, Page([body(listing, number)], "1", following=following)
            yield listing, Ended()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    everything = SimpleNamespace(takes=lambda *_: True)
    monkeypatch.setattr(reading, "each_parallel", made.each_parallel)
    monkeypatch.setattr(reading, "requests_of", lambda *_: {PODS: everything, MAPS: everything})
    return made


def read(pieces: int | None, so_far: dict[Listing, Listed], visitor: Counting) -> Reading:
    """Read, for so many pages."""
    left = [pieces if pieces is not None else 1000]

    def pause() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise TurnEnded("the time is over")

    session: Any = SimpleNamespace(client=None, discovery=SimpleNamespace(unavailable=()))
    return reading.read(session, None, visitor, pause=pause, so_far=so_far)  # type: ignore[arg-type]


@pytest.mark.parametrize("pieces", range(6))
def test_wherever_a_turn_ends_the_next_one_takes_what_is_missing(server: Server, pieces: int) -> None:
    so_far: dict[Listing, Listed] = {}
    visitor = Counting()
    with pytest.raises(TurnEnded):
        read(pieces, so_far, visitor)
    done = read(None, so_far, visitor)
    expected = [f"{kind}-{number}" for kind in ("configmap", "pod") for number in range(3)]
    assert sorted(visitor.taken) == expected
    assert [row.key.name for row in done.rows] == expected


def test_a_turn_that_ends_with_the_last_page_has_read_it_to_its_end(server: Server) -> None:
    """Its end is told after the last page: who was interrupted in between must not read all of it again."""
    so_far: dict[Listing, Listed] = {}
    with pytest.raises(TurnEnded):
        read(3, so_far, Counting())
    assert [listed.ended for listed in so_far.values()] == [True, False]


def test_where_the_server_has_forgotten_the_token_what_was_read_is_void(server: Server) -> None:
    so_far: dict[Listing, Listed] = {}
    visitor = Counting()
    with pytest.raises(TurnEnded):
        read(2, so_far, visitor)
    server.forgets = True
    done = read(None, so_far, visitor)
    assert len(done.rows) == len(visitor.taken) == 6
