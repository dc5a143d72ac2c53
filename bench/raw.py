"""The limit: what the API server does for a client that does nothing else.

urllib3 with threads, one connection each; nothing is looked at but the status, and of a list the `continue` token.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import orjson
import urllib3

from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.credentials import tls_context

#: As the goals say.
THREADS = 16
#: What a page is for Mainstay as well.
PAGE_ITEMS = 500

_WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
#: What the server itself writes all the time.
_SERVERS_OWN = {"leases", "flowschemas", "prioritylevelconfigurations", "apiservices", "endpointslices"}


class Refused(Exception):
    """The API server did not do what it was asked."""


class Raw:
    """Requests with nothing between them and the API server of a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        connection = load_kubeconfig(kubeconfig)
        self.server = connection.server
        self._pool = urllib3.PoolManager(maxsize=32, block=True, ssl_context=tls_context(connection), retries=False)

    def request(
        self, verb: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> bytes:
        """The body of an answer below 300; `Refused` otherwise."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        answer = self._pool.request(verb, self.server + path, body=body, headers=headers, timeout=120)
        if answer.status >= 300:
            raise Refused(f"{verb} {path}: {answer.status} {answer.data[:300].decode(errors='replace')}")
        return answer.data

    def list(self, paths: Iterable[str]) -> float:
        """Seconds to list collections in pages, in parallel, each page decoded and dropped."""
        with ThreadPoolExecutor(THREADS) as pool, _uncollected():
            began = time.perf_counter()
            for _ in pool.map(self._list, paths):
                pass
            return time.perf_counter() - began

    def count(self, path: str) -> int:
        """How many objects a collection has."""
        return self._list(path)

    def _list(self, path: str) -> int:
        count, token = 0, ""
        while True:
            page: dict[str, Any] = orjson.loads(self.request("GET", f"{path}?limit={PAGE_ITEMS}{token}"))
            count += len(page["items"])
            following = page["metadata"].get("continue")
            if not following:
                return count
            token = f"&continue={following}"

    def create(self, path: str, bodies: Iterable[bytes], manager: str) -> float:
        """Seconds to create objects, from `THREADS` threads."""
        target = f"{path}?fieldManager={manager}"
        return self._each(lambda body: self.request("POST", target, body), bodies)

    def apply(self, path: str, bodies: Iterable[tuple[str, bytes]], manager: str) -> float:
        """Seconds to make objects by server-side apply: `(name, body)`, from `THREADS` threads."""
        query = f"?fieldManager={manager}&force=true"
        kind = "application/apply-patch+yaml"
        return self._each(lambda named: self.request("PATCH", f"{path}/{named[0]}{query}", named[1], kind), bodies)

    def empty(self, path: str) -> None:
        """Delete what a collection holds, and see that it is gone."""
        while self.count(path):
            # Some at a time: the server ends a request after a minute, done or not.
            self.request("DELETE", f"{path}?limit=2000")

    def writes(self) -> int:
        """Writes the API server has answered so far, by its own count; those it makes to itself left out."""
        total = 0
        for line in self.request("GET", "/metrics").decode().splitlines():
            if line.startswith("apiserver_request_total{") and _counts(line):
                total += int(float(line.rpartition(" ")[2]))
        return total

    @staticmethod
    def _each(perform: Any, items: Iterable[Any]) -> float:
        with ThreadPoolExecutor(THREADS) as pool, _uncollected():
            began = time.perf_counter()
            for _ in pool.map(perform, items):
                pass
            return time.perf_counter() - began


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for cycles: it takes a third of the time of a list, and a limit has no need of it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _counts(line: str) -> bool:
    labels = dict(
        pair.split("=", 1) for pair in line[line.index("{") + 1 : line.rindex("}")].split(",") if "=" in pair
    )
    verb, resource = labels.get("verb", "").strip('"'), labels.get("resource", "").strip('"')
    return verb in _WRITES and resource not in _SERVERS_OWN
