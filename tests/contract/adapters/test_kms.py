"""Root keys wrapped by moto's KMS: opened with the key, and without AWS by the recovery key."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from chalicelib import bootstrap
from chalicelib.adapters.kms import CONTEXT, KmsKey
from chalicelib.domain.errors import StorageUnavailable, WrongKey
from chalicelib.domain.ids import new_id
from chalicelib.settings import Settings
from chalicelib.store.address import backend_at
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import RecoveryKey
from tests.contract.store.samples import AT, sealed_version
from tests.harness.ports import free_port
from tests.harness.s3 import MotoServer

APP = new_id("app", AT)
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    with MotoServer(Path(tmp_path_factory.mktemp("moto"))) as server:
        yield server


@pytest.fixture
def kms(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", moto.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    return boto3.client("kms")


@pytest.fixture
def arn(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def settings(folder: Path, **more: str) -> Settings:
    return Settings.read({"MAINSTAY_REPOSITORY": f"file://{folder}", **more})


def test_a_key_opens_what_it_wrapped_and_says_which_key_it_is(arn: str) -> None:
    wrapping = KmsKey(arn).wrap(KEY)
    assert wrapping["wrapper"] == "kms"
    assert wrapping["key"] == arn
    assert KEY.hex() not in str(wrapping)
    assert KmsKey(arn).unwrap(wrapping) == KEY


def test_an_alias_names_a_key_as_well(kms: Any, arn: str) -> None:
    kms.create_alias(AliasName="alias/mainstay-test", TargetKeyId=arn)
    assert KmsKey("alias/mainstay-test").unwrap(KmsKey(arn).wrap(KEY)) == KEY
    kms.delete_alias(AliasName="alias/mainstay-test")


def test_what_is_stored_opens_only_with_mainstays_encryption_context(kms: Any, arn: str) -> None:
    other = kms.encrypt(KeyId=arn, Plaintext=KEY, EncryptionContext={"application": "other"})
    foreign = {"wrapper": "kms", "key": arn, "box": base64.b64encode(other["CiphertextBlob"]).decode()}
    with pytest.raises(WrongKey, match="InvalidCiphertextException"):
        KmsKey(arn).unwrap(foreign)
    ours = base64.b64decode(KmsKey(arn).wrap(KEY)["box"])
    assert kms.decrypt(CiphertextBlob=ours, EncryptionContext=CONTEXT)["Plaintext"] == KEY


@pytest.mark.parametrize("box", ["", "!", None, "AAAA"])
def test_a_wrapping_that_was_altered_is_a_wrong_key(arn: str, box: str | None) -> None:
    with pytest.raises(WrongKey):
        KmsKey(arn).unwrap({"wrapper": "kms", "key": arn, "box": box})


def test_a_key_that_is_not_there_is_named_with_the_reason(kms: Any) -> None:
    with pytest.raises(WrongKey, match="alias/nobody cannot be used: there is no such key or alias"):
        KmsKey("alias/nobody").wrap(KEY)


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("AccessDeniedException", 400, WrongKey, "who asks may not use it"),
        ("DisabledException", 400, WrongKey, "it is disabled"),
        ("KMSInvalidStateException", 400, WrongKey, "being deleted"),
        ("IncorrectKeyException", 400, WrongKey, "another key"),
        ("SomethingNew", 400, WrongKey, "KMS answered SomethingNew"),
        ("ThrottlingException", 400, StorageUnavailable, "ThrottlingException"),
        ("KMSInternalException", 500, StorageUnavailable, "KMSInternalException"),
    ],
)
def test_answers_of_kms_are_told_apart_by_what_can_be_done(
    arn: str, kms: Any, code: str, status: int, error: type[Exception], words: str
) -> None:
    key, wrapping = KmsKey(arn), KmsKey(arn).wrap(KEY)
    key._client._made = kms
    with Stubber(kms) as answers:
        answers.add_client_error("decrypt", code, http_status_code=status)
        with pytest.raises(error, match=words):
            key.unwrap(wrapping)


def test_a_kms_that_does_not_answer_is_a_passing_fault(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapping = KmsKey(arn).wrap(KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnavailable, match="EndpointConnectionError"):
        KmsKey(arn).unwrap(wrapping)


def test_a_repository_made_with_kms_opens_with_it_and_by_the_recovery_key_without_aws(
    arn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, MAINSTAY_KMS_KEY=arn)
    recovery_key = bootstrap.make_repository(chosen)
    assert recovery_key is not None
    sealed = sealed_version(bootstrap.open_repository(chosen), APP)
    assert bootstrap.open_repository(chosen).versions(APP).get(sealed.version) == sealed

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    without = settings(tmp_path, MAINSTAY_PASSPHRASE=recovery_key)
    assert bootstrap.open_repository(without).versions(APP).get(sealed.version) == sealed
    # What needs nobody else is tried first, so a KMS that is down is not even asked.
    both = settings(tmp_path, MAINSTAY_PASSPHRASE=recovery_key, MAINSTAY_KMS_KEY=arn)
    assert bootstrap.open_repository(both).versions(APP).get(sealed.version) == sealed


def test_kms_is_asked_once_for_a_repository_and_not_again_for_each_application(
    arn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, MAINSTAY_KMS_KEY=arn)
    bootstrap.make_repository(chosen)
    asked: list[str] = []
    ask = KmsKey._ask
    monkeypatch.setattr(KmsKey, "_ask", lambda self, what, **more: asked.append(what) or ask(self, what, **more))
    repository = bootstrap.open_repository(chosen)
    assert asked == []
    for number in range(3):
        repository.keyring.application(f"app-01jd{number:022d}", create=True)
    assert asked == ["decrypt"]


def test_a_repository_of_a_passphrase_is_given_to_kms_and_so_are_its_applications_folders(
    arn: str, tmp_path: Path
) -> None:
    before = settings(tmp_path / "one", MAINSTAY_PASSPHRASE="correct horse")
    recovery_key = bootstrap.make_repository(before)
    sealed = sealed_version(bootstrap.open_repository(before), APP)
    done, _ = bootstrap.rewrap_root_key(
        settings(tmp_path / "one", MAINSTAY_PASSPHRASE="correct horse", MAINSTAY_KMS_KEY=arn)
    )
    assert (done.added, done.applications) == (("kms",), 1)
    assert recovery_key is not None
    for more in (
        {"MAINSTAY_KMS_KEY": arn},
        {"MAINSTAY_PASSPHRASE": "correct horse"},
        {"MAINSTAY_PASSPHRASE": recovery_key},
    ):
        assert bootstrap.open_repository(settings(tmp_path / "one", **more)).versions(APP).get(sealed.version)

    (tmp_path / "elsewhere" / "vault").mkdir(parents=True)
    (tmp_path / "one" / "vault" / APP).rename(tmp_path / "elsewhere" / "vault" / APP)
    folder = backend_at(f"file://{tmp_path / 'elsewhere'}")
    for wrapper in (KmsKey(arn), RecoveryKey.parse(recovery_key)):
        assert Repository.foreign(folder, [wrapper]).versions(APP).get(sealed.version) == sealed
