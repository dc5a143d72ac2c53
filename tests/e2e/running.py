"""A running service of a test's own, asked over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

PROGRAM = "from chalicelib.local.runner import serve; serve()"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> Any:
        return self.json["error"]


@dataclass
class Service:
    """`mainstay serve` in a process of its own, with its data in `directory`."""

    directory: Path
    kubeconfig: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    #: What runs: the service, after whatever a test breaks in it.
    program: str = PROGRAM
    process: subprocess.Popen[str] | None = None
    url: str = ""
    starts: int = 0
    #: What it printed when it started last.
    greeting: str = ""

    def __post_init__(self) -> None:
        self.pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=40)

    @property
    def token(self) -> str:
        return (self.directory / "token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.directory.parent / f"serve-{self.starts}.log").read_text()

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "KUBE"))}
        return {
            **own,
            "KUBECONFIG": str(self.kubeconfig or self.directory / "no-kubeconfig"),
            "MAINSTAY_DATA": str(self.directory),
            "MAINSTAY_LISTEN": "127.0.0.1:0",
            "MAINSTAY_LEASE_SECONDS": "4",
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def start(self, seconds: float = 30) -> Service:
        """Start it and wait until it answers."""
        self.starts += 1
        log = self.directory.parent / f"serve-{self.starts}.log"
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program],
                env=self.environment,
                cwd=_ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, f"it ended at once:\n{self.log}"
            assert time.monotonic() < end, f"it did not answer within {seconds} s:\n{self.log}"
            found = re.search(r"listens on (http://\S+)", self.log)
            if found:
                self.url = found.group(1)
                try:
                    if self.ask("GET", "/health", token=None).status == 200:
                        break
                except urllib3.exceptions.HTTPError:
                    pass
            time.sleep(0.05)
        self.greeting = self.log
        return self

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """One request; the token is the service's own unless another (or `None`) is given."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        answer = self.pool.request(method, f"{self.url}{path}", body=content, headers=sent, redirect=False)
        return Said(answer.status, dict(answer.headers), answer.data)

    def done(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """What a request that must succeed answers."""
        said = self.ask(method, path, body, headers=headers)
        assert said.status == status, f"{said.status} {said.content.decode()}\n{self.log[-3000:]}"
        return said.json

    def finished(self, method: str, path: str, body: Any = None, seconds: float = 60) -> Any:
        """The operation that a request starts, once it has ended."""
        said = self.ask(method, path, body, headers={"Prefer": "wait=15"})
        assert said.status in {200, 202}, f"{said.status} {said.content.decode()}"
        return self.ended(said.json["id"], seconds)

    def ended(self, operation: str, seconds: float = 60) -> Any:
        """An operation, once it has ended."""
        end = time.monotonic() + seconds
        while True:
            found = self.done("GET", f"/operation/{operation}")
            if found["ended"]:
                return found
            assert time.monotonic() < end, f"not ended after {seconds} s: {found}\n{self.log[-3000:]}"
            time.sleep(0.1)

    @property
    def workers(self) -> list[int]:
        """Ids of the processes that answer and work: the children of the one that watches over them."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def kill_worker(self) -> None:
        """Kill the process that works; returns when its parent has started another."""
        before = self.workers
        os.kill(before[0], signal.SIGKILL)
        end = time.monotonic() + 20
        while self.workers == before or not self.workers:
            assert time.monotonic() < end, f"no other worker was started:\n{self.log[-2000:]}"
            time.sleep(0.05)
        self.pool.clear()

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 40) -> float:
        """End it in an orderly way; the seconds that took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(seconds)
        self.pool.clear()
        return time.monotonic() - began

    def kill(self) -> None:
        """End it as a crash would: the whole group at once."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.pool.clear()
