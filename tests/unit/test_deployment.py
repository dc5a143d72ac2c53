"""What is deployed: each function may do what it must, and no more; what it needs is there; the package fits."""

from __future__ import annotations

import json
import re
import stat
import warnings
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import deploy, package_size
from tests.support.template import MERGED, ROOT, packaged_template, translated_template

STAGES = ("dev", "prod")
POLICIES = sorted(path.stem for path in (ROOT / "policies" / "iam").glob("*.json"))
REGIONS = ["eu-central-1", "us-east-1"]


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
    return loaded


def statements(name: str) -> list[dict[str, Any]]:
    policy = json.loads((ROOT / "policies" / "iam" / f"{name}.json").read_text())
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def allowed(name: str, action: str) -> list[str]:
    """The resources on which a function may do something."""
    found: list[str] = []
    for statement in statements(name):
        if action in statement["Action"]:
            resource = statement["Resource"]
            found += [each["Fn::Sub"] for each in (resource if isinstance(resource, list) else [resource])]
    return found


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] in {"AWS::Serverless::Function", "AWS::Lambda::Function"}
    }


# ── rights ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_functions_that_may_be_in_a_vpc_are_those_with_a_proxy() -> None:
    found = functions(packaged_template("dev"))
    within = {name for name, each in found.items() if "VpcConfig" in each}
    assert {name for name, each in found.items() if "HTTPS_PROXY" in str(each.get("Environment"))} == within
    assert within == {"APIHandler", "Work"}


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_has_a_role_and_a_policy_of_its_own(stage: str) -> None:
    template = packaged_template(stage)
    roles = [each["Role"]["Fn::GetAtt"][0] for each in functions(template).values()]
    assert len(roles) == len(set(roles))
    logs = {
        json.dumps(statement["Resource"])
        for role in roles
        for statement in template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        if statement["Sid"] == "WriteItsLog"
    }
    assert len(logs) == len(roles)
    configured = config()["stages"][stage]["lambda_functions"]
    assert {each["iam_policy_file"] for each in configured.values()} | {config()["iam_policy_file"]} == {
        f"../policies/iam/{name}.json" for name in POLICIES
    }


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_has_a_blanket_permission_or_reaches_into_another_stage(name: str) -> None:
    for statement in statements(name):
        assert not any("*" in action for action in statement["Action"]), statement["Sid"]
        for resource in statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]:
            # Of this very stack: named by its resources or its name. Clusters are the account's own.
            assert re.search(r"\$\{(?!AWS::(Partition|Region|AccountId))", resource["Fn::Sub"]) or (
                ":eks:" in resource["Fn::Sub"]
            ), statement["Sid"]


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"work"}))
def test_only_the_worker_deletes_from_the_vault_or_writes_versions_into_it(name: str) -> None:
    assert not [resource for resource in allowed(name, "s3:DeleteObject") if "/vault/" in resource]
    written = [resource for resource in allowed(name, "s3:PutObject") if "/vault/" in resource]
    assert all(resource.endswith(("key-*.json", "versions/*.ended")) for resource in written)


def test_the_worker_never_touches_root_keys() -> None:
    assert all("/vault/app-" in resource for resource in allowed("work", "s3:PutObject") if "vault" in resource)
    assert all("/vault/app-" in resource for resource in allowed("work", "s3:DeleteObject") if "vault" in resource)


def test_the_worker_may_delete_all_that_a_sweep_does() -> None:
    deletes = [resource for resource in allowed("work", "s3:DeleteObject") if "/vault/" in resource]
    for key in (
        "segments/ab/abc-def",
        "condemned/01jd.json",
        "versions/ver-1.json",
        "versions/ver-1.ended",
        "key-1.json",
    ):
        assert any(fnmatchcase(f"${{Repository.Arn}}/vault/app-1/{key}", pattern) for pattern in deletes)


def test_the_tick_may_remove_what_says_the_same_and_nothing_else() -> None:
    assert allowed("tick", "s3:DeleteObject") == ["${Repository.Arn}/control/wake/*"]
    assert allowed("tick", "s3:PutObject") == []


def test_who_needs_no_content_opens_nothing() -> None:
    # `dead_letter` tries the key, so that it gives nothing up while workers cannot open it.
    assert set(POLICIES) - {name for name in POLICIES if allowed(name, "kms:Decrypt")} == {"tick"}
    for name in POLICIES:
        for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptTo", "kms:CreateGrant"):
            assert allowed(name, action) == []
        for statement in statements(name):
            if "kms:Decrypt" in statement["Action"]:
                assert statement["Condition"] == {"StringEquals": {"kms:EncryptionContext:application": "mainstay"}}
    for name, opened in (("tick", set()), ("dead_letter", {"${Repository.Arn}/vault/keys/*"})):
        read = {key for key in allowed(name, "s3:GetObject") if "/vault/" in key}
        assert read == {"${Repository.Arn}/vault/repository.json", *opened}


