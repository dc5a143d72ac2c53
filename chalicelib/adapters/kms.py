"""AWS KMS opens root keys: what is kept in the bucket opens only for whoever may use one KMS key.

A root key has 32 bytes, so KMS encrypts it itself. Every request carries the same encryption context, which policies
name in their conditions: a right to decrypt given for Mainstay opens nothing else that the key protects.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from chalicelib.adapters.clients import Client, Patience
from chalicelib.domain.errors import StorageUnavailable, WrongKey

#: What `kms:EncryptionContext:…` conditions of policies and the key's own policy name.
CONTEXT = {"application": "mainstay", "purpose": "root-key"}

#: A lease must not run out meanwhile.
_PATIENCE = Patience(connect=2.0, answer=4.0, tries=3)
#: Answers that asking again can change, beside 5xx.
_PASSING = {"ThrottlingException", "LimitExceededException", "DependencyTimeoutException", "KMSInternalException"}


class KmsKey:
    """A KMS key as a wrapper of root keys, by its ARN or alias. Safe to share between threads.

    Region, endpoint and credentials are those of the environment, as boto3 reads it; an ARN names its own region.
    """

    name = "kms"

    def __init__(self, key: str) -> None:
        self._key = key
        self._client = Client("kms", _PATIENCE, _region(key))

    def __repr__(self) -> str:
        return f"KmsKey({self._key!r})"

    def wrap(self, key: bytes) -> dict[str, Any]:
        """The key as only this KMS key opens it. `WrongKey` if it may not be used, `StorageUnavailable`."""
        answer = self._ask("encrypt", Plaintext=key)
        box = base64.b64encode(answer["CiphertextBlob"]).decode()
        return {"wrapper": self.name, "key": str(answer["KeyId"]), "box": box}

    def unwrap(self, wrapping: dict[str, Any]) -> bytes:
        """The key of a wrapping. `WrongKey` if it is another key's or may not be used, `StorageUnavailable`."""
        try:
            box = base64.b64decode(wrapping["box"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise WrongKey("A wrapping by KMS cannot be read.") from error
        # The key is named, so that nobody can have a root key of theirs opened by writing it here.
        opened: bytes = self._ask("decrypt", CiphertextBlob=box)["Plaintext"]
        return opened

    def _ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

        try:
            answer: dict[str, Any] = getattr(self._client(), request)(
                KeyId=self._key, EncryptionContext=CONTEXT, **arguments
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "an error"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _PASSING or status >= 500:
                raise StorageUnavailable(f"KMS answered {code} to {request} with {self._key}.") from error
            cannot = "does not open this repository" if request == "decrypt" else "cannot be used"
            raise WrongKey(f"The KMS key {self._key} {cannot}: {_meaning(code)}.") from error
        except (HTTPClientError, ConnectionError) as error:
            raise StorageUnavailable(f"KMS gave no answer to {request}: {type(error).__name__}.") from error
        except BotoCoreError as error:
            raise WrongKey(f"KMS cannot be asked with {self._key}: {error}") from error
        return answer


def _region(key: str) -> str:
    """The region in an ARN, empty for an alias or id."""
    parts = key.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 5 else ""


def _meaning(code: str) -> str:
    meanings = {
        "AccessDeniedException": "who asks may not use it",
        "NotFoundException": "there is no such key or alias in this account and region",
        "DisabledException": "it is disabled",
        "KMSInvalidStateException": "it is being deleted, or not yet ready",
        "IncorrectKeyException": "it was wrapped by another key",
        "InvalidCiphertextException": "it was wrapped by another key, or altered",
    }
    known = meanings.get(code)
    return f"{known} ({code})" if known else f"KMS answered {code}"
