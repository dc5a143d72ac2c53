"""Storages to run one and the same test on, and ways to spoil what lies there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.store.backend import Backend
from chalicelib.store.backends.directory import DirectoryBackend
from chalicelib.store.backends.files import path_of
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.backends.s3 import S3Access, S3Backend, S3Limits
from tests.harness.s3 import S3Server


class Place(ABC):
    """A fresh, empty storage."""

    #: For other processes: the address and the environment that leads there.
    address: str = ""
    environment: Mapping[str, str] = {}

    @abstractmethod
    def backend(self) -> Backend:
        """A backend, as another process would have it."""

    @abstractmethod
    def read(self, key: str) -> bytes: ...

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Put bytes under a key behind the back of every backend."""

    def copy_to(self, other: Place, prefix: str) -> None:
        """What copying a folder with the storage's own tools does."""
        for listed in self.backend().list(prefix):
            other.write(listed.key, self.read(listed.key))


class InMemory(Place):
    def __init__(self) -> None:
        self._backend = MemoryBackend()

    def backend(self) -> Backend:
        return self._backend

    def read(self, key: str) -> bytes:
        found = self._backend.get(key)
        assert found is not None
        return found.data

    def write(self, key: str, data: bytes) -> None:
        self._backend.delete(key)
        self._backend.create(key, data)


class InDirectory(Place):
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.address = f"file://{root}"

    def backend(self) -> Backend:
        return DirectoryBackend(self.root)

    def read(self, key: str) -> bytes:
        return path_of(self.root, key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        path = path_of(self.root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@dataclass
class InBucket(Place):
    server: S3Server
    bucket: str
    #: Another way to the server: a fault proxy's.
    endpoint: str = ""
    limits: S3Limits = field(default_factory=S3Limits)
    _backends: dict[object, Backend] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.address = f"s3://{self.bucket}/somewhere/in-it"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint or self.server.endpoint,
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_REGION": self.server.region,
        }

    def backend(self) -> Backend:
        # boto3 takes a fifth of a second to make a client, and the backend holds no state beside it.
        which = (self.bucket, self.endpoint, self.limits)
        if which not in self._backends:
            server = self.server
            access = S3Access(self.endpoint or server.endpoint, server.region, server.access_key, server.secret_key)
            self._backends[which] = S3Backend(self.bucket, "somewhere/in-it", access=access, limits=self.limits)
        return self._backends[which]

    def read(self, key: str) -> bytes:
        answer = self._client().get_object(Bucket=self.bucket, Key=f"somewhere/in-it/{key}")
        return bytes(answer["Body"].read())

    def write(self, key: str, data: bytes) -> None:
        self._client().put_object(Bucket=self.bucket, Key=f"somewhere/in-it/{key}", Body=data)

    def _client(self) -> Any:
        if not hasattr(self, "_boto"):
            self._boto = self.server.client()
        return self._boto
