"""Keys: root keys, each application's own key, and what is derived from them.

    passphrase ┐
    recovery   ├─► root key n ─► key of an application ─► segments · segment ids · manifests · parts
    KMS        ┘            └──► secrets in control

Nothing is derived from the bucket's place. An application's key file carries the wrappings of the root key that
wraps it, so its folder opens alone, anywhere, for whoever holds one of the wrappers.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from chalicelib.domain.errors import Conflict, Damaged, NotFound, WrongKey
from chalicelib.store import layout
from chalicelib.store.backend import Backend, Exists
from chalicelib.store.sealing import KEY_BYTES, BoxError, derive, keyed_hash, seal, unseal
from chalicelib.store.wrappers import RecoveryKey, Wrapper, Wrapping

_FORMAT = 1


class ApplicationKey:
    """The random key of one application and the keys of its purposes, each derived when first needed."""

    def __init__(self, application: str, key: bytes) -> None:
        self.application = application
        self._key = key

    def __repr__(self) -> str:
        return f"ApplicationKey({self.application!r})"

    @cached_property
    def segments(self) -> bytes:
        """Encrypts segments."""
        return derive(self._key, "segment encryption")

    @cached_property
    def segment_ids(self) -> bytes:
        """Makes a segment's id of its plain bytes."""
        return derive(self._key, "segment id")

    @cached_property
    def manifests(self) -> bytes:
        """Authenticates manifests."""
        return derive(self._key, "manifest")

    @cached_property
    def parts(self) -> bytes:
        """Encrypts plans, ledgers and results."""
        return derive(self._key, "operation parts")


@dataclass(frozen=True)
class RootKey:
    """A root key in the open, with the wrappings it is stored under."""

    number: int
    key: bytes
    wrappings: tuple[Wrapping, ...]

    def __repr__(self) -> str:
        return f"RootKey({self.number})"

    @cached_property
    def id(self) -> str:
        """Which key this is, without saying anything about it: 32 hexadecimal characters."""
        return _root_id(self.key)

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "id": self.id, "wrappings": list(self.wrappings)}


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What `Keyring.rewrap` did: the number of the newest root key file, which kinds of wrapper were added, how many
    applications' key files were written, and applications whose keys nothing at hand opens (left as they are)."""

    number: int
    added: tuple[str, ...]
    applications: int
    foreign: tuple[str, ...]


