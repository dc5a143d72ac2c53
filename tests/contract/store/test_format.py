"""The page about the format is right: a script written from it alone reads a version."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.domain.ids import new_id
from chalicelib.domain.version import Gap
from chalicelib.store.repository import Repository
from tests.contract.store.places import InDirectory
from tests.contract.store.samples import AT, DOCUMENT, PASSPHRASE, line_of, sealed_version

SCRIPT = Path(__file__).with_name("read_version.py")
APP = new_id("app", AT)


@pytest.mark.parametrize("secret", ["passphrase", "recovery key"])
def test_a_script_written_from_the_page_alone_reads_a_version(tmp_path: Path, secret: str) -> None:
    backend = InDirectory(tmp_path / "repository").backend()
    made = Repository.initialise_on(backend, backend, [PASSPHRASE])
    odd = Gap(group="", kind="Größe", message='"quoted" \\ \x1f \x7f ü € 😀 \u2028')
    sealed_version(made.repository, APP, gaps=(odd,))
    given = made.recovery_key if secret == "recovery key" else "correct horse"
    assert given is not None
    command = [sys.executable, "-I", SCRIPT, tmp_path / "repository", APP, given]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    document, *objects = ran.stdout.splitlines()
    assert json.loads(document) == DOCUMENT
    wanted = [line_of("ConfigMap", n, 600) for n in range(5)] + [line_of("Secret", n, 600) for n in range(700)]
    assert [json.loads(line) for line in objects] == [json.loads(line)["object"] for line in wanted]


def test_that_script_knows_nothing_of_mainstay() -> None:
    imported = {
        name.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    allowed = {"base64", "hashlib", "hmac", "json", "sys", "pathlib", "zstandard"}
    assert {name for name in imported if not name.startswith("cryptography.")} <= allowed
