"""One action in the hands of a worker whose time ends in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, TurnEnded
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.engine.write.writes import Writer
from chalicelib.planning.bodies.compare import compare
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise

CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
KEY = ObjectKey("", "ConfigMap", "shop", "conf")


def owned_by(*managers: str) -> list[Body]:
    return [
        {"manager": name, "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {f"f:{name}": {}}}}
        for name in managers
    ]


WANTED: Body = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "shop", "name": "conf", "managedFields": owned_by("one", "two")},
    "data": {"one": "1", "two": "2"},
}


class Server:
    """Each write takes longer than the worker's time."""

    def __init__(self) -> None:
        self.there: Body | None = None
        self.over = False

    def get(self, _resource: Resource, _namespace: str, _name: str) -> Body | None:
        return self.there

    def create(self, body: Body, manager: str, *, resource: Resource) -> Body:
        assert resource == CONFIG_MAP
        self.over = True
        if self.there is not None:
            raise ClusterRefused("it exists", http_status=409, reason="AlreadyExists", request="POST")
        metadata = {**body["metadata"], "uid": "u", "resourceVersion": "1", "managedFields": owned_by(manager)}
        self.there = {**body, "metadata": metadata}
        return self.there

    def patch(self, *_: Any, **__: Any) -> Body:
        self.over = True
        assert self.there is not None
        self.there["metadata"]["managedFields"] = WANTED["metadata"]["managedFields"]
        return self.there

    # ── the worker ──────────────────────────────────────────────────────────────────────────────────────

    def pause(self) -> None:
        if self.over:
            raise TurnEnded("The worker's time is over.")

    def writer(self, served: Resource = CONFIG_MAP, begun: Collection[int] = ()) -> Writer:
        self.over = False
        resources = {("", "ConfigMap"): served}
        discovery = SimpleNamespace(resource_for=lambda group, kind: resources.get((group, kind)))
        asked = {"objects": self, "discovery": discovery, "rediscover": lambda: discovery, "client": self}
        session = cast("Any", SimpleNamespace(**asked))
        context = PlanContext(resources=resources)
        return Writer(session, context, self.pause, lambda: None, "op", frozenset(), begun=begun)


@pytest.fixture
def server() -> Server:
    return Server()


CREATE = Action(verb=Verb.CREATE, object=Identity(kind="ConfigMap", namespace="shop", name="conf"), reason="absent")


def test_what_was_begun_is_finished_although_the_time_is_over(server: Server) -> None:
    entry = server.writer().perform(0, "apply", CREATE, WANTED)
    assert entry.mark == "done"
    assert server.there is not None
    assert server.there["metadata"]["managedFields"] == owned_by("one", "two")


def test_what_an_earlier_worker_left_half_done_is_finished_although_each_answer_takes_a_turn(server: Server) -> None:
    server.create(WANTED, "one", resource=CONFIG_MAP)
    entry = server.writer().perform(0, "apply", CREATE, WANTED)
    assert entry.mark == "done"
    assert server.there is not None
    assert server.there["metadata"]["managedFields"] == owned_by("one", "two")


def test_what_was_not_begun_waits_for_the_next_turn(server: Server) -> None:
    writer = server.writer()
    server.over = True
    with pytest.raises(TurnEnded):
        writer.perform(0, "apply", CREATE, WANTED)
    assert server.there is None


def test_what_goes_already_since_an_answer_was_lost_is_waited_for_and_not_taken_for_another() -> None:
    class Losing(Server):
        """A deletion gets no answer, and leaves a finalizer as that of a definition does."""

        asked = 0

        def delete(self, *_: Any, **__: Any) -> bool:
            self.asked += 1
            assert self.there is not None
            going = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"], "resourceVersion": "8"}
            self.there = {**self.there, "metadata": {**self.there["metadata"], **going}}
            raise ClusterUnreachable("no usable answer", details={"outcome": "unknown"})

        def get_json(self, _path: str, **_: Any) -> Body:
            raise ClusterRefused("it is gone", http_status=404, reason="NotFound", request="GET")

    server = Losing()
    live = server.create(WANTED, "one", resource=CONFIG_MAP)
    live["metadata"]["resourceVersion"] = "7"
    planned = {
        "live_uid": "u",
        "live_resource_version": "7",
        "live_digest": digest(normalise(copy_of(live), CONFIG_MAP)).hex(),
    }
    action = CREATE.model_copy(update={"verb": Verb.DELETE, "reason": "extra", **planned})
    entry = server.writer().perform(0, "apply", action, None)
    assert (entry.mark, entry.message) == ("done", "")
    assert server.asked == 1


