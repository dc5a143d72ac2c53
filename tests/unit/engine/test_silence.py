"""Writes that get no answer: why is asked by dry run, and the others of their kind are not sent meanwhile."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, TurnEnded
from chalicelib.domain.objects import Body, Resource
from chalicelib.domain.plan import Action, Identity, LedgerEntry, Verb
from chalicelib.engine.write import sending
from chalicelib.engine.write.silence import ASK_SECONDS, BRIEF_SECONDS, Manner, slow, unanswered
from chalicelib.engine.write.writes import Writer
from chalicelib.planning.bodies.context import PlanContext

KINDS = {
    "ConfigMap": Resource("", "v1", "configmaps", "ConfigMap", namespaced=True),
    "Secret": Resource("", "v1", "secrets", "Secret", namespaced=True),
}
HANGS = 'Internal error occurred: failed calling webhook "guard.example.com": context deadline exceeded'


def refusal(status: int, reason: str, message: str) -> ClusterRefused:
    return ClusterRefused(message, http_status=status, reason=reason, request="POST")


def no_answer(outcome: str = "unknown") -> ClusterUnreachable:
    return ClusterUnreachable("no usable answer", details={"outcome": outcome})


class Server:
    """Answers no creation of these kinds; `says` is its answer to a dry run of it: nothing for yes, or an error."""

    def __init__(self, says: Exception | None = None, silent: tuple[str, ...] = ("ConfigMap",)) -> None:
        self.says = says
        self.silent = silent
        self.left = float("inf")
        self.there: dict[str, Body] = {}
        #: What was asked for, as `create NAME` or `dry-run NAME`, and how long each might take.
        self.asked: list[str] = []
        self.limits: list[float | None] = []
        self.made_in_silence = False
        self.pauses = 0

    def get(self, _resource: Resource, _namespace: str, name: str) -> Body | None:
        return self.there.get(name)

    def create(
        self,
        body: Body,
        _manager: str,
        *,
        resource: Resource,
        dry_run: bool = False,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Body:
        name = body["metadata"]["name"]
        self.asked.append(f"{'dry-run' if dry_run else 'create'} {name}")
        self.limits.append(timeout)
        assert dry_run is (deadline is not None)
        if name in self.there:
            raise refusal(409, "AlreadyExists", "it exists")
        if dry_run:
            if self.says is not None:
                raise self.says
            return body
        made = {**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": "1"}}
        if resource.kind in self.silent:
            if self.made_in_silence:
                self.there[name] = made
            raise no_answer()
        self.there[name] = made
        return made

    def pause(self) -> None:
        self.pauses += 1
        if self.left <= 0:
            raise TurnEnded("The worker's time is over.")

    def writer(self) -> Writer:
        resources = {("", kind): resource for kind, resource in KINDS.items()}
        discovery = SimpleNamespace(resource_for=lambda group, kind: resources.get((group, kind)))
        client = SimpleNamespace(write_seconds=8.0)
        session = cast("Any", SimpleNamespace(objects=self, discovery=discovery, client=client))
        context = PlanContext(resources=resources)
        return Writer(session, context, self.pause, lambda: None, "op", frozenset(), lambda: self.left)


def create(writer: Writer, name: str, manner: Manner = Manner.USUAL, kind: str = "ConfigMap") -> LedgerEntry:
    wanted: Body = {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "shop", "name": name}}
    action = Action(verb=Verb.CREATE, object=Identity(kind=kind, namespace="shop", name=name), reason="absent")
    return writer.perform(0, "apply", action, wanted, manner)


def test_a_write_without_an_answer_fails_with_what_the_server_says_to_its_dry_run() -> None:
    server = Server(refusal(500, "InternalError", HANGS))
    entry = create(server.writer(), "a")
    assert (entry.mark, entry.wrote) == ("failed", True)
    assert 'failed calling webhook "guard.example.com"' in entry.message
    assert unanswered(entry)
    assert server.asked == ["create a", "dry-run a"]
    assert server.limits == [None, ASK_SECONDS]


def test_the_others_of_its_kind_are_not_sent_and_say_why() -> None:
    server = Server(refusal(500, "InternalError", HANGS))
    writer = server.writer()
    create(writer, "a")
    entries = [create(writer, f"other-{number}") for number in range(500)]
    assert server.asked == ["create a", "dry-run a"]
    assert {(entry.mark, entry.wrote, unanswered(entry)) for entry in entries} == {("failed", False, True)}
    assert all("not sent" in entry.message and "guard.example.com" in entry.message for entry in entries)


def test_who_is_to_ask_asks_by_dry_run_and_sends_only_what_would_be_answered() -> None:
    server = Server(refusal(500, "InternalError", HANGS))
    writer = server.writer()
    create(writer, "a")
    assert unanswered(create(writer, "b", Manner.ASKING))
    assert server.asked[2:] == ["dry-run b"]
    server.says, server.silent = None, ()
    assert create(writer, "b", Manner.ASKING).mark == "done"
    assert create(writer, "c").mark == "done"
    assert server.asked[3:] == ["dry-run b", "create b", "create c"]


def test_another_kind_is_sent_for_a_short_time_and_not_asked_about() -> None:
    server = Server(refusal(500, "InternalError", HANGS), silent=("ConfigMap", "Secret"))
    writer = server.writer()
    create(writer, "a")
    entry = create(writer, "s", kind="Secret")
    assert unanswered(entry)
    assert "guard.example.com" in entry.message
    assert server.asked[2:] == ["create s"]
    assert server.limits[2:] == [BRIEF_SECONDS]
    server.silent = ("ConfigMap",)
    assert create(writer, "t", kind="Secret").mark == "failed"
    assert server.asked[3:] == []
    assert create(writer, "t", Manner.BRIEF, kind="Secret").mark == "done"


def test_what_was_made_although_nobody_said_so_is_met_and_not_asked_about() -> None:
    server = Server(refusal(500, "InternalError", HANGS))
    server.made_in_silence = True
    assert create(server.writer(), "a").mark == "done"
    assert server.asked == ["create a", "create a"]


def test_a_hiccup_is_followed_by_another_try() -> None:
    server = Server()
    with pytest.raises(ClusterUnreachable, match="no answer to 4 requests"):
        create(server.writer(), "a")
    assert server.asked == ["create a", "dry-run a"] * 4


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            refusal(400, "BadRequest", 'admission webhook "old.example.com" does not support dry run'),
            "old.example.com",
        ),
        (no_answer(""), "no answer within 35 s"),
    ],
)
def test_what_the_dry_run_cannot_tell_is_told_and_tried_again_later(answer: Exception, told: str) -> None:
    server = Server(answer)
    entry = create(server.writer(), "a")
    assert told in entry.message
    assert unanswered(entry)
    assert server.asked == ["create a", "dry-run a"]


def test_another_refusal_by_the_dry_run_is_the_answer() -> None:
    entry = create(Server(refusal(403, "Forbidden", "exceeded quota: few")).writer(), "a")
    assert (entry.mark, entry.message) == ("failed", "exceeded quota: few")
    assert not unanswered(entry)


def test_a_worker_without_the_time_to_ask_leaves_it_to_the_next() -> None:
    server = Server(no_answer(""))
    server.left = 5.0
    with pytest.raises(ClusterUnreachable, match="no usable answer"):
        create(server.writer(), "a")
    assert server.limits == [None, 5.0]
    server.left = 0.0
    with pytest.raises(TurnEnded):
        create(server.writer(), "b")
    assert "dry-run b" not in server.asked


# ── answers that come too late ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every dry run takes longer than a write may."""
    clock = itertools.count(0.0, 9.0)
    monkeypatch.setattr(sending, "now", lambda: next(clock))


