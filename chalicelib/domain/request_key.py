"""Keys that restore requests are signed with, and what they may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from chalicelib.domain.version import Stored

#: Arguments of a restore that lead away from where the application is.
_ELSEWHERE = ("namespace", "namespaces", "cluster")


class Scope(Stored):
    """What the requests of a key may ask for. `None`: no limit, as for keys that were made without a scope."""

    #: Ids. A name can go to another application later, and the key must not go with it.
    applications: tuple[str, ...] | None = None
    modes: tuple[str, ...] | None = None
    #: Whether other namespaces and clusters may be restored into.
    elsewhere: bool = True

    def covers(self, application: str | None) -> bool:
        """Whether it is for this application; `None`: for one that does not exist."""
        return self.applications is None or application in self.applications

    def refusal(self, arguments: Mapping[str, Any]) -> str | None:
        """Why a restore with these arguments, named as the API names them, is outside of it; `None`: it is not."""
        if self.modes is not None and arguments.get("mode") not in self.modes:
            said = arguments.get("mode") or "the document's, which can change"
            return f"it is for the mode {' or '.join(self.modes)} (say so in `options.mode`), and not for {said}"
        if self.modes is not None and "exact" not in self.modes and arguments.get("consent"):
            return "it is for modes that delete nothing, and `consent` lets objects be lost"
        led = next((name for name in _ELSEWHERE if arguments.get(name)), None)
        if led is not None and not self.elsewhere:
            return f"it restores only to where the application is (`{led}`)"
        if self.applications is not None and arguments.get("shared"):
            return "it is for named applications, and what is `shared` belongs to others too"
        return None


class RequestKey(Stored):
    """A key that requests are signed with. Its secret is kept encrypted, and was shown once."""

    schema_: int = Field(default=1, alias="schema")
    id: str
    name: str
    scope: Scope = Scope()
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None
    revoked_by: str = ""
    sealed: dict[str, Any]
