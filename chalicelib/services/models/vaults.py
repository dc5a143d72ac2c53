"""What the repository holds of applications, what it takes, and what of it is damaged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chalicelib.services.models.shapes import Page, Request, View


class VaultView(View):
    """An application that the repository holds something of."""

    id: str
    name: str = Field(description="The id again where its document is not there, or cannot be read.")
    status: Literal["active", "inactive", "deleting", "deleted", "unregistered"]


class VaultPage(Page):
    """Applications that the repository holds something of, deleted ones too, by id."""

    items: list[VaultView]


class VersionSizeView(View):
    """What one version takes."""

    id: str
    objects: int
    plain_bytes: int
    stored_bytes: int = Field(description="Of everything that it refers to.")
    own_bytes: int | None = Field(description="Of these, what no other version needs; null if not all were read.")


class VaultSizeView(View):
    """What an application's versions take. Where it is not complete, what only all versions together tell is null."""

    id: str
    name: str
    complete: bool = Field(description="Whether all could be read, in the time that a request has.")
    damaged: list[str] = Field(description="Versions whose manifests cannot be read; it is not complete then.")
    existing: int = Field(description="How many versions there are.")
    segments: int = Field(description="If there are no versions and it is not complete: of the listing's beginning.")
    plain_bytes: int | None = Field(description="Of all versions, if nothing were shared or compressed.")
    stored_bytes: int
    needed_bytes: int | None
    ratio: float | None
    unneeded_segments: int | None
    unneeded_bytes: int | None = Field(description="What a sweep removes when it is old enough.")
    condemned_segments: int
    versions: list[VersionSizeView] = Field(description="Newest first; the newest, if it is not complete.")


class VerifyQuery(Request):
    """Of `POST /app/verify/{id}`."""

    quick: bool = Field(False, description="Read manifests only, and compare sizes.")
    repair: bool = Field(
        False, description="Mend what is damaged from another copy, or have the next backup store it again."
    )


class DamageView(View):
    """Something that is damaged, and what is lost with it. One with much to say comes as several items in a row."""

    key: str
    message: str
    repair: Literal["", "mended", "condemned"]
    versions: list[str] = Field(description="Versions that need it.")
    objects: list[str] = Field(description="None: the whole of these versions is affected.")


class DamagePage(Page):
    """What a verification found damaged."""

    items: list[DamageView]
