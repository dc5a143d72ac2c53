"""One action in the hands of a worker whose time ends in the middle of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, TurnEnded
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.engine.write.writes import Writer
from chalicelib.planning.context import PlanContext
from chalicelib.planning.normalise import copy_of, digest, normalise

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

    def writer(self, served: Resource = CONFIG_MAP) -> Writer:
        self.over = False
        resources = {("", "ConfigMap"): served}
        discovery = SimpleNamespace(resource_for=lambda group, kind: resources.get((group, kind)))
        asked = {"objects": self, "discovery": discovery, "rediscover": lambda: discovery, "client": self}
        session = cast("Any", SimpleNamespace(**asked))
        return Writer(session, PlanContext(resources=resources), self.pause, lambda: None, "op", frozenset())


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
