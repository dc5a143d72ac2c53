"""How a stage is deployed: what is looked at first, what is said, and what never happens to a stack or a token."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, NoCredentialsError

from infra import admin_token, checks, deploy
from infra.checks import DeploymentError
from infra.deployment import Deployment, with_code
from tests.support.template import packaged_template

DIGEST = {"AdminTokenSha256": "0" * 64}
BUCKET = "mainstay-dev-123456789012-eu-central-1"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/one"


class FakeAws:
    """As much of S3, STS, KMS and CloudFormation as deploying asks for; a stack is made and removed at once."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, bytes]] = {}
        self.asked: list[dict[str, Any]] = []
        self.stack: dict[str, Any] | None = None
        self.events: list[dict[str, str]] = []
        self.removed: list[str] = []
        self.refusal = ""
        self.ends = "CREATE_COMPLETE"
        self.key_state = "Enabled"
        self.limit = 1000
        self.meta = type("Meta", (), {"region_name": "eu-central-1"})

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012"}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": self.limit, "UnreservedConcurrentExecutions": self.limit}}

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": name} for name in self.objects]}

    def create_bucket(self, **asked: Any) -> None:
        assert asked["CreateBucketConfiguration"] == {"LocationConstraint": "eu-central-1"}
        self.objects[asked["Bucket"]] = {}

    def put_public_access_block(self, **asked: Any) -> None:
        assert set(asked["PublicAccessBlockConfiguration"].values()) == {True}

    def list_objects_v2(self, **asked: Any) -> dict[str, Any]:
        found = [{"Key": key} for key in self.objects[asked["Bucket"]] if key.startswith(asked["Prefix"])]
        return {"KeyCount": len(found), "Contents": found} if found else {"KeyCount": 0}

    def get_object(self, **asked: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[asked["Bucket"]][asked["Key"]])}

    def put_object(self, **asked: Any) -> None:
        self.objects[asked["Bucket"]][asked["Key"]] = asked["Body"]

    def generate_presigned_url(self, _request: str, **asked: Any) -> str:
        return f"https://s3/{asked['Params']['Key']}"

    def describe_key(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"KeyId": KEY}
        return {"KeyMetadata": {"KeyState": self.key_state}}

    def stands(self, state: str, *before: str) -> None:
        """The stack is in a state that it came to by others."""
        self.stack = {"StackId": "stack/1", "StackStatus": state, "Parameters": [], "Outputs": []}
        failed = {"LogicalResourceId": "Repository", "ResourceStatus": "CREATE_FAILED"}
        self.events = [
            {"LogicalResourceId": "mainstay-dev", "ResourceStatus": state},
            {**failed, "LogicalResourceId": "Work", "ResourceStatusReason": "Resource creation cancelled"},
            {**failed, "LogicalResourceId": "APIHandler"},
            {**failed, "ResourceStatusReason": "the name is taken."},
            *({"LogicalResourceId": "mainstay-dev", "ResourceStatus": each} for each in before),
            # Of an attempt before.
            {**failed, "ResourceStatusReason": "it was mended since"},
        ]

    def describe_stacks(self, **_asked: Any) -> dict[str, Any]:
        return {"Stacks": [self.stack] if self.stack else []}

    def describe_stack_events(self, **_asked: Any) -> dict[str, Any]:
        return {"StackEvents": self.events}

    def delete_stack(self, **asked: Any) -> None:
        self.removed.append(asked["StackName"])
        if self.ends != "DELETE_FAILED":
            self.stack = None

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
        self.stands(self.ends, "CREATE_IN_PROGRESS")
        assert self.stack is not None
        self.stack["Outputs"] = [
            {"OutputKey": name, "OutputValue": f"https://{name}/"}
            for name in ("EndpointURL", "RepositoryAddress", "KmsKey", "ApiRole", "WorkerRole")
        ]
        before = self.asked[-2]["Parameters"] if len(self.asked) > 1 else []
        values = {each["ParameterKey"]: each.get("ParameterValue") for each in before}
        self.stack["Parameters"] = [
            {"ParameterKey": name, "ParameterValue": each.get("ParameterValue", values.get(name))}
            for each in self.asked[-1]["Parameters"]
            for name in [each["ParameterKey"]]
        ]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "deployment.zip").write_bytes(b"zip")
    (tmp_path / "sam.yaml").write_text(yaml.safe_dump(packaged_template("dev")))
    return tmp_path


