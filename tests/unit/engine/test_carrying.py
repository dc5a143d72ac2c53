"""What a plan tells of where it leads to, in words for a request and for the command line."""

from __future__ import annotations

import pytest

from chalicelib.domain.ids import new_id
from chalicelib.domain.plan import Action, Identity, Plan, Verb
from chalicelib.engine.plan.carrying import elsewhere_blockers
from chalicelib.engine.plan.wanted import Wanted
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.elsewhere.carrier import Carrier
from chalicelib.planning.elsewhere.destination import Destination
from chalicelib.planning.elsewhere.rewrite import Rewrites
from tests.unit.engine.house import NOON, House

RUNS, WAITS = "`suspend: false`, `--no-suspend`", "`suspend: true`, `--suspend`"
INTO = {"shop": "copy"}


@pytest.mark.parametrize(
    ("there", "ways"),
    [
        (Destination(names=INTO), [RUNS]),
        (Destination(names=INTO, cluster="cl-there"), [RUNS, WAITS]),
        (Destination(names=INTO, suspend=False), ["`suspend: true`, `--suspend`, takes that from them"]),
    ],
)
def test_who_wants_jobs_to_run_or_to_wait_reads_how_to_say_so_in_a_request_and_as_an_option(
    house: House, there: Destination, ways: list[str]
) -> None:
    carrier = Carrier(there, Rewrites(()))
    deploys = (("helm.toolkit.fluxcd.io/v2", "HelmRelease"), ("argoproj.io/v1alpha1", "Application"))
    for version, kind in (("batch/v1", "CronJob"), *deploys):
        finalizers = ["finalizers.fluxcd.io", "resources-finalizer.argocd.argoproj.io"]
        metadata = {"name": "one", "namespace": "shop", "finalizers": finalizers}
        carrier.carry({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {}})
    actions = tuple(Action(verb=Verb.CREATE, object=Identity.of(key), reason="missing") for key in carrier.acting)
    plan = Plan(application=new_id("app", NOON), version="", mode="merge", actions=actions)
    wanted = Wanted(house.repository, plan.application, None, carrier)
    told = elsewhere_blockers(plan, wanted, PlanContext(), lambda _key: True).warnings
    said = [sentence for sentence in told if "suspend: " in sentence]
    for way in ways:
        assert any(way in sentence for sentence in said)
    assert [sentence for sentence in said if "suspend`" not in sentence] == []
