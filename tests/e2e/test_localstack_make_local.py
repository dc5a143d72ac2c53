"""`make local`: one command, a service in its AWS shape, and nothing left when it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.harness.ports import answers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = tmp_path / "local.log"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "AWS_", "KUBE"))}
    settings = {"MAINSTAY_LISTEN": "127.0.0.1:0", "KUBECONFIG": str(tmp_path / "none"), "TMPDIR": str(tmp_path)}
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local"],
            cwd=ROOT,
            env={**own, **settings, "PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield process, log
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def found(pattern: str, log: Path, process: subprocess.Popen[bytes], seconds: float = 120) -> str:
    """What the first group of a pattern is, once it is in the log."""
    end = time.monotonic() + seconds
    while True:
        match = re.search(pattern, log.read_text())
        if match:
            return match.group(1)
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_use_it_answers_and_leaves_nothing_behind(
    started: tuple[subprocess.Popen[bytes], Path], number: signal.Signals, tmp_path: Path
) -> None:
    process, log = started
    localstack = found(r"LocalStack is ready at http://127\.0\.0\.1:(\d+)", log, process)
    data = Path(found(r"export MAINSTAY_DATA=(\S+)", log, process))
    url = found(r"Mainstay listens on (http://\S+)", log, process)
    assert "s3://mainstay-local-" in log.read_text()

    headers = {"Authorization": f"Bearer {(data / 'token').read_text().strip()}"}
    answer = urllib3.request("GET", f"{url}/app", headers=headers, timeout=30, retries=10)
    assert (answer.status, answer.json()["items"]) == (200, [])

    # A terminal sends Ctrl-C to all of them.
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(60) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert not answers(int(localstack))
    assert not answers(int(url.rpartition(":")[2]))
    assert list(tmp_path.glob("mainstay-local-*")) == []


def test_it_ends_and_says_so_when_localstack_does(
    started: tuple[subprocess.Popen[bytes], Path], tmp_path: Path
) -> None:
    process, log = started
    found(r"Mainstay listens on (http://\S+)", log, process)
    (written,) = tmp_path.glob("mainstay-local-*/run/localstack.json")
    os.kill(json.loads(written.read_text())["pid"], signal.SIGKILL)
    assert process.wait(60) == 1, log.read_text()
    assert "LocalStack has ended, and with it all that was in it" in log.read_text()
