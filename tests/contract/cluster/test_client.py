"""What is repeated, what is not, and what an error says."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time

import pytest

from chalicelib.cluster import transport
from chalicelib.cluster.client import Client, now, outcome_unknown
from chalicelib.cluster.credentials import Connection, TokenFile
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, LeaseLost
from tests.contract.cluster.scripted import Asked, Reply, ScriptedServer, refusal

PATH = "/api/v1/namespaces/shop/configmaps/web"
SECRET = "/api/v1/namespaces/shop/secrets/db"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_read_is_repeated_when_the_server_fails(server: ScriptedServer, client: Client, status: int) -> None:
    server.replies = [Reply(status, b"oops"), Reply(200, {"found": True})]
    assert client.get_json(PATH) == {"found": True}
    assert len(server.asked) == 2


def test_a_read_is_repeated_when_the_connection_drops(server: ScriptedServer, client: Client) -> None:
    server.replies = [Reply(drop=True), Reply(drop=True), Reply(200, {"found": True})]
    assert client.get_json(PATH) == {"found": True}


def test_a_read_is_repeated_when_no_answer_comes_in_time(server: ScriptedServer, client: Client) -> None:
    server.replies = [Reply(delay=1.0), Reply(200, {"found": True})]
    assert client.get_json(PATH, timeout=0.2) == {"found": True}


def test_retries_of_a_server_that_stays_broken_end(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: refusal(500, "InternalError", "conversion webhook for shop failed")
    with pytest.raises(ClusterRefused) as raised:
        client.get_json(PATH)
    assert raised.value.http_status == 500
    assert len(server.asked) == 3


def test_the_pauses_between_tries_grow_and_stay_bounded(
    server: ScriptedServer, client: Client, pauses: list[float]
) -> None:
    server.otherwise = lambda _asked: Reply(503)
    with pytest.raises(ClusterRefused):
        client.get_json(PATH)
    assert len(pauses) == 5
    assert pauses[0] < pauses[2] < pauses[4] <= 3.0


def test_the_server_decides_how_long_a_throttled_client_waits(
    server: ScriptedServer, client: Client, pauses: list[float]
) -> None:
    server.replies = [Reply(429, headers={"Retry-After": "2"}), Reply(200, {"found": True})]
    assert client.get_json(PATH) == {"found": True}
    assert pauses == [2.0]


def test_a_throttled_write_is_repeated_because_nothing_was_done(server: ScriptedServer, client: Client) -> None:
    server.replies = [Reply(429, headers={"Retry-After": "1"}), Reply(201, {"made": True})]
    assert client.request("POST", PATH, body={}).json() == {"made": True}
    assert len(server.asked) == 2


def test_throttling_that_does_not_end_is_reported_with_the_time_to_wait(
    server: ScriptedServer, connect: type
) -> None:
    server.otherwise = lambda _asked: Reply(429, headers={"Retry-After": "3600"})
    with pytest.raises(ClusterRefused) as raised:
        connect().request("POST", PATH, body={})
    assert raised.value.retry_after == 3600.0
    assert not outcome_unknown(raised.value)


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_write_whose_answer_is_lost_is_never_repeated(server: ScriptedServer, client: Client, verb: str) -> None:
    server.otherwise = lambda _asked: Reply(drop=True)
    with pytest.raises(ClusterUnreachable) as raised:
        client.request(verb, PATH, body={})
    assert outcome_unknown(raised.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_write_that_a_gateway_answers_is_never_repeated(
    server: ScriptedServer, client: Client, status: int
) -> None:
    server.otherwise = lambda _asked: Reply(status, b"gateway")
    with pytest.raises(ClusterUnreachable) as raised:
        client.request("PUT", PATH, body={})
    assert outcome_unknown(raised.value)
    assert len(server.asked) == 1


def test_a_write_that_times_out_is_never_repeated(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: Reply(delay=1.0)
    with pytest.raises(ClusterUnreachable) as raised:
        client.request("PUT", PATH, body={}, timeout=0.2)
    assert outcome_unknown(raised.value)
    assert len(server.asked) == 1


def test_a_write_that_a_webhook_stopped_is_known_not_to_have_happened(server: ScriptedServer, client: Client) -> None:
    message = 'Internal error occurred: failed calling webhook "v.example.com": connection refused'
    server.otherwise = lambda _asked: refusal(500, "InternalError", message)
    with pytest.raises(ClusterRefused) as raised:
        client.request("POST", PATH, body={})
    assert not outcome_unknown(raised.value)
    assert "failed calling webhook" in raised.value.message


def test_a_write_with_another_internal_error_may_have_happened(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: refusal(500, "InternalError", "etcdserver: request timed out")
    with pytest.raises(ClusterRefused) as raised:
        client.request("POST", PATH, body={})
    assert outcome_unknown(raised.value)
    assert len(server.asked) == 1


def test_a_dry_run_is_repeated_like_a_read(server: ScriptedServer, client: Client) -> None:
    server.replies = [Reply(drop=True), Reply(200, {"dry": True})]
    assert client.request("PUT", PATH, query={"dryRun": "All"}, body={}).json() == {"dry": True}


def test_a_dry_run_may_take_longer_than_the_longest_webhook(server: ScriptedServer, client: Client) -> None:
    client.request("PUT", PATH, query={"dryRun": "All"}, body={})
    assert server.asked[0].query["timeout"] == "35s"


def test_a_dry_run_is_not_repeated_for_a_webhook_that_has_had_its_time(
    server: ScriptedServer, client: Client
) -> None:
    failed = 'Internal error occurred: failed calling webhook "w.example.com": context deadline exceeded'
    server.otherwise = lambda _asked: refusal(500, "InternalError", failed)
    with pytest.raises(ClusterRefused, match=r"w\.example\.com"):
        client.request("PUT", PATH, query={"dryRun": "All"}, body={})
    assert len(server.asked) == 1


def test_a_write_is_repeated_when_no_connection_could_be_made() -> None:
    port = free_port()
    tries: list[float] = []
    client = Client(
        Connection(server=f"http://127.0.0.1:{port}", source="a test"),
        before_write=lambda: tries.append(now()),
        patience=0.5,
    )
    with pytest.raises(ClusterUnreachable) as raised:
        client.request("POST", PATH, body={})
    assert len(tries) > 1
    assert raised.value.details["outcome"] == "not-sent"
    assert "connection refused" in raised.value.message
    assert "the given" not in raised.value.message


def test_the_guard_is_asked_right_before_every_write_and_every_repeat(server: ScriptedServer, client: Client) -> None:
    asked: list[int] = []
    guarded = client.guarded(lambda: asked.append(len(server.asked)))
    server.replies = [Reply(429), Reply(429), Reply(200)]
    guarded.request("PUT", PATH, body={})
    assert asked == [0, 1, 2]


def test_a_worker_that_lost_its_lease_between_two_tries_writes_no_more(
    server: ScriptedServer, client: Client
) -> None:
    def before_write() -> None:
        if server.asked:
            raise LeaseLost("another worker owns the lane")

    server.otherwise = lambda _asked: Reply(429)
    with pytest.raises(LeaseLost):
        client.guarded(before_write).request("PUT", PATH, body={})
    assert len(server.asked) == 1


def test_reads_and_dry_runs_do_not_ask_the_guard(server: ScriptedServer, client: Client) -> None:
    def before_write() -> None:
        raise LeaseLost("must not be asked")

    guarded = client.guarded(before_write)
    guarded.get_json(PATH)
    guarded.request("POST", PATH, body={}, query={"dryRun": "All"})
    assert len(server.asked) == 2


def test_a_deadline_bounds_all_tries_together(server: ScriptedServer, connect: type) -> None:
    server.otherwise = lambda _asked: Reply(delay=0.3)
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable):
        connect().get_json(PATH, timeout=0.1, deadline=now() + 2.0)
    assert time.monotonic() - began < 10  # without the deadline it would be asked for half a minute
    assert len(server.asked) > 1


def test_an_answer_that_trickles_ends_with_the_time_limit(server: ScriptedServer, connect: type) -> None:
    server.otherwise = lambda _asked: Reply(200, {"a": "b" * 100}, drip=0.05)
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable, match="no answer within"):
        connect().get_json(PATH, timeout=0.3, deadline=now() + 0.5)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_cut_answer_is_asked_for_again(server: ScriptedServer, client: Client, chunked: bool, size: int) -> None:
    server.replies = [Reply(200, {"a": "b" * size}, cut=True, chunked=chunked), Reply(200, {"whole": True})]
    assert client.get_json(PATH) == {"whole": True}


def test_an_answer_cut_between_two_chunks_is_asked_for_again(server: ScriptedServer, client: Client) -> None:
    whole = Reply(200, b"4\r\n[1,2\r\n", headers={"Transfer-Encoding": "chunked"}, bare=True)
    server.replies = [whole, Reply(200, {"whole": True})]
    assert client.get_json(PATH) == {"whole": True}


def test_a_chunked_answer_arrives_whole(server: ScriptedServer, client: Client) -> None:
    server.replies = [Reply(200, {"a": "b" * 100_000}, chunked=True)]
    assert client.get_json(PATH) == {"a": "b" * 100_000}


def test_an_answer_that_would_fill_the_memory_is_given_up(
    server: ScriptedServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_ANSWER", 2 * 1024 * 1024)
    whole = json.dumps({"data": "x" * 1024 * 1024}).encode()
    server.replies = [Reply(body=gzip.compress(whole), headers={"Content-Encoding": "gzip"})]
    assert len(client.get_json(PATH)["data"]) == 1024 * 1024
    server.otherwise = lambda _asked: Reply(body=gzip.compress(whole * 8), headers={"Content-Encoding": "gzip"})
    with pytest.raises(ClusterUnreachable, match="the answer has more than 2 MiB"):
        client.get_json(PATH)
    assert len(server.asked) == 2  # it would be the same again


def test_the_server_is_told_when_the_client_gives_up_on_a_write(server: ScriptedServer, client: Client) -> None:
    client.request("PUT", PATH, body={}, timeout=7.9)
    assert server.asked[0].query["timeout"] == "7s"


def test_no_more_requests_are_on_their_way_than_there_are_connections(server: ScriptedServer, connect: type) -> None:
    lock, now_busy, most = threading.Lock(), [0], [0]

    def slow(_asked: Asked) -> Reply:
        with lock:
            now_busy[0] += 1
            most[0] = max(most[0], now_busy[0])
        time.sleep(0.05)
        with lock:
            now_busy[0] -= 1
        return Reply()

    server.otherwise = slow
    client = connect(connections=3)
    threads = [threading.Thread(target=client.get_json, args=(PATH,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 3


def test_an_error_says_object_request_and_the_servers_words(server: ScriptedServer, client: Client) -> None:
    causes = [{"reason": "FieldValueInvalid", "message": "field is immutable", "field": "spec.selector"}]
    server.otherwise = lambda _asked: refusal(
        422,
        "Invalid",
        'Deployment.apps "web" is invalid: spec.selector: field is immutable',
        details={"causes": causes},
    )
    with pytest.raises(ClusterRefused) as raised:
        client.request("PUT", "/apis/apps/v1/namespaces/shop/deployments/web", body={})
    error = raised.value
    assert error.message.startswith("PUT deployments.apps shop/web: the API server answered 422 Invalid: ")
    assert "field is immutable" in error.message
    assert error.request == "PUT /apis/apps/v1/namespaces/shop/deployments/web"
    assert error.causes == (("spec.selector", "field is immutable"),)


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (422, "Invalid", 'Secret "db" is invalid: data[hunter2]: Invalid value: "hunter2"'),
        (400, "BadRequest", "Secret in version v1 cannot be handled: cannot unmarshal hunter2"),
        (500, "", ".data.a: expected string, got &value.valueUnstructured{Value:map{hunter2:1}}"),
        (403, "Forbidden", 'admission webhook "policy" denied the request: password hunter2 is too weak'),
    ],
)
def test_an_error_about_a_secret_never_quotes_it(
    server: ScriptedServer, client: Client, status: int, reason: str, message: str
) -> None:
    causes = [{"reason": "FieldValueInvalid", "message": 'Invalid value: "hunter2"', "field": "data"}]
    server.otherwise = lambda _asked: refusal(status, reason, message, details={"causes": causes})
    with pytest.raises(ClusterRefused) as raised:
        client.request("PUT", SECRET, body={"data": {"a": "hunter2"}})
    assert "hunter2" not in json.dumps(raised.value.as_json())
    assert f"answered {status} {reason}" in raised.value.message
    assert "secrets shop/db" in raised.value.message


def test_an_error_about_access_to_a_secret_is_quoted(server: ScriptedServer, client: Client) -> None:
    message = 'secrets "db" is forbidden: User "bob" cannot get resource "secrets" in API group ""'
    server.otherwise = lambda _asked: refusal(403, "Forbidden", message)
    with pytest.raises(ClusterRefused, match="cannot get resource"):
        client.get_json(SECRET)


def test_a_wall_of_text_is_cut(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: refusal(422, "Invalid", "start " + "x" * 50_000 + " end")
    with pytest.raises(ClusterRefused) as raised:
        client.request("PUT", PATH, body={})
    assert len(raised.value.message) < 2000
    assert "start" in raised.value.message
    assert raised.value.message.endswith("end")


def test_a_page_of_a_proxy_is_an_error_and_not_an_object(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: Reply(200, b"<html>Sign in</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(ClusterUnreachable, match="not JSON"):
        client.get_json(PATH)


def test_a_redirect_is_not_followed(server: ScriptedServer, client: Client) -> None:
    server.otherwise = lambda _asked: Reply(302, headers={"Location": "http://127.0.0.1:9/elsewhere"})
    with pytest.raises(ClusterRefused) as raised:
        client.get_json(PATH)
    assert raised.value.http_status == 302
    assert len(server.asked) == 1


def test_a_token_that_was_renewed_in_its_file_is_read_again_when_refused(server: ScriptedServer, tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    connection = Connection(server=server.url, source="a test", token=TokenFile(file, "a test"))
    client = Client(connection)
    client.get_json(PATH)
    file.write_text("new\n")
    server.replies = [refusal(401, "Unauthorized", "Unauthorized"), Reply(200, {"found": True})]
    assert client.request("GET", PATH).json() == {"found": True}
    assert [asked.header("Authorization") for asked in server.asked] == ["Bearer old", "Bearer old", "Bearer new"]


def test_credentials_that_are_not_accepted_are_explained_and_not_shown(server: ScriptedServer) -> None:
    connection = Connection(server=server.url, source="a test", token=lambda _fresh: "s3cret-token")
    server.otherwise = lambda _asked: refusal(401, "Unauthorized", "Unauthorized")
    with pytest.raises(ClusterRefused, match="not accepted") as raised:
        Client(connection).get_json(PATH)
    assert "s3cret-token" not in str(raised.value.as_json())
    assert len(server.asked) == 2


def test_who_acts_as_another_says_so_with_every_group(server: ScriptedServer) -> None:
    headers = (("Impersonate-User", "ann"), ("Impersonate-Group", "dev"), ("Impersonate-Group", "ops"))
    Client(Connection(server=server.url, source="a test", impersonation=headers)).get_json(PATH)
    sent = server.asked[0].headers
    assert [value for name, value in sent if name == "Impersonate-Group"] == ["dev", "ops"]
    assert (
        server.asked[0]
        .header(
            "User-Agent",
        )
        .startswith("mainstay")
    )
