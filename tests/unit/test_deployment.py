"""What is deployed: each function may do what it must, and no more; the package fits."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra import package_size

ROOT = Path(__file__).parents[2]
STAGES = ("dev", "prod")


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
            found += resource if isinstance(resource, list) else [resource]
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_has_a_policy_of_its_own(stage: str) -> None:
    functions = config()["stages"][stage]["lambda_functions"]
    files = [config()["stages"][stage]["iam_policy_file"], *(each["iam_policy_file"] for each in functions.values())]
    assert set(functions) == {"tick", "work"}
    assert len(set(files)) == len(files)
    for file in files:
        assert (ROOT / ".chalice" / file).resolve().is_file()


@pytest.mark.parametrize("name", ["api", "tick", "work"])
def test_no_policy_has_a_blanket_permission(name: str) -> None:
    for statement in statements(name):
        actions = statement["Action"]
        assert not any("*" in action for action in actions), statement["Sid"]
        assert statement["Resource"] != "*", statement["Sid"]


@pytest.mark.parametrize("name", ["api", "tick", "work"])
def test_nobody_may_delete_from_the_vault(name: str) -> None:
    assert all("control" in resource for resource in allowed(name, "s3:DeleteObject"))


def test_the_api_may_neither_write_segments_nor_open_the_root_key() -> None:
    written = [resource for resource in allowed("api", "s3:PutObject") if "vault" in resource]
    assert all(resource.endswith(("key-*.json", "versions/*.ended")) for resource in written)
    assert allowed("api", "kms:Decrypt") == []


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_has_a_secret_in_its_environment(stage: str) -> None:
    text = json.dumps(config()["stages"][stage])
    assert "PASSPHRASE" not in text
    assert "TOKEN" not in text


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
