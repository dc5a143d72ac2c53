"""What must hold after every fault: no version lost, none half made, and no object in a state that the result does
not tell."""

from __future__ import annotations

from chalicelib.domain.operation import Operation, State
from chalicelib.domain.plan import ResultRow
from tests.support.shop import Body
from tests.support.site import Content, Site

Objects = dict[str, Body]


def assert_no_version_lost(site: Site, before: dict[str, Content]) -> None:
    """All that were listed are, byte for byte; each listed one is whole; what is sealed and not listed was ended."""
    now = site.versions()
    for version, content in before.items():
        assert now[version] == content
    versions = site.repository.versions(site.application.id)
    for version in site.sealed():
        assert version in now or versions.ended(version) is not None


def assert_result_is_true(site: Site, operation: Operation, before: Objects, wanted: Objects) -> None:
    """Every object of the namespace is as the result says. `before` is how things were when the restore began, and
    `wanted` what it was to bring them to."""
    now, rows = site.look(), site.result(operation)
    for key in sorted(before.keys() | wanted.keys() | now.keys() | rows.keys()):
        row = rows.get(key)
        told = f"{key}: {row.outcome if row else 'no row'} {row.verified if row else ''}"
        is_before, is_wanted = now.get(key) == before.get(key), now.get(key) == wanted.get(key)
        assert _may_be(row, is_before=is_before, is_wanted=is_wanted, is_there=key in now), (
            f"{told}, but it is {'as before' if is_before else 'as wanted' if is_wanted else now.get(key)}"
        )
        if operation.state is State.SUCCEEDED:
            assert is_wanted, told


def _may_be(row: ResultRow | None, *, is_before: bool, is_wanted: bool, is_there: bool) -> bool:
    """Whether an object may be so after what its row says (no row: nothing was done)."""
    if row is None or row.outcome in {"kept", "skipped", "not-started"}:
        return is_before
    if row.outcome == "done":
        return {
            "equal": is_wanted,
            "": is_wanted,
            "unknown": is_wanted,
            "missing": not is_there,
            "present": is_there,
            "differs": is_there and not is_wanted,
        }[row.verified]
    if row.outcome == "undone":
        return is_before
    if row.outcome in {"undo-failed", "not-undone"}:
        return not is_before
    if row.outcome == "failed":
        return is_before or (row.verified == "missing" and not is_there)
    return row.outcome == "left" or (row.outcome == "unknown" and (is_before or is_wanted))


def assert_succeeded(site: Site, operation: Operation) -> None:
    """It ended well; if not, why not, and which objects are to blame."""
    if operation.state is State.SUCCEEDED and operation.error is None:
        return
    rows = {
        key: row for key, row in site.result(operation).items() if row.outcome != "done" or row.verified != "equal"
    }
    raise AssertionError(f"{operation.kind} {operation.state}: {operation.error}, {operation.outcome}, {rows}")


def assert_as(site: Site, wanted: Objects) -> None:
    """The namespace is exactly so."""
    assert site.look() == wanted
