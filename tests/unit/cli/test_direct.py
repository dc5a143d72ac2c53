"""`--direct`: the same JSON without a server, and the work done in the foreground."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.cli.direct import DirectGateway, _keep_the_log_to_itself
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.domain.errors import Conflict, NotFound, StorageUnavailable
from chalicelib.services.models.applications import ApplicationPage
from chalicelib.services.models.operations import OperationView, PlanView
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.versions import BackupRequest, VersionPage
from tests.unit.cli import fake_service as fake
from tests.unit.cli.fake_service import APP, BACKUP, NEW, PLAN


class FakeEngine:
    """Finishes an operation the second time it is asked to work."""

    def __init__(self, service: fake.FakeService) -> None:
        self.service = service
        self.worked: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    def work(self, application: str, _budget: Any) -> None:
        self.worked.append((application,))
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.service.operations[BACKUP] = fake.operation(BACKUP, "backup")

    def run(self, application: str, operation: str, _budget: Any) -> None:
        self.worked.append((application, operation))
        self.service.operations[operation] = fake.operation(operation, "plan")


def _services(service: fake.FakeService) -> Any:
    """Services that answer what the fake server answers, as models."""

    def page(model: Any, path: str) -> Callable[..., Any]:
        def answer(asker: Any, query: Any) -> Any:
            sent = query.model_dump(mode="json", by_alias=True, exclude_none=True)
            return model.model_validate(service.answer("GET", path, sent, None)[1])

        return answer

    def operation(asker: Any, identifier: str) -> OperationView:
        status, answer = service.answer("GET", f"/operation/{identifier}", {}, None)
        if status == 404:
            raise NotFound("There is no such operation.")
        return OperationView.model_validate(answer)

    def backup(asker: Any, request: BackupRequest) -> OperationView:
        service.asked.append(("backup", asker.name, {}, request.model_dump(exclude_defaults=True)))
        return OperationView.model_validate(service.operations[BACKUP])

    def plan(asker: Any, identifier: str, query: PageQuery) -> PlanView:
        sent = query.model_dump(mode="json", exclude_none=True)
        return PlanView.model_validate(service.answer("GET", f"/operation/{identifier}/plan", sent, None)[1])

    def refuse(*_arguments: Any) -> Any:
        raise Conflict("It is too late.")

    return SimpleNamespace(
        applications=SimpleNamespace(list=page(ApplicationPage, "/app")),
        versions=SimpleNamespace(list=page(VersionPage, "/version/getAllVersionsOfApp"), backup=backup),
        operations=SimpleNamespace(get=operation, plan=plan, cancel=refuse),
        engine=FakeEngine(service),
    )


@pytest.fixture
def services(service: fake.FakeService) -> Any:
    return _services(service)


def test_it_answers_the_same_json_as_the_api(services: Any, service: fake.FakeService) -> None:
    gateway = DirectGateway(services)
    service.page = 2
    assert gateway.versions(APP, safety=True)["items"] == service.versions
    assert [each["id"] for each in gateway.versions(APP, limit=1)["items"]] == [NEW]
    assert gateway.plan(PLAN) == service.plan
    assert gateway.operation(BACKUP)["outcome"]["version"] == NEW


def test_it_asks_as_the_administrator_with_the_apis_own_bodies(services: Any, service: fake.FakeService) -> None:
    DirectGateway(services).backup({"id": APP, "name": "n"})
    assert service.asked == [("backup", "admin", {}, {"id": APP, "name": "n"})]


def test_what_the_api_would_refuse_is_refused(services: Any) -> None:
    gateway = DirectGateway(services)
    with pytest.raises(Failure, match=r"labels.* 200 characters"):
        gateway.backup({"id": APP, "labels": {"a": "x" * 201}})
    with pytest.raises(Failure) as caught:
        gateway.cancel(BACKUP)
    assert (caught.value.message, caught.value.exit_code) == ("It is too late.", Exit.REFUSED)


def test_the_operation_is_worked_on_while_somebody_waits(services: Any, service: fake.FakeService) -> None:
    gateway = DirectGateway(services)
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "queued")
    with gateway.attend(service.operations[BACKUP]):
        _until(lambda: gateway.operation(BACKUP)["ended"])
    assert services.engine.worked == [(APP,)]
    assert threading.active_count() == 1 or not _alive("mainstay-direct")


def test_a_plan_takes_no_lane(services: Any, service: fake.FakeService) -> None:
    service.operations[PLAN] = fake.operation(PLAN, "plan", "queued")
    with DirectGateway(services).attend(service.operations[PLAN]):
        _until(lambda: bool(services.engine.worked))
    assert services.engine.worked == [(APP, PLAN)]


def test_a_bad_moment_of_the_storage_is_tried_again(
    services: Any, service: fake.FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.cli.direct._PAUSE", 0.001)
    services.engine.error = StorageUnavailable("The bucket does not answer.")
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "queued")
    with DirectGateway(services).attend(service.operations[BACKUP]):
        _until(lambda: len(services.engine.worked) == 2)
    assert service.operations[BACKUP]["state"] == "succeeded"


def test_the_engines_log_stays_out_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger = logging.getLogger("chalicelib")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logging.getLogger("mainstay"), "handlers", [])
    monkeypatch.delenv("MAINSTAY_DEBUG", raising=False)
    _keep_the_log_to_itself()
    logging.getLogger("chalicelib.engine.lane.engine").warning("step `plan` failed")
    assert capsys.readouterr().err == ""


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not done():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def _alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())