def test_nothing_is_written_of_a_kind_that_has_another_scope_by_now(server: Server) -> None:
    entry = server.writer(replace(CONFIG_MAP, namespaced=False)).perform(0, "apply", CREATE, WANTED)
    assert entry.mark == "failed"
    assert "the scope Cluster by now" in entry.message
    assert server.there is None


# ── an update that may have been made already ───────────────────────────────────────────────────────────────

PLAIN: Body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "conf"}}


class Changing(Server):
    """Its admission makes something of the data of each update, of what is sent and what is there."""

    write_seconds = 8.0

    def __init__(self, admit: Callable[[Body, Body], Body], loses: int = 0) -> None:
        super().__init__()
        self._admit = admit
        self._loses = loses
        self.asked: list[str] = []
        self.has({"colour": "blue"})

    def has(self, data: Body, uid: str = "u") -> None:
        self.there = {**PLAIN, "metadata": {**PLAIN["metadata"], "uid": uid, "resourceVersion": "1"}, "data": data}

    def replace(self, body: Body, _manager: str, *, resource: Resource, dry_run: bool = False, **_: Any) -> Body:
        assert resource == CONFIG_MAP
        assert self.there is not None
        self.asked.append("dry run" if dry_run else "PUT")
        made = {**body, "data": self._admit(body["data"], self.there["data"])}
        if not dry_run:
            self.there = {**made, "metadata": {**made["metadata"], "resourceVersion": "2"}}
        if not dry_run and self._loses:
            self._loses -= 1
            raise ClusterUnreachable("no usable answer", details={"outcome": "unknown"})
        return made

    def update(self) -> Action:
        """The plan's, of what is there now."""
        live = normalise(copy_of(cast("Body", self.there)), CONFIG_MAP)
        comparison = compare(RED, live, PlanContext(resources={("", "ConfigMap"): CONFIG_MAP}))
        planned = {"differences": comparison.differences, "live_digest": digest(live).hex(), "live_uid": "u"}
        return CREATE.model_copy(update={"verb": Verb.UPDATE, "reason": "differs", **planned})


RED: Body = {**PLAIN, "data": {"colour": "red"}}


def adds(sent: Body, _there: Body) -> Body:
    return {**sent, "injected": "yes"}


def lets_nothing_through(_sent: Body, there: Body) -> Body:
    return there


def test_what_admission_made_of_an_update_is_known_as_it() -> None:
    server = Changing(adds)
    action = server.update()
    server.has({"colour": "red", "injected": "yes"})
    entry = server.writer(begun=[0]).perform(0, "apply", action, RED)
    assert (entry.mark, entry.message) == ("done", "It was updated already.")
    assert server.asked == ["dry run"]


def test_an_update_whose_answer_was_lost_is_known_although_admission_changed_it() -> None:
    server = Changing(adds, loses=1)
    entry = server.writer().perform(0, "apply", server.update(), RED)
    assert (entry.mark, entry.message) == ("done", "It was updated already.")
    assert server.asked == ["PUT", "dry run"]


def test_what_changed_before_anything_was_sent_is_not_asked_about() -> None:
    server = Changing(adds)
    action = server.update()
    server.has({"colour": "red", "injected": "yes"})
    entry = server.writer(begun=[1]).perform(0, "apply", action, RED)
    assert entry.mark == "failed"
    assert "between plan and apply" in entry.message
    assert server.asked == []


@pytest.mark.parametrize(
    ("data", "uid"),
    [
        ({"colour": "red", "injected": "no"}, "u"),
        ({"colour": "red", "injected": "yes", "theirs": "yes"}, "u"),
        ({"colour": "green", "injected": "yes"}, "u"),
        ({"colour": "red", "injected": "yes"}, "another"),
    ],
)
def test_what_an_update_would_change_or_what_is_another_is_somebody_elses(data: Body, uid: str) -> None:
    server = Changing(adds)
    action = server.update()
    server.has(data, uid)
    entry = server.writer(begun=[0]).perform(0, "apply", action, RED)
    assert (entry.mark, entry.wrote) == ("failed", False)
    assert "PUT" not in server.asked


@pytest.mark.parametrize("data", [{"colour": "green"}, {"colour": "blue", "theirs": "yes"}])
def test_what_no_update_can_change_any_more_is_somebody_elses_if_nothing_is_as_it_was_to_be(data: Body) -> None:
    server = Changing(lets_nothing_through)
    action = server.update()
    server.has(data)
    entry = server.writer(begun=[0]).perform(0, "apply", action, RED)
    assert (entry.mark, entry.wrote) == ("failed", False)
    assert "PUT" not in server.asked
