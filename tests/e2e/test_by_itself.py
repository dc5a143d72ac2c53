"""What happens with nobody at the API: backups on schedule, and restores that are asked for through the bucket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap
from chalicelib.domain.application import Timetable
from chalicelib.domain.request import signed
from chalicelib.engine.lane.schedules import DUE
from chalicelib.entrypoints.events import bucket
from chalicelib.services.bundle import Services
from chalicelib.settings import Settings
from chalicelib.store.inbox import Inbox
from chalicelib.store.repository import Repository
from tests.e2e import shop
from tests.e2e.running import Service
from tests.harness.access import Access

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def service(control_plane: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("itself") / "data", control_plane.kubeconfig).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def services(service: Service) -> Services:
    """The same repository in this process, as a Lambda would have it."""
    return bootstrap.build(settings_of(service))


@pytest.fixture
def application(service: Service, control_plane: Access, control_namespace: str) -> Any:
    shop.deploy(control_plane, control_namespace)
    return service.done("POST", "/app", {"name": control_namespace, "namespace": control_namespace})


def settings_of(service: Service) -> Settings:
    data = service.directory
    named = {
        "MAINSTAY_REPOSITORY": f"file://{data}/repository",
        "MAINSTAY_PASSPHRASE_FILE": str(data / "passphrase"),
        "MAINSTAY_ADMIN_TOKEN_FILE": str(data / "token"),
    }
    return Settings.read({**service.environment, **named})


def repository_of(service: Service) -> Repository:
    return bootstrap.open_repository(settings_of(service))


def soon(until: Callable[[], Any], what: str, seconds: float = 40) -> Any:
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.1)
    return found


def versions(service: Service, application: Any) -> list[Any]:
    found: list[Any] = service.done("GET", f"/version/getAllVersionsOfApp?appId={application['id']}")["items"]
    return found


def make_due(repository: Repository, application: str, at: datetime) -> None:
    """Time goes by: what was planned for later is planned for `at`."""

    def sooner(found: Any) -> Any:
        return found.model_copy(update={"timetable": Timetable(rule=found.timetable.rule, next=at)})

    repository.wake.add(at, application, DUE)
    repository.applications.update(application, sooner)


def test_backups_are_made_on_time_and_the_oldest_goes(service: Service, application: Any) -> None:
    path = f"/app/autobackup/{application['id']}"
    before = datetime.now(UTC)
    changed = service.done("PUT", f"{path}/3600", {"backup": {"keep": {"last": 2}}})
    # The text that was written for it has comments, and keeps them.
    assert changed["document"].count("#") == application["document"].count("#")
    planned = datetime.fromisoformat(service.done("GET", f"/app/status/{application['id']}")["nextBackup"])
    assert timedelta(minutes=50) < planned - before <= timedelta(hours=1, seconds=2)
    assert versions(service, application) == []

    repository, at, made = repository_of(service), datetime.now(UTC), []
    for number in range(3):
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        make_due(repository, application["id"], at)

        def newest(last: str = made[-1] if made else "") -> str:
            found = versions(service, application)
            return found[0]["id"] if found and found[0]["id"] > last else ""

        made.append(soon(newest, f"version {number}"))
        operation = service.ended(versions(service, application)[0]["operation"])
        assert operation["state"] == "succeeded"
        assert datetime.fromisoformat(operation["startedAt"]) - at < timedelta(seconds=8)
    # The third let the first one go, and the next time is one interval after the last.
    found = versions(service, application)
    assert [each["id"] for each in found] == made[:0:-1]
    assert {each["madeBy"] for each in found} == {"schedule"}
    assert found[0]["labels"] == {"mainstay.dev/made-by": "schedule"}
    following = service.done("GET", f"/app/status/{application['id']}")["nextBackup"]
    assert datetime.fromisoformat(following) == at + timedelta(hours=1)
    assert service.done("PUT", f"{path}/0")["document"].count("every") == application["document"].count("every")
    assert service.done("GET", f"/app/status/{application['id']}")["nextBackup"] is None


def test_the_default_reaches_an_application_that_says_nothing(service: Service, application: Any) -> None:
    def planned() -> str | None:
        found: str | None = service.done("GET", f"/app/status/{application['id']}")["nextBackup"]
        return found

    service.done("PUT", "/kubernetes/changeBackupPolicies", {"backup_regularity": 7200})
    soon(planned, "timetable by the default")
    service.done("PUT", "/kubernetes/changeBackupPolicies", {"backup_regularity": 0})
    soon(lambda: planned() is None, "end of it")


def told_by_s3(key: str) -> dict[str, Any]:
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": key}}}
    body = json.dumps({"Records": [record]})
    return {"Records": [{"messageId": "m", "body": body, "receiptHandle": "r", "eventSource": "aws:sqs"}]}


def test_a_signed_request_restores_once_however_often_it_is_told_of(
    service: Service, services: Services, control_plane: Access, control_namespace: str, application: Any
) -> None:
    backup = service.finished("POST", "/app/backup", {"id": application["id"]})
    key = service.done("POST", "/requestKey", {"name": "pipeline"})
    shop.set_config(control_plane, control_namespace, "config-0", number="wrong")

    body = {
        "apiVersion": "mainstay.dev/v1",
        "kind": "RestoreRequest",
        "application": control_namespace,
        "key": key["id"],
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    text = json.dumps(signed(body, key["secret"])).encode()
    repository = repository_of(service)
    inbox = Inbox(repository.control)
    name = f"requests/{control_namespace} now.json"
    repository.control.create(name, text)

    def told() -> None:
        for _ in range(2):
            assert bucket.bucket(told_by_s3(name.replace(" ", "+")), None) == {"batchItemFailures": []}

    with bootstrap.use(services):
        threads = [threading.Thread(target=told) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answer = inbox.answered(name)
    assert answer is not None
    assert answer["accepted"] is True
    assert answer["version"] == backup["outcome"]["version"]
    restored = service.ended(answer["operation"])
    assert restored["state"] == "succeeded"
    assert shop.config(control_plane, control_namespace, "config-0")["number"] != "wrong"
    soon(lambda: (inbox.answered(name) or {}).get("state") == "succeeded", "answer with its end")

    # A copy, found by the runner that looks for requests itself.
    copy = name.replace(" now", " again")
    repository.control.create(copy, text)
    refused = soon(lambda: inbox.answered(copy), "answer to the copy")
    assert (refused["accepted"], refused["error"]["code"]) == (False, "replayed")
    found = service.done("GET", f"/operation?appId={application['id']}&kind=restore")["items"]
    assert [each["id"] for each in found] == [answer["operation"]]


def test_a_request_of_nobody_is_answered_and_touches_nothing(service: Service, application: Any) -> None:
    control = repository_of(service).control
    name = f"requests/{application['id']}.json"
    # As a user does it who has only the directory.
    path = Path(service.directory) / "repository" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "mainstay.dev/v1", "kind": "RestoreRequest", "application": "x"}))
    refused = soon(lambda: Inbox(control).answered(name), "answer")
    assert refused["error"]["code"] in {"malformed", "not-signed"}
    assert service.done("GET", f"/operation?appId={application['id']}")["items"] == []
