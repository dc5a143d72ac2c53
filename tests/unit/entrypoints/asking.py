"""Asks the app as API Gateway would, without a server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalice.config import Config
from chalice.local import LocalGateway

from app import app
from tests.unit.services.house import TOKEN


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        return self.json["error"]


def ask(
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = TOKEN,
    headers: dict[str, str] | None = None,
) -> Said:
    """One request. A body that is not bytes is sent as JSON."""
    sent = dict(headers or {})
    if token is not None:
        sent.setdefault("authorization", f"Bearer {token}")
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    answer = LocalGateway(app, Config()).handle_request(method, path, sent, raw)
    text = answer["body"]
    return Said(answer["statusCode"], answer["headers"], text if isinstance(text, str) else text.decode())
