"""The service itself."""

from __future__ import annotations

from typing import Literal

from chalicelib.services.models.shapes import View


class Alive(View):
    """The service answers."""

    status: Literal["ok"] = "ok"
    release: str
