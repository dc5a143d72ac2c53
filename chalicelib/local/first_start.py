"""What the runner makes for itself when nothing is set: a repository, what opens it, and a token to ask with.

Everything lies in one directory that only its user can read. A passphrase is made only together with the
repository it opens: for a repository that is somewhere already, nobody can guess it.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chalicelib.domain.errors import Invalid, Problem, StorageError
from chalicelib.settings import Settings

REPOSITORY = "repository"
PASSPHRASE = "passphrase"  # noqa: S105 - the file's name
TOKEN = "token"  # noqa: S105 - the file's name


@dataclass(frozen=True, slots=True)
class Prepared:
    """What there is to start with. `environment` are the variables that lead to it, for this process to set."""

    settings: Settings
    environment: Mapping[str, str]
    #: Files that were made just now.
    made: tuple[Path, ...] = ()

    @property
    def token_file(self) -> Path | None:
        """Where the administrator's token is, if in a file."""
        return self.settings.admin_token_file


def data_directory(settings: Settings) -> Path:
    """Where the runner keeps its own files: MAINSTAY_DATA, else the user's data directory."""
    if settings.data is not None:
        return settings.data.expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("mainstay")


def prepare(environment: Mapping[str, str]) -> Prepared:
    """Settings to start with: those of the environment, and what was missing made or found from an earlier start."""
    settings = Settings.read(environment)
    data = data_directory(settings)
    added: dict[str, str] = {}
    made: list[Path] = []
    if settings.repository is None:
        added["MAINSTAY_REPOSITORY"] = f"file://{data / REPOSITORY}"
        if not (settings.kms_key or settings.passphrase or settings.passphrase_file):
            # Never a new passphrase for an old repository: it would not open it.
            fresh = not (data / REPOSITORY).exists()
            added["MAINSTAY_PASSPHRASE_FILE"] = str(_kept(data / PASSPHRASE, fresh, made))
    elif not (settings.kms_key or settings.passphrase or settings.passphrase_file):
        problem = Problem(
            "MAINSTAY_PASSPHRASE_FILE",
            f"nothing is set that opens {settings.repository}",
            hint="name a file that holds its passphrase, or set MAINSTAY_KMS_KEY",
        )
        raise Invalid(f"Settings cannot be used: {problem}.", [problem])
    if not (settings.admin_token or settings.admin_token_file or settings.admin_token_sha256):
        added["MAINSTAY_ADMIN_TOKEN_FILE"] = str(_kept(data / TOKEN, True, made))
    return Prepared(Settings.read({**environment, **added}), added, tuple(made))


def found(environment: Mapping[str, str]) -> Settings:
    """Settings for the repository that is named, else for the one that an earlier start made. Makes nothing."""
    settings = Settings.read(environment)
    data = data_directory(settings)
    if settings.repository is not None or not (data / REPOSITORY).is_dir():
        return settings
    added = {"MAINSTAY_REPOSITORY": f"file://{data / REPOSITORY}"}
    if not (settings.kms_key or settings.passphrase or settings.passphrase_file):
        added["MAINSTAY_PASSPHRASE_FILE"] = str(_kept(data / PASSPHRASE, False, []))
    return Settings.read({**environment, **added})


def _kept(path: Path, may_make: bool, made: list[Path]) -> Path:  # noqa: FBT001 - private, and named at each call
    """The file, which is made with a fresh secret if it is not there."""
    if path.exists():
        return path
    if not may_make:
        raise Invalid(
            f"{path} is missing, and {path.parent / REPOSITORY} was made with it. Bring the file back, or name the "
            "one that holds the passphrase with MAINSTAY_PASSPHRASE_FILE."
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-") as file:  # mode 600
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
            # Whole and exclusively: of two runners that start at once one makes it, and the other reads it.
            os.link(file.name, path)
    except FileExistsError:
        return path
    except OSError as error:
        raise StorageError(f"{path} cannot be made: {error.strerror}. Set MAINSTAY_DATA to another place.") from error
    made.append(path)
    return path