def staged(aws: FakeAws, said: list[str]) -> Deployment:
    return Deployment("dev", lambda _service: aws, said.append, pause=0)


# ── the stack ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_package_stands_in_the_template_where_it_was_uploaded_to() -> None:
    template = with_code(packaged_template("dev"), "s3://deployments/dev/1.zip")
    codes = {
        each["Properties"]["CodeUri"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Serverless::Function"
    }
    assert codes == {"s3://deployments/dev/1.zip"}
    assert "Type" in template["Resources"]["Repository"]


def test_a_stack_is_made_and_then_updated_with_the_parameters_it_had(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = staged(aws, said)
    assert stage.deploy(package, {**DIGEST, "WorkerConcurrency": "5"})["EndpointURL"] == "https://EndpointURL/"
    assert list(aws.objects) == ["mainstay-deployments-123456789012-eu-central-1"]
    assert stage.deploy(package, {"AdminTokenSha256": "1" * 64})["EndpointURL"]
    first, second = aws.asked
    assert (first["StackName"], first["ChangeSetType"], second["ChangeSetType"]) == (
        "mainstay-dev",
        "CREATE",
        "UPDATE",
    )
    assert {"ParameterKey": "WorkerConcurrency", "UsePreviousValue": True} in second["Parameters"]
    # The same package again is not sent again.
    (uploaded,) = aws.objects.values()
    assert len([line for line in said if line.startswith("uploaded")]) == len(uploaded) == 2
    assert aws.removed == []


def test_what_cannot_be_deployed_is_told_with_the_reason(package: Path, tmp_path: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = staged(aws, said)
    with pytest.raises(DeploymentError, match="no parameter Workers; it has: AdminTokenSha256, "):
        stage.deploy(package, {"Workers": "5"})
    with pytest.raises(DeploymentError, match="make package STAGE=dev"):
        stage.deploy(tmp_path / "nowhere", {})
    aws.refusal = "Template error: no such thing"
    with pytest.raises(DeploymentError, match="refuses the template: Template error"):
        stage.deploy(package, DIGEST)
    # The stack that AWS makes for a change set would be empty.
    assert aws.removed == ["mainstay-dev"]


def test_nothing_to_change_is_no_failure(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = staged(aws, said)
    stage.deploy(package, DIGEST)
    aws.refusal = "The submitted information didn't contain changes."
    assert stage.deploy(package, DIGEST)
    assert said[-1] == "nothing has changed"
    assert aws.removed == []


def test_a_first_attempt_that_failed_says_why_and_is_removed_by_the_next(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = staged(aws, said)
    aws.ends = "ROLLBACK_COMPLETE"
    with pytest.raises(
        DeploymentError, match=r"is ROLLBACK_COMPLETE: Repository: the name is taken\. .*removed then"
    ):
        stage.deploy(package, DIGEST)
    aws.ends = "CREATE_COMPLETE"
    assert stage.deploy(package, DIGEST)
    assert "mainstay-dev is ROLLBACK_COMPLETE: it never was complete, so what is left of it is removed first" in said
    assert aws.removed == ["stack/1"]
    assert [asked["ChangeSetType"] for asked in aws.asked] == ["CREATE", "CREATE"]
    assert not any("UsePreviousValue" in each for each in aws.asked[1]["Parameters"])


@pytest.mark.parametrize(
    ("state", "before"),
    [
        ("ROLLBACK_FAILED", "ROLLBACK_IN_PROGRESS"),
        ("CREATE_FAILED", "CREATE_IN_PROGRESS"),
        ("DELETE_FAILED", "ROLLBACK_COMPLETE"),
        ("REVIEW_IN_PROGRESS", "REVIEW_IN_PROGRESS"),
    ],
)
def test_a_stack_that_never_was_complete_is_made_anew(package: Path, state: str, before: str) -> None:
    aws, said = FakeAws(), list[str]()
    aws.stands(state, before)
    assert staged(aws, said).deploy(package, DIGEST)
    assert (aws.removed, aws.asked[0]["ChangeSetType"]) == (["stack/1"], "CREATE")


def test_what_is_left_and_cannot_be_removed_is_told(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    aws.stands("ROLLBACK_FAILED", "ROLLBACK_IN_PROGRESS", "CREATE_IN_PROGRESS")
    aws.ends = "DELETE_FAILED"
    with pytest.raises(DeploymentError, match=r"could not be removed, it is ROLLBACK_FAILED: Repository: the name"):
        staged(aws, said).deploy(package, DIGEST)
    assert aws.asked == []


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("DELETE_FAILED", "delete-stack --stack-name mainstay-dev"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name mainstay-dev"),
        ("UPDATE_IN_PROGRESS", "Deploy when that has ended"),
        ("DELETE_IN_PROGRESS", "Deploy when that has ended"),
    ],
)
def test_a_stack_that_was_complete_is_never_removed(package: Path, state: str, remedy: str) -> None:
    aws, said = FakeAws(), list[str]()
    aws.stands(state, "DELETE_IN_PROGRESS", "UPDATE_COMPLETE", "CREATE_COMPLETE")
    with pytest.raises(DeploymentError, match=remedy):
        staged(aws, said).deploy(package, DIGEST)
    assert (aws.removed, aws.asked) == ([], [])


def test_a_failed_update_says_that_the_stage_runs_on(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    stage = staged(aws, said)
    stage.deploy(package, DIGEST)
    aws.ends = "UPDATE_ROLLBACK_COMPLETE"
    with pytest.raises(DeploymentError, match=r"is UPDATE_ROLLBACK_COMPLETE: .*\. The stage runs on as it was"):
        stage.deploy(package, {"LogDays": "60"})
    aws.ends = "UPDATE_COMPLETE"
    assert stage.deploy(package, {"LogDays": "60"})
    assert aws.removed == []


# ── what a removed stage left ───────────────────────────────────────────────────────────────────────────────


def root_key(number: int, *keys: str) -> bytes:
    wrappings = [{"wrapper": "kms", "key": key, "box": ""} for key in keys]
    return json.dumps({"number": number, "wrappings": [*wrappings, {"wrapper": "recovery", "box": ""}]}).encode()


def given(aws: FakeAws) -> dict[str, str]:
    return {each["ParameterKey"]: each.get("ParameterValue", "") for each in aws.asked[-1]["Parameters"]}


def test_a_stage_that_comes_back_takes_its_bucket_over_and_the_key_of_the_newest_root_key(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    aws.objects[BUCKET] = {"vault/keys/1.json": root_key(1, "arn:of-another"), "vault/keys/2.json": root_key(2, KEY)}
    stage = staged(aws, said)
    stage.deploy(package, DIGEST)
    assert given(aws) == {**DIGEST, "TakeOverBucket": "yes", "TakeOverKey": KEY}
    assert any(line.startswith(f"the bucket {BUCKET} is there already") for line in said)
    assert any(line.endswith(KEY) for line in said)
    # From then on they are its parameters, as any other.
    stage.deploy(package, {"LogDays": "60"})
    kept = {"ParameterKey": "TakeOverBucket", "UsePreviousValue": True}
    assert kept in aws.asked[-1]["Parameters"]


def test_a_bucket_without_a_repository_is_taken_over_and_gets_a_key(package: Path) -> None:
    aws, said = FakeAws(), list[str]()
    aws.objects[BUCKET] = {}
    staged(aws, said).deploy(package, DIGEST)
    assert given(aws) == {**DIGEST, "TakeOverBucket": "yes"}


@pytest.mark.parametrize(
    ("state", "remedy"), [("PendingDeletion", "cancel-key-deletion"), ("Disabled", "enable-key")]
)
def test_a_key_that_opens_nothing_any_more_is_not_taken_over(package: Path, state: str, remedy: str) -> None:
    aws, said = FakeAws(), list[str]()
    aws.objects[BUCKET] = {"vault/keys/1.json": root_key(1, KEY)}
    aws.key_state = state
    with pytest.raises(DeploymentError, match=f"is {state}: .*{remedy} --key-id {KEY}.*rewrap"):
        staged(aws, said).deploy(package, DIGEST)
    assert aws.asked == []
    # That is seen before minutes go into a package, too.
    with pytest.raises(DeploymentError, match=state):
        staged(aws, said).taken_over(DIGEST, said.append)
    # Unless that is said: the recovery key lets another one open it.
    staged(aws, said).deploy(package, {**DIGEST, "TakeOverKey": ""})
    assert given(aws) == {**DIGEST, "TakeOverBucket": "yes", "TakeOverKey": ""}


# ── the administrator's token ───────────────────────────────────────────────────────────────────────────────


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


OLD, OTHER = "the-token-of-the-administrator", "a-token-that-was-made-elsewhere"


def choose(file: Path, current: str | None, *, named: bool = False, new: bool = False) -> admin_token.Token:
    return admin_token.choose(file, named=named, new=new, current=current)


def test_only_the_digest_of_the_token_is_passed_on(tmp_path: Path) -> None:
    file = tmp_path / "deployed" / "dev-token"
    token = choose(file, None)
    assert token.parameters == {"AdminTokenSha256": digest(file.read_text().strip())}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert choose(file, None).parameters == token.parameters
    file.write_text("short\n")
    with pytest.raises(DeploymentError, match="too short"):
        choose(file, None)


def test_a_stack_keeps_its_token_where_nobody_asks_for_another(tmp_path: Path) -> None:
    file = tmp_path / "dev-token"
    from_elsewhere = choose(file, digest(OLD))
    assert (from_elsewhere.parameters, from_elsewhere.file, file.exists()) == ({}, None, False)
    assert "stays as it is" in from_elsewhere.said
    file.write_text(OTHER)
    outdated = choose(file, digest(OLD))
    assert (outdated.parameters, outdated.file) == ({}, None)
    assert "is not the one in" in outdated.said
    file.write_text(OLD)
    assert choose(file, digest(OLD)) == admin_token.Token(None, file)


def test_a_named_token_file_changes_the_token_and_has_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(DeploymentError, match=r"is not there\. With --new-token"):
        choose(file, digest(OLD), named=True)
    file.write_text(OTHER)
    assert choose(file, digest(OLD), named=True).parameters == {"AdminTokenSha256": digest(OTHER)}


def test_a_new_token_takes_the_old_ones_place_when_the_stack_knows_it(tmp_path: Path) -> None:
    file = tmp_path / "dev-token"
    file.write_text(OLD)
    token = choose(file, digest(OLD), new=True)
    assert token.parameters != {"AdminTokenSha256": digest(OLD)}
    # A deployment that fails now leaves the old token, which is still the one that counts.
    assert file.read_text() == OLD
    token.keep()
    assert token.parameters == {"AdminTokenSha256": digest(file.read_text().strip())}
    assert [each.name for each in tmp_path.iterdir()] == ["dev-token"]


def test_a_new_token_that_the_stack_took_is_found_after_the_deployment_was_killed(tmp_path: Path) -> None:
    file = tmp_path / "dev-token"
    file.write_text(OLD)
    taken = choose(file, digest(OLD), new=True).digest
    assert choose(file, taken) == admin_token.Token(None, file)
    assert digest(file.read_text().strip()) == taken


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command finds nothing of this machine; its folder for tokens."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path / "data" / "mainstay" / "deployed"


def run(*arguments: str, aws: Any = None) -> int:
    return deploy.main(arguments, pause=0, clients=aws and (lambda: lambda _service: aws))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["staging"], "no stage 'staging': .chalice/config.json has dev, prod"),
        (["dev", "LogDay=30"], "no parameter LogDay; it has: "),
        (["dev", "LogDays"], "'LogDays' is not NAME=VALUE"),
        (["dev", "LogDays=5"], "LogDays will not do: one of 7, 14, "),
        (["dev", "WorkerConcurrency=one"], "WorkerConcurrency will not do: a whole number"),
        (["dev", "WorkerConcurrency=1"], "WorkerConcurrency will not do: it has to be from 2 to 1000"),
        (["dev", "HttpsProxy=http://me:hush@proxy:3128"], "HttpsProxy will not do: it has to have the form"),
        (["dev"], "No region is set"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(
    machine: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert told in said
    assert "hush" not in said
    assert not machine.exists()


def test_a_stage_is_checked_before_it_is_packaged(capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main(["staging"]) == 1
    assert "has dev, prod" in capsys.readouterr().err
    assert checks.main(["prod"]) == 0


def test_make_looks_before_it_packages_and_packages_before_it_deploys() -> None:
    asked = ["make", "--dry-run", "deploy", "STAGE=prod", "PARAMETERS=LogDays=60"]
    done = subprocess.run(asked, cwd=checks.ROOT, capture_output=True, text=True, check=True, timeout=60)
    steps = [
        "-m infra.deploy prod --check LogDays=60",
        "infra/checks.py prod",
        "chalice package --stage prod",
        "-m infra.deploy prod LogDays=60",
    ]
    found = [done.stdout.find(step) for step in steps]
    assert -1 < found[0] < found[1] < found[2] < found[3]


class Refusing(FakeAws):
    """AWS, when it answers with an error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def describe_stacks(self, **_asked: Any) -> dict[str, Any]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "goes on at AWS"),
        (NoCredentialsError(), "AWS cannot be asked: Unable to locate credentials. "),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "You may not."}}, "DescribeStacks"),
            "AWS refuses DescribeStacks: You may not (AccessDenied)",
        ),
    ],
)
def test_errors_of_aws_are_sentences(
    machine: Path, capsys: pytest.CaptureFixture[str], error: BaseException, told: str
) -> None:
    assert run("dev", "--check", aws=Refusing(error)) == 1
    assert told in capsys.readouterr().err
    assert not machine.exists()


def test_a_check_says_where_and_what_and_makes_nothing(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = FakeAws()
    assert run("dev", "--check", aws=aws) == 0
    assert capsys.readouterr().out == "mainstay-dev in account 123456789012, eu-central-1: to be made\n"
    assert (aws.objects, aws.asked, machine.exists()) == ({}, [], False)


def test_a_new_account_is_told_to_set_no_functions_aside_before_anything_is_made(
    machine: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = FakeAws()
    aws.limit = 10
    assert run("dev", "--package", str(package), aws=aws) == 1
    assert "may run 10 functions at once" in (said := capsys.readouterr().err)
    assert "ReserveWorkers=no WorkerConcurrency=5" in said
    assert (aws.objects, machine.exists()) == ({}, False)
    assert run("dev", "ReserveWorkers=no", "WorkerConcurrency=5", "--package", str(package), aws=aws) == 0
    # What it says of a stack that is there is kept, and no business of this.
    assert run("dev", "LogDays=60", "--package", str(package), aws=aws) == 0


def test_another_machine_updates_without_locking_anybody_out(
    machine: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = FakeAws()
    assert run("dev", "--package", str(package), aws=aws) == 0
    first = given(aws)["AdminTokenSha256"]
    token = machine / "dev-token"
    assert f"MAINSTAY_TOKEN=$(cat {token})" in capsys.readouterr().out
    token.unlink()
    assert run("dev", "LogDays=60", "--package", str(package), aws=aws) == 0
    said = capsys.readouterr().out
    assert f"the administrator's token stays as it is: there is none in {token}" in said
    assert "$(cat" not in said
    assert not token.exists()
    assert {"ParameterKey": "AdminTokenSha256", "UsePreviousValue": True} in aws.asked[-1]["Parameters"]
    assert run("dev", "--new-token", "--package", str(package), aws=aws) == 0
    assert given(aws)["AdminTokenSha256"] == digest(token.read_text().strip()) != first
