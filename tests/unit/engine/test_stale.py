"""Whether an object still is as a plan saw it."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Conflict
from chalicelib.domain.objects import key_of
from chalicelib.domain.plan import Action, Awaited, Identity, Plan, Verb
from chalicelib.engine.plan.stale import refuse_if_stale
from chalicelib.engine.write.written import is_as_planned
from chalicelib.planning.bodies.normalise import digest

ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}, "rules": []}
CHANGED = {**ROLE, "rules": [{"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]}]}


def planned(body: dict[str, object]) -> Action:
    return Action(verb=Verb.DELETE, object=Identity.of(key_of(body)), reason="extra", live_digest=digest(body).hex())


def test_an_object_that_changed_is_not_as_planned() -> None:
    assert is_as_planned(planned(ROLE), ROLE)
    assert not is_as_planned(planned(ROLE), CHANGED)


def test_an_aggregated_role_whose_rules_its_controller_wrote_is_as_planned() -> None:
    aggregated = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]}}
    assert is_as_planned(planned({**ROLE, **aggregated}), {**CHANGED, **aggregated})


def test_a_plan_whose_objects_would_wait_for_others_by_now_is_stale() -> None:
    action = planned(ROLE)
    saved = Plan(application="app", version="ver", mode="merge", actions=(action,), rests_on={"restore.order": "a"})
    refuse_if_stale(saved, saved)
    waits = action.model_copy(update={"awaits": (Awaited(object=action.object, reason="a rule", required=True),)})
    now = saved.model_copy(update={"actions": (waits,), "rests_on": {"restore.order": "b"}})
    with pytest.raises(Conflict, match=r"since it was made, 1 object moved \(.*\)\. .*restore\.order"):
        refuse_if_stale(saved, now)
