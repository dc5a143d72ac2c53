"""Keys for signed requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from chalicelib.services.models.restores import Mode
from chalicelib.services.models.shapes import Name, Page, Request, View


class RequestKeyRequest(Request):
    """A new key for signed requests, and what it is for."""

    name: Name = Field(description="Who has it, or what for.")
    applications: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Names or ids of those that it may restore; `null`: any."
    )
    modes: Annotated[list[Mode], Field(min_length=1)] | None = Field(
        None, description="The modes that its requests may ask for, and then must; `null`: any."
    )
    elsewhere: bool | None = Field(
        None, description="Other namespaces and clusters too. Default: only a key for any application."
    )


class ApplicationNamed(View):
    """An application that a key is for, by the name it has now."""

    id: str
    name: str


class RequestKeyView(View):
    """A key for signed requests, without its secret."""

    id: str
    name: str
    applications: list[ApplicationNamed] | None = Field(description="`null`: any.")
    modes: list[str] | None = Field(description="`null`: any.")
    elsewhere: bool
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


class RequestKeyMade(RequestKeyView):
    """A key that was made now. The secret is told this once."""

    secret: str


class RequestKeyPage(Page):
    """All keys, in the order they were made."""

    items: list[RequestKeyView]
