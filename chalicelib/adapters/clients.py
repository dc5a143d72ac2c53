"""Clients of AWS' services, all set up alike.

Region, endpoint, credentials and proxy (`HTTPS_PROXY`, `NO_PROXY`) are those of the environment, as boto3 reads it.
How long an answer may take is each adapter's own: somebody waits for it, or a lease runs meanwhile.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.config import Config


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to connect and to wait for an answer, and tries in all."""

    connect: float
    answer: float
    tries: int

    def config(self) -> Config:
        """The same as botocore takes it."""
        from botocore.config import Config

        return Config(
            connect_timeout=self.connect,
            read_timeout=self.answer,
            retries={"mode": "standard", "total_max_attempts": self.tries},
        )


class Client:
    """A client of one service, made when it is first asked for: `client()`. Safe to share between threads."""

    def __init__(self, service: str, patience: Patience, region: str = "") -> None:
        self._service = service
        self._patience = patience
        self._region = region
        self._making = threading.Lock()
        self._made: Any = None

    def __call__(self) -> Any:
        with self._making:
            if self._made is None:
                import boto3

                # A session of its own: boto3's default one is not safe to share between threads.
                session = boto3.session.Session()
                region = self._region or session.region_name or "us-east-1"
                self._made = session.client(self._service, region_name=region, config=self._patience.config())
            return self._made
