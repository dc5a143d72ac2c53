"""Every wait ends, and says what it waited for."""

from __future__ import annotations

import pytest

from chalicelib.cluster.waiting import (
    namespace_contents,
    not_established,
    only_an_api_is_missing,
    still_there,
    until,
)
from chalicelib.domain.errors import Cancelled, DeadlineExceeded


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_a_wait_ends_when_nothing_is_missing() -> None:
    clock, said = Clock(), ["two left", "one left", ""]
    until(lambda: said.pop(0), "them", timeout=10, sleep=clock.sleep, clock=clock)
    assert said == []
    assert clock.at < 1


def test_a_wait_that_takes_too_long_says_what_it_waited_for() -> None:
    clock = Clock()
    with pytest.raises(DeadlineExceeded) as raised:
        until(lambda: "one left", "them all", timeout=10, sleep=clock.sleep, clock=clock)
    assert raised.value.message == "Waited 10 s for them all: one left."
    assert 8 <= clock.at <= 10


def test_a_wait_can_be_left_between_two_looks() -> None:
    def cancel() -> None:
        raise Cancelled("by ann")

    clock = Clock()
    with pytest.raises(Cancelled):
        until(lambda: "one left", "them", timeout=10, between=cancel, sleep=clock.sleep, clock=clock)
    assert clock.at == 0


def test_who_holds_an_object_back_is_named() -> None:
    dying = {"metadata": {"deletionTimestamp": "now", "finalizers": ["shop.example.com/keep", "orphan"]}}
    assert "shop.example.com/keep, orphan" in still_there(dying)
    assert still_there({"metadata": {"deletionTimestamp": "now"}}) == "it is being deleted"
    assert still_there({"metadata": {}}) == "it is not being deleted"


def test_what_holds_a_namespace_back_is_said() -> None:
    conditions = [
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "All resources discovered"},
        {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources: widgets has 1 instance"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "keep in 1 instance"},
    ]
    dying = {"metadata": {"deletionTimestamp": "now"}, "status": {"conditions": conditions}}
    assert namespace_contents(dying) == "Some resources: widgets has 1 instance; keep in 1 instance"


@pytest.mark.parametrize(
    ("conditions", "alone"),
    [
        ({"NamespaceDeletionDiscoveryFailure": "True", "NamespaceContentRemaining": "False"}, True),
        ({"NamespaceDeletionDiscoveryFailure": "True", "NamespaceContentRemaining": "True"}, False),
        ({"NamespaceDeletionDiscoveryFailure": "True", "NamespaceFinalizersRemaining": "True"}, False),
        ({"NamespaceDeletionDiscoveryFailure": "False"}, False),
        ({}, False),
    ],
)
def test_a_namespace_that_only_an_api_keeps_is_told_from_one_with_contents(
    conditions: dict[str, str], alone: bool
) -> None:
    said = [{"type": name, "status": status} for name, status in conditions.items()]
    assert only_an_api_is_missing({"metadata": {}, "status": {"conditions": said}}) is alone


def test_why_a_definition_is_not_served_is_said() -> None:
    taken = {"type": "NamesAccepted", "status": "False", "message": "widgets is already in use"}
    assert "widgets is already in use" in not_established({"status": {"conditions": [taken]}})
    assert "not established" in not_established({})
    assert not_established({"status": {"conditions": [{"type": "Established", "status": "True"}]}}) == ""
