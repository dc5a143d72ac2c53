"""What differs between a version and another, or what runs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.domain.plan import Difference, Identity
from chalicelib.domain.version import Gap
from chalicelib.services.models.shapes import Request, View


class CompareQuery(Request):
    """Of `GET /version/compare`."""

    from_: str = Field(alias="from")
    to: str = Field(description="A version, or `live`.")


class FieldChange(View):
    """One field that differs, as a JSON Pointer. Values of Secrets are never here: `hidden` is true instead."""

    path: str
    from_: Any = Field(None, alias="from")
    to: Any = None
    change: str = Field(description="`added`, `removed` or `changed`.")
    hidden: bool

    @classmethod
    def of(cls, difference: Difference) -> FieldChange:
        """A comparison's difference: there, `live` is the older value and `wanted` the newer one."""
        return cls(
            path=difference.path,
            from_=difference.live,
            to=difference.wanted,
            change=difference.change,
            hidden=difference.hidden,
        )


class ObjectChange(View):
    """One object that differs. `change` and its fields are told as seen from the older side."""

    object: Identity
    change: str = Field(description="`added`, `removed` or `changed`.")
    fields: list[FieldChange]


class ComparisonView(View):
    """What differs between a version and another, or what runs now."""

    from_: str = Field(alias="from")
    to: str
    counts: dict[str, int]
    changes: list[ObjectChange]
    gaps: list[Gap] = Field(default_factory=list, description="What one of both could not read.")
    truncated: bool = Field(False, description="There are more changes than an answer can carry.")