@pytest.mark.usefixtures("slowly")
def test_a_dry_run_that_is_answered_too_late_says_so_and_is_not_taken_for_one_that_hangs() -> None:
    server = Server()
    writer = server.writer()
    entry = create(writer, "a")
    assert "CREATE got no answer within 8 s" in entry.message
    assert "a dry run of it took 9 s" in entry.message
    assert (unanswered(entry), slow(entry)) == (True, True)
    other = create(writer, "b")
    assert (unanswered(other), slow(other)) == (True, True)
    assert server.asked == ["create a", "dry-run a"]
    assert create(writer, "s", kind="Secret").mark == "done"
    assert server.limits[2:] == [None]


@pytest.mark.usefixtures("slowly")
def test_what_is_too_slow_with_nothing_beside_it_counts_as_one_that_hangs() -> None:
    server = Server()
    writer = server.writer()
    create(writer, "a")
    entry = create(writer, "a", Manner.ALONE)
    assert (unanswered(entry), slow(entry)) == (True, False)
    assert server.asked == ["create a", "dry-run a", "dry-run a"]
    assert not slow(create(writer, "b"))
    assert create(writer, "s", kind="Secret").mark == "done"
    assert server.limits[3:] == [BRIEF_SECONDS]


def test_what_is_answered_in_time_with_nothing_beside_it_is_sent_and_so_are_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    writer = server.writer()
    with monkeypatch.context() as slower:
        clock = itertools.count(0.0, 9.0)
        slower.setattr(sending, "now", lambda: next(clock))
        create(writer, "a")
    server.silent = ()
    assert create(writer, "a", Manner.ALONE).mark == "done"
    assert create(writer, "b").mark == "done"
    assert server.asked[2:] == ["dry-run a", "create a", "create b"]


