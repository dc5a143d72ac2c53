"""`Failure`: the one exception of the command line, whatever it was that failed.

It carries what the three readers of an error need: a sentence and a hint for a person, the API's error object
for a program, an exit code for a script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.cli.exits import Exit, exit_of_error

if TYPE_CHECKING:
    from chalicelib.domain.errors import MainstayError


class Failure(Exception):
    """Why a command could not do what it was asked."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        exit_code: Exit,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.exit_code = exit_code
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        self.request_id = request_id

    @classmethod
    def of_answer(cls, status: int, error: Mapping[str, Any]) -> Failure:
        """From the API's error object, `{code, message, details, requestId}`."""
        code = str(error.get("code") or f"http-{status}")
        return cls(
            str(error.get("message") or f"The server answered {status} without saying why."),
            code=code,
            exit_code=exit_of_error(code, status),
            hint=_HINTS.get(code, ""),
            details=error.get("details") or {},
            request_id=str(error.get("requestId") or ""),
        )

    @classmethod
    def of_error(cls, error: MainstayError) -> Failure:
        """From an error of the domain, as `--direct` meets it."""
        return cls.of_answer(error.status, error.as_json())

    @classmethod
    def not_found(cls, message: str, hint: str = "") -> Failure:
        """Nothing answers to a name that was typed."""
        return cls(message, code="not-found", exit_code=Exit.NOT_FOUND, hint=hint)

    @classmethod
    def refused(cls, message: str, hint: str = "", *, code: str = "refused") -> Failure:
        """The command itself refuses: something was not agreed to."""
        return cls(message, code=code, exit_code=Exit.REFUSED, hint=hint)

    def as_json(self) -> dict[str, Any]:
        """The API's error object, whether or not an API was involved."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "requestId": self.request_id,
            }
        }


_HINTS = {
    "damaged": "Others may be whole: {program} versions APP. What else is damaged: {program} repository verify",
    "unauthenticated": "Set MAINSTAY_TOKEN, or name a file that holds the token with --token-file.",
    "forbidden": "Ask the application's owner or an administrator for access.",
    "cluster-unreachable": "See whether the cluster answers: {program} clusters NAME",
    "cluster-not-configured": "See which clusters are known: {program} clusters",
    "storage-unavailable": "The repository's storage does not answer. See its address: {program} settings",
    "wrong-key": "See what is set to open it (a passphrase, a KMS key): {program} settings",
}
