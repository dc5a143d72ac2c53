"""S3 servers to test on: moto, and versitygw, which keeps its data in a directory."""

import os
import secrets
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from tests.harness import binaries
from tests.harness.ports import answers, free_port
from tests.harness.processes import Program, wait_until


class S3Server(ABC):
    """One server on a free port of 127.0.0.1; its port, keys and directory stay the same over a restart.

    A context manager that starts and ends it. It ends with this process, however that ends, unless `owned` is off.
    """

    name: str

    def __init__(self, directory: Path, *, owned: bool = True) -> None:
        self.directory = directory
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.region = "us-east-1"
        self.access_key = "mainstay-test"
        self.secret_key = "mainstay-test-secret"
        self._owned = owned

    @property
    def program(self) -> Program:
        """The process, to kill, freeze, thaw or read its log."""
        return Program(self.name, self._command(), self.directory, self._owned)

    @abstractmethod
    def _command(self) -> list[str]: ...

    def start(self) -> None:
        program = self.program
        program.start()
        wait_until(lambda: answers(self.port), seconds=30, what=f"{self.name} to listen", programs=[program])

    def stop(self) -> None:
        self.program.stop()

    def restart(self) -> None:
        """What a crash and a restart do: versitygw still has its data, moto has none."""
        self.program.kill()
        self.start()

    def client(self, endpoint: str | None = None, **config: Any) -> Any:
        """A boto3 client; `endpoint` may be that of a proxy before the server, `config` is botocore's."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, **config),
        )

    def make_bucket(self, prefix: str = "test", *, object_lock: bool = False) -> str:
        """A fresh bucket; its name."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=object_lock)
        return name

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()


class MotoServer(S3Server):
    """moto's server, which knows other AWS services too, and forgets everything when it ends.

    Started by `serial_moto`, so that of several conditional writers one wins.
    """

    name = "moto"

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "tests.harness.serial_moto", "-H", "127.0.0.1", "-p", str(self.port)]


class VersityServer(S3Server):
    """versitygw on a directory. Buckets can have versions and Object Lock."""

    name = "versitygw"

    def _command(self) -> list[str]:
        data, versions, attributes = (self.directory / name for name in ("data", "versions", "attributes"))
        for folder in (data, versions):
            folder.mkdir(parents=True, exist_ok=True)
        options = ["--versioning-dir", str(versions)]
        if not _keeps_attributes(data):
            attributes.mkdir(exist_ok=True)
            options += ["--sidecar", str(attributes)]
        return [
            str(binaries.versitygw()),
            f"--port=127.0.0.1:{self.port}",
            f"--access={self.access_key}",
            f"--secret={self.secret_key}",
            f"--region={self.region}",
            "--keep-alive",
            "--quiet",
            "posix",
            *options,
            str(data),
        ]


def _keeps_attributes(directory: Path) -> bool:
    """Whether files there can have extended attributes, where versitygw keeps what S3 knows of an object."""
    try:
        os.setxattr(directory, "user.mainstay-test", b"1")
    except OSError:
        return False
    os.removexattr(directory, "user.mainstay-test")
    return True
