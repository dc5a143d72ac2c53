"""The service over HTTP.

Time limits on everything. Reads are repeated when the server or something in front of it had a bad moment;
a write never is, because nobody wants two restores. The token goes to the
host it is meant for: redirects are not followed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.token import is_loopback

_PAGE = 200
_PAUSES = (0.3, 1.0, 2.0)
# Answers that come from a proxy, or from a server that is about to be ready.
_PASSING = {429, 502, 503, 504}


class HttpGateway:
    """`Gateway` against a running server at `url`."""

    def __init__(
        self, url: str, token: str | None, *, timeout: float = 30.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Failure(
                f"{url!r} is not the URL of a server.",
                code="usage",
                exit_code=Exit.USAGE,
                hint="It looks like http://127.0.0.1:8700; see --url and MAINSTAY_URL.",
            )
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "mainstay-cli"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._sleep = sleep
        self._pool: Any = None

    # Applications

    def applications(self) -> Json:
        """`GET /app`, all pages."""
        return self._list("/app")

    def application(self, application: str) -> Json:
        """`GET /app/{id}`."""
        return self._ask("GET", _path("app", application))

    def register(self, body: Json) -> Json:
        """`POST /app`."""
        return self._ask("POST", "/app", body=body)

    def change(self, application: str, body: Json) -> Json:
        """`PUT /app/{id}`."""
        return self._ask("PUT", _path("app", application), body=body)

    def delete(self, application: str, *, keep_versions: bool) -> Json:
        """`DELETE /app/{id}`."""
        query = {"keepVersions": "true"} if keep_versions else {}
        return self._ask("DELETE", _path("app", application), query)

    def autobackup(self, application: str, seconds: int, body: Json) -> Json:
        """`PUT /app/autobackup/{id}/{timeInterval}`."""
        return self._ask("PUT", _path("app/autobackup", application) + f"/{seconds}", body=body)

    def policy(self) -> Json:
        """`GET /kubernetes/backupPolicies`."""
        return self._ask("GET", "/kubernetes/backupPolicies")

    def change_policy(self, body: Json) -> Json:
        """`PUT /kubernetes/changeBackupPolicies`."""
        return self._ask("PUT", "/kubernetes/changeBackupPolicies", body=body)

    def request_keys(self) -> Json:
        """`GET /requestKey`."""
        return self._ask("GET", "/requestKey")

    def add_request_key(self, body: Json) -> Json:
        """`POST /requestKey`."""
        return self._ask("POST", "/requestKey", body=body)

    def revoke_request_key(self, key: str) -> Json:
        """`DELETE /requestKey/{id}`."""
        return self._ask("DELETE", _path("requestKey", key))

    def status(self, application: str, *, refresh: bool) -> Json:
        """`GET /app/status/{id}`."""
        return self._ask("GET", _path("app/status", application), {"refresh": "true"} if refresh else {})

    # Versions

    def backup(self, body: Json) -> Json:
        """`POST /app/backup`."""
        return self._ask("POST", "/app/backup", body=body)

    def versions(
        self, application: str, *, limit: int | None = None, label: str | None = None, safety: bool = False
    ) -> Json:
        """`GET /version/getAllVersionsOfApp`, as many pages as it takes."""
        query = _given(appId=application, label=label, purpose="all" if safety else None)
        return self._list("/version/getAllVersionsOfApp", query, limit)

    def version(self, version: str) -> Json:
        """`GET /version/selectVersion`."""
        return self._ask("GET", "/version/selectVersion", {"versionId": version})

    def change_version(self, version: str, body: Json) -> Json:
        """`PUT /version/updateVersion`."""
        return self._ask("PUT", "/version/updateVersion", {"versionId": version}, body)

    def delete_version(self, version: str, *, force: bool) -> Json:
        """`DELETE /version/deleteVersion`."""
        query = {"versionId": version, **({"force": "true"} if force else {})}
        return self._ask("DELETE", "/version/deleteVersion", query)

    def restore(self, version: str, body: Json) -> Json:
        """`PUT /version/restoreVersion`."""
        return self._ask("PUT", "/version/restoreVersion", {"versionId": version}, body)

    def compare(self, from_: str, to: str) -> Json:
        """`GET /version/compare`."""
        return self._ask("GET", "/version/compare", {"from": from_, "to": to})

    # Operations

    def undo(self, operation: str) -> Json:
        """`POST /operation/{id}/undo`."""
        return self._ask("POST", _path("operation", operation) + "/undo", body={})

    def operations(self, application: str | None, *, limit: int | None = None, running: bool | None = None) -> Json:
        """`GET /operation`, as many pages as it takes."""
        only = None if running is None else str(running).lower()
        return self._list("/operation", _given(appId=application, running=only), limit)

    def operation(self, operation: str) -> Json:
        """`GET /operation/{id}`."""
        return self._ask("GET", _path("operation", operation))

    def plan(self, operation: str) -> Json:
        """`GET /operation/{id}/plan`, with the actions of all pages."""
        path = _path("operation", operation) + "/plan"
        plan = page = self._ask("GET", path)
        while token := page.get("next"):
            page = self._ask("GET", path, {"next": token})
            plan["actions"] = [*plan["actions"], *page["actions"]]
        return {**plan, "next": None}

    def result(self, operation: str) -> Json:
        """`GET /operation/{id}/result`, all pages."""
        return self._list(_path("operation", operation) + "/result")

    def cancel(self, operation: str) -> Json:
        """`DELETE /operation/{id}`."""
        return self._ask("DELETE", _path("operation", operation))

    # The repository

    def vaults(self) -> Json:
        """`GET /repository`, all pages."""
        return self._list("/repository")

    def vault_size(self, application: str) -> Json:
        """`GET /app/stats/{id}`."""
        return self._ask("GET", _path("app/stats", application))

    def verify(self, application: str, *, quick: bool, repair: bool) -> Json:
        """`POST /app/verify/{id}`."""
        query = {"quick": str(quick).lower(), "repair": str(repair).lower()}
        return self._ask("POST", _path("app/verify", application), query)

    def damages(self, operation: str) -> Json:
        """`GET /operation/{id}/damages`, all pages."""
        return self._list(_path("operation", operation) + "/damages")

    def sweep(self, application: str, *, at_once: bool) -> Json:
        """`POST /app/sweep/{id}`."""
        return self._ask("POST", _path("app/sweep", application), {"now": "true"} if at_once else {})

    # Documents and clusters

    def draft(self, body: Json) -> Json:
        """`POST /document/draft`."""
        return self._ask("POST", "/document/draft", body=body)

    def clusters(self) -> Json:
        """`GET /kubernetes/clusters`."""
        return self._list("/kubernetes/clusters")

    def cluster_status(self, cluster: str | None) -> Json:
        """`GET /kubernetes/checkKubernetesStatus`."""
        return self._ask("GET", "/kubernetes/checkKubernetesStatus", _given(cluster=cluster))

    def configure_cluster(self, body: Json) -> Json:
        """`PUT /kubernetes/setKubernetesSettings`."""
        return self._ask("PUT", "/kubernetes/setKubernetesSettings", body=body)

    def remove_cluster(self, cluster: str) -> Json:
        """`DELETE /kubernetes/clusters/{id}`."""
        return self._ask("DELETE", _path("kubernetes/clusters", cluster))

    def attend(self, operation: Json) -> AbstractContextManager[None]:  # noqa: ARG002 - the server works by itself
        """Nothing to do: the server works on it."""
        return nullcontext()

    def _list(self, path: str, query: Json | None = None, limit: int | None = None) -> Json:
        items = list(self._pages(path, query or {}, limit))
        return {"items": items[:limit]}

    def _pages(self, path: str, query: Json, limit: int | None) -> Iterator[Any]:
        seen = 0
        token: str | None = None
        while True:
            wanted = _PAGE if limit is None else min(_PAGE, limit - seen)
            page = self._ask("GET", path, _given(**query, limit=wanted, next=token))
            items = page.get("items", [])
            yield from items
            seen += len(items)
            token = page.get("next")
            if not token or (limit is not None and seen >= limit):
                return

    def _ask(self, method: str, path: str, query: Json | None = None, body: Json | None = None) -> Json:
        pauses = iter(_PAUSES if method == "GET" else ())
        while True:
            try:
                status, headers, content = self._send(method, path, query or {}, body)
            except Failure as failure:
                pause = next(pauses, None)
                if pause is None or failure.details.get("refused"):
                    raise
                self._sleep(pause)
                continue
            answer = _parsed(content)
            if 200 <= status < 300 and isinstance(answer, dict):
                return answer
            pause = next(pauses, None)
            ours = isinstance(answer, dict) and isinstance(answer.get("error"), dict)
            # An error object of ours is final (the server has tried); anything else in these is passing.
            if pause is not None and status in _PASSING and (not ours or status == 429):
                self._sleep(min(_retry_after(headers) or pause, 10.0))
                continue
            if ours and isinstance(answer, dict):
                raise Failure.of_answer(status, answer["error"])
            raise self._not_mainstay(status)

    def _send(self, method: str, path: str, query: Json, body: Json | None) -> tuple[int, Any, bytes]:
        import urllib3

        if self._pool is None:
            self._pool = _pool(self._url, self._timeout)
        url = f"{self._url}{path}{'?' + urlencode(query) if query else ''}"
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            answer = self._pool.request(method, url, body=content, headers=headers, redirect=False, retries=False)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError) as error:
            raise self._unreachable("nothing answers there", sent=False, refused=True) from error
        except urllib3.exceptions.ConnectTimeoutError as error:
            raise self._unreachable("it does not answer", sent=False) from error
        except urllib3.exceptions.SSLError as error:
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            why = "its certificate is not trusted" if untrusted else "it does not speak TLS as https:// has it"
            raise self._unreachable(f"{why} ({error})", sent=False, refused=True) from error
        except urllib3.exceptions.TimeoutError as error:
            raise self._unreachable(f"no answer within {self._timeout:.0f} s", sent=method != "GET") from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable("the connection was lost", sent=method != "GET") from error
        return answer.status, answer.headers, answer.data

    def _unreachable(self, reason: str, *, sent: bool, refused: bool = False) -> Failure:
        if sent:
            hint = "The request may have arrived: look before you repeat it, with `{program} operations`."
        else:
            hint = (
                "Start the server with `{program} serve`, say where it is with --url, "
                "or work without one: add --direct."
            )
        return Failure(
            f"Mainstay at {self._url} cannot be reached: {reason}.",
            code="unreachable",
            exit_code=Exit.UNREACHABLE,
            hint=hint,
            details={"url": self._url, "refused": refused},
        )

    def _not_mainstay(self, status: int) -> Failure:
        if status in _PASSING or status >= 500:
            message = f"{self._url} answered {status} without a word from Mainstay."
            return Failure(message, code=f"http-{status}", exit_code=Exit.UNREACHABLE)
        return Failure(
            f"{self._url} answered {status}, but not as Mainstay does.",
            code=f"http-{status}",
            exit_code=Exit.UNREACHABLE,
            hint="Is the URL right? See --url and MAINSTAY_URL.",
        )


def _path(root: str, identifier: str) -> str:
    return f"/{root}/{quote(identifier, safe='')}"


def _given(**members: Any) -> Json:
    return {name: given for name, given in members.items() if given is not None}


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content) if content else {}
    except ValueError:
        return None


def _retry_after(headers: Any) -> float | None:
    try:
        return max(float(headers.get("Retry-After")), 0.0)
    except (TypeError, ValueError):
        return None


def _pool(url: str, timeout: float) -> Any:
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    limit = urllib3.Timeout(connect=min(5.0, timeout), read=timeout)
    proxy = getproxies().get(parts.scheme)
    # What is meant for this machine, such as the runner's own token, never leaves it.
    if not proxy or is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(timeout=limit)
    try:
        return urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}", timeout=limit)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Failure.refused(
            f"The proxy that is set for {parts.scheme} cannot be used.",
            f"Set {parts.scheme}_proxy to http://HOST:PORT or https://HOST:PORT, or no_proxy to {parts.hostname}.",
            code="proxy-unusable",
        ) from error
