"""What rules say of versions that are there, and what is done about it at the end of a backup."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from chalicelib.domain.document.backup import Keep
from chalicelib.domain.operation import OperationKind, State
from chalicelib.engine.capture.retention import retain
from chalicelib.engine.lane.lease import NoLease
from chalicelib.engine.lane.work import Finish
from chalicelib.engine.operations.backup import failed
from chalicelib.language.loader import load
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import VersionChange, VersionQuery
from tests.unit.services.house import DOCUMENT, House

KEEPS_TWO = DOCUMENT + "  backup: {keep: {last: 2}}\n"


def retained(built: House, application: str, state: State = State.SUCCEEDED) -> tuple[Finish, list[str]]:
    """How a backup ends whose version was just sealed, and the versions that are there afterwards."""
    found = built.repository.applications.get(application)
    work: Any = SimpleNamespace(
        repository=built.repository,
        application=found,
        document=load(found.document),
        lease=NoLease(1),
        checkpoint={"sealed": {"state": state.value, "outcome": {"version": "the new one"}}},
    )
    return retain(work), list(built.repository.versions(application).list())


def because(built: House, version: str) -> list[str]:
    return built.services.versions.get(built.asker, VersionQuery(version_id=version)).kept_because


def test_after_a_backup_only_what_a_rule_keeps_is_there_and_a_sweep_is_to_come(built: House) -> None:
    application = built.registered(document=KEEPS_TWO)
    made = [built.version(application) for _ in range(4)]
    assert because(built, made[0]) == ["no rule keeps it: it ends with the next backup"]
    finish, left = retained(built, application)
    assert finish == Finish(State.SUCCEEDED, {"version": "the new one", "ended": [made[1], made[0]]})
    assert left == [made[3], made[2]]
    assert because(built, made[2]) == ["it is one of the last 2 (number 2)"]
    assert [entry.reason for entry in built.repository.wake.due(built.repository.now())] == ["sweep-later"]


def test_the_last_good_version_stays_under_any_number_of_partial_ones(built: House) -> None:
    application = built.registered(document=KEEPS_TWO)
    good = built.version(application)
    partial = [built.version(application, complete=False) for _ in range(3)]
    finish, left = retained(built, application, State.PARTIAL)
    assert finish.state is State.PARTIAL
    assert left == [partial[2], partial[1], good]
    assert because(built, good) == ["it is the last good version"]


def test_held_versions_and_those_of_restores_are_left(built: House) -> None:
    application = built.registered(document=KEEPS_TWO)
    held = built.version(application)
    safety = built.version(application, purpose="safety")
    rest = [built.version(application) for _ in range(3)]
    built.services.versions.update(built.asker, VersionQuery(version_id=held), VersionChange(hold=True))
    assert because(built, held) == ["it is held"]
    assert because(built, safety) == ["versions are kept until they are deleted"]
    assert retained(built, application)[1] == [rest[2], rest[1], safety, held]


def test_a_version_that_a_restore_in_line_needs_is_left(built: House) -> None:
    application = built.registered(document=KEEPS_TWO)
    old = built.version(application)
    rest = [built.version(application) for _ in range(2)]
    started = built.services.versions.restore(built.asker, VersionQuery(version_id=old), RestoreRequest())
    assert built.engine.started[0].kind is OperationKind.RESTORE
    assert because(built, old) == [f"{started.id} needs it"]
    assert retained(built, application)[1] == [*reversed(rest), old]


def test_without_rules_of_its_own_an_application_follows_the_default_and_without_any_all_stay(built: House) -> None:
    application = built.registered()
    made = [built.version(application) for _ in range(3)]
    assert retained(built, application)[1] == made[::-1]
    built.repository.policies.update(lambda found: found.model_copy(update={"keep": Keep(last=1)}))
    assert retained(built, application)[1] == [made[2]]


def test_what_fails_after_the_seal_fails_no_backup(built: House) -> None:
    work: Any = SimpleNamespace(checkpoint={"sealed": {"state": "succeeded", "outcome": {"version": "the new one"}}})
    finish = failed(work, RuntimeError("anything"))  # type: ignore[arg-type]
    assert finish == Finish(State.SUCCEEDED, {"version": "the new one"})
