"""A server that is just starting is not believed."""

from __future__ import annotations

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.discovery import refresh
from chalicelib.domain.errors import ClusterRefused
from tests.contract.cluster.scripted import Asked, Reply, ScriptedServer, refusal

PATH = "/api/v1/namespaces/shop/configmaps"
NO_RIGHT = refusal(403, "Forbidden", 'configmaps is forbidden: User "bob" cannot list resource "configmaps"')


def test_a_refusal_of_a_server_that_is_starting_is_asked_again(server: ScriptedServer, client: Client) -> None:
    server.readiness = [403, 500, 500, 200]
    server.replies = [NO_RIGHT, Reply(200, {"found": True})]
    assert client.get_json(PATH) == {"found": True}
    assert server.readiness_asked == 4


def test_a_refusal_of_a_server_that_is_ready_is_believed_after_one_more_look(
    server: ScriptedServer, client: Client
) -> None:
    server.otherwise = lambda _asked: NO_RIGHT
    for _ in range(3):
        with pytest.raises(ClusterRefused) as raised:
            client.get_json(PATH)
        assert raised.value.http_status == 403
    assert server.readiness_asked == 1
    assert len(server.asked) == 4


def test_where_readiness_may_not_be_asked_a_refusal_is_believed_in_the_end(
    server: ScriptedServer, connect: type
) -> None:
    at = [0.0]

    def sleep(seconds: float) -> None:
        at[0] += seconds

    server.readiness = [403]
    server.otherwise = lambda _asked: NO_RIGHT
    client = connect(clock=lambda: at[0], sleep=sleep)
    for _ in range(2):
        with pytest.raises(ClusterRefused):
            client.get_json(PATH)
    assert 4 < at[0] <= 6
    assert len(server.asked) == 3


def test_a_refusal_by_admission_is_not_asked_again(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: refusal(403, "Forbidden", 'admission webhook "policy" denied the request')
    with pytest.raises(ClusterRefused):
        client.request("POST", PATH, body={})
    assert (len(server.asked), server.readiness_asked) == (1, 0)


def test_a_discovery_is_begun_only_when_the_server_is_ready(server: ScriptedServer, client: Client) -> None:
    seen: list[int] = []

    def answer(_asked: Asked) -> Reply:
        seen.append(server.readiness_asked)
        return Reply(200, {"kind": "APIGroupDiscoveryList", "items": []})

    server.readiness = [500, 500, 200]
    server.otherwise = answer
    assert refresh(client).resources == ()
    assert seen == [3, 3]


def test_a_discovery_that_a_restart_interrupted_is_done_again(server: ScriptedServer, client: Client) -> None:
    empty = Reply(200, {"kind": "APIGroupDiscoveryList", "items": []})
    server.replies = [empty, Reply(drop=True), empty, empty, empty]
    refresh(client)
    assert [asked.path for asked in server.asked] == ["/api", "/apis", "/apis", "/api", "/apis"]
    assert server.readiness_asked == 2
