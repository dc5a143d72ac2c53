"""What becomes of work when queues lose messages, forget everything, or a worker's clock is wrong."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap
from chalicelib.services.access import ADMINISTRATOR
from chalicelib.services.models.versions import BackupRequest
from chalicelib.settings import Settings
from infra.local.stack import create
from tests.e2e import shop
from tests.e2e.aws import Stack
from tests.e2e.running import PROGRAM, Service
from tests.harness.access import Access
from tests.harness.localstack import LocalStack
from tests.harness.proxy import HttpProxy
from tests.harness.s3 import VersityServer

pytestmark = pytest.mark.cluster

#: The service with a clock that is wrong for AWS' signatures, which hold the time, and for everything else.
AN_HOUR_OFF = f"""
import datetime, time
import botocore.auth, botocore.compat
real = botocore.compat.get_current_datetime
def late(*given, **named):
    return real(*given, **named) + datetime.timedelta(hours=1)
botocore.compat.get_current_datetime = botocore.auth.get_current_datetime = late
now = time.time
time.time = lambda: now() + 3600
{PROGRAM}
"""


def registered(service: Service, cluster: Access, namespace: str) -> str:
    shop.deploy(cluster, namespace)
    identifier: str = service.done("POST", "/app", {"name": namespace, "namespace": namespace})["id"]
    return identifier


def test_work_whose_messages_were_all_lost_is_found_in_the_wake_index(
    localstack: LocalStack,
    control_plane: Access,
    control_namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Stack(localstack)
    with stack.serving(tmp_path, control_plane.kubeconfig) as service:
        application = registered(service, control_plane, control_namespace)
        service.stop()

        for name, value in localstack.environment.items():
            monkeypatch.setenv(name, value)
        elsewhere = bootstrap.build(Settings.read({**stack.made.settings, "MAINSTAY_LEASE_SECONDS": "12"}))
        started = elsewhere.versions.backup(ADMINISTRATOR, BackupRequest(id=application))
        assert stack.waiting(stack.made.work_queue) == 1
        stack.client("sqs").purge_queue(QueueUrl=stack.made.work_queue)
        assert stack.waiting(stack.made.work_queue) == 0

        service.start()
        assert service.ended(started.id)["state"] == "succeeded"


def test_an_operation_goes_on_when_localstack_was_restarted_and_its_queues_were_made_again(
    control_plane: Access,
    control_namespace: str,
    api_http_proxy: tuple[HttpProxy, Path],
    tmp_path: Path,
) -> None:
    proxy, kubeconfig = api_http_proxy
    with LocalStack(tmp_path / "localstack") as server:
        stack = Stack(server)
        # The repository is elsewhere: LocalStack keeps nothing.
        own = {"MAINSTAY_REPOSITORY": "", "MAINSTAY_KMS_KEY": "", "MAINSTAY_LEASE_SECONDS": "4"}
        with stack.serving(tmp_path, kubeconfig, own) as service:
            application = registered(service, control_plane, control_namespace)
            made = service.finished("POST", "/app/backup", {"id": application})
            for number in range(5):
                shop.delete_config(control_plane, control_namespace, f"config-{number}")
            slow = proxy.delay("POST|PUT|PATCH", r"/configmaps", seconds=1, times=None)
            path = f"/version/restoreVersion?versionId={made['outcome']['version']}"
            said = service.ask("PUT", path, {})
            assert said.status == 202, said.content
            _until(lambda: slow.hits > 0, service)
            server.restart()
            create(server.service("cloudformation"), stack.name)
            ended = service.ended(said.json["id"])
            assert ended["state"] == "succeeded", ended
            for number in range(5):
                assert shop.config(control_plane, control_namespace, f"config-{number}") == {"number": str(number)}
            # And what begins now is woken through the new queue.
            assert service.finished("POST", "/app/backup", {"id": application})["state"] == "succeeded"
            _until(lambda: stack.waiting(stack.made.work_queue) == 0, service)


def test_a_worker_whose_clock_is_an_hour_off_keeps_its_leases_where_the_storage_takes_its_signatures(
    localstack: LocalStack, control_plane: Access, control_namespace: str, tmp_path: Path
) -> None:
    stack = Stack(localstack)
    with (
        stack.serving(tmp_path / "right", control_plane.kubeconfig) as right,
        stack.serving(tmp_path / "wrong", control_plane.kubeconfig, program=AN_HOUR_OFF) as wrong,
    ):
        application = registered(right, control_plane, control_namespace)
        for service in (wrong, right, wrong):
            made = service.finished("POST", "/app/backup", {"id": application})
            assert made["state"] == "succeeded", made
            # Nobody thought that its lease had ended.
            assert made["attempts"] == 1, made


def test_where_the_storage_refuses_signatures_that_far_off_the_error_says_that_the_clock_is_wrong(
    control_plane: Access, versity_s3: VersityServer, tmp_path: Path
) -> None:
    (tmp_path / "passphrase").write_text("a passphrase that is long enough\n")
    settings = {
        "MAINSTAY_REPOSITORY": f"s3://{versity_s3.make_bucket()}",
        "MAINSTAY_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
        "MAINSTAY_LEASE_SECONDS": "12",
        "AWS_ENDPOINT_URL": versity_s3.endpoint,
        "AWS_REGION": versity_s3.region,
        "AWS_ACCESS_KEY_ID": versity_s3.access_key,
        "AWS_SECRET_ACCESS_KEY": versity_s3.secret_key,
    }
    service = Service(tmp_path / "data", control_plane.kubeconfig, settings, program=AN_HOUR_OFF)
    with pytest.raises(AssertionError, match="it ended at once"):
        service.start()
    assert "clock" in service.log
    assert "hour" in service.log or "3600" in service.log or "60 min" in service.log


def _until(true: Any, service: Service, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, service.log[-3000:]
        time.sleep(0.02)
