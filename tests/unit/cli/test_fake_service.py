"""The fake answers in the very shapes the service's models describe: a test against it says something."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib.services.models.applications import ApplicationPage, ApplicationView, StatusView
from chalicelib.services.models.clusters import ClusterPage, ClusterStatusView
from chalicelib.services.models.comparing import ComparisonView
from chalicelib.services.models.errors import ErrorView
from chalicelib.services.models.operations import OperationPage, OperationView, PlanView, ResultPage
from chalicelib.services.models.versions import VersionDetail, VersionPage, VersionView
from tests.unit.cli import fake_service as fake


def _whole(model: type[BaseModel], answer: dict[str, Any]) -> None:
    """`answer` is valid, and has neither more nor fewer members than the service says."""
    assert _members(answer) == _members(model.model_validate(answer).model_dump(mode="json", by_alias=True))


def _members(value: Any) -> Any:
    """The names of all members, at every depth; values may be written in more than one way."""
    if isinstance(value, dict):
        return {name: _members(inner) for name, inner in value.items()}
    return [_members(inner) for inner in value] if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (ApplicationView, fake.application()),
        (VersionView, fake.version(fake.NEW)),
        (VersionDetail, fake.detail(fake.version(fake.NEW))),
        (OperationView, fake.operation(fake.RESTORE, "restore")),
        (PlanView, fake.plan()),
        (ComparisonView, fake.comparison()),
        (StatusView, fake.status()),
        (ClusterStatusView, fake.FakeService().cluster),
        (ErrorView, fake.problem("not-found", "x")),
    ],
)
def test_the_fake_answers_in_the_services_shapes(model: type[BaseModel], answer: dict[str, Any]) -> None:
    _whole(model, answer)


def test_its_lists_are_pages() -> None:
    service = fake.FakeService()
    _whole(ApplicationPage, {**service.answer("GET", "/app", {}, None)[1], "items": []})
    _, versions = service.answer("GET", "/version/getAllVersionsOfApp", {"appId": fake.APP}, None)
    _whole(VersionPage, versions)
    _, rows = service.answer("GET", f"/operation/{fake.RESTORE}/result", {}, None)
    _whole(ResultPage, rows)
    _, operations = service.answer("GET", "/operation", {}, None)
    _whole(OperationPage, operations)
    _, clusters = service.answer("GET", "/kubernetes/clusters", {}, None)
    _whole(ClusterPage, clusters)