@pytest.mark.parametrize("manner", [Manner.USUAL, Manner.ASKING])
def test_of_many_that_get_no_answer_at_once_only_one_is_asked_about(manner: Manner) -> None:
    server = Server(refusal(500, "InternalError", HANGS))
    writer = server.writer()
    everybody = threading.Barrier(8, timeout=30)

    def read(_resource: Resource, _namespace: str, _name: str) -> None:
        everybody.wait()  # all were sent by now, and none was answered

    server.get = read  # type: ignore[method-assign]
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda number: create(writer, f"o-{number}", manner), range(8)))
    assert len([words for words in server.asked if words.startswith("dry-run")]) == 1
    assert all(unanswered(entry) and "guard.example.com" in entry.message for entry in entries)
    assert sum("like another one of its kind" in entry.message for entry in entries) == 7


def test_who_waits_to_ask_does_not_ask_when_its_time_is_over_meanwhile() -> None:
    server = Server(no_answer(""))
    server.left = 5.0
    writer = server.writer()
    everybody = threading.Barrier(8, timeout=30)
    looked = threading.local()

    def read(_resource: Resource, _namespace: str, _name: str) -> None:
        if not hasattr(looked, "yes"):
            looked.yes = True
            everybody.wait()  # all were sent by now, and none was answered

    def ask_until_the_end(body: Body, manager: str, **options: Any) -> Body:
        if options.get("dry_run"):
            server.left = 0.0
        return Server.create(server, body, manager, **options)

    server.get, server.create = read, ask_until_the_end  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(create, writer, f"o-{number}") for number in range(8)]
    assert len([words for words in server.asked if words.startswith("dry-run")]) == 1
    assert sorted(type(each.exception()).__name__ for each in tries) == ["ClusterUnreachable", *["TurnEnded"] * 7]


@pytest.mark.usefixtures("slowly")
def test_what_is_sent_briefly_is_not_asked_about_where_others_were_only_too_slow() -> None:
    server = Server()
    writer = server.writer()
    create(writer, "a")
    assert unanswered(create(writer, "b", Manner.BRIEF))
    assert server.asked[2:] == ["create b"]
    assert server.limits[2:] == [BRIEF_SECONDS]