@pytest.mark.parametrize("stage", STAGES)
def test_no_secret_is_in_an_environment(stage: str) -> None:
    template = packaged_template(stage)
    variables = dict(template["Globals"]["Function"]["Environment"]["Variables"])
    for function in functions(template).values():
        variables |= function.get("Environment", {}).get("Variables", {})
    assert "MAINSTAY_PASSPHRASE" not in variables
    assert {name for name in variables if "TOKEN" in name} == {"MAINSTAY_ADMIN_TOKEN_SHA256"}


# ── the template ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_template_is_one_that_sam_translates_and_cloudformation_takes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cfnlint.api import lint
        from cfnlint.config import ManualArgs

        # Looking takes seconds, and stages differ in memory only: one is looked at.
        templates = {stage: translated_template(stage)["Resources"] for stage in STAGES}
        types = [{name: each["Type"] for name, each in found.items()} for found in templates.values()]
        assert types[0] == types[1]
        found = lint(json.dumps(translated_template("prod")), config=ManualArgs(regions=REGIONS))
        assert [f"{each.rule.id} {each.message}" for each in found] == []


def test_every_function_that_is_given_something_is_one() -> None:
    merged = yaml.safe_load(MERGED.read_text("utf-8"))["Resources"]
    template = packaged_template("dev")
    assert not [name for name in merged if "Type" not in template["Resources"][name]]
    assert set(functions(template)) <= {name for name, each in merged.items() if "LoggingConfig" in str(each)}


NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}


def test_two_stages_fit_into_one_account() -> None:
    resources = [each for each in translated_template("dev")["Resources"].values() if each["Type"] in NAMES]
    names = [resource["Properties"][NAMES[resource["Type"]]]["Fn::Sub"] for resource in resources]
    assert len(names) > 10
    assert not [name for name in names if "${AWS::StackName}" not in name]
    assert "mainstay-dev" not in MERGED.read_text("utf-8").partition("Parameters:")[2]


@pytest.mark.parametrize("stage", STAGES)
def test_queues_wait_six_times_as_long_as_their_reader_may_run(stage: str) -> None:
    template = packaged_template(stage)
    seen = 0
    for function in functions(template).values():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                queue = re.fullmatch(r"\$\{(\w+)\.Arn\}", event["Properties"]["Queue"]["Fn::Sub"])
                assert queue is not None
                waits = template["Resources"][queue[1]]["Properties"]
                assert waits["VisibilityTimeout"] >= 6 * function["Timeout"]
                assert waits["RedrivePolicy"]["maxReceiveCount"] >= 3
                assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
                seen += 1
    assert seen >= 1


@pytest.mark.parametrize("stage", STAGES)
def test_workers_may_send_themselves_messages_and_cannot_starve_the_api(stage: str) -> None:
    template = translated_template(stage)
    work = template["Resources"]["Work"]["Properties"]
    assert work["RecursiveLoop"] == "Allow"
    assert {"Ref": "WorkerConcurrency"} in work["ReservedConcurrentExecutions"]["Fn::If"]
    (mapping,) = [
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping" and each["Properties"]["FunctionName"] == {"Ref": "Work"}
    ]
    assert mapping["BatchSize"] == 1
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "WorkerConcurrency"}}
    assert "ReservedConcurrentExecutions" not in template["Resources"]["APIHandler"]["Properties"]


def test_the_bucket_keeps_what_was_overwritten_is_encrypted_and_nobody_elses() -> None:
    resources = packaged_template("prod")["Resources"]
    bucket = resources["Repository"]
    assert (bucket["DeletionPolicy"], resources["RootKeys"]["DeletionPolicy"]) == ("Retain", "Retain")
    properties = bucket["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in properties
    (tls,) = resources["RepositoryPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    (notification,) = properties["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "requests/"}]


def test_dead_letters_and_failed_operations_ring() -> None:
    resources = packaged_template("prod")["Resources"]
    alarms = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert all(alarm["AlarmActions"] == [{"Ref": "Alarms"}] for alarm in alarms)
    assert {alarm["Namespace"] for alarm in alarms} == {"AWS/SQS", "AWS/Lambda", "Mainstay"}
    watched = json.dumps([alarm["Dimensions"] for alarm in alarms])
    assert '"WorkDeadLetters"' in watched
    assert '"LastDeadLetters"' in watched


# ── deploying ───────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_digest_of_the_token_is_passed_on(tmp_path: Path) -> None:
    file = tmp_path / "deployed" / "dev-token"
    digest = deploy.token_digest(file)
    token = file.read_text().strip()
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert token not in digest
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert deploy.token_digest(file) == digest
    file.write_text("short\n")
    with pytest.raises(deploy.DeploymentError, match="too short"):
        deploy.token_digest(file)


def test_the_package_stands_in_the_template_where_it_was_uploaded_to() -> None:
    template = deploy.with_code(packaged_template("dev"), "s3://deployments/dev/1.zip")
    assert {each["CodeUri"] for each in functions(template).values()} == {"s3://deployments/dev/1.zip"}
    assert "Type" in template["Resources"]["Repository"]


