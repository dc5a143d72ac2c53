"""Exit codes: what a script learns from a command without reading its output."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The codes, as `mainstay --help` and docs/cli.md list them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNREACHABLE = 5
    DIFFERS = 6
    PARTIAL = 7
    INTERRUPTED = 130


MEANINGS: tuple[tuple[Exit, str], ...] = (
    (Exit.OK, "it is done"),
    (Exit.FAILED, "it failed, or what was given is invalid"),
    (Exit.USAGE, "the command line is wrong"),
    (Exit.NOT_FOUND, "no such application, version or operation"),
    (Exit.REFUSED, "refused: not allowed, not agreed to, or against the present state"),
    (Exit.UNREACHABLE, "the server, its storage or the cluster does not answer"),
    (Exit.DIFFERS, "only with --exit-code: something differs, the plan is not empty"),
    (Exit.PARTIAL, "done in part: the result says what is missing"),
    (Exit.INTERRUPTED, "interrupted by Ctrl-C"),
)

_BY_CODE = {
    "unreachable": Exit.UNREACHABLE,
    "cluster-unreachable": Exit.UNREACHABLE,
    "storage-unavailable": Exit.UNREACHABLE,
    "storage-refused": Exit.UNREACHABLE,
    "storage-full": Exit.FAILED,
    "wrong-key": Exit.REFUSED,
}
_BY_STATUS = {
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    409: Exit.REFUSED,
    423: Exit.REFUSED,
    429: Exit.UNREACHABLE,
    502: Exit.FAILED,
    503: Exit.UNREACHABLE,
    504: Exit.UNREACHABLE,
    505: Exit.UNREACHABLE,
}
_BY_STATE = {
    "succeeded": Exit.OK,
    "partial": Exit.PARTIAL,
    "failed": Exit.FAILED,
    "cancelled": Exit.FAILED,
}


def ended(operation: dict[str, object]) -> bool:
    """Whether nothing more will happen to an operation."""
    return operation.get("state") in _BY_STATE


def exit_of_error(code: str, status: int) -> Exit:
    """The exit code of an error of the API: its `code` where that says more than its HTTP status."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status, Exit.FAILED)


def exit_of_operation(operation: dict[str, object]) -> Exit:
    """The exit code of an operation that ended (`OK` for one that has not: nothing went wrong yet).

    One that failed for want of a cluster or of storage says so, like a request that failed for it.
    """
    state = str(operation.get("state", ""))
    error = operation.get("error")
    if state == "failed" and isinstance(error, dict):
        code = str(error.get("code", ""))
        return Exit.REFUSED if code == "conflict" else _BY_CODE.get(code, Exit.FAILED)
    return _BY_STATE.get(state, Exit.OK)
