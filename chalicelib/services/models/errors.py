"""The one shape of errors."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.services.models.shapes import View


class ErrorBody(View):
    """Inside of the one error shape."""

    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="A sentence for people.")
    details: dict[str, Any] = Field(description="`problems` for 422: path, message, line, column, hint.")
    request_id: str


class ErrorView(View):
    """Every error looks like this."""

    error: ErrorBody
