"""What is deployed: each function may do what it must, and no more; what it needs is there; the package fits.

How it is deployed is in test_deploying.py.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import package_size
from infra.local.stack import local_template
from tests.support.template import MERGED, ROOT, packaged_template, translated_template

STAGES = ("dev", "prod")
POLICIES = sorted(path.stem for path in (ROOT / "policies" / "iam").glob("*.json"))
REGIONS = ["eu-central-1", "us-east-1"]
#: The bucket in policies: by name, as it may be one that the stack has not made.
BUCKET = "arn:${AWS::Partition}:s3:::${AWS::StackName}-${AWS::AccountId}-${AWS::Region}"
#: The key that opens it, made or taken over.
KEY = {"Fn::If": ["MakesKey", {"Fn::GetAtt": ["RootKeys", "Arn"]}, {"Ref": "TakeOverKey"}]}


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
            found += [_named(resource) for resource in _list(statement["Resource"])]
    return found


def _list(resources: Any) -> list[Any]:
    return resources if isinstance(resources, list) else [resources]


def _named(resource: dict[str, Any]) -> str:
    return "the key" if resource == KEY else str(resource["Fn::Sub"])


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
        for resource in map(_named, _list(statement["Resource"])):
            # Of this very stack: named by its resources or its name. Clusters are the account's own.
            assert (
                resource == "the key"
                or ":eks:" in resource
                or re.search(r"\$\{(?!AWS::(Partition|Region|AccountId))", resource)
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
        assert any(fnmatchcase(f"{BUCKET}/vault/app-1/{key}", pattern) for pattern in deletes)


def test_the_tick_may_remove_what_says_the_same_and_nothing_else() -> None:
    assert allowed("tick", "s3:DeleteObject") == [f"{BUCKET}/control/wake/*"]
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
    for name, opened in (("tick", set()), ("dead_letter", {f"{BUCKET}/vault/keys/*"})):
        read = {key for key in allowed(name, "s3:GetObject") if "/vault/" in key}
        assert read == {f"{BUCKET}/vault/repository.json", *opened}


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
    properties = bucket["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in properties
    (tls,) = resources["RepositoryPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    (notification,) = properties["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "requests/"}]


def test_what_opens_versions_outlives_its_stack_but_not_a_failed_attempt_to_make_it() -> None:
    resources = packaged_template("prod")["Resources"]
    for kept in ("Repository", "RootKeys"):
        # A name that stays behind would be in the way of the next attempt.
        assert resources[kept]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[kept]["UpdateReplacePolicy"] == "Retain"


def test_a_bucket_and_a_key_that_are_there_are_taken_over_wherever_they_are_named() -> None:
    template = packaged_template("prod")
    made = {"Repository": "MakesBucket", "RootKeys": "MakesKey"}
    assert {name: template["Resources"][name]["Condition"] for name in made} == made
    # Outside of a choice between the two, no word of what this stack may not have made.
    said = json.dumps(_without_choices(template))
    assert not re.findall(
        r'"(?:Ref|Fn::GetAtt|DependsOn)": \[?"(?:Repository|RootKeys)"|\$\{(?:Repository|RootKeys)\b', said
    )
    assert template["Globals"]["Function"]["Environment"]["Variables"]["MAINSTAY_KMS_KEY"] == KEY
    assert template["Resources"]["RootKeysAlias"]["Properties"]["TargetKeyId"] == KEY


def _without_choices(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_choices(each) for each in part]
    if isinstance(part, dict):
        return {name: _without_choices(value) for name, value in part.items() if name != "Fn::If"}
    return part


def test_what_is_made_on_one_machine_is_made_as_deployed() -> None:
    local = local_template(yaml.safe_load(MERGED.read_text("utf-8")))
    assert all("Default" in parameter for parameter in local["Parameters"].values())
    used = {each["Condition"] for each in local["Resources"].values() if "Condition" in each}
    assert used == {"MakesBucket", "MakesKey"} <= set(local["Conditions"])


def test_a_tick_that_fails_rings_and_so_does_one_that_is_never_called() -> None:
    resources = packaged_template("prod")["Resources"]
    tick = [{"Name": "FunctionName", "Value": {"Ref": "Tick"}}]
    fails, stops = (resources[name]["Properties"] for name in ("TicksFail", "TicksStop"))
    assert fails["Dimensions"] == stops["Dimensions"] == tick
    assert (fails["MetricName"], fails["ComparisonOperator"]) == ("Errors", "GreaterThanOrEqualToThreshold")
    # Lambda counts no calls where there are none: it is what is missing that has to ring.
    assert (stops["MetricName"], stops["ComparisonOperator"], stops["Threshold"]) == (
        "Invocations",
        "LessThanThreshold",
        1,
    )
    assert stops["TreatMissingData"] == "breaching"
    # A stack that was just made has no counts yet: whoever it rang for is told when it has.
    assert stops["OKActions"] == [{"Ref": "Alarms"}]


def test_the_documentation_has_each_alarm_and_each_parameter() -> None:
    template, page = packaged_template("prod"), (ROOT / "docs" / "deploy.md").read_text("utf-8")
    for each in template["Resources"].values():
        if each["Type"] == "AWS::CloudWatch::Alarm":
            name = each["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}")
            assert f"| `…{name}` |" in page
    parameters = page.partition("## Parameters")[2]
    assert not [name for name in template["Parameters"] if f"`{name}`" not in parameters]


def test_dead_letters_and_failed_operations_ring() -> None:
    resources = packaged_template("prod")["Resources"]
    alarms = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert all(alarm["AlarmActions"] == [{"Ref": "Alarms"}] for alarm in alarms)
    assert {alarm["Namespace"] for alarm in alarms} == {"AWS/SQS", "AWS/Lambda", "Mainstay"}
    watched = json.dumps([alarm["Dimensions"] for alarm in alarms])
    assert '"WorkDeadLetters"' in watched
    assert '"LastDeadLetters"' in watched


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
