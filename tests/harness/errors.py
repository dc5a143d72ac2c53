"""The harness's errors.

HarnessError          something did not come up, did not answer in time or could not be built
└── ApiError          the API server answered, with an error
"""


class HarnessError(Exception):
    """Carries a sentence and, where a program is to blame, the tail of its log."""


class ApiError(HarnessError):
    """The API server's refusal: `status` is its HTTP code, `reason` Kubernetes' own word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
