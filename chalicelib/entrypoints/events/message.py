"""What a message of the work queue says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from chalicelib.domain.errors import Malformed
from chalicelib.domain.ids import parse_id

if TYPE_CHECKING:
    from chalicelib.engine.engine import Engine
    from chalicelib.engine.work import Budget


class WorkMessage(BaseModel):
    """`{application, operation?}`: with an operation, one that takes no lane."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    application: str
    operation: str | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """The message in `text`; `Malformed` if it is none of ours."""
        try:
            message = cls.model_validate_json(text)
        except ValidationError:
            raise Malformed("This is no message of the work queue.") from None
        parse_id(message.application, "app")
        if message.operation is not None:
            parse_id(message.operation, "op")
        return message

    def work(self, engine: Engine, budget: Budget) -> None:
        """Do what it is about."""
        if self.operation is None:
            engine.work(self.application, budget)
        else:
            engine.run(self.application, self.operation, budget)
