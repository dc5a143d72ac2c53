"""The one place where real things are chosen: settings → services.

Built when first asked for, once for each process (a forked worker builds its own), so that importing the app costs
nothing of it. Tests hand in their own with `use`.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.services.bundle import Services
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalicelib.engine.lane.lease import LeaseTerms
    from chalicelib.store.keys import Rewrapped
    from chalicelib.store.repository import Repository
    from chalicelib.store.wrappers import Wrapper

_lock = threading.Lock()
_built: dict[int, Services] = {}
_handed_in: list[Services] = []


def services() -> Services:
    """The services of this process. What is wrong with the settings is raised as `Invalid`, each time anew."""
    if _handed_in:
        return _handed_in[-1]
    process = os.getpid()
    with _lock:
        if process not in _built:
            _built.clear()
            _built[process] = build(Settings.read(os.environ))
        return _built[process]


@contextmanager
def use(services: Services) -> Iterator[Services]:
    """While this is open, these are the services: for tests."""
    _handed_in.append(services)
    try:
        yield services
    finally:
        _handed_in.remove(services)


def build(settings: Settings) -> Services:
    """Put the services of the repository together that the settings name."""
    return assemble(open_repository(settings), settings)


def address_of(settings: Settings) -> str:
    """The repository's address, or `Invalid` if none is set."""
    if settings.repository is None:
        raise Invalid(
            "MAINSTAY_REPOSITORY is not set: name a repository, `s3://bucket/prefix` or `file:///path`.",
            [Problem("MAINSTAY_REPOSITORY", "it is not set")],
        )
    return settings.repository


def open_repository(settings: Settings) -> Repository:
    """The repository that the settings name."""
    from chalicelib.store.repository import Repository

    address = address_of(settings)
    margin = _terms(settings).margin
    return Repository.open(address, settings.control, wrappers=_wrappers(settings), margin=margin)


def assemble(repository: Repository, settings: Settings) -> Services:
    """Put the services of a repository together."""
    from chalicelib.adapters.eks import Eks
    from chalicelib.adapters.metrics import Metrics
    from chalicelib.engine.lane.clusters import Clusters
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.engine.lane.schedules import Schedules
    from chalicelib.engine.lane.sweeps import Sweeps, SweepTerms
    from chalicelib.engine.lane.turns import TurnTerms
    from chalicelib.engine.operations.flows import FLOWS
    from chalicelib.services.access import Access
    from chalicelib.services.applications import Applications
    from chalicelib.services.automatic import Automatic
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.services.documents import Documents
    from chalicelib.services.operations import Operations
    from chalicelib.services.request_keys import RequestKeys
    from chalicelib.services.requests import Requests
    from chalicelib.services.sweeping import Sweeping
    from chalicelib.services.vaults import Vaults
    from chalicelib.services.versions import Versions

    sessions = Clusters(repository, settings.kubeconfig, Eks())
    turns = TurnTerms(settings.turn_seconds, settings.most_turns)
    # Only in Lambda is there somebody who reads metrics out of the log.
    metrics = Metrics() if settings.lambda_function is not None else None
    ended = metrics.operation_ended if metrics is not None else _nothing
    engine = Engine(
        repository,
        sessions,
        FLOWS,
        terms=_terms(settings),
        turns=turns,
        ended=ended,
        tick_seconds=settings.tick_seconds,
    )
    if settings.queue_url is not None:
        from chalicelib.adapters.queue import SqsQueue, Waker

        engine.nudge = Waker(SqsQueue(settings.queue_url), metrics.count if metrics is not None else _nothing).wake
    sweep_terms = SweepTerms(timedelta(hours=settings.sweep_grace_hours), timedelta(days=settings.history_days))
    sweeps = Sweeps(repository, engine, sweep_terms)
    sweeps.attach()
    clusters = RegisteredClusters(repository, sessions)
    documents = Documents(clusters)
    operations = Operations(repository, engine)
    versions = Versions(repository, operations, clusters)
    schedules = Schedules(repository, engine)
    applications = Applications(repository, clusters, documents, operations, versions, schedules)
    return Services(
        access=Access(settings.read_admin_token(), settings.admin_token_sha256),
        applications=applications,
        automatic=Automatic(repository, engine, schedules, applications, clusters),
        requests=Requests(repository, engine, versions),
        request_keys=RequestKeys(repository),
        versions=versions,
        operations=operations,
        clusters=clusters,
        documents=documents,
        engine=engine,
        sweeping=Sweeping(repository, sweeps),
        vaults=Vaults(repository, engine),
        queued=settings.queue_url is not None,
    )


