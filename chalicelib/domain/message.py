"""A message of the work queue: a wake-up call, and nothing more. The documents say what there is to do."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from chalicelib.domain.errors import Malformed
from chalicelib.domain.ids import parse_id


class WorkMessage(BaseModel):
    """`{application, operation?, entry?}`: look at this application, or at this operation of it, or at this entry (a
    key) of the wake index."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    application: str
    operation: str | None = None
    entry: str | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """The message in `text`; `Malformed` if it is none of ours."""
        try:
            message = cls.model_validate_json(text)
            parse_id(message.application, "app")
            if message.operation is not None:
                parse_id(message.operation, "op")
        except (ValidationError, Malformed):
            # Its own words are not repeated: nobody knows what they are.
            raise Malformed("This is no message of the work queue.") from None
        return message

    @property
    def text(self) -> str:
        """What is sent."""
        return self.model_dump_json(exclude_none=True)
