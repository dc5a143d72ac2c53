"""What the API's shapes have in common, and the texts that several of them carry."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chalicelib.domain.forms import Form


class Shape(BaseModel):
    """What they have in common. They are built when first used: a cold Lambda must not pay for all of them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, defer_build=True)


class Request(Shape):
    """A body or a query."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class View(Shape):
    """An answer."""


class Page(View):
    """A page of a list. `next`, handed back as `next`, gives the page after it; `null`: there is none."""

    next: str | None = None


class PageQuery(Request):
    """Of a list."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    next: str | None = Field(None, max_length=2000)


class Gone(View):
    """Something that is no more."""

    id: str
    deleted: bool = True


Name = Annotated[
    str,
    Field(min_length=1, max_length=100),
    Form(r"[^\x00-\x1f\x7f]+", "one line of text, without tabs and other control characters"),
]
LongText = Annotated[str, Field(max_length=2000)]
DocumentText = Annotated[str, Field(min_length=1, max_length=1024 * 1024)]
