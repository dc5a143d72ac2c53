"""What will be felt."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.objects import Body
from chalicelib.planning.content.quantities import amount, larger
from chalicelib.planning.plan import effects
from tests.unit.planning.samples import deployment, kept, make, template


def of_update(live: Body, wanted: Body) -> tuple[str, ...]:
    return effects.of_update(kept(live), kept(wanted))


def test_a_new_template_restarts_the_pods() -> None:
    assert of_update(deployment(image="a:2"), deployment(image="a:1")) == ("2 pods restart.",)
    assert of_update(deployment(image="a:2", replicas=1), deployment(image="a:1", replicas=1)) == ("1 pod restarts.",)
    assert of_update(deployment(image="a:2", replicas=0), deployment(image="a:1", replicas=0)) == ()


def test_scaling_is_told_without_a_restart() -> None:
    assert of_update(deployment(replicas=2), deployment(replicas=5)) == ("It is scaled from 2 to 5.",)


def test_a_paused_deployment_restarts_later() -> None:
    wanted = deployment(image="a:1")
    wanted["spec"]["paused"] = True
    assert of_update(deployment(image="a:2"), wanted) == ("It is paused: its pods restart once it is resumed.",)


def rolled(kind: str, image: str, **spec: Any) -> Body:
    return make(kind, spec={"template": template(image), **spec})


def test_pods_of_other_workloads_restart_by_their_strategy() -> None:
    assert of_update(rolled("StatefulSet", "a:2", replicas=3), rolled("StatefulSet", "a:1", replicas=3)) == (
        "3 pods restart, one after the other.",
    )
    assert of_update(rolled("DaemonSet", "a:2"), rolled("DaemonSet", "a:1")) == (
        "Its pods restart, one after the other.",
    )
    by_hand = {"replicas": 1, "updateStrategy": {"type": "OnDelete"}}
    assert of_update(rolled("StatefulSet", "a:2", **by_hand), rolled("StatefulSet", "a:1", **by_hand)) == (
        "1 pod stays as before until somebody deletes them (strategy OnDelete).",
    )


def test_configuration_in_the_environment_is_seen_at_the_next_start() -> None:
    (said,) = of_update(make("ConfigMap", data={"a": "1"}), make("ConfigMap", data={"a": "2"}))
    assert "restart" in said
    assert of_update(make("ConfigMap"), make("ConfigMap", metadata={"labels": {"a": "b"}})) == ()


@pytest.mark.parametrize(
    ("live", "wanted", "said"),
    [
        (deployment(app="a"), deployment(app="b"), "2 pods stop before new ones start."),
        (make("Job"), make("Job"), "The Job runs again from its beginning."),
        (make("PersistentVolumeClaim"), make("PersistentVolumeClaim"), "The old volume is kept, with its data."),
        (
            make("Service", spec={"type": "LoadBalancer"}),
            make("Service"),
            "Its load balancer is replaced: its external address changes.",
        ),
        (
            make("CustomResourceDefinition", spec={"names": {"kind": "Order"}}),
            make("CustomResourceDefinition"),
            "Every Order in the cluster is deleted with its definition.",
        ),
        (make("RoleBinding"), make("RoleBinding"), "The permissions are missing for a moment."),
        (make("Order"), make("Order"), "What belongs to it stays; its operator may or may not take it over."),
    ],
)
def test_a_replacement_says_what_is_interrupted_or_lost(live: Body, wanted: Body, said: str) -> None:
    assert said in effects.of_replace(kept(live), kept(wanted))


def test_pods_of_a_replaced_stateful_set_stay() -> None:
    live = rolled("StatefulSet", "a", serviceName="x", selector={"a": "b"})
    wanted = rolled("StatefulSet", "a", serviceName="y", selector={"a": "b"})
    assert effects.propagation(kept(live), kept(wanted)) == "Orphan"
    assert effects.of_replace(kept(live), kept(wanted)) == (
        "The StatefulSet is made anew; its pods stay and are adopted.",
    )


def test_pods_that_the_new_selector_does_not_match_go_first() -> None:
    live, wanted = rolled("StatefulSet", "a", selector={"a": "b"}), rolled("StatefulSet", "a", selector={"a": "c"})
    assert effects.propagation(kept(live), kept(wanted)) == "Foreground"
    assert effects.propagation(kept(deployment()), kept(deployment(app="x"))) == "Foreground"


def test_what_a_custom_object_owns_outlives_its_replacement() -> None:
    assert effects.propagation(kept(make("Order")), kept(make("Order"))) == "Orphan"
    assert effects.propagation(kept(make("ConfigMap")), kept(make("ConfigMap"))) == "Background"


def test_deleting_tells_what_goes_with_it() -> None:
    assert effects.of_delete("apps", "Deployment") == ("Its pods stop.",)
    assert "whole cluster" in effects.of_delete("apiextensions.k8s.io", "CustomResourceDefinition")[0]
    assert effects.of_delete("", "ConfigMap") == ()


def test_what_cannot_be_rolled_back_of_a_claim_is_said() -> None:
    def claim(size: str, volume: str) -> Body:
        return kept(
            make(
                "PersistentVolumeClaim",
                "data",
                spec={"volumeName": volume, "resources": {"requests": {"storage": size}}},
            )
        )

    notes = effects.claim_notes(claim("1Gi", "pv-1"), claim("2Gi", "pv-2"))
    assert len(notes) == 2
    assert "Claims cannot shrink" in notes[0]
    assert "pv-2 now, and was to pv-1" in notes[1]
    assert effects.claim_notes(claim("1Gi", "pv-1"), claim("1024Mi", "pv-1")) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1Gi", 2**30),
        ("1024Mi", 2**30),
        ("5G", 5 * 10**9),
        ("1e3", 1000),
        ("2E", 2 * 10**18),
        ("1.5Ki", 1536),
        ("7", 7),
    ],
)
def test_quantities_are_read_as_kubernetes_does(text: str, number: int) -> None:
    assert amount(text) == number


def test_what_is_no_quantity_is_never_larger() -> None:
    assert not larger("much", "1Gi")
    assert amount("1Gib") is None
