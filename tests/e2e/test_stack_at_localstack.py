"""The stack of a stage, made by `infra/deploy.py` on LocalStack's CloudFormation. Functions are created, not run."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib import bootstrap
from chalicelib.domain.ids import new_id
from chalicelib.settings import Settings
from infra import deploy
from tests.contract.store.samples import AT, sealed_version
from tests.harness.localstack import LocalStack
from tests.harness.processes import wait_until
from tests.support.template import packaged_template

APP = new_id("app", AT)
PARAMETERS = {"AdminTokenSha256": "0" * 64, "WorkerConcurrency": "5", "ReserveWorkers": "no"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What `make package` makes, but for the hundreds of megabytes in the archive."""
    with zipfile.ZipFile(tmp_path / "deployment.zip", "w") as archive:
        archive.writestr("app.py", "app = None\n")
    (tmp_path / "sam.yaml").write_text(yaml.safe_dump(packaged_template("dev")))
    return tmp_path


@pytest.fixture(autouse=True)
def environment(localstack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in localstack.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
def test_a_stage_is_made_from_nothing_and_updated(localstack: LocalStack, package: Path) -> None:
    said: list[str] = []
    stage = deploy.Deployment("dev", cache(localstack.service), said.append, pause=0.5)
    outputs = stage.deploy(package, PARAMETERS)
    try:
        _functions_are_there(localstack)
        _requests_reach_their_queue(localstack, outputs)
        _a_repository_is_made_and_opened_with_its_key(outputs)
        assert stage.deploy(package, {"LogDays": "60"}) == outputs
        assert {line.split()[1] for line in said if line.startswith("  modify")} == {"AWS::Logs::LogGroup"}
    finally:
        localstack.service("cloudformation").delete_stack(StackName="mainstay-dev")


def _functions_are_there(localstack: LocalStack) -> None:
    functions = {each["FunctionName"]: each for each in localstack.service("lambda").list_functions()["Functions"]}
    assert set(functions) == {f"mainstay-dev-{name}" for name in ("api", "tick", "work", "dead-letter", "bucket")}
    assert len({each["Role"] for each in functions.values()}) == 5
    assert functions["mainstay-dev-work"]["Timeout"] == 900
    api = functions["mainstay-dev-api"]["Environment"]["Variables"]
    assert api["MAINSTAY_ADMIN_TOKEN_SHA256"] == "0" * 64
    assert (
        Settings.read(api).queue_url
        == functions["mainstay-dev-work"]["Environment"]["Variables"]["MAINSTAY_QUEUE_URL"]
    )
    mappings = localstack.service("lambda").list_event_source_mappings()["EventSourceMappings"]
    readers = {each["EventSourceArn"].rpartition(":")[2]: each for each in mappings}
    assert {name: each["FunctionArn"].rpartition(":")[2] for name, each in readers.items()} == {
        "mainstay-dev-work": "mainstay-dev-work",
        "mainstay-dev-work-dead": "mainstay-dev-dead-letter",
        "mainstay-dev-requests": "mainstay-dev-bucket",
    }
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)
    for each in mappings:
        # LocalStack would hand messages to functions that do not run.
        localstack.service("lambda").update_event_source_mapping(UUID=each["UUID"], Enabled=False)


def _requests_reach_their_queue(localstack: LocalStack, outputs: dict[str, str]) -> None:
    bucket = outputs["RepositoryAddress"].removeprefix("s3://")
    s3, sqs = localstack.service("s3"), localstack.service("sqs")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    s3.put_object(Bucket=bucket, Key="control/not-a-request.json", Body=b"{}")
    s3.put_object(Bucket=bucket, Key="requests/one.json", Body=b"{}")
    told: list[Any] = []

    def arrived() -> bool:
        for message in sqs.receive_message(QueueUrl=outputs["RequestQueueUrl"]).get("Messages", ()):
            told.extend(json.loads(message["Body"]).get("Records", ()))
        return bool(told)

    wait_until(arrived, seconds=20, what="the bucket to tell of a request")
    assert [record["s3"]["object"]["key"] for record in told] == ["requests/one.json"]


def _a_repository_is_made_and_opened_with_its_key(outputs: dict[str, str]) -> None:
    settings = Settings.read(
        {"MAINSTAY_REPOSITORY": outputs["RepositoryAddress"], "MAINSTAY_KMS_KEY": outputs["KmsKey"]}
    )
    assert bootstrap.make_repository(settings) is not None
    sealed = sealed_version(bootstrap.open_repository(settings), APP)
    assert bootstrap.open_repository(settings).versions(APP).get(sealed.version) == sealed
