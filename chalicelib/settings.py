"""Every setting, from the environment, typed.

`Settings.read` takes a mapping (the process's environment, or a test's own) and nothing else: what is not set has
the default written here. What is wrong is told by the variable's name and how to mend it. Values that open
something are `SecretStr`: they print as stars wherever they turn up.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.forms import Form
from chalicelib.domain.problems import problems_of

#: The release, as `pyproject.toml` has it (in Lambda there is no installed package to ask).
RELEASE = "0.1.0"

_PREFIX = "MAINSTAY_"


def _address(text: str) -> str:
    if not text.startswith(("s3://", "file:///")):
        raise ValueError("it must be `s3://bucket/prefix` or `file:///absolute/path`")
    if text.startswith("s3://") and not text.removeprefix("s3://").strip("/"):
        raise ValueError("the name of the bucket is missing: `s3://bucket/prefix`")
    return text.rstrip("/") if text != "file:///" else text


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("it must be `host:port`, such as `127.0.0.1:8700` (port 0 takes a free one)")
    return text


Address = Annotated[str, AfterValidator(_address)]


class Settings(BaseModel):
    """What the environment says. A field's description is its line in `docs/settings.md`."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    repository: Address | None = Field(
        None,
        alias="MAINSTAY_REPOSITORY",
        description="Where versions are kept: `s3://bucket/prefix` or `file:///path`.",
    )
    control: Address | None = Field(
        None,
        alias="MAINSTAY_CONTROL",
        description="Where the service's own documents are kept, if not in the repository.",
    )
    kms_key: str | None = Field(
        None, alias="MAINSTAY_KMS_KEY", description="ARN or alias of the KMS key that opens the repository."
    )
    passphrase: SecretStr | None = Field(
        None,
        alias="MAINSTAY_PASSPHRASE",
        description="Passphrase that opens the repository. Never in a Lambda's environment.",
    )
    passphrase_file: Path | None = Field(
        None, alias="MAINSTAY_PASSPHRASE_FILE", description="A file that holds the passphrase."
    )
    admin_token: SecretStr | None = Field(
        None, alias="MAINSTAY_ADMIN_TOKEN", description="The administrator's token, 20 characters at least."
    )
    admin_token_file: Path | None = Field(
        None, alias="MAINSTAY_ADMIN_TOKEN_FILE", description="A file that holds the administrator's token."
    )
    admin_token_sha256: Annotated[str, Form(r"[0-9a-f]{64}", "64 hex digits in lower case")] | None = Field(
        None,
        alias="MAINSTAY_ADMIN_TOKEN_SHA256",
        description="SHA-256 of the administrator's token, in hex, where the token itself must not be (in Lambda).",
    )
    queue_url: str | None = Field(
        None,
        alias="MAINSTAY_QUEUE_URL",
        description="SQS queue that wakes workers. Empty: they find work in the wake index.",
    )
    dead_letter_queue_url: str | None = Field(
        None,
        alias="MAINSTAY_DEAD_LETTER_QUEUE_URL",
        description="For the runner: SQS queue of work messages that failed too often.",
    )
    request_queue_url: str | None = Field(
        None,
        alias="MAINSTAY_REQUEST_QUEUE_URL",
        description="For the runner: SQS queue that tells of objects put into the bucket.",
    )
    tick_seconds: Annotated[float, Ge(0.5), Le(3600)] = Field(
        60,
        alias="MAINSTAY_TICK_SECONDS",
        description="With a queue: after how long is called again for what was called for in vain.",
    )
    kubeconfig: str | None = Field(
        None, alias="KUBECONFIG", description="Kubeconfig files as kubectl reads them; default `~/.kube/config`."
    )
    lease_seconds: Annotated[float, Ge(2), Le(600)] = Field(
        30,
        alias="MAINSTAY_LEASE_SECONDS",
        description="After so long without a sign of life another worker takes an operation over.",
    )
    turn_seconds: Annotated[float, Ge(0.1), Le(86400)] | None = Field(
        None,
        alias="MAINSTAY_TURN_SECONDS",
        description="How long a worker works before it lets go. Default: the time a Lambda has; else no limit.",
    )
    most_turns: Annotated[int, Ge(1), Le(10_000)] = Field(
        200, alias="MAINSTAY_MOST_TURNS", description="Turns of its workers that an operation may take."
    )
    sweep_grace_hours: Annotated[float, Ge(0), Le(8760)] = Field(
        24,
        alias="MAINSTAY_SWEEP_GRACE_HOURS",
        description="Bytes that no version needs, and deleted versions', go when they are so old.",
    )
    history_days: Annotated[float, Ge(7), Le(3650)] = Field(
        90, alias="MAINSTAY_HISTORY_DAYS", description="Ended operations go after this, with plans and results."
    )
    listen: Annotated[str, AfterValidator(_listen)] = Field(
        "127.0.0.1:8700", alias="MAINSTAY_LISTEN", description="Where the runner listens."
    )
    workers: Annotated[int, Ge(1), Le(64)] = Field(
        4, alias="MAINSTAY_WORKERS", description="Applications the runner works for at the same time."
    )
    threads: Annotated[int, Ge(2), Le(256)] = Field(
        24, alias="MAINSTAY_THREADS", description="Requests the runner answers at the same time."
    )
    data: Path | None = Field(
        None,
        alias="MAINSTAY_DATA",
        description="Where the runner keeps what it makes at its first start; default: the user's data directory.",
    )
    lambda_function: str | None = Field(
        None,
        alias="AWS_LAMBDA_FUNCTION_NAME",
        description="Set by Lambda itself: then logs are JSON, and metrics are written into them.",
    )
    aws_endpoint_url: str | None = Field(
        None, alias="AWS_ENDPOINT_URL", description="Endpoint of AWS services, as boto3 reads it."
    )
    url: str | None = Field(None, alias="MAINSTAY_URL", description="For the command line: where the service is.")
    token: SecretStr | None = Field(
        None, alias="MAINSTAY_TOKEN", description="For the command line: the token it shows the service."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings of an environment; empty values count as not set. `Invalid` names what is wrong."""
        given = {name: environment[name] for name in cls.names() if environment.get(name, "").strip()}
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            hint = "mend it or unset it to get the default"
            problems = [replace(problem, hint=hint) for problem in problems_of(error, cls)]
            raise Invalid(f"Settings cannot be used: {'; '.join(map(str, problems))}.", problems) from None
        settings._refuse_pairs()
        return settings

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The variables that are read, in the order of the documentation."""
        return tuple(str(field.alias) for field in cls.model_fields.values())

    def shown(self) -> dict[str, str]:
        """Variable → value as people may see it: what opens something is said to be set, not what it is."""
        rows: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            value: Any = getattr(self, name)
            if isinstance(value, SecretStr):
                value = "(set, not shown)"
            rows[str(field.alias)] = "" if value is None else str(value)
        return rows

    def read_passphrase(self) -> SecretStr | None:
        """The repository's passphrase, from the variable or its file; `None` if neither is set."""
        return self.passphrase or _from_file("MAINSTAY_PASSPHRASE_FILE", self.passphrase_file)

    def read_admin_token(self) -> SecretStr | None:
        """The administrator's token, from the variable or its file; `None` if neither is set."""
        token = self.admin_token or _from_file("MAINSTAY_ADMIN_TOKEN_FILE", self.admin_token_file)
        if token is not None and len(token.get_secret_value()) < 20:
            where = "MAINSTAY_ADMIN_TOKEN" if self.admin_token else "MAINSTAY_ADMIN_TOKEN_FILE"
            raise _refused(
                where,
                "the token is too short to be safe",
                "use 20 random ones at least: `openssl rand -hex 24`",
            )
        return token

    def _refuse_pairs(self) -> None:
        for name in ("passphrase", "admin_token"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                variable = _PREFIX + name.upper()
                raise _refused(variable, f"it is set, and so is {variable}_FILE", "unset one of the two")


def unknown_names(environment: Mapping[str, str], known: Iterable[str] = ()) -> list[str]:
    """A sentence for each variable that looks like a setting of Mainstay and is none: most are slips of the pen."""
    names = {*Settings.names(), *known}
    sentences = []
    for name in sorted(environment):
        if name.startswith(_PREFIX) and name not in names:
            near = difflib.get_close_matches(name, names, 1, 0.8)
            sentences.append(f"{name} is no setting of Mainstay" + (f": did you mean {near[0]}?" if near else "."))
    return sentences


def _from_file(variable: str, path: Path | None) -> SecretStr | None:
    if path is None:
        return None
    try:
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise _refused(variable, f"{path} cannot be read: {error.strerror}", "name a readable file") from error
    except UnicodeDecodeError:
        raise _refused(variable, f"{path} is not a text file", "write the secret into it as one line") from None
    if not text:
        raise _refused(variable, f"{path} is empty", "write the secret into it as one line")
    return SecretStr(text)


def _refused(variable: str, message: str, hint: str) -> Invalid:
    problem = Problem(variable, message, hint=hint)
    return Invalid(f"Settings cannot be used: {problem}.", [problem])