def _nothing(_told: object) -> None:
    """Nobody counts here."""


def make_repository(settings: Settings) -> str | None:
    """Make the repository if there is none; the recovery key if it was made now, to be shown this once."""
    from chalicelib.store.repository import Repository

    address = address_of(settings)
    _terms(settings)
    made = Repository.initialise(address, settings.control, wrappers=_wrappers(settings))
    return made.recovery_key


def rewrap_root_key(settings: Settings, *, new_recovery_key: bool = False) -> tuple[Rewrapped, str | None]:
    """Have the root key of the repository wrapped by everything that is set here and does not open it yet.

    With `new_recovery_key` by a fresh recovery key too, which is returned, to be shown this once.
    """
    from chalicelib.store.wrappers import RecoveryKey

    recovery = RecoveryKey.generate() if new_recovery_key else None
    done = open_repository(settings).rewrap([recovery] if recovery else [])
    return done, recovery.printed() if recovery else None


def _terms(settings: Settings) -> LeaseTerms:
    """How long leases are, and how much earlier their holders stop. `Invalid` if a bucket cannot keep up with that.

    A third of the lease is margin. Requests of a bucket are cut to fit into it (see `S3Limits.within`), but not so
    short that one which is only slow would fail. A directory answers in milliseconds.
    """
    from chalicelib.engine.lane.lease import LeaseTerms
    from chalicelib.store.address import LEAST_MARGIN_ON_S3

    terms = LeaseTerms(settings.lease_seconds, min(10.0, settings.lease_seconds / 3))
    on_s3 = any((address or "").startswith("s3://") for address in (settings.repository, settings.control))
    if on_s3 and terms.margin < LEAST_MARGIN_ON_S3:
        least = math.ceil(LEAST_MARGIN_ON_S3 * 3)
        raise Invalid(
            f"MAINSTAY_LEASE_SECONDS={settings.lease_seconds:g} is too short for a repository on S3: a worker stops "
            f"writing a third of it before the end, and one slow request must fit into that. Set {least} or more.",
            [Problem("MAINSTAY_LEASE_SECONDS", "it is too short for a repository on S3", hint=f"{least} or more")],
        )
    return terms


def _wrappers(settings: Settings) -> list[Wrapper]:
    """What opens the repository: each of those that are set, the one that needs nobody else first."""
    from chalicelib.store.wrappers import Passphrase, RecoveryKey

    wrappers: list[Wrapper] = []
    passphrase = settings.read_passphrase()
    if passphrase is not None:
        text = passphrase.get_secret_value()
        wrappers.append(RecoveryKey.parse(text) if RecoveryKey.looks_like_one(text) else Passphrase(text))
    if settings.kms_key is not None:
        from chalicelib.adapters.kms import KmsKey

        wrappers.append(KmsKey(settings.kms_key))
    if not wrappers:
        raise Invalid(
            f"Nothing is set that opens {settings.repository}: name a file with its passphrase in "
            "MAINSTAY_PASSPHRASE_FILE, or a KMS key in MAINSTAY_KMS_KEY.",
            [Problem("MAINSTAY_PASSPHRASE_FILE", "it is not set")],
        )
    return wrappers
