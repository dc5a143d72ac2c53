"""Wrappers, recovery keys and key files, on a dictionary."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Conflict, Damaged, NotFound, WrongKey
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.keys import Keyring
from chalicelib.store.sealing import derive
from chalicelib.store.wrappers import Passphrase, RecoveryKey, Wrapping

APP = "app-01jd0000000000000000000000"
KEY = bytes(range(32))


class Kms:
    """A third kind of wrapper, of a few lines: the port is all that a key service needs."""

    name = "kms"

    def wrap(self, key: bytes) -> Wrapping:
        return {"wrapper": self.name, "blob": key[::-1].hex()}

    def unwrap(self, wrapping: Wrapping) -> bytes:
        return bytes.fromhex(wrapping["blob"])[::-1]


def test_a_passphrase_opens_what_it_wrapped_and_only_that() -> None:
    wrapping = Passphrase("pässword").wrap(KEY)
    assert wrapping["n"] >= 2**15
    assert Passphrase("pässword").unwrap(wrapping) == KEY
    with pytest.raises(WrongKey):
        Passphrase("password").unwrap(wrapping)


@pytest.mark.parametrize("absurd", [{"n": 2**40}, {"n": 3}, {"p": 10**6}, {"salt": "!"}, {"box": ""}, {"n": "x"}])
def test_absurd_parameters_are_refused_not_tried(absurd: Wrapping) -> None:
    with pytest.raises(WrongKey):
        Passphrase("p").unwrap({**Passphrase("p").wrap(KEY), **absurd})


def test_a_recovery_key_is_printed_in_groups_and_read_however_it_is_typed() -> None:
    recovery = RecoveryKey.generate()
    printed = recovery.printed()
    assert re.fullmatch(r"MSR1(-[A-Z2-7]{5}){8}", printed)
    wrapping = recovery.wrap(KEY)
    for typed in (printed, printed.lower(), printed.replace("-", " "), f" {printed}\n", printed.replace("O", "0")):
        assert RecoveryKey.parse(typed).unwrap(wrapping) == KEY


@given(st.integers(5, 48), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_typing_error_in_a_recovery_key_is_noticed(place: int, letter: str) -> None:
    printed = RecoveryKey(bytes(range(20))).printed()
    if printed[place] in {"-", letter}:
        return
    with pytest.raises(WrongKey, match="typing error"):
        RecoveryKey.parse(printed[:place] + letter + printed[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "MSR1", "MSR1-AAAAA", "MSR2-" + "A" * 40, "MSR1-" + "A" * 39 + "!", "MSR1-" + "8" * 40]
)
def test_what_is_no_recovery_key_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(WrongKey, match="recovery key"):
        RecoveryKey.parse(text)


def test_any_wrapper_opens_and_the_port_takes_a_key_service() -> None:
    vault = MemoryBackend()
    keyring, recovery = Keyring.create(vault, [Passphrase("p"), Kms()])
    assert recovery is not None
    wanted = keyring.application(APP, create=True).segments
    for wrapper in (Passphrase("p"), Kms(), RecoveryKey.parse(recovery)):
        assert Keyring.open(vault, [wrapper]).application(APP).segments == wanted
    assert Keyring.open(vault, [Passphrase("wrong"), Kms()]).application(APP).segments == wanted


def test_each_purpose_and_each_application_has_a_key_of_its_own() -> None:
    keyring, _ = Keyring.create(MemoryBackend(), [Kms()])
    one, other = (keyring.application(f"app-01jd{n:022d}", create=True) for n in range(2))
    keys = [key for app in (one, other) for key in (app.segments, app.segment_ids, app.manifests, app.parts)]
    assert len(set(keys)) == 8
    assert derive(KEY, "one") != derive(KEY, "other")


def test_an_application_without_a_key_is_not_given_one_by_reading() -> None:
    vault = MemoryBackend()
    keyring, _ = Keyring.create(vault, [Kms()])
    with pytest.raises(NotFound):
        keyring.application(APP)
    assert [listed.key for listed in vault.list("")] == ["vault/keys/1.json"]


def test_a_secret_opens_in_its_place_only() -> None:
    keyring, _ = Keyring.create(MemoryBackend(), [Kms()])
    record = keyring.seal_secret("clusters/a", b"token")
    assert keyring.open_secret("clusters/a", record) == b"token"
    assert "token" not in str(record)
    for place, altered in (("clusters/b", record), ("clusters/a", {**record, "box": "AAAA"}), ("clusters/a", {})):
        with pytest.raises(Damaged) as caught:
            keyring.open_secret(place, altered)
        assert "token" not in caught.value.message


def test_keys_never_show_themselves() -> None:
    keyring, recovery = Keyring.create(MemoryBackend(), [Passphrase("very secret")])
    shown = (
        repr(keyring)
        + repr(keyring._root)
        + repr(keyring.application(APP, create=True))
        + repr(Passphrase("very secret"))
    )
    assert recovery is not None
    assert "very secret" not in shown
    assert keyring._root is not None
    assert keyring._root.key.hex() not in shown
    assert repr(keyring._root.key) not in shown


def test_a_root_key_that_is_there_is_opened_and_no_other_wrapped() -> None:
    wrapped: list[bytes] = []

    class Counting(Kms):
        def wrap(self, key: bytes) -> Wrapping:
            wrapped.append(key)
            return super().wrap(key)

    vault = MemoryBackend()
    _, printed = Keyring.create(vault, [Counting()])
    assert printed is not None
    assert len(wrapped) == 1
    _, again = Keyring.create(vault, [Counting()])
    assert again is None
    assert len(wrapped) == 1


def test_another_wrapper_is_added_and_what_opened_before_still_does() -> None:
    vault = MemoryBackend()
    keyring, recovery = Keyring.create(vault, [Passphrase("p")])
    wanted = keyring.application(APP, create=True).segments
    secret = keyring.seal_secret("clusters/a", b"token")
    done = Keyring.open(vault, [Passphrase("p"), Kms()]).rewrap()
    assert (done.number, done.added, done.applications, done.foreign) == (2, ("kms",), 1, ())
    assert recovery is not None
    for wrapper in (Kms(), Passphrase("p"), RecoveryKey.parse(recovery)):
        opened = Keyring.open(vault, [wrapper])
        assert opened.application(APP).segments == wanted
        assert opened.open_secret("clusters/a", secret) == b"token"
    # What a process that began before goes on to write is understood as well.
    assert Keyring.open(vault, [Kms()]).open_secret("b", keyring.seal_secret("b", b"x")) == b"x"
    assert keyring.open_secret("c", Keyring.open(vault, [Kms()]).seal_secret("c", b"y")) == b"y"


def test_wrapping_anew_where_nothing_is_missing_writes_nothing() -> None:
    vault = MemoryBackend()
    keyring, _ = Keyring.create(vault, [Passphrase("p"), Kms()])
    keyring.application(APP, create=True)
    before = [listed.key for listed in vault.list("")]
    done = Keyring.open(vault, [Passphrase("p"), Kms()]).rewrap()
    assert (done.number, done.added, done.applications) == (1, (), 0)
    assert [listed.key for listed in vault.list("")] == before


def test_wrapping_anew_that_was_stopped_in_the_middle_is_finished_by_calling_it_again() -> None:
    vault = MemoryBackend()
    keyring, _ = Keyring.create(vault, [Passphrase("p")])
    keyring.application(APP, create=True)
    Keyring.open(vault, [Passphrase("p"), Kms()]).rewrap()
    vault.delete(f"vault/{APP}/key-2.json")
    done = Keyring.open(vault, [Kms()]).rewrap()
    assert (done.added, done.applications) == ((), 1)
    elsewhere = MemoryBackend()
    for listed in list(vault.list(f"vault/{APP}/")):
        found = vault.get(listed.key)
        assert found is not None
        elsewhere.create(listed.key, found.data)
    wanted = keyring.application(APP).segments
    assert Keyring.open(elsewhere, [Kms()]).application(APP).segments == wanted


def test_a_key_that_nothing_at_hand_opens_is_left_as_it_is_and_named() -> None:
    vault, other = MemoryBackend(), MemoryBackend()
    Keyring.create(other, [Passphrase("other")])[0].application(APP, create=True)
    Keyring.create(vault, [Passphrase("p")])
    found = other.get(f"vault/{APP}/key-1.json")
    assert found is not None
    vault.create(f"vault/{APP}/key-1.json", found.data)
    assert Keyring.open(vault, [Passphrase("p"), Kms()]).rewrap().foreign == (APP,)


def test_a_lost_recovery_key_is_replaced_by_another_that_opens_too() -> None:
    vault = MemoryBackend()
    keyring, _ = Keyring.create(vault, [Passphrase("p")])
    wanted = keyring.application(APP, create=True).segments
    fresh = RecoveryKey.generate()
    assert Keyring.open(vault, [Passphrase("p")]).rewrap([fresh]).added == ("recovery",)
    assert Keyring.open(vault, [RecoveryKey.parse(fresh.printed())]).application(APP).segments == wanted


def test_of_two_that_wrap_anew_at_once_one_is_told_to_do_it_once_more() -> None:
    vault = MemoryBackend()
    Keyring.create(vault, [Passphrase("p")])
    first, second = (Keyring.open(vault, [Passphrase("p"), Kms()]) for _ in range(2))
    first.rewrap()
    with pytest.raises(Conflict, match="once more"):
        second.rewrap()
    assert Keyring.open(vault, [Passphrase("p"), Kms()]).rewrap().added == ()
