"""The repository as one thing: vault and control, and everything that lies in them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import orjson

from chalicelib.domain.errors import Conflict, Damaged, NotFound, StorageUnfit
from chalicelib.domain.version import Manifest, Note
from chalicelib.store import layout
from chalicelib.store.address import backend_at
from chalicelib.store.applications import Applications, Notes
from chalicelib.store.backend import Backend, Exists, Guard
from chalicelib.store.clusters import Clusters
from chalicelib.store.documents import Documents
from chalicelib.store.inbox import Inbox
from chalicelib.store.keys import Keyring, Rewrapped
from chalicelib.store.lanes import Lanes
from chalicelib.store.locations import Locations
from chalicelib.store.names import Names
from chalicelib.store.objects import VersionObjects
from chalicelib.store.operations import Operations
from chalicelib.store.policies import Policies
from chalicelib.store.request_keys import RequestKeys
from chalicelib.store.segments import SegmentReader, SegmentWriter
from chalicelib.store.versions import Ended, Versions
from chalicelib.store.wake import WakeIndex
from chalicelib.store.wrappers import Wrapper

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Initialised:
    """A repository that was just made. `recovery_key` is `None` for whoever came second: it is shown once."""

    repository: Repository
    recovery_key: str | None


class Repository:
    """Everything Mainstay keeps. Safe to share between threads; opening costs one read.

    Keys are unwrapped when something is first encrypted or decrypted.
    """

    def __init__(self, vault: Backend, control: Backend, keyring: Callable[[], Keyring], identity: str) -> None:
        self.vault = vault
        self.control = control
        self.id = identity
        self._keyring = keyring

    def __repr__(self) -> str:
        return f"Repository({self.vault.describe()!r}, {self.control.describe()!r})"

    @classmethod
    def open(
        cls,
        vault_address: str,
        control_address: str | None = None,
        *,
        wrappers: Sequence[Wrapper] = (),
        margin: float | None = None,
    ) -> Repository:
        """Open the repository at an address. `NotFound` if there is none, `StorageUnfit` if its format is newer.

        `margin`: see `backend_at`.
        """
        vault, control = _backends(vault_address, control_address, margin)
        return cls.on(vault, control, wrappers)

    @classmethod
    def initialise(
        cls, vault_address: str, control_address: str | None = None, *, wrappers: Sequence[Wrapper]
    ) -> Initialised:
        """Make a repository, or open the one that is there: several may do so at once and agree.

        Tries first whether the storage keeps the promises the repository rests on (`StorageUnfit`). `WrongKey` if
        there is a repository that `wrappers` do not open.
        """
        vault, control = _backends(vault_address, control_address)
        return cls.initialise_on(vault, control, wrappers)

    @classmethod
    def on(cls, vault: Backend, control: Backend, wrappers: Sequence[Wrapper]) -> Repository:
        """`open` on backends."""
        identity = _read_identity(vault)
        if identity is None:
            raise NotFound(f"There is no repository at {vault.describe()}. Make one there first.")
        return cls(vault, control, _Lazily(lambda: Keyring.open(vault, wrappers)), identity)

    @classmethod
    def initialise_on(cls, vault: Backend, control: Backend, wrappers: Sequence[Wrapper]) -> Initialised:
        """`initialise` on backends."""
        identity = _read_identity(vault)
        if identity is None:
            for backend in {id(vault): vault, id(control): control}.values():
                backend.check()
        # Keys first: where `repository.json` is, there are keys.
        keyring, recovery_key = Keyring.create(vault, wrappers)
        identity = identity or _write_identity(vault)
        return Initialised(cls(vault, control, lambda: keyring, identity), recovery_key)

    @classmethod
    def foreign(cls, vault: Backend, wrappers: Sequence[Wrapper]) -> Repository:
        """A vault folder of an application that was copied somewhere, without the rest of its repository."""
        return cls(vault, vault, _Lazily(lambda: Keyring.open(vault, wrappers)), "")

    def guarded(self, guard: Guard) -> Repository:
        """The same repository, where `guard` is asked before every attempt of every write."""
        return Repository(self.vault.guarded(guard), self.control.guarded(guard), self._keyring, self.id)

    def now(self) -> datetime:
        """The storage's own clock (UTC): the one clock that all workers share."""
        return self.control.now()

    def describe(self) -> str:
        """The addresses, for people."""
        vault, control = self.vault.describe(), self.control.describe()
        return vault if vault == control else f"{vault}, control at {control}"

    @property
    def patience(self) -> float:
        """The most seconds one call of the storage takes, retries included."""
        return max(self.vault.patience, self.control.patience)

    @property
    def keyring(self) -> Keyring:
        """The keys; unwrapped at the first call (`WrongKey`)."""
        return self._keyring()

    def rewrap(self, more: Sequence[Wrapper] = ()) -> Rewrapped:
        """Have the root key wrapped by every wrapper this was opened with, and `more`: see `Keyring.rewrap`."""
        return self.keyring.rewrap(more)

    @cached_property
    def documents(self) -> Documents:
        """The control's documents, for those that have no module here."""
        return Documents(self.control)

    @cached_property
    def locations(self) -> Locations:
        """Which application an operation or version belongs to."""
        return Locations(self.vault, self.control)

    @cached_property
    def applications(self) -> Applications:
        return Applications(self.control)

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters(self.control, self._keyring)

    @cached_property
    def names(self) -> Names:
        return Names(self.documents)

    @cached_property
    def notes(self) -> Notes:
        return Notes(self.documents)

    @cached_property
    def lanes(self) -> Lanes:
        return Lanes(self.documents)

    @cached_property
    def policies(self) -> Policies:
        return Policies(self.documents)

    @cached_property
    def request_keys(self) -> RequestKeys:
        return RequestKeys(self.control, self._keyring)

    @cached_property
    def inbox(self) -> Inbox:
        return Inbox(self.control)

    @cached_property
    def wake(self) -> WakeIndex:
        return WakeIndex(self.control)

    @cached_property
    def operations(self) -> Operations:
        return Operations(
            self.control, lambda application: self.keyring.application(application, create=True), self.locations
        )

    def versions(self, application: str) -> Versions:
        """The versions of one application."""
        return Versions(self.vault, application, lambda: self.keyring.application(application), self.locations)

    def end_version(self, application: str, version: str, by: str, reason: str) -> Ended:
        """End a version that people may have said something about. `Conflict` if it is held.

        That it ends is written into its note first, by compare and swap: either that comes first, and nobody can hold
        it any more, or the hold does, and it does not end. Ending it again goes on from there.
        """

        def change(note: Note) -> Note:
            if note.hold:
                raise Conflict(f"{version} is held.", details={"held": version})
            return note.model_copy(update={"ending": True})

        self.notes.update(application, version, change)
        return self.versions(application).end(version, by, reason)

    def segment_writer(self, application: str) -> SegmentWriter:
        """Stores content of one application; lists what is there. Make one for each operation."""
        return SegmentWriter(self.vault, self.keyring.application(application, create=True))

    def segment_reader(self, application: str) -> SegmentReader:
        """Reads segments of one application."""
        return SegmentReader(self.vault, self.keyring.application(application))

    def objects(self, manifest: Manifest) -> VersionObjects:
        """What one version holds: its index, its document's text, its objects."""
        return VersionObjects(self.segment_reader(manifest.application), manifest)


