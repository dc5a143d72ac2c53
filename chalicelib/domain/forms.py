"""Text of a certain form: checked by a pattern, and told in words where it has another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Form:
    """Tells pydantic that all of a text matches `pattern`. `what` says so to people, who are to read no pattern:
    `a region of AWS such as …`."""

    pattern: str
    what: str

    def validate(self, text: str) -> str:
        """The text itself, if it has the form."""
        if re.fullmatch(self.pattern, text) is None:
            raise PydanticCustomError("written", "{what}", {"what": self.what})
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}
