"""LocalStack: S3, SQS, KMS, CloudFormation and more of AWS on one port, from PyPI, without a container engine.

It keeps nothing: what ends it takes queues, buckets and keys along. Functions can be created in it, not run.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.harness.cache import cache_root, locked, say
from tests.harness.errors import HarnessError
from tests.harness.ports import free_port
from tests.harness.processes import Program, wait_until
from tests.harness.s3 import S3Server

LOCALSTACK = "4.8.1"
_REQUIREMENTS = Path(__file__).with_name("localstack.txt")
_INSTALL_SECONDS = 10 * 60


def python() -> Path:
    """The Python of LocalStack's virtual environment, made first if need be (a minute or two, once; 500 MB)."""
    digest = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    target = cache_root() / "programs" / f"localstack-{LOCALSTACK}-{digest}"
    found = target / "bin" / "python"
    if found.exists():
        return found
    busy = "another process installs LocalStack; waiting for it"
    with locked(target.name, seconds=_INSTALL_SECONDS + 60, waiting=busy):
        if not found.exists():
            say(f"installing LocalStack {LOCALSTACK} into the cache, once (a minute or two)")
            _install(target)
    return found


def _install(target: Path) -> None:
    # Whole and then renamed: programs are started as `bin/python -m …`, which does not mind where it lies.
    aside = cache_root() / "building" / f"{target.name}-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _run([sys.executable, "-m", "venv", str(aside)])
        pip = [str(aside / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--requirement", str(_REQUIREMENTS)])
        target.parent.mkdir(exist_ok=True)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode:
        raise HarnessError(f"LocalStack could not be installed:\n{(done.stderr or done.stdout)[-2000:]}")


class LocalStack(S3Server):
    """LocalStack on a free port of 127.0.0.1, or on `port`. Over a restart its address stays, and nothing else.

    Started by `serial_localstack`, so that of several conditional writers one wins in a bucket with versions too.
    """

    name = "localstack"

    def __init__(self, directory: Path, *, owned: bool = True, port: int | None = None) -> None:
        super().__init__(directory, owned=owned)
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        # LocalStack takes a key of this form for the account that ARNs name.
        self.access_key = "000000000000"

    @property
    def program(self) -> Program:
        return Program(self.name, self._command(), self.directory, self._owned, self._environment())

    @property
    def environment(self) -> dict[str, str]:
        """What leads boto3 here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def start(self) -> None:
        program = self.program
        program.start()
        wait_until(self._ready, seconds=60, what="LocalStack to be ready", programs=[program])

    def service(self, name: str) -> Any:
        """A boto3 client of one of its services."""
        return boto3.client(
            name,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 2}),
        )

    def _ready(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.endpoint}/_localstack/health", timeout=2) as answer:
            return bool(json.load(answer).get("services"))

    def _command(self) -> list[str]:
        # `-P`: this folder has a module of the name `localstack` too.
        return [str(python()), "-P", str(Path(__file__).with_name("serial_localstack.py"))]

    def _environment(self) -> dict[str, str]:
        return {
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "FILESYSTEM_ROOT": str(self.directory / "filesystem"),
            # The addresses of its queues name the port, and need no name server.
            "LOCALSTACK_HOST": f"127.0.0.1:{self.port}",
            "SQS_ENDPOINT_STRATEGY": "path",
            # Nothing is asked of the Internet, no name server is started, nothing is reported.
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "LOCALSTACK_API_KEY": "",
            "LOCALSTACK_AUTH_TOKEN": "",
            # The endpoint of whoever starts this is not LocalStack's own.
            "AWS_ENDPOINT_URL": "",
            "PYTHONWARNINGS": "ignore",
        }
