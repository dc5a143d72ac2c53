"""An admission webhook of the test's own, on loopback: it allows, perhaps with changes, denies, or never answers."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.harness.api import Api
from tests.harness.pki import Authority


class Webhook:
    """What the server does with each request: `allow`, `deny` or `hang`; and what it changes where it allows, a JSON
    patch."""

    def __init__(self, url: str, ca: str) -> None:
        self.url = url
        self.ca = ca
        self.does = "allow"
        self.changes: list[dict[str, Any]] = []
        self.asked = 0
        self.over = threading.Event()


@contextmanager
def serve(directory: Path) -> Iterator[Webhook]:
    """The server, for as long as the context lasts."""
    authority = Authority.create(directory / "authority")
    credential = authority.server()
    certificate, key = directory / "server.crt", directory / "server.key"
    certificate.write_text(credential.certificate)
    key.write_text(credential.key)
    webhook = Webhook("", base64.b64encode(authority.certificate_file.read_bytes()).decode())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            webhook.asked += 1
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if webhook.does == "hang":
                webhook.over.wait(5)
                return
            answer: dict[str, Any] = {"uid": review["request"]["uid"], "allowed": webhook.does == "allow"}
            if webhook.does == "allow" and webhook.changes:
                patch = base64.b64encode(json.dumps(webhook.changes).encode()).decode()
                answer |= {"patchType": "JSONPatch", "patch": patch}
            if webhook.does == "deny":
                answer["status"] = {"message": "not on a Friday"}
            body = json.dumps({**review, "response": answer}).encode()
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    webhook.url = f"https://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        webhook.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def guarding(api: Api, namespace: str, webhook: Webhook, *resources: str, seconds: int = 1) -> Iterator[None]:
    """Some resources of one namespace are guarded by the webhook, which may take so many seconds. It takes effect a
    moment later."""
    operations = ["CREATE", "UPDATE"]
    with _registered(api, "Validating", namespace, webhook, list(resources), operations, seconds):
        yield


@contextmanager
def changing(
    api: Api, namespace: str, webhook: Webhook, *resources: str, operation: str = "CREATE"
) -> Iterator[None]:
    """The webhook changes what of some resources is made (or updated) in one namespace. It takes effect a moment
    later."""
    with _registered(api, "Mutating", namespace, webhook, list(resources), [operation], 10):
        yield


@contextmanager
def _registered(
    api: Api, what: str, namespace: str, webhook: Webhook, resources: list[str], operations: list[str], seconds: int
) -> Iterator[None]:
    path = f"/apis/admissionregistration.k8s.io/v1/{what.lower()}webhookconfigurations"
    hook = {
        "name": "guard.scene.test",
        "clientConfig": {"url": webhook.url, "caBundle": webhook.ca},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": resources, "operations": operations}],
        "timeoutSeconds": seconds,
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "admissionReviewVersions": ["v1"],
    }
    api.post(
        path,
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{what}WebhookConfiguration",
            "metadata": {"name": f"guard-{namespace}"},
            "webhooks": [hook],
        },
    )
    try:
        yield
    finally:
        api.delete(f"{path}/guard-{namespace}")
