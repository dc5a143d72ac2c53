"""What EKS does with a token, beside a real API server: look at the signed request in it, and say who signed it.

The API server asks it by its webhook for tokens. A token counts from the time it was signed, for `seconds`.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PREFIX = "k8s-aws-v1."


class Refused(Exception):
    """This token is no good; says why."""


@dataclass
class Authenticator:
    """Knows the keys of those who may sign, and the one cluster it stands for."""

    cluster: str
    credentials: Credentials
    seconds: float = 900.0
    #: Seconds that it thinks about the next tokens, one for each. (An API server keeps a good one for ten seconds.)
    delays: list[float] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def review(self, token: str) -> str:
        """Who signed a token, by the id of their key; `Refused` if it is not well formed, not ours, or too old."""
        if not token.startswith(PREFIX):
            raise Refused("it does not begin as tokens of EKS do")
        coded = token.removeprefix(PREFIX)
        url = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
        if "=" in coded or query.get("Action") != "GetCallerIdentity" or query.get("Version") != "2011-06-15":
            raise Refused("it asks for something else")
        if sorted(query["X-Amz-SignedHeaders"].split(";")) != ["host", "x-k8s-aws-id"]:
            raise Refused("the cluster's name is not signed")
        if not 0 < int(query["X-Amz-Expires"]) <= 900:
            raise Refused("it is good for too long")
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        if time.time() - signed > self.seconds:
            raise Refused("it is too old")
        if query["X-Amz-Signature"] != self._signature(url, query):
            raise Refused("the signature is wrong, or for another cluster")
        return query["X-Amz-Credential"].split("/")[0]

    def _signature(self, url: str, query: dict[str, str]) -> str:
        """What STS would compute from what it is sent with the header of this very cluster."""
        region = query["X-Amz-Credential"].split("/")[2]
        plain = url.partition("?")[0] + "?Action=GetCallerIdentity&Version=2011-06-15"
        request = AWSRequest("GET", plain, headers={"x-k8s-aws-id": self.cluster})
        request.context["timestamp"] = query["X-Amz-Date"]
        auth = SigV4QueryAuth(self.credentials, "sts", region, expires=int(query["X-Amz-Expires"]))
        auth._modify_request_before_signing(request)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return str(auth.signature(text, request))

    def answer(self, review: dict[str, Any]) -> dict[str, Any]:
        """The `TokenReview` with its status."""
        if self.delays:
            time.sleep(self.delays.pop())
        token = str(review["spec"]["token"])
        self.seen.append(token)
        try:
            user = {"username": f"aws:{self.review(token)}", "groups": ["system:masters"]}
            status: dict[str, Any] = {"authenticated": True, "user": user}
        except (Refused, ValueError, KeyError) as error:
            self.refused.append(str(error))
            status = {"authenticated": False, "error": str(error)}
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}


@contextmanager
def webhook(authenticator: Authenticator, folder: Path) -> Iterator[list[str]]:
    """The authenticator as a server; what to start an API server with so that it asks there, each time anew."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps(authenticator.answer(body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "hook", "cluster": {"server": f"http://127.0.0.1:{server.server_port}/review"}}],
        "contexts": [{"name": "hook", "context": {"cluster": "hook", "user": ""}}],
        "current-context": "hook",
    }
    file = folder / "token-webhook.json"
    file.write_text(json.dumps(config))
    try:
        yield [
            f"--authentication-token-webhook-config-file={file}",
            "--authentication-token-webhook-version=v1",
            "--authentication-token-webhook-cache-ttl=0s",
        ]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
