"""Importing the app is cheap: nothing heavy comes with it."""

from __future__ import annotations

import json
import subprocess
import sys

THIRD_PARTY = ("kubernetes", "cryptography", "zstandard", "boto3", "botocore", "yaml")
HEAVY = (*THIRD_PARTY, "chalicelib.engine", "chalicelib.store", "chalicelib.cluster")


def test_nothing_heavy_is_imported_with_the_app() -> None:
    program = "import app, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout)
    heavy = [name for name in loaded if any(name == each or name.startswith(f"{each}.") for each in HEAVY)]
    assert heavy == []
