"""Documents in Mainstay's language."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chalicelib.services.models.shapes import DocumentText, Name, Request, View


class DocumentRequest(Request):
    """A text in Mainstay's language."""

    document: DocumentText


class ProblemView(View):
    """One thing that is wrong, and where (lines and columns count from 1)."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class DocumentCheck(View):
    """Whether a document can be used, and everything that is wrong in it."""

    valid: bool
    name: str | None
    problems: list[ProblemView]


class DraftRequest(Request):
    """From what to write a document."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    name: Name | None = Field(None, description="Of the application; default: the namespace's.")
    cluster: str | None = Field(None, max_length=200)


class Draft(View):
    """A document that was written from what runs."""

    document: str
