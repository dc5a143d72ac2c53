"""Keys for signed requests."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from chalicelib.services.models.shapes import Name, Page, Request, View


class RequestKeyRequest(Request):
    """A new key for signed requests."""

    name: Name = Field(description="Who has it, or what for.")


class RequestKeyView(View):
    """A key for signed requests, without its secret."""

    id: str
    name: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


class RequestKeyMade(RequestKeyView):
    """A key that was made now. The secret is told this once."""

    secret: str


class RequestKeyPage(Page):
    """All keys, in the order they were made."""

    items: list[RequestKeyView]