class Keyring:
    """The root key of a repository, unwrapped, and the applications' keys, opened when first needed."""

    def __init__(self, vault: Backend, root: RootKey | None, wrappers: Sequence[Wrapper]) -> None:
        self._vault = vault
        self._root = root
        self._wrappers = tuple(wrappers)
        self._applications: dict[str, ApplicationKey] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Keyring({self._vault.describe()})"

    @classmethod
    def create(cls, vault: Backend, wrappers: Sequence[Wrapper]) -> tuple[Keyring, str | None]:
        """Make root key 1 under `wrappers` and a fresh recovery key.

        Returns the recovery key as printed, once; `None` if there was a root key already, or another process was
        quicker: then that one is opened.
        """
        # Looked for first: stretching a passphrase is made to be slow, and is done once more for each opening.
        if any(vault.list(layout.ROOT_KEYS)):
            return cls.open(vault, wrappers), None
        recovery = RecoveryKey.generate()
        key = secrets.token_bytes(KEY_BYTES)
        root = RootKey(1, key, tuple(wrapper.wrap(key) for wrapper in (*wrappers, recovery)))
        try:
            vault.create(layout.root_key(1), _dump({"format": _FORMAT, **root.as_json()}))
        except Exists:
            opened = cls.open(vault, wrappers)
            # An answer may have been lost: then what is there is ours, and the recovery key opens it.
            mine = opened._root is not None and opened._root.key == key
            return opened, recovery.printed() if mine else None
        return cls(vault, root, wrappers), recovery.printed()

    @classmethod
    def open(cls, vault: Backend, wrappers: Sequence[Wrapper]) -> Keyring:
        """Open the newest root key with whichever wrapper fits. `WrongKey` if none does.

        Where there is no root key at all (an application's folder that was copied somewhere else), each
        application's key is opened by the wrappings beside it.
        """
        numbers = [layout.numbered(listed.key) for listed in vault.list(layout.ROOT_KEYS)]
        number = max((number for number in numbers if number), default=None)
        if number is None:
            return cls(vault, None, wrappers)
        key = layout.root_key(number)
        return cls(vault, _open_root(key, _load(vault, key), wrappers), wrappers)

    def application(self, application: str, *, create: bool = False) -> ApplicationKey:
        """The key of an application; with `create`, made if it has none yet. `NotFound`, `WrongKey`, `Damaged`."""
        with self._lock:
            if application not in self._applications:
                self._applications[application] = self._find(application) or self._make(application, create)
            return self._applications[application]

    def rewrap(self, more: Sequence[Wrapper] = ()) -> Rewrapped:
        """Write the root key down anew, wrapped by all of the wrappers at hand (and `more`) beside those it has; the
        key itself stays, so nothing else changes. Then write each application's key file anew, so that its folder
        opens alone with them too.

        What was wrapped before stays and still opens. Stopped in the middle, it is simply called again. `Conflict`
        if somebody else does it at the same moment.
        """
        root = self._needed_root()
        missing = [wrapper for wrapper in (*self._wrappers, *more) if not _opens(wrapper, root)]
        if missing:
            wrappings = (*root.wrappings, *(wrapper.wrap(root.key) for wrapper in missing))
            root = RootKey(root.number + 1, root.key, wrappings)
            try:
                self._vault.create(layout.root_key(root.number), _dump({"format": _FORMAT, **root.as_json()}))
            except Exists:
                raise Conflict("Somebody else wraps the root key anew at this moment. Do it once more.") from None
            self._root = root
        rewrapped, foreign = 0, []
        for application in sorted(name for name in self._vault.folders("vault/") if name.startswith("app-")):
            if max(map(_by_number, self._key_files(application)), default=0) >= root.number:
                continue
            try:
                self._write_application(application, self.application(application), root)
                rewrapped += 1
            except (WrongKey, Damaged, NotFound):
                foreign.append(application)
        return Rewrapped(root.number, tuple(wrapper.name for wrapper in missing), rewrapped, tuple(foreign))

    def seal_secret(self, place: str, secret: bytes) -> dict[str, Any]:
        """A record of `secret` that opens only for this repository's root key, and only at `place`."""
        root = self._needed_root()
        box = seal(derive(root.key, "control secrets"), secret, place.encode())
        return {"format": _FORMAT, "root": root.id, "number": root.number, "box": base64.b64encode(box).decode()}

    def open_secret(self, place: str, record: dict[str, Any]) -> bytes:
        """What `seal_secret` was given for this very place. `Damaged` if it was altered or moved."""
        root = self._needed_root()
        if record.get("root") != root.id:
            root = self._older_root(int(record.get("number", 0)), str(record.get("root")), place)
        try:
            return unseal(derive(root.key, "control secrets"), _box(record), place.encode())
        except (BoxError, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"The secret kept for `{place}` was altered.", details={"key": place}) from error

    def _needed_root(self) -> RootKey:
        if self._root is None:
            raise NotFound("This place has no root key: it is not a whole repository.")
        return self._root

    def _older_root(self, number: int, identity: str, place: str) -> RootKey:
        key = layout.root_key(number)
        root = _open_root(key, _load(self._vault, key), self._wrappers)
        if root.id != identity:
            raise Damaged(
                f"The secret kept for `{place}` names a root key that is not there.", details={"key": place}
            )
        return root

    def _find(self, application: str) -> ApplicationKey | None:
        failure: WrongKey | Damaged | None = None
        for key in self._key_files(application):
            try:
                return self._open_application(application, key)
            except (WrongKey, Damaged) as error:
                failure = error
        if failure is not None:
            raise failure
        return None

    def _key_files(self, application: str) -> list[str]:
        """The key files of an application, the newest first."""
        names = [listed.key for listed in self._vault.list(f"{layout.vault(application)}key-", deep=False)]
        return sorted((key for key in names if layout.numbered(key, "key-")), key=_by_number, reverse=True)

    def _open_application(self, application: str, key: str) -> ApplicationKey:
        record = _load(self._vault, key)
        try:
            wrapping = record["root"]
            known = self._root is not None and self._root.id == wrapping["id"]
            root = self._root if known and self._root else _open_root(key, wrapping, self._wrappers)
            opened = unseal(derive(root.key, "application key"), _box(record), _place(application))
            return ApplicationKey(application, opened)
        except (BoxError, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"The key file `{key}` was altered.", details={"key": key}) from error

    def _make(self, application: str, create: bool) -> ApplicationKey:  # noqa: FBT001
        if not create:
            raise NotFound(f"{application} has no key in {self._vault.describe()}: nothing was ever kept for it.")
        root = self._needed_root()
        fresh = ApplicationKey(application, secrets.token_bytes(KEY_BYTES))
        try:
            self._write_application(application, fresh, root)
        except Exists:
            return self._open_application(application, layout.application_key(application, root.number))
        return fresh

    def _write_application(self, application: str, key: ApplicationKey, root: RootKey) -> None:
        box = seal(derive(root.key, "application key"), key._key, _place(application))
        record = {
            "format": _FORMAT,
            "application": application,
            "box": base64.b64encode(box).decode(),
            "root": root.as_json(),
        }
        self._vault.create(layout.application_key(application, root.number), _dump(record))


