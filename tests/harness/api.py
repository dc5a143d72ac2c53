"""The few requests to an API server that the harness itself makes, with the standard library only."""

import base64
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from tests.harness.errors import ApiError, HarnessError


class Api:
    """An API server and who asks it. Answers are the decoded JSON; a refusal is an ApiError."""

    def __init__(self, server: str, ca: str, *, certificate: str = "", key: str = "", token: str = "") -> None:
        self.server = server.rstrip("/")
        context = ssl.create_default_context(cadata=ca or None)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if certificate:
            # The ssl module loads a client's certificate from a file only.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(f"{certificate}\n{key}")
                file.flush()
                context.load_cert_chain(file.name)
        # Without a proxy, whatever the environment says: these servers are on this machine.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Api":
        """From a kubeconfig of one context, as `kubectl config view --minify --flatten --raw -o json` prints it."""
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        if "exec" in user or "auth-provider" in user:
            raise HarnessError("the kubeconfig's user is a plugin; give one with a certificate or a token")

        def text(source: Mapping[str, str], name: str) -> str:
            return base64.b64decode(source.get(name, "")).decode()

        return cls(
            cluster["server"],
            text(cluster, "certificate-authority-data"),
            certificate=text(user, "client-certificate-data"),
            key=text(user, "client-key-data"),
            token=user.get("token", ""),
        )

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.request("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """A JSON merge patch."""
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path)

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content: str = "application/json"
    ) -> Any:
        with self._open(method, path, body, content, seconds=60) as answer:
            text = answer.read().decode()
            return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text

    def exists(self, path: str) -> bool:
        try:
            self.get(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def watch(self, path: str, seconds: int = 300) -> Iterator[dict[str, Any]]:
        """Events until the server closes the watch, after `seconds` at the latest."""
        separator = "&" if "?" in path else "?"
        path = f"{path}{separator}watch=true&timeoutSeconds={seconds}"
        with self._open("GET", path, None, "application/json", seconds=seconds + 30) as answer:
            for line in answer:
                yield json.loads(line)

    def _open(self, method: str, path: str, body: Mapping[str, Any] | None, content: str, *, seconds: float) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "Accept": "application/json", "Content-Type": content}
        request = urllib.request.Request(self.server + path, data, headers, method=method)  # noqa: S310 (https only)
        try:
            return self._opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read().decode(errors="replace")) from None


def _refusal(code: int, text: str) -> ApiError:
    try:
        status = json.loads(text)
        return ApiError(code, status.get("reason", ""), status.get("message", text))
    except (ValueError, AttributeError):
        return ApiError(code, "", text[:2000])