class _Lazily:
    """Opens the keyring once, when it is first needed: scrypt takes a tenth of a second."""

    def __init__(self, open_keyring: Callable[[], Keyring]) -> None:
        self._open = open_keyring
        self._keyring: Keyring | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Keyring:
        with self._lock:
            if self._keyring is None:
                self._keyring = self._open()
            return self._keyring


def _backends(
    vault_address: str, control_address: str | None, margin: float | None = None
) -> tuple[Backend, Backend]:
    vault = backend_at(vault_address, margin=margin)
    same = control_address is None or control_address.rstrip("/") == vault_address.rstrip("/")
    return vault, vault if same or control_address is None else backend_at(control_address, margin=margin)


def _read_identity(vault: Backend) -> str | None:
    blob = vault.get(layout.REPOSITORY)
    if blob is None:
        return None
    try:
        record = orjson.loads(blob.data)
        version, identity = int(record["format"]), str(record["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"`{layout.REPOSITORY}` cannot be read.", details={"key": layout.REPOSITORY}) from error
    if version > FORMAT:
        raise StorageUnfit(
            f"The repository at {vault.describe()} has format {version}; this release knows {FORMAT}. "
            "Use a newer release."
        )
    return identity


def _write_identity(vault: Backend) -> str:
    identity = secrets.token_hex(16)
    try:
        vault.create(layout.REPOSITORY, orjson.dumps({"format": FORMAT, "id": identity}))
    except Exists:
        return _read_identity(vault) or identity
    return identity
