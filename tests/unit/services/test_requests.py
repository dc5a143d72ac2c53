"""Signed restore requests: done once, answered always, and nothing told to whoever has no key."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Forbidden, Invalid, NotFound, StorageUnavailable
from chalicelib.domain.operation import State
from chalicelib.domain.request import LARGEST, signed
from chalicelib.services.access import Asker
from chalicelib.services.models.request_keys import RequestKeyMade, RequestKeyRequest
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import VersionQuery, VersionsQuery
from chalicelib.services.requests import FOLLOW
from chalicelib.store import layout
from tests.unit.services.house import House

KEY = "requests/one.json"


def made(built: House, name: str = "pipeline", **scope: Any) -> RequestKeyMade:
    return built.services.request_keys.add(built.asker, RequestKeyRequest(name=name, **scope))


def body(built: House, key: RequestKeyMade, **changes: Any) -> dict[str, Any]:
    text: dict[str, Any] = {
        "apiVersion": "mainstay.dev/v1",
        "kind": "RestoreRequest",
        "application": "shop",
        "version": "newest good",
        "options": {"mode": "merge"},
        "key": key.id,
        "time": built.repository.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": "1",
        **changes,
    }
    return {name: value for name, value in text.items() if value is not None}


def put(built: House, content: Any, key: str = KEY) -> dict[str, Any]:
    """Put an object there, have it answered, and read the answer."""
    data = content if isinstance(content, bytes) else json.dumps(content, indent=1).encode()
    built.repository.control.delete(key)
    built.repository.control.create(key, data)
    built.services.requests.answer(key)
    answer = built.repository.inbox.answered(key)
    assert answer is not None
    return answer


def asked(built: House, key: RequestKeyMade | None = None, **changes: Any) -> dict[str, Any]:
    key = key or made(built)
    return signed(body(built, key, **changes), key.secret)


@pytest.fixture
def shop(built: House) -> str:
    application = built.registered()
    built.version(application)
    return application


# ── done ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_signed_request_starts_the_restore_it_asks_for(built: House, shop: str) -> None:
    partial = built.version(shop, complete=False)
    answer = put(built, asked(built))
    (started,) = built.engine.started
    assert (answer["accepted"], answer["operation"], answer["state"]) == (True, started.id, "queued")
    assert started.arguments["mode"] == "merge"
    assert started.arguments["version"] == answer["version"] != partial
    assert started.requested_by == "request key pipeline"
    assert started.arguments["request"]["object"] == KEY


def test_a_version_by_its_id_and_an_application_by_its_id(built: House, shop: str) -> None:
    newest = built.services.versions.list(built.asker, VersionsQuery(app_id=shop)).items[0].id
    answer = put(built, asked(built, application=shop, version=newest, options=None))
    assert (answer["accepted"], answer["version"]) == (True, newest)


@pytest.mark.usefixtures("shop")
def test_the_same_event_however_often_starts_one_restore_and_says_the_same(built: House) -> None:
    first = put(built, asked(built))
    for _ in range(3):
        built.services.requests.answer(KEY)
    assert len(built.engine.started) == 1
    assert built.repository.inbox.answered(KEY) == first


@pytest.mark.usefixtures("shop")
def test_two_workers_with_the_same_event_at_once_start_one_restore(built: House) -> None:
    built.repository.control.create(KEY, json.dumps(asked(built)).encode())
    threads = [threading.Thread(target=built.services.requests.answer, args=(KEY,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({operation.id for operation in built.engine.started}) == 1
    answer = built.repository.inbox.answered(KEY)
    assert answer is not None
    assert answer["accepted"] is True


@pytest.mark.usefixtures("shop")
def test_the_same_text_under_another_name_is_told_to_be_a_copy(built: House) -> None:
    request = asked(built)
    first = put(built, request)
    again = put(built, request, "requests/two.json")
    assert (again["accepted"], again["error"]["code"]) == (False, "replayed")
    assert first["operation"] in again["error"]["message"]
    assert len(built.engine.started) == 1


@pytest.mark.usefixtures("shop")
def test_the_event_of_a_request_that_was_accepted_comes_late_and_changes_nothing(built: House) -> None:
    first = put(built, asked(built))
    built.engine.change(first["operation"], state=State.SUCCEEDED)
    for key in built.services.request_keys.list(built.asker).items:
        built.services.request_keys.revoke(built.asker, key.id)
    built.services.requests.answer(KEY)
    answer = built.repository.inbox.answered(KEY)
    assert answer is not None
    assert (answer["accepted"], answer["state"], answer["ended"]) == (True, "succeeded", True)


@pytest.mark.usefixtures("shop")
def test_the_answer_says_later_how_the_restore_ended(built: House) -> None:
    answer = put(built, asked(built))
    (entry,) = built.repository.wake.due(built.repository.now() + timedelta(seconds=10))
    assert entry.reason == FOLLOW
    built.engine.reasons[FOLLOW](entry)
    assert built.repository.inbox.answered(KEY) == answer
    built.engine.change(answer["operation"], state=State.SUCCEEDED)
    later = list(built.repository.wake.due(built.repository.now() + timedelta(seconds=60)))[-1]
    built.engine.reasons[FOLLOW](later)
    assert built.repository.inbox.answered(KEY) == {**answer, "state": "succeeded", "ended": True}


@pytest.mark.usefixtures("shop")
def test_the_end_is_told_although_the_answer_came_only_when_the_event_came_again(
    built: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StorageUnavailable("It is away.")

    wake, later = built.repository.wake, timedelta(days=1)

    def follow() -> None:
        for entry in list(wake.due(built.repository.now() + later)):
            built.engine.reasons[FOLLOW](entry)
            wake.remove(entry)

    with monkeypatch.context() as dying:
        dying.setattr(built.repository.inbox, "answer", away)
        with pytest.raises(StorageUnavailable):
            put(built, asked(built))
        while list(wake.due(built.repository.now() + later)):
            follow()
    built.services.requests.answer(KEY)
    answer = built.repository.inbox.answered(KEY)
    assert answer is not None
    built.engine.change(answer["operation"], state=State.SUCCEEDED)
    follow()
    assert built.repository.inbox.answered(KEY) == {**answer, "state": "succeeded", "ended": True}


def test_what_is_just_being_started_is_looked_at_again_but_not_for_ever(built: House, shop: str) -> None:
    payload = {"started": "op-01jd0000000000000000000000", "request": KEY, "seconds": 2}
    built.repository.wake.add(built.repository.now(), shop, FOLLOW, payload)
    looks = 0
    while waiting := list(built.repository.wake.due(built.repository.now() + timedelta(days=1))):
        (entry,) = waiting
        built.engine.reasons[FOLLOW](entry)
        built.repository.wake.remove(entry)
        looks += 1
    assert looks == 5


def test_a_request_can_ask_for_a_plan_alone(built: House, shop: str) -> None:
    answer = put(built, asked(built, options={"dryRun": True}))
    assert (answer["kind"], answer["application"]) == ("plan", shop)


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────


def refused(built: House, content: Any) -> tuple[str, str]:
    answer = put(built, content)
    assert answer["accepted"] is False
    assert built.engine.started == []
    assert list(built.repository.wake.due(built.repository.now() + timedelta(days=1))) == []
    return answer["error"]["code"], answer["error"]["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b'{"apiVersion": "mainstay.dev/v1"}',
        b'{"kind": "RestoreRequest", "kind": "RestoreRequest"}',
        b"[" * 50_000,
        b'{"options": 1.5}',
    ],
)
def test_what_is_no_request_is_told_so(built: House, content: bytes) -> None:
    assert refused(built, content)[0] == "malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "yesterday"},
        {"time": "1970-01-01T00:00:00Z"},
        {"time": "2026-13-01T00:00:00Z"},
        {"application": ""},
        {"application": 7},
        {"options": []},
        {"more": 1},
        {"nonce": "\ud800"},
        {"signature": "\ud800"},
        {"signature": "\u00e9"},
    ],
)
def test_members_of_another_form_are_told_so(built: House, shop: str, changes: dict[str, Any]) -> None:
    assert shop
    content = {**asked(built), **changes}
    assert refused(built, content)[0] == "malformed"


@pytest.mark.parametrize("size", [LARGEST + 1, 100 * LARGEST])
def test_a_huge_object_is_refused_unread(built: House, size: int) -> None:
    answer = put(built, b"[" * size)
    assert answer["error"]["code"] == "malformed"
    assert "not read" in answer["error"]["message"]
    assert answer["sha256"] is None  # of what was not read, nothing is known


@pytest.mark.usefixtures("shop")
def test_whoever_has_no_key_is_told_the_same_whatever_is_wrong(built: House) -> None:
    key = made(built)
    unsigned = body(built, key)
    wrong = signed(unsigned, "another secret")
    stranger = signed({**unsigned, "key": key.id[:-4] + "zzzz"}, key.secret)
    altered = {**signed(unsigned, key.secret), "options": {"mode": "exact"}}
    nowhere = signed({**unsigned, "application": "no-such"}, "another secret")
    nobody = signed({**unsigned, "key": "no key"}, key.secret)
    told = {refused(built, content) for content in (unsigned, wrong, stranger, altered, nowhere, nobody)}
    assert told == {("not-signed", "This request is not signed with a key that is known here.")}


@pytest.mark.usefixtures("shop")
def test_a_revoked_key_signs_nothing_any_more(built: House) -> None:
    key = made(built)
    request = asked(built, key)
    built.services.request_keys.revoke(built.asker, key.id)
    assert refused(built, request)[0] == "revoked"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("off", [timedelta(minutes=-16), timedelta(minutes=6), timedelta(days=-400)])
def test_a_request_outside_its_time_is_told_so(built: House, off: timedelta) -> None:
    at = built.repository.now() + off
    assert refused(built, asked(built, time=at.strftime("%Y-%m-%dT%H:%M:%SZ")))[0] == "expired"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"application": "no-such"}, "not-found", "no-such"),
        ({"version": "ver-01jd0000000000000000000000"}, "not-found", "ver-01jd"),
        ({"version": "latest"}, "malformed", "latest"),
        ({"options": {"mod": "exact"}}, "invalid", "options.mod"),
        ({"options": {"mode": "most"}}, "invalid", "options.mode"),
        ({"options": {"plan": "op-01jd0000000000000000000000"}}, "not-found", "op-01jd"),
    ],
)
def test_who_signed_is_told_what_cannot_be_done(built: House, changes: dict[str, Any], code: str, told: str) -> None:
    answer = put(built, asked(built, **changes))
    assert (answer["accepted"], answer["error"]["code"]) == (False, code)
    assert told in answer["error"]["message"]
    assert built.engine.started == []


def test_a_version_of_another_application_is_not_restored(built: House, shop: str) -> None:
    other = built.version(built.registered("other"))
    answer = put(built, asked(built, version=other))
    assert (answer["accepted"], answer["error"]["code"]) == (False, "not-found")
    assert shop
    assert built.engine.started == []


def test_a_version_that_cannot_be_read_is_told_to_be_damaged(built: House, shop: str) -> None:
    version = built.version(shop)
    manifest = layout.manifest(shop, version)
    built.repository.vault.delete(manifest)
    built.repository.vault.create(manifest, b"{}")
    answer = put(built, asked(built, version=version))
    assert (answer["accepted"], answer["error"]["code"]) == (False, "damaged")
    assert put(built, asked(built, version="newest good"))["accepted"]


def test_an_application_without_a_good_version_is_told_so(built: House) -> None:
    built.version(built.registered(), complete=False)
    answer = put(built, asked(built))
    assert "no good version" in answer["error"]["message"]


# ── scopes ──────────────────────────────────────────────────────────────────────────────────────────────────


def outside(built: House, key: RequestKeyMade, **changes: Any) -> str:
    code, message = refused(built, asked(built, key, **changes))
    assert code == "outside-scope"
    return message


def test_a_key_for_one_application_restores_that_one(built: House, shop: str) -> None:
    key = made(built, applications=["shop"])
    assert [(each.id, each.name) for each in key.applications or ()] == [(shop, "shop")]
    assert key.elsewhere is False
    assert put(built, asked(built, key))["accepted"] is True


@pytest.mark.usefixtures("shop")
def test_of_other_applications_a_key_learns_not_even_whether_they_exist(built: House) -> None:
    key, other = made(built, applications=["shop"]), built.registered("other")
    built.version(other)
    for named in ("other", "no-such", other, "app-01jd0000000000000000000000"):
        assert outside(built, key, application=named) == f"The key of this request is not for {named!r}."


def test_a_key_stays_with_its_application_and_does_not_go_with_the_name(built: House, shop: str) -> None:
    key = made(built, applications=["shop"])
    built.repository.names.free("applications", "shop", shop)
    built.version(built.registered("shop"))
    assert "not for 'shop'" in outside(built, key)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"namespace": "payments"}, "`namespace`"),
        ({"namespaces": {"shop": "payments"}}, "`namespaces`"),
        ({"cluster": "another"}, "`cluster`"),
        ({"shared": True}, "`shared` belongs to others"),
    ],
)
def test_a_key_for_one_application_leads_nowhere_else(built: House, options: dict[str, Any], told: str) -> None:
    assert told in outside(built, made(built, applications=["shop"]), options={"mode": "merge", **options})


@pytest.mark.usefixtures("shop")
def test_a_key_may_be_made_for_elsewhere_too(built: House) -> None:
    key = made(built, applications=["shop"], elsewhere=True)
    answer = put(built, asked(built, key, options={"namespace": "shop-copy"}))
    (started,) = built.engine.started
    assert (answer["accepted"], started.arguments["namespaces"]) == (True, {"shop": "shop-copy"})


def test_a_key_for_one_place_restores_no_version_that_may_be_of_another(built: House, shop: str) -> None:
    safety = built.version(shop, purpose="safety")
    assert "what a backup made" in outside(built, made(built, applications=["shop"]), version=safety)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("options", [{"mode": "exact"}, {}, {"dryRun": True}])
def test_a_key_for_a_mode_needs_requests_that_say_it(built: House, options: dict[str, Any]) -> None:
    key = made(built, modes=["merge", "missing"])
    assert "merge or missing" in outside(built, key, options=options)
    assert put(built, asked(built, key, options={"mode": "missing"}))["accepted"] is True


@pytest.mark.usefixtures("shop")
def test_a_key_for_modes_that_delete_nothing_consents_to_no_loss(built: House) -> None:
    options = {"mode": "merge", "consent": ["PersistentVolumeClaim"]}
    assert "`consent`" in outside(built, made(built, modes=["merge", "missing"]), options=options)
    assert put(built, asked(built, made(built, modes=["merge", "exact"]), options=options))["accepted"] is True


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        ({"mode": "merge"}, True),
        ({"mode": "exact"}, False),
        ({"mode": "merge", "namespace": "payments"}, False),
        ({"mode": "merge", "consent": ["PersistentVolumeClaim"]}, False),
    ],
)
def test_a_saved_plan_is_held_against_the_scope_by_what_it_shows(
    built: House, shop: str, wanted: dict[str, Any], *, accepted: bool
) -> None:
    newest = VersionQuery(
        version_id=built.services.versions.list(built.asker, VersionsQuery(app_id=shop)).items[0].id
    )
    plan = built.services.versions.restore(built.asker, newest, RestoreRequest(dry_run=True, **wanted))
    built.engine.change(plan.id, state=State.SUCCEEDED)
    key = made(built, applications=["shop"], modes=["merge"])
    answer = put(built, asked(built, key, options={"plan": plan.id}))
    assert answer["accepted"] is accepted
    assert accepted or answer["error"]["code"] == "outside-scope"


def test_a_key_that_was_made_before_there_were_scopes_is_for_everything(built: House, shop: str) -> None:
    key = made(built, applications=["shop"])
    path = f"control/request-keys/{key.id}.json"
    stored = built.repository.control.get(path)
    assert stored is not None
    older = json.loads(stored.data)
    del older["document"]["scope"]
    built.repository.control.replace(path, json.dumps(older).encode(), stored.etag)
    (listed,) = built.services.request_keys.list(built.asker).items
    assert (listed.applications, listed.modes, listed.elsewhere) == (None, None, True)
    built.version(built.registered("other"))
    assert put(built, asked(built, key, application="other"))["accepted"] is True
    assert shop


def test_a_key_for_an_application_that_is_not_there_is_not_made(built: House, shop: str) -> None:
    for named in ("no-such", "app-01jd0000000000000000000000", "app-x"):
        with pytest.raises(Invalid, match="no application") as caught:
            made(built, applications=["shop", named])
        assert caught.value.problems[0].path == "applications.1"
    assert built.services.request_keys.list(built.asker).items == []
    assert len(made(built, applications=["shop", shop]).applications or ()) == 1


# ── keys and names ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_secret_is_told_once_and_lies_encrypted(built: House) -> None:
    key = made(built)
    (listed,) = built.services.request_keys.list(built.asker).items
    assert "secret" not in listed.model_dump()
    stored = built.repository.control.get(f"control/request-keys/{key.id}.json")
    assert stored is not None
    assert key.secret.encode() not in stored.data


def test_only_administrators_make_list_and_revoke_keys(built: House) -> None:
    key, somebody = made(built), Asker("somebody", "user")
    for act in (
        lambda: built.services.request_keys.add(somebody, RequestKeyRequest(name="x")),
        lambda: built.services.request_keys.list(somebody),
        lambda: built.services.request_keys.revoke(somebody, key.id),
    ):
        with pytest.raises(Forbidden):
            act()
    with pytest.raises(NotFound):
        built.services.request_keys.revoke(built.asker, "key-01jd0000000000000000000000")


@pytest.mark.parametrize("key", ["requests/a.json", "requests/a/b c.json", "requests/ü.json", "requests/.a.json"])
@pytest.mark.usefixtures("shop")
def test_any_name_that_can_be_answered_may_be_a_request(built: House, key: str) -> None:
    assert built.services.requests.key_of(key) == key
    assert put(built, asked(built), key)["accepted"] is True


@pytest.mark.parametrize("name", ["restore", "restore.txt", "restore.json.tmp", "restore.JSON", "restore.json~"])
def test_an_object_with_another_ending_is_not_carried_out_and_its_answer_says_how_it_would_be(
    built: House, shop: str, name: str
) -> None:
    assert shop
    answer = put(built, asked(built), f"requests/{name}")
    assert (answer["accepted"], answer["error"]["code"]) == (False, "malformed")
    assert f"`requests/{name}.json`" in answer["error"]["message"]
    assert built.engine.started == []
    assert list(built.services.requests.waiting()) == []


@pytest.mark.parametrize("key", ["requests//a.json", "requests/../control/a.json", f"requests/{'a' * 1000}.json"])
def test_what_no_answer_can_be_called_is_told_in_the_log(
    built: House, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert built.services.requests.key_of(key) == key
    built.services.requests.answer_object(key)
    assert "neither read nor answered" in caplog.text
    assert key[:200] in caplog.text
    assert list(built.repository.control.list("responses/")) == []


def test_a_name_cannot_forge_a_line_of_the_log(built: House, caplog: pytest.LogCaptureFixture) -> None:
    built.services.requests.answer_object("requests/a\n2026-11-25 INFO all is well.json")
    assert "\\n2026-11-25 INFO" in caplog.text
    assert "\n2026-11-25 INFO" not in caplog.text


@pytest.mark.parametrize(
    "key", ["requests/", "requests/folder/", "responses/a.json", "a.json", "control/requests/a.json"]
)
def test_what_is_not_in_the_inbox_is_passed_over(built: House, key: str) -> None:
    assert built.services.requests.key_of(key) is None


@pytest.mark.usefixtures("shop")
def test_what_is_not_answered_is_found_by_listing_and_then_no_more(built: House) -> None:
    built.repository.control.create(KEY, json.dumps(asked(built)).encode())
    assert [key for key, _ in built.services.requests.waiting()] == [KEY]
    built.services.requests.answer(KEY)
    assert list(built.services.requests.waiting()) == []
