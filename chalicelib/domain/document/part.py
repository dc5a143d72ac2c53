"""What every part of a document is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from chalicelib.domain.fields import (
    LabelName,
    ObjectName,
    Selector,
)


def refusal(sentence: str, *at: str | int, hint: str | None = None) -> PydanticCustomError:
    """The error of a rule that concerns several fields. `at` is the place below the model that it points at."""
    context: dict[str, Any] = {"sentence": sentence, "at": at, "hint": hint}
    return PydanticCustomError("sentence", "{sentence}", context)


class Part(BaseModel):
    """A part of the document: camelCase names, nothing unknown, unchangeable."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class PodRef(Part):
    """A running pod in which a command is run: by labels (any ready one of them) or by name."""

    labels: Selector | None = Field(None, description="Any ready pod with such labels.")
    name: ObjectName | None = Field(None, description="The pod of this name.")
    namespace: LabelName | None = Field(
        None, description="One of the state's namespaces; without it, all of them are searched."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.labels is None) == (self.name is None):
            raise refusal("Say which pod by either `labels` or `name`.")
        return self


def no_repeats(values: Iterable[str], place: str, *below: str) -> None:
    """Refuses a value that is there twice, and points at the second."""
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            raise refusal(f"`{value}` is there twice.", place, number, *below)
        seen.add(value)
