"""What is noted of references while a selection is read."""

from __future__ import annotations

from typing import Any

import orjson

from chalicelib.cluster.listing import Listing
from chalicelib.domain.document import Scope
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.domain.version import Pulled
from chalicelib.engine.capture.closure import missing
from chalicelib.engine.capture.noting import Noting
from chalicelib.planning.selecting.selection import Selection

VERBS = frozenset({"list", "create", "get"})
PODS = Resource("", "v1", "pods", "Pod", namespaced=True, verbs=VERBS)
MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True, verbs=VERBS)
CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False, verbs=VERBS)
LISTING = Listing(PODS, "shop")
POD: Body = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "shop", "name": "web"},
    "spec": {
        "serviceAccountName": "web",
        "priorityClassName": "urgent",
        "volumes": [{"configMap": {"name": "conf"}}],
        "containers": [],
    },
}
URGENT = ObjectKey("scheduling.k8s.io", "PriorityClass", "", "urgent")


class Taking:
    """A visitor that takes everything and does nothing."""

    keeps_raw = False

    def take(self, *_: Any) -> int:
        return 7

    def misses(self, _key: ObjectKey) -> bool:
        return True

    def restart(self, _listing: Listing) -> None:
        """Nothing is void."""


def noting(**scope: Any) -> Noting:
    selection = Selection((Scope.model_validate({"namespaces": ["shop"], **scope}),))
    return Noting(Taking(), selection, [PODS, MAPS, CLASSES])


def taken(**scope: Any) -> Noting:
    found = noting(**scope)
    assert found.take(LISTING, key_of(POD), POD, b"", b"") == 7
    return found


def test_what_may_be_outside_of_the_selection_is_noted_and_nothing_else() -> None:
    assert taken().noted[LISTING].references == {URGENT: "priority class of Pod shop/web"}
    conf = ObjectKey("", "ConfigMap", "shop", "conf")
    assert taken(labels="app=web").noted[LISTING].references.keys() == {URGENT, conf}


def test_the_account_of_a_pod_is_noted() -> None:
    assert taken().noted[LISTING].accounts == {ObjectKey("", "ServiceAccount", "shop", "web")}


def test_what_was_noted_of_a_listing_that_begins_anew_is_void() -> None:
    found = taken()
    found.restart(LISTING)
    assert found.noted == {}


def test_what_was_noted_survives_from_one_turn_to_the_next() -> None:
    before, after = taken(labels="app=web"), noting(labels="app=web")
    after.remember(LISTING, orjson.loads(orjson.dumps(before.remembered(LISTING))))
    assert after.noted[LISTING] == before.noted[LISTING]
    assert noting().remembered(LISTING) is None


SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True, verbs=VERBS)
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway", namespaced=True, verbs=VERBS)
GATEWAY: Body = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"namespace": "shop", "name": "web"},
    "spec": {"listeners": [{"tls": {"certificateRefs": [{"name": "a"}, {"name": "b", "namespace": "infra"}]}}]},
}


def test_a_secret_of_others_is_noted_apart_with_who_refers_to_it_and_survives_a_turn() -> None:
    def begun() -> Noting:
        selection = Selection((Scope.model_validate({"namespaces": ["shop"], "labels": "a=b"}),))
        return Noting(Taking(), selection, [SECRETS])

    listing, before, after = Listing(GATEWAYS, "shop"), begun(), begun()
    before.take(listing, key_of(GATEWAY), GATEWAY, b"", b"")
    theirs, own = ObjectKey("", "Secret", "infra", "b"), ObjectKey("", "Secret", "shop", "a")
    assert before.noted[listing].references.keys() == {own}
    assert before.noted[listing].secrets.keys() == {(theirs, key_of(GATEWAY))}
    after.remember(listing, orjson.loads(orjson.dumps(before.remembered(listing))))
    assert after.noted[listing] == before.noted[listing]
    # As a turn of an older release left it.
    after.remember(listing, {"references": [], "accounts": []})


def test_a_plan_names_the_secrets_of_others_that_are_not_there() -> None:
    gone, there, hidden = (Pulled(kind="Secret", namespace="infra", name=name, reason="r") for name in "abc")

    def exists(key: ObjectKey) -> bool:
        if key.name == "c":
            raise ClusterRefused("No.", http_status=403, reason="Forbidden", request="GET it")
        return key.name == "b"

    (said,) = missing([gone, there, hidden], exists)
    assert said.startswith("Secret infra/a is not there")
