"""The fake answers in the very shapes the service's models describe: a test against it says something."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib.services import models
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
        (models.ApplicationView, fake.application()),
        (models.VersionView, fake.version(fake.NEW)),
        (models.VersionDetail, fake.detail(fake.version(fake.NEW))),
        (models.OperationView, fake.operation(fake.RESTORE, "restore")),
        (models.PlanView, fake.plan()),
        (models.ComparisonView, fake.comparison()),
        (models.StatusView, fake.status()),
        (models.ClusterStatusView, fake.FakeService().cluster),
        (models.ErrorView, fake.problem("not-found", "x")),
    ],
)
def test_the_fake_answers_in_the_services_shapes(model: type[BaseModel], answer: dict[str, Any]) -> None:
    _whole(model, answer)


def test_its_lists_are_pages() -> None:
    service = fake.FakeService()
    _whole(models.ApplicationPage, {**service.answer("GET", "/app", {}, None)[1], "items": []})
    _, versions = service.answer("GET", "/version/getAllVersionsOfApp", {"appId": fake.APP}, None)
    _whole(models.VersionPage, versions)
    _, rows = service.answer("GET", f"/operation/{fake.RESTORE}/result", {}, None)
    _whole(models.ResultPage, rows)
    _, operations = service.answer("GET", "/operation", {}, None)
    _whole(models.OperationPage, operations)
    _, clusters = service.answer("GET", "/kubernetes/clusters", {}, None)
    _whole(models.ClusterPage, clusters)
