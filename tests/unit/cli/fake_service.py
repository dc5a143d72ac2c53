"""A small HTTP server that answers in the API's shapes, from memory.

It holds one application with a few versions and operations. What a test wants otherwise it puts into `service`:
`script` answers (`status, body`) that come before the ordinary ones, `later` states that an operation goes through,
one at each look.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "a-token-of-the-tests"

APP = "app-01kb0000000000000000000001"
OTHER_APP = "app-01kb0000000000000000000002"
OLD = "ver-01kb1111000000000000000001"
NEW = "ver-01kb2222000000000000000002"
SAFETY = "ver-01kb3333000000000000000003"
PLAN = "op-01kb4444000000000000000001"
RESTORE = "op-01kb4444000000000000000002"
BACKUP = "op-01kb4444000000000000000003"
UNDO = "op-01kb4444000000000000000004"
DELETE = "op-01kb4444000000000000000005"
CLUSTER = "cl-01kb5555000000000000000001"

REQUEST_KEY = "key-01kb6666000000000000000001"

DOCUMENT = """\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec:
  state:
    objects:
      - namespaces: [shop]
"""


def application(identifier: str = APP, name: str = "shop", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "name": name,
        "description": "The web shop",
        "currentVersion": NEW,
        "status": "active",
        "owner": "admin",
        "cluster": "dev",
        "createdAt": "2026-11-20T08:00:00Z",
        "updatedAt": "2026-11-24T08:00:00Z",
        "document": DOCUMENT,
        "warnings": [],
        **changes,
    }


def version(identifier: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "application": APP,
        "name": "",
        "comment": "",
        "labels": {},
        "hold": False,
        "state": "complete",
        "purpose": "backup",
        "madeBy": "admin",
        "operation": BACKUP,
        "cluster": "dev",
        "clusterVersion": "v1.35.4",
        "capturedAt": "2026-11-24T10:00:00Z",
        "objects": 42,
        "plainBytes": 123456,
        "addedBytes": 2048,
        **changes,
    }


def detail(summary: dict[str, Any], **changes: Any) -> dict[str, Any]:
    kinds = (
        ("apps", "Deployment", 2),
        ("", "ConfigMap", 30),
        ("rbac.authorization.k8s.io", "Role", 9),
        ("shop.example.com", "Basket", 1),
    )
    return {
        **summary,
        "startedAt": summary["capturedAt"],
        "namespaces": ["shop"],
        "kinds": [
            {
                "group": group,
                "version": "v1",
                "kind": kind,
                "plural": kind.lower() + "s",
                "namespaced": True,
                "hasStatus": False,
                "count": count,
            }
            for group, kind, count in kinds
        ],
        "gaps": [],
        "withheld": [],
        "images": [{"image": "nginx:1.27", "digest": "sha256:" + "ab" * 32, "containers": 2}],
        "document": DOCUMENT,
        "pulled": [
            {
                "group": "storage.k8s.io",
                "kind": "StorageClass",
                "namespace": "",
                "name": "fast",
                "reason": "storage class of PersistentVolumeClaim shop/data",
            }
        ],
        "unfollowed": [],
        "keptBecause": ["the newest"],
        "estimateSeconds": 12.0,
        **changes,
    }


def operation(identifier: str, kind: str, state: str = "succeeded", **changes: Any) -> dict[str, Any]:
    ended = state in {"succeeded", "partial", "failed", "cancelled"}
    return {
        "id": identifier,
        "kind": kind,
        "application": APP,
        "state": state,
        "ended": ended,
        "step": "",
        "progress": {"done": 0, "total": 0, "bytes": 0, "unit": ""},
        "arguments": {},
        "outcome": {},
        "error": None,
        "trouble": None,
        "triesLeft": None,
        "touchedAt": None if state == "queued" else "2026-11-24T11:00:04Z",
        "requestedBy": "admin",
        "requestedAt": "2026-11-24T11:00:00Z",
        "startedAt": None if state == "queued" else "2026-11-24T11:00:01Z",
        "finishedAt": "2026-11-24T11:00:04.200Z" if ended else None,
        "attempts": 0 if state == "queued" else 1,
        "turns": 0,
        "estimateSeconds": None,
        "cancelRequested": False,
        "waitsFor": None,
        "plan": None,
        **changes,
    }


def identity(kind: str, name: str, *, group: str = "", namespace: str = "shop") -> dict[str, Any]:
    return {"group": group, "kind": kind, "namespace": namespace, "name": name}


def action(verb: str, target: dict[str, Any], reason: str, **changes: Any) -> dict[str, Any]:
    return {
        "verb": verb,
        "object": target,
        "reason": reason,
        "message": "",
        "wave": 0,
        "differences": [],
        "liveUid": None,
        "liveResourceVersion": None,
        "liveDigest": None,
        "wantedDigest": None,
        "propagation": "Background",
        "effects": [],
        "dependents": [],
        "detachedDigest": None,
        "owners": [],
        "awaits": [],
        **changes,
    }


def difference(
    path: str, live: Any = None, wanted: Any = None, change: str = "changed", *, hidden: bool = False
) -> dict[str, Any]:
    return {"path": path, "live": live, "wanted": wanted, "change": change, "hidden": hidden}


def plan(**changes: Any) -> dict[str, Any]:
    actions = [
        action("create", identity("ConfigMap", "settings"), "missing"),
        action(
            "update",
            identity("Deployment", "web", group="apps"),
            "differs",
            differences=[
                difference("/spec/replicas", 1, 3),
                difference("/spec/template/spec/containers/0/image", "nginx:1.25", "nginx:1.27"),
                difference("/metadata/annotations/shop.example.com~1owner", wanted="team-a", change="added"),
            ],
            effects=["3 pods restart"],
        ),
        action(
            "update", identity("Secret", "db"), "differs", differences=[difference("/data/password", hidden=True)]
        ),
        action(
            "update",
            identity("ConfigMap", "nginx"),
            "differs",
            differences=[difference("/data/nginx.conf", "a\nb\nworkers 1\nc\n", "a\nb\nworkers 4\nc\n")],
        ),
        action("replace", identity("Service", "db"), "immutable", message="spec.clusterIP cannot be changed"),
        action("delete", identity("ConfigMap", "leftover"), "extra"),
        action(
            "skip",
            identity("PersistentVolumeClaim", "data-0"),
            "protected",
            message="it is not in the version, but claims are protected; agree with --consent PersistentVolumeClaim",
        ),
    ]
    return {
        "operation": PLAN,
        "application": APP,
        "version": NEW,
        "mode": "exact",
        "empty": False,
        "counts": {"create": 1, "update": 3, "replace": 1, "delete": 1, "keep": 35, "skip": 1},
        "warnings": ["The Service shop/db gets a new address while it is replaced."],
        "blockers": [],
        "destination": None,
        "gaps": [],
        "actions": actions,
        "next": None,
        **changes,
    }


EMPTY_PLAN = {"empty": True, "actions": [], "counts": {"keep": 42}, "warnings": []}


def comparison(**changes: Any) -> dict[str, Any]:
    return {
        "from": NEW,
        "to": "live",
        "counts": {"added": 1, "changed": 1, "removed": 1, "unchanged": 39},
        "changes": [
            {"object": identity("ConfigMap", "leftover"), "change": "added", "fields": []},
            {
                "object": identity("Deployment", "web", group="apps"),
                "change": "changed",
                "fields": [{"path": "/spec/replicas", "from": 3, "to": 1, "change": "changed", "hidden": False}],
            },
            {"object": identity("ConfigMap", "settings"), "change": "removed", "fields": []},
        ],
        "gaps": [],
        "truncated": False,
        **changes,
    }


def row(verb: str, target: dict[str, Any], outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "object": target,
        "verb": verb,
        "outcome": outcome,
        "reason": "differs",
        "message": "",
        "request": "",
        "durationMs": 12,
        "verified": "equal",
        "differences": [],
        **changes,
    }


def status(**changes: Any) -> dict[str, Any]:
    return {
        "id": APP,
        "name": "shop",
        "state": "active",
        "health": [
            {"kind": "Deployment", "namespace": "shop", "name": "web", "wanted": 3, "ready": 3, "message": ""},
            {
                "kind": "StatefulSet",
                "namespace": "shop",
                "name": "db",
                "wanted": 1,
                "ready": 0,
                "message": "pod db-0 is not ready",
            },
        ],
        "observedAt": "2026-11-24T11:59:00Z",
        "message": "",
        "currentVersion": version(NEW, name="before-upgrade"),
        "newestVersion": version(NEW, name="before-upgrade"),
        "lastGoodVersion": version(NEW, name="before-upgrade"),
        "lastProvenVersion": None,
        "runningOperation": None,
        "nextBackup": None,
        "storageUsed": 4096,
        **changes,
    }


def policy(**changes: Any) -> dict[str, Any]:
    return {
        "backup_regularity": 3600,
        "keep": {"last": 5, "hourly": 0, "lastGood": True},
        "alert": None,
        "updatedAt": "2026-11-24T11:00:00Z",
        "updatedBy": "admin",
        **changes,
    }


def request_key(**changes: Any) -> dict[str, Any]:
    return {
        "id": REQUEST_KEY,
        "name": "pipeline",
        "applications": None,
        "modes": None,
        "elsewhere": True,
        "createdAt": "2026-11-23T12:00:00Z",
        "createdBy": "admin",
        "revokedAt": None,
        **changes,
    }


@dataclass
class FakeService:
    """What the server knows, and what it was asked."""

    policy: dict[str, Any] = field(default_factory=policy)
    request_keys: list[dict[str, Any]] = field(default_factory=lambda: [request_key()])

    applications: list[dict[str, Any]] = field(default_factory=lambda: [application()])
    versions: list[dict[str, Any]] = field(
        default_factory=lambda: [
            version(SAFETY, purpose="safety", capturedAt="2026-11-24T11:30:00Z", objects=3),
            version(NEW, name="before-upgrade", comment="by hand", labels={"stage": "prod"}),
            version(OLD, capturedAt="2026-11-23T10:00:00Z", state="complete"),
        ]
    )
    operations: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            PLAN: operation(
                PLAN, "plan", arguments={"version": NEW}, outcome={"version": NEW, "counts": {}, "empty": False}
            ),
            RESTORE: operation(
                RESTORE,
                "restore",
                arguments={"version": NEW, "mode": "exact"},
                outcome={
                    "version": NEW,
                    "safetyVersion": SAFETY,
                    "counts": {"create": 1, "update": 3, "delete": 1},
                    "undone": False,
                    "verified": {"equal": 42, "differs": 0, "missing": 0, "present": 0},
                },
            ),
            BACKUP: operation(
                BACKUP,
                "backup",
                outcome={"version": NEW, "objects": 42, "plainBytes": 123456, "addedBytes": 2048, "gaps": []},
            ),
            UNDO: operation(UNDO, "undo", outcome={"counts": {"update": 3}, "verified": {"equal": 5}}),
            DELETE: operation(DELETE, "delete"),
        }
    )
    plan: dict[str, Any] = field(default_factory=plan)
    comparison: dict[str, Any] = field(default_factory=comparison)
    rows: list[dict[str, Any]] = field(
        default_factory=lambda: [
            row("update", identity("Deployment", "web", group="apps"), "done"),
            row(
                "delete",
                identity("ConfigMap", "leftover"),
                "failed",
                message="the server answered 403",
                verified="present",
            ),
        ]
    )
    status: dict[str, Any] = field(default_factory=status)
    cluster: dict[str, Any] = field(
        default_factory=lambda: {
            "id": CLUSTER,
            "name": "dev",
            "server": "https://127.0.0.1:6443",
            "reachable": True,
            "version": "v1.35.4",
            "latencyMs": 4.2,
            "missingPermissions": [],
            "warnings": [],
            "message": "",
        }
    )
    script: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=lambda: defaultdict(list))
    later: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    #: (method, path, query, body) of every request, in order.
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    page: int = 100

    def answer(  # noqa: PLR0911 - one line for each route reads best
        self, method: str, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        self.asked.append((method, path, query, body))
        scripted = self.script[method, path]
        if scripted:
            return scripted.pop(0)
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match method, parts:
            case "GET", ["app"]:
                return 200, self._page(self.applications, query)
            case "POST", ["app"]:
                return 200, application(name=body["name"])
            case "GET", ["app", "status", _]:
                return 200, self.status
            case "POST", ["app", "backup"]:
                return self._start(BACKUP)
            case "GET", ["app", identifier]:
                return self._one([each for each in self.applications if each["id"] == identifier])
            case "PUT", ["app", _]:
                return 200, application(**{key: given for key, given in body.items() if key != "document"})
            case "DELETE", ["app", _]:
                return self._start(DELETE)
            case "GET", ["version", "getAllVersionsOfApp"]:
                wanted = query.get("purpose", "backup")
                return 200, self._page([each for each in self.versions if wanted in {"all", each["purpose"]}], query)
            case "GET", ["version", "selectVersion"]:
                found = [each for each in self.versions if each["id"] == query["versionId"]]
                return self._one([detail(each) for each in found])
            case "PUT", ["version", "updateVersion"]:
                return 200, {**next(each for each in self.versions if each["id"] == query["versionId"]), **body}
            case "DELETE", ["version", "deleteVersion"]:
                return 200, {"id": query["versionId"], "application": APP, "deleted": True}
            case "PUT", ["version", "restoreVersion"]:
                return self._start(PLAN if body.get("dryRun") else RESTORE)
            case "GET", ["version", "compare"]:
                return 200, self.comparison
            case "GET", ["operation"]:
                return 200, self._page(list(self.operations.values()), query)
            case "GET", ["operation", identifier]:
                if self.later[identifier]:
                    self.operations[identifier] = self.later[identifier].pop(0)
                return self._one([each for each in self.operations.values() if each["id"] == identifier])
            case "DELETE", ["operation", identifier]:
                return 202, {**self.operations[identifier], "state": "cancelled", "ended": True}
            case "POST", ["operation", _, "undo"]:
                return self._start(UNDO)
            case "GET", ["operation", _, "plan"]:
                return 200, self._plan(query)
            case "GET", ["operation", _, "result"]:
                return 200, self._page(self.rows, query)
            case "POST", ["document", "draft"]:
                return 200, {"document": DOCUMENT}
            case "GET", ["kubernetes", "clusters"]:
                record = {
                    "id": CLUSTER,
                    "name": "dev",
                    "source": "kubeconfig",
                    "context": "kind",
                    "server": "https://127.0.0.1:6443",
                    "uid": "6d2b1c9e-0000-4000-8000-000000000001",
                    "sameAs": None,
                    "connections": 16,
                    "pods_amount": 2,
                    "createdAt": "2026-11-20T08:00:00Z",
                    "updatedAt": "2026-11-20T08:00:00Z",
                }
                return 200, {"items": [record], "next": None}
            case "PUT", ["kubernetes", "setKubernetesSettings"]:
                known = self.answer("GET", "/kubernetes/clusters", {}, None)[1]["items"][0]
                return 200, {**known, "source": "eks" if "eks" in body else "stored"}
            case "DELETE", ["kubernetes", "clusters", name]:
                return 200, {"id": CLUSTER, "deleted": name == "dev"}
            case "PUT", ["app", "autobackup", _, _]:
                return 200, application()
            case "GET", ["kubernetes", "backupPolicies"]:
                return 200, self.policy
            case "PUT", ["kubernetes", "changeBackupPolicies"]:
                self.policy.update(body)
                return 200, self.policy
            case "POST", ["requestKey"]:
                named = [{"id": APP, "name": each} for each in body.get("applications", ())]
                scope = {"applications": named or None, "elsewhere": body.get("elsewhere", not named)}
                key = request_key(name=body["name"], modes=body.get("modes"), **scope)
                return 200, {**key, "secret": "s" * 64}
            case "GET", ["requestKey"]:
                return 200, {"items": self.request_keys, "next": None}
            case "DELETE", ["requestKey", identifier]:
                return self._one([each for each in self.request_keys if each["id"] == identifier])
            case "GET", ["kubernetes", "checkKubernetesStatus"]:
                return 200, self.cluster
        return 404, problem("not-found", "There is no such route.")

    def _start(self, identifier: str) -> tuple[int, Any]:
        started = self.operations[identifier]
        return (200 if started["ended"] else 202), started

    def _one(self, found: list[dict[str, Any]]) -> tuple[int, Any]:
        return (
            (200, found[0])
            if found
            else (404, problem("not-found", "There is no such thing, or you may not see it."))
        )

    def _page(self, items: list[Any], query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("next", 0))
        size = min(self.page, int(query.get("limit", 100)))
        end = start + size
        return {"items": items[start:end], "next": str(end) if end < len(items) else None}

    def _plan(self, query: dict[str, str]) -> dict[str, Any]:
        page = self._page(self.plan["actions"], query)
        return {**self.plan, "actions": page["items"], "next": page["next"]}


def problem(code: str, message: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details, "requestId": "req-1"}}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class RunningService:
    """The server on a free port of the loopback interface."""

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self._server = _Quiet(("127.0.0.1", 0), _handler(service))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(service: FakeService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            service.tokens.add(token)
            if token == TOKEN:
                code, answer = service.answer(self.command, parts.path, query, json.loads(sent) if sent else None)
            else:
                code, answer = 401, problem("unauthenticated", "The token is not valid.")
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
            pass

    return Handler
