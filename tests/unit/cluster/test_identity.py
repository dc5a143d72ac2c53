"""Which cluster it is: known, not to be known, or not known for now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.identity import identity
from chalicelib.domain.errors import ClusterRefused


def answering(answer: Any) -> Client:
    def get_json(path: str, *, deadline: float | None) -> Any:
        assert (path, deadline) == ("/api/v1/namespaces/kube-system", None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return cast("Client", SimpleNamespace(get_json=get_json))


def refusal(status: int) -> ClusterRefused:
    return ClusterRefused("no", http_status=status, reason="", request="GET namespaces kube-system")


def test_a_cluster_is_known_by_the_uid_of_kube_system() -> None:
    assert identity(answering({"metadata": {"uid": "u-1"}})) == "u-1"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_may_not_see_it_cannot_know(status: int) -> None:
    assert identity(answering(refusal(status))) == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_not_taken_for_one_that_cannot_be_known(status: int) -> None:
    with pytest.raises(ClusterRefused):
        identity(answering(refusal(status)))