def _open_root(key: str, record: dict[str, Any], wrappers: Sequence[Wrapper]) -> RootKey:
    """The root key of a record, opened by the first wrapper that fits one of its wrappings."""
    try:
        number, identity, wrappings = int(record["number"]), str(record["id"]), tuple(record["wrappings"])
        kinds = [str(wrapping["wrapper"]) for wrapping in wrappings]
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"The key file `{key}` cannot be read.", details={"key": key}) from error
    failure: WrongKey | None = None
    for wrapper in wrappers:
        for wrapping in wrappings:
            if wrapping["wrapper"] != wrapper.name:
                continue
            try:
                opened = wrapper.unwrap(wrapping)
            except WrongKey as error:
                failure = error
                continue
            if _root_id(opened) != identity:
                raise Damaged(f"The key file `{key}` was altered.", details={"key": key})
            return RootKey(number, opened, wrappings)
    if failure is not None:
        raise failure
    offered = " and ".join(wrapper.name for wrapper in wrappers) or "nothing"
    raise WrongKey(f"`{key}` opens with {' or '.join(dict.fromkeys(kinds))}; {offered} was given.")


def _opens(wrapper: Wrapper, root: RootKey) -> bool:
    for wrapping in root.wrappings:
        if wrapping["wrapper"] == wrapper.name:
            try:
                if wrapper.unwrap(wrapping) == root.key:
                    return True
            except WrongKey:
                continue
    return False


def _root_id(key: bytes) -> str:
    return keyed_hash(derive(key, "root key id"), b"")[:32]


def _place(application: str) -> bytes:
    return f"application key\0{application}".encode()


def _box(record: dict[str, Any]) -> bytes:
    return base64.b64decode(record["box"], validate=True)


def _by_number(key: str) -> int:
    return layout.numbered(key, "key-") or 0


def _load(vault: Backend, key: str) -> dict[str, Any]:
    blob = vault.get(key)
    if blob is None:
        raise Damaged(f"The key file `{key}` is missing.", details={"key": key})
    try:
        record = orjson.loads(blob.data)
    except ValueError as error:
        raise Damaged(f"The key file `{key}` cannot be read.", details={"key": key}) from error
    if not isinstance(record, dict) or record.pop("sum", None) != _sum(record):
        raise Damaged(f"The key file `{key}` was altered.", details={"key": key})
    return record


def _dump(record: dict[str, Any]) -> bytes:
    return orjson.dumps({**record, "sum": _sum(record)}, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def _sum(record: dict[str, Any]) -> str:
    """Tells a damaged file from a wrong passphrase. (What stands against malice is that boxes are authenticated.)"""
    return hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()