class FakeAws:
    """As much of S3, STS and CloudFormation as deploying asks for; a stack is made at once."""

    def __init__(self) -> None:
        self.buckets: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.asked: list[dict[str, Any]] = []
        self.stack: dict[str, Any] | None = None
        self.refusal = ""
        self.meta = type("Meta", (), {"region_name": "eu-central-1"})

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012"}

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": name} for name in self.buckets]}

    def create_bucket(self, **asked: Any) -> None:
        assert asked["CreateBucketConfiguration"] == {"LocationConstraint": "eu-central-1"}
        self.buckets.append(asked["Bucket"])

    def put_public_access_block(self, **asked: Any) -> None:
        assert set(asked["PublicAccessBlockConfiguration"].values()) == {True}

    def list_objects_v2(self, **asked: Any) -> dict[str, int]:
        return {"KeyCount": sum(key.startswith(asked["Prefix"]) for key in self.objects)}

    def put_object(self, **asked: Any) -> None:
        self.objects[asked["Key"]] = asked["Body"]

    def generate_presigned_url(self, _request: str, **asked: Any) -> str:
        return f"https://s3/{asked['Params']['Key']}"

    def describe_stacks(self, **_asked: Any) -> dict[str, Any]:
        return {"Stacks": [self.stack] if self.stack else []}

    def describe_stack_events(self, **_asked: Any) -> dict[str, Any]:
        failed = {"ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "the name is taken"}
        return {"StackEvents": [{"LogicalResourceId": "Repository", **failed}]}

    def create_change_set(self, **asked: Any) -> None:
        self.asked.append(asked)

    def describe_change_set(self, **_asked: Any) -> dict[str, Any]:
        if self.refusal:
            return {"Status": "FAILED", "StatusReason": self.refusal}
        change = {"Action": "Add", "ResourceType": "AWS::S3::Bucket", "LogicalResourceId": "Repository"}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change}]}

    def delete_change_set(self, **_asked: Any) -> None:
        self.asked.pop()

    def execute_change_set(self, **_asked: Any) -> None:
        outputs = [{"OutputKey": "EndpointURL", "OutputValue": "https://api/"}]
        names = [{"ParameterKey": "AdminTokenSha256"}, {"ParameterKey": "WorkerConcurrency"}]
        self.stack = {"StackStatus": "CREATE_COMPLETE", "Outputs": outputs, "Parameters": names}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "deployment.zip").write_bytes(b"zip")
    (tmp_path / "sam.yaml").write_text(yaml.safe_dump(packaged_template("dev")))
    return tmp_path


def test_a_stack_is_made_and_then_updated_with_the_parameters_it_had(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = deploy.Deployment("dev", lambda _service: aws, said.append, pause=0)
    assert stage.deploy(package, {"AdminTokenSha256": "0" * 64, "WorkerConcurrency": "5"}) == {
        "EndpointURL": "https://api/"
    }
    assert aws.buckets == ["mainstay-deployments-123456789012-eu-central-1"]
    assert stage.deploy(package, {"AdminTokenSha256": "1" * 64})["EndpointURL"]
    first, second = aws.asked
    assert (first["StackName"], first["ChangeSetType"], second["ChangeSetType"]) == (
        "mainstay-dev",
        "CREATE",
        "UPDATE",
    )
    assert {"ParameterKey": "WorkerConcurrency", "UsePreviousValue": True} in second["Parameters"]
    # The same package again is not sent again.
    assert len([line for line in said if line.startswith("uploaded")]) == len(aws.objects) == 2


def test_what_cannot_be_deployed_is_told_with_the_reason(package: Path, tmp_path: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = deploy.Deployment("dev", lambda _service: aws, said.append, pause=0)
    with pytest.raises(deploy.DeploymentError, match="no parameter Workers; it has: AdminTokenSha256, "):
        stage.deploy(package, {"Workers": "5"})
    with pytest.raises(deploy.DeploymentError, match="make package STAGE=dev"):
        stage.deploy(tmp_path / "nowhere", {})
    aws.refusal = "Template error: no such thing"
    with pytest.raises(deploy.DeploymentError, match="refuses the template: Template error"):
        stage.deploy(package, {"AdminTokenSha256": "0" * 64})


def test_nothing_to_change_is_no_failure(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = deploy.Deployment("dev", lambda _service: aws, said.append, pause=0)
    stage.deploy(package, {"AdminTokenSha256": "0" * 64})
    aws.refusal = "The submitted information didn't contain changes."
    assert stage.deploy(package, {"AdminTokenSha256": "0" * 64})
    assert said[-1] == "nothing has changed"


# ── the package ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_package_within_the_limits_passes_and_a_larger_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "deployment.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kubernetes/client.py", "x" * 100_000)
    assert package_size.main([str(tmp_path)]) == 0
    assert "kubernetes" in capsys.readouterr().out
    monkeypatch.setattr(package_size, "MOST_UNZIPPED", 50_000)
    assert package_size.main([str(tmp_path)]) == 1


def test_a_package_that_was_not_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert package_size.main([str(tmp_path)]) == 2
    assert "chalice package" in capsys.readouterr().err
