"""A StatefulSet that takes its claims with it, and is told to leave them before it goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.domain.errors import ClusterRefused, Conflict
from chalicelib.domain.objects import Body, Resource, key_of
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.engine.write import claim_policy as module
from chalicelib.engine.write.claim_policy import ClaimPolicy, Told
from chalicelib.engine.write.sending import Sending
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise

STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet", namespaced=True, has_status=True)


def stateful_set(when_deleted: str = "Delete", replicas: int = 1) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"namespace": "shop", "name": "db", "uid": "u", "resourceVersion": "1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted, "whenScaled": "Retain"},
        },
    }


def planned(body: Body) -> Action:
    content = normalise(copy_of(body), STATEFUL_SETS)
    of = Identity.of(key_of(body))
    return Action(verb=Verb.DELETE, object=of, reason="extra", live_uid="u", live_digest=digest(content).hex())


class Server:
    """One StatefulSet; its controller looks when it is asked for, after some looks of others."""

    def __init__(self, live: Body, looks: int | None = None) -> None:
        self.live = live
        self.looks = looks
        self.patches = 0
        if looks is not None:
            live["status"] = {"observedGeneration": 1}

    def get(self, _resource: Resource, _namespace: str, _name: str) -> Body:
        if self.looks is not None and self.patches:
            self.looks -= 1
            if self.looks <= 0:
                self.live["status"] = {"observedGeneration": self.live["metadata"]["generation"]}
        return copy_of(self.live)

    def patch(self, _resource: Resource, _namespace: str, _name: str, patch: Body, *_: Any, **__: Any) -> Body:
        metadata = self.live["metadata"]
        if patch["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise ClusterRefused("it moved", http_status=409, reason="Conflict", request="PATCH")
        self.patches += 1
        self.live["spec"]["persistentVolumeClaimRetentionPolicy"].update(
            patch["spec"]["persistentVolumeClaimRetentionPolicy"]
        )
        metadata["generation"] += 1
        metadata["resourceVersion"] = str(self.patches + 1)
        return copy_of(self.live)

    @property
    def when_deleted(self) -> str:
        return str(self.live["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"])

    def sending(self) -> Sending:
        return Sending(cast("Any", SimpleNamespace(objects=self)), lambda: None, lambda: None)


def test_it_is_told_once_and_waited_for_until_its_controller_has_seen_it() -> None:
    server, action = Server(stateful_set(), looks=3), planned(stateful_set())
    assert ClaimPolicy(server.sending()).leave_claims(action, STATEFUL_SETS) == Told(changed=True)
    assert (server.when_deleted, server.patches) == ("Retain", 1)
    assert server.live["status"]["observedGeneration"] == 2


def test_another_worker_finds_it_told_and_waits_too() -> None:
    server, action = Server(stateful_set(), looks=2), planned(stateful_set())
    ClaimPolicy(server.sending()).leave_claims(action, STATEFUL_SETS)
    server.live["status"], server.looks = {"observedGeneration": 1}, 2
    sending = server.sending()
    assert ClaimPolicy(sending).leave_claims(action, STATEFUL_SETS) == Told(changed=True)
    assert sending.wrote
    assert (server.patches, server.live["status"]["observedGeneration"]) == (1, 2)


def test_where_no_controller_runs_it_goes_on_soon_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNWATCHED_LIMIT", 0.0)
    server = Server(stateful_set())
    told = ClaimPolicy(server.sending()).leave_claims(planned(stateful_set()), STATEFUL_SETS)
    assert told.changed
    assert "is there one?" in told.message


def test_one_that_leaves_its_claims_anyway_is_let_alone() -> None:
    server = Server(stateful_set("Retain"))
    assert ClaimPolicy(server.sending()).leave_claims(planned(stateful_set("Retain")), STATEFUL_SETS) == Told()
    assert server.patches == 0


def test_one_that_somebody_changed_is_not_told_anything() -> None:
    for moved in (stateful_set(replicas=2), stateful_set("Retain", replicas=2)):
        server = Server(moved)
        with pytest.raises(Conflict, match="changed between plan and apply"):
            ClaimPolicy(server.sending()).leave_claims(planned(stateful_set()), STATEFUL_SETS)
        assert server.patches == 0


def test_one_that_does_not_go_takes_its_claims_again() -> None:
    server, action = Server(stateful_set(), looks=1), planned(stateful_set())
    policy = ClaimPolicy(server.sending())
    policy.leave_claims(action, STATEFUL_SETS)
    policy.take_claims(action, STATEFUL_SETS)
    assert server.when_deleted == "Delete"
