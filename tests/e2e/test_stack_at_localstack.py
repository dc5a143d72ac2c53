"""The stack of a stage, made by `infra/deploy.py` on LocalStack's CloudFormation. Functions are created, not run."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib import bootstrap
from chalicelib.domain.ids import new_id
from chalicelib.domain.version import Manifest
from chalicelib.settings import Settings
from infra.checks import DeploymentError
from infra.deployment import Deployment
from tests.contract.store.samples import AT, sealed_version
from tests.harness.localstack import LocalStack
from tests.harness.processes import wait_until
from tests.support.template import packaged_template

APP = new_id("app", AT)
PARAMETERS = {"AdminTokenSha256": "0" * 64, "WorkerConcurrency": "5", "ReserveWorkers": "no"}


def package(folder: Path, stage: str) -> Path:
    """What `make package` makes, but for the hundreds of megabytes in the archive."""
    with zipfile.ZipFile(folder / "deployment.zip", "w") as archive:
        archive.writestr("app.py", "app = None\n")
    (folder / "sam.yaml").write_text(yaml.safe_dump(packaged_template(stage)))
    return folder


@pytest.fixture(autouse=True)
def environment(localstack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in localstack.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
def test_a_stage_is_made_from_nothing_and_updated(localstack: LocalStack, tmp_path: Path) -> None:
    said: list[str] = []
    stage = Deployment("dev", cache(localstack.service), said.append, pause=0.5)
    made = package(tmp_path, "dev")
    outputs = stage.deploy(made, PARAMETERS)
    try:
        _functions_are_there(localstack)
        _requests_reach_their_queue(localstack, outputs)
        _a_repository_is_made_and_opened_with_its_key(outputs)
        assert stage.deploy(made, {"LogDays": "60"}) == outputs
        assert {line.split()[1] for line in said if line.startswith("  modify")} == {"AWS::Logs::LogGroup"}
    finally:
        _remove(localstack, "mainstay-dev", outputs)


@pytest.mark.slow
def test_a_stage_is_made_after_a_failed_attempt_and_comes_back_after_it_was_removed_with_all_versions(
    localstack: LocalStack, tmp_path: Path
) -> None:
    said: list[str] = []
    sqs = localstack.service("sqs")
    stage = Deployment("prod", cache(localstack.service), said.append, pause=0.5)
    made = package(tmp_path, "prod")
    in_the_way = sqs.create_queue(QueueName="mainstay-prod-work", Attributes={"VisibilityTimeout": "7"})["QueueUrl"]
    with pytest.raises(DeploymentError, match="is ROLLBACK_COMPLETE: WorkQueue: "):
        stage.deploy(made, PARAMETERS)
    sqs.delete_queue(QueueUrl=in_the_way)
    outputs = stage.deploy(made, PARAMETERS)
    try:
        assert any("it never was complete, so what is left of it is removed first" in line for line in said)
        sealed = _a_repository_is_made_and_opened_with_its_key(outputs)
        _remove_and_keep(localstack, "mainstay-prod", outputs)
        back = stage.deploy(made, PARAMETERS)
        api = localstack.service("lambda").get_function_configuration(FunctionName="mainstay-prod-api")
        opened = bootstrap.open_repository(Settings.read(api["Environment"]["Variables"]))
        assert opened.versions(APP).get(sealed.version) == sealed
        assert (back["RepositoryAddress"], back["KmsKey"]) == (outputs["RepositoryAddress"], outputs["KmsKey"])
        _nobody_takes_messages(localstack)
        _requests_reach_their_queue(localstack, back)
    finally:
        _remove(localstack, "mainstay-prod", outputs)


def _remove(localstack: LocalStack, stack: str, outputs: dict[str, str]) -> None:
    """LocalStack knows no `DeletionPolicy`, and fails to delete a bucket that is not empty."""
    s3, cloud, bucket = localstack.service("s3"), localstack.service("cloudformation"), _bucket(outputs)
    versions = s3.list_object_versions(Bucket=bucket)
    for each in (*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())):
        s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    cloud.delete_stack(StackName=stack)
    cloud.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def _remove_and_keep(localstack: LocalStack, stack: str, outputs: dict[str, str]) -> None:
    """As AWS removes a stack: its bucket stays as it is, and so does its key."""
    s3, kms, bucket = localstack.service("s3"), localstack.service("kms"), _bucket(outputs)
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    kept = {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed}
    told = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    _remove(localstack, stack, outputs)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": told}, SkipDestinationValidation=True
    )
    for key, content in kept.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    kms.cancel_key_deletion(KeyId=outputs["KmsKey"])
    kms.enable_key(KeyId=outputs["KmsKey"])


def _bucket(outputs: dict[str, str]) -> str:
    return outputs["RepositoryAddress"].removeprefix("s3://")


def _functions_are_there(localstack: LocalStack) -> None:
    listed = localstack.service("lambda").list_functions()["Functions"]
    functions = {each["FunctionName"]: each for each in listed if "mainstay-dev-" in each["FunctionName"]}
    assert set(functions) == {f"mainstay-dev-{name}" for name in ("api", "tick", "work", "dead-letter", "bucket")}
    assert len({each["Role"] for each in functions.values()}) == 5
    assert functions["mainstay-dev-work"]["Timeout"] == 900
    api = functions["mainstay-dev-api"]["Environment"]["Variables"]
    assert api["MAINSTAY_ADMIN_TOKEN_SHA256"] == "0" * 64
    assert (
        Settings.read(api).queue_url
        == functions["mainstay-dev-work"]["Environment"]["Variables"]["MAINSTAY_QUEUE_URL"]
    )
    listed = localstack.service("lambda").list_event_source_mappings()["EventSourceMappings"]
    mappings = [each for each in listed if "mainstay-dev-" in each["FunctionArn"]]
    readers = {each["EventSourceArn"].rpartition(":")[2]: each for each in mappings}
    assert {name: each["FunctionArn"].rpartition(":")[2] for name, each in readers.items()} == {
        "mainstay-dev-work": "mainstay-dev-work",
        "mainstay-dev-work-dead": "mainstay-dev-dead-letter",
        "mainstay-dev-requests": "mainstay-dev-bucket",
    }
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)
    _nobody_takes_messages(localstack)


def _nobody_takes_messages(localstack: LocalStack) -> None:
    """LocalStack would hand them to functions that do not run."""
    functions = localstack.service("lambda")
    stopped = []
    for each in functions.list_event_source_mappings()["EventSourceMappings"]:
        # Those of a stack that was removed are listed for a while.
        with suppress(functions.exceptions.ResourceNotFoundException):
            functions.update_event_source_mapping(UUID=each["UUID"], Enabled=False)
            stopped.append(each["UUID"])
    assert stopped
    wait_until(
        lambda: {functions.get_event_source_mapping(UUID=each)["State"] for each in stopped} == {"Disabled"},
        seconds=60,
        what="LocalStack to take no more messages",
    )


def _requests_reach_their_queue(localstack: LocalStack, outputs: dict[str, str]) -> None:
    bucket = _bucket(outputs)
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


def _a_repository_is_made_and_opened_with_its_key(outputs: dict[str, str]) -> Manifest:
    settings = Settings.read(
        {"MAINSTAY_REPOSITORY": outputs["RepositoryAddress"], "MAINSTAY_KMS_KEY": outputs["KmsKey"]}
    )
    assert bootstrap.make_repository(settings) is not None
    sealed = sealed_version(bootstrap.open_repository(settings), APP)
    assert bootstrap.open_repository(settings).versions(APP).get(sealed.version) == sealed
    return sealed
