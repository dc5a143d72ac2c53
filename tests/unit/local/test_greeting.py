"""What the runner says at its first start, and `make local` to the other terminal."""

from __future__ import annotations

import subprocess

import pytest

from chalicelib.local.runner import when_it_is_needed
from chalicelib.settings import Settings
from infra.local.__main__ import MAINSTAY, exports

AWS = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_SECRET_ACCESS_KEY": "it's"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"MAINSTAY_PASSPHRASE_FILE": "/p"}, "the passphrase is lost"),
        ({"MAINSTAY_KMS_KEY": "alias/k"}, "without AWS: when the KMS key is lost"),
        ({"MAINSTAY_KMS_KEY": "alias/k", "MAINSTAY_PASSPHRASE": "p"}, "passphrase and KMS key are lost"),
    ],
)
def test_the_recovery_key_is_said_to_be_for_the_loss_of_what_there_is(given: dict[str, str], told: str) -> None:
    sentence = when_it_is_needed(Settings.read(given))
    assert told in sentence
    assert ("passphrase" in sentence) is any("PASSPHRASE" in name for name in given)


def test_a_shell_that_takes_over_the_exports_has_what_every_command_needs() -> None:
    environment = {
        **AWS,
        "MAINSTAY_DATA": "/data of mine",
        "MAINSTAY_REPOSITORY": "s3://backups",
        "MAINSTAY_KMS_KEY": "alias/mainstay",
        "MAINSTAY_QUEUE_URL": "http://queue",
    }
    program = "\n".join([*exports(AWS, environment), "env"])
    told = subprocess.run(["/bin/sh", "-s"], input=program, capture_output=True, text=True, check=True, env={}).stdout
    seen = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    assert {name: seen.get(name) for name in environment} == {**environment, "MAINSTAY_QUEUE_URL": None}
    assert seen["PATH"].startswith(f"{MAINSTAY.parent}:")
