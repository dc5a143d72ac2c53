"""Asking by dry run what updates come to, of a server that does not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.domain.errors import ClusterUnreachable
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.engine.plan.dry_run import DryRun
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.immutable import Refusal
from chalicelib.planning.plan.draft import Question

KINDS = {
    "ConfigMap": Resource("", "v1", "configmaps", "ConfigMap", namespaced=True),
    "Secret": Resource("", "v1", "secrets", "Secret", namespaced=True),
}


def body_of(kind: str, name: str) -> Body:
    metadata = {"namespace": "shop", "name": name, "uid": "u", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


class Server:
    """Answers no dry run of a ConfigMap; reads as long as it is there."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False
        discovery = SimpleNamespace(resource_for=lambda _group, kind: KINDS[kind])
        self.session = cast("Any", SimpleNamespace(objects=self, discovery=discovery))

    def raw(self, key: ObjectKey) -> Body | None:
        return body_of(key.kind, key.name)

    def get(self, resource: Resource, _namespace: str, name: str) -> Body | None:
        if self.away:
            raise ClusterUnreachable("nobody is there")
        return body_of(resource.kind, name)

    def create(self, body: Body, _manager: str, *, resource: Resource, dry_run: bool) -> Body:
        assert dry_run
        self.asked.append(f"{resource.kind} {body['metadata']['name']}")
        return {**body, "data": {"added": "by admission"}}

    def replace(self, body: Body, _manager: str, *, resource: Resource, dry_run: bool) -> Body:
        assert dry_run
        self.asked.append(resource.kind)
        if resource.kind == "ConfigMap":
            raise ClusterUnreachable("no answer within 35 s")
        return body


def question(kind: str, number: int) -> Question:
    name = f"o{number}"
    action = Action(verb=Verb.UPDATE, object=Identity(kind=kind, namespace="shop", name=name), reason="differs")
    return Question(action, {**body_of(kind, name), "metadata": {"namespace": "shop", "name": name}})


def test_of_a_kind_that_gets_no_answer_only_those_on_their_way_are_waited_for() -> None:
    server = Server()
    answers = list(DryRun(server, PlanContext())([question("ConfigMap", number) for number in range(200)]))
    assert {answer.kind for answer in answers if isinstance(answer, Refusal)} == {"cannot-tell"}
    assert len(answers) == 200
    assert 1 <= len(server.asked) <= 16


def test_other_kinds_are_asked_about_all_the_same() -> None:
    server = Server()
    kinds = ["ConfigMap", "Secret"] * 40
    answers = list(DryRun(server, PlanContext())([question(kind, number) for number, kind in enumerate(kinds)]))
    assert server.asked.count("Secret") == 40
    assert all(isinstance(answer, dict) for answer in answers[1::2])


def test_another_is_made_beside_the_one_that_would_be_replaced() -> None:
    server = Server()
    action, target = question("ConfigMap", 1)
    anew = Question(action.model_copy(update={"verb": Verb.REPLACE}), target)
    (answer,) = DryRun(server, PlanContext())([anew])
    assert server.asked[0].startswith("ConfigMap o1-")
    assert answer == {**target, "data": {"added": "by admission"}}


def test_nothing_is_asked_but_about_what_is_to_be_asked_about() -> None:
    server = Server()
    questions = [question("Secret", number) for number in range(3)]
    about = {questions[1].action.object.key}
    answers = list(DryRun(server, PlanContext(), about)(questions))
    assert [isinstance(answer, dict) for answer in answers] == [False, True, False]
    assert server.asked == ["Secret"]


def test_a_server_that_is_away_is_no_answer_of_a_webhook() -> None:
    server = Server()
    server.away = True
    with pytest.raises(ClusterUnreachable, match="nobody is there"):
        list(DryRun(server, PlanContext())([question("ConfigMap", 1)]))
