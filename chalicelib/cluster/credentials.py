"""How one API server is reached and by whom: a value that is made once and shown nowhere.

Keys stay in memory. The standard library reads certificates from files only, so where it must have one, it gets
an anonymous file in memory (Linux) or a file of mode 0600 that is gone before the first request.
"""

from __future__ import annotations

import base64
import contextlib
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from chalicelib.domain.errors import ClusterNotConfigured

#: Gives the bearer token; `fresh` asks for it anew, because the server did not accept the last one.
TokenSource = Callable[[bool], str]

#: Seconds a token or client certificate read from a file is used before the file is looked at again (the kubelet
#: and others rotate them on disk).
TOKEN_FILE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A client certificate and its key in files."""

    certificate: Path
    key: Path

    def stamp(self) -> tuple[int, ...]:
        """Tells whether either was written since; empty while one is not there."""
        try:
            seen = [path.stat() for path in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple(number for each in seen for number in (each.st_mtime_ns, each.st_size, each.st_ino))

    def read(self, connection: Connection) -> Connection | None:
        """The connection with what is in the files now; `None` while they cannot be read."""
        try:
            certificate, key = self.certificate.read_bytes(), self.key.read_bytes()
        except OSError:
            return None
        return replace(connection, client_certificate=certificate, client_key=key)


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server and one identity. `source` says where it comes from, for error messages."""

    #: `https://host:port`, with a path where the API lies below one; no trailing slash.
    server: str
    #: Such as `the context shop of /home/me/.kube/config`.
    source: str
    #: PEM; `None` trusts the system's authorities.
    authority: bytes | None = field(default=None, repr=False)
    client_certificate: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    #: Where these two come from, if from files that something may renew.
    client_files: CertificateFiles | None = field(default=None, repr=False)
    token: TokenSource | None = field(default=None, repr=False)
    #: `(user, password)`: API servers no longer know it, proxies before them do.
    basic: tuple[str, str] | None = field(default=None, repr=False)
    #: The name the server's certificate must carry, where that is not the server's own.
    tls_server_name: str = ""
    #: The certificate is not checked at all. `warnings` says so.
    insecure: bool = False
    #: An HTTP proxy, `http://[user:password@]host:port`.
    proxy: str = field(default="", repr=False)
    context: str = ""
    namespace: str = ""
    #: Headers `Impersonate-…`, where the kubeconfig acts as another user.
    impersonation: tuple[tuple[str, str], ...] = ()
    #: What the user should know about it, in sentences.
    warnings: tuple[str, ...] = ()

    @property
    def address(self) -> SplitResult:
        """The server's URL in parts."""
        return urlsplit(self.server)

    def authorization(self, *, fresh: bool = False) -> str | None:
        """The value of the `Authorization` header, `None` where a client certificate says who it is."""
        if self.token is not None:
            return f"Bearer {self.token(fresh)}"
        if self.basic is not None:
            return "Basic " + base64.b64encode(":".join(self.basic).encode()).decode("ascii")
        return None


#: Issues a token and says for how many seconds from now it is good.
TokenIssuer = Callable[[], tuple[str, float]]

#: Of a token's life, what is left when it is renewed; and the most seconds of it.
_LEFT, _MOST_LEFT = 0.2, 120.0
#: Seconds in which a token that was just issued is not issued again, however many threads it was refused to.
_JUST_NOW = 0.5


def boot_seconds() -> float:
    """Seconds on a clock that also runs while the machine, or a frozen Lambda, is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class RenewedToken:
    """A token that is issued for a while: renewed before it ends, in the middle of whatever uses it, and when it is
    refused."""

    def __init__(self, issue: TokenIssuer, source: str, clock: Callable[[], float] = boot_seconds) -> None:
        self._issue = issue
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._issued = self._until = -math.inf

    def __call__(self, fresh: bool) -> str:  # noqa: FBT001  # the shape of a TokenSource
        """The token now; what the issuer raises if it has none to give."""
        with self._lock:
            now = self._clock()
            if now >= self._until or (fresh and now - self._issued > _JUST_NOW):
                token, seconds = self._issue()
                self._token = _printable(token, f"The token of {self._source}")
                self._issued, self._until = now, now + seconds - min(seconds * _LEFT, _MOST_LEFT)
            return self._token


def fixed_token(token: str, source: str) -> TokenSource:
    """A token that stays as it is."""
    checked = _printable(token, f"The token of {source}")
    return lambda _fresh: checked


def _printable(token: str, what: str) -> str:
    """`token`, if it can be sent as a header (a pasted one may have been wrapped over several lines)."""
    if not all("!" <= character <= "~" for character in token):
        raise ClusterNotConfigured(f"{what} has spaces, line ends or other characters that no token has.")
    return token


class TokenFile:
    """A token that something else renews in a file: read again each minute, and when it is refused."""

    def __init__(self, path: Path, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._read_at = 0.0

    def __call__(self, fresh: bool) -> str:  # noqa: FBT001  # the shape of a TokenSource
        """The token now; `ClusterNotConfigured` if the file cannot be read or is empty."""
        with self._lock:
            if fresh or not self._token or self._clock() - self._read_at > TOKEN_FILE_SECONDS:
                self._token = self._read()
                self._read_at = self._clock()
            return self._token

    def _read(self) -> str:
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise ClusterNotConfigured(
                f"The token file {self._path} of {self._source} cannot be read ({why})."
            ) from error
        if not token:
            raise ClusterNotConfigured(f"The token file {self._path} of {self._source} is empty.")
        return _printable(token, f"The token file {self._path} of {self._source}")


def tls_context(connection: Connection) -> ssl.SSLContext:
    """TLS as the connection wants it; `ClusterNotConfigured` names the certificate or key that is no good."""
    context = ssl.create_default_context()
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.authority is not None:
        # Only this authority, not the system's beside it: as kubectl does.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load(connection, "certificate-authority", lambda: _trust(context, connection.authority))
    if connection.client_certificate is not None:
        pem = connection.client_certificate + b"\n" + (connection.client_key or b"")
        _load(connection, "client-certificate or client-key", lambda: _identify(context, pem))
    return context


def _load(connection: Connection, member: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ClusterNotConfigured(
            f"The {member} of {connection.source} cannot be used: it must be PEM, "
            "and a certificate and its key must belong together."
        ) from error


def _trust(context: ssl.SSLContext, authority: bytes | None) -> None:
    context.load_verify_locations(cadata=(authority or b"").decode("ascii"))


def _identify(context: ssl.SSLContext, pem: bytes) -> None:
    with _as_file(pem) as path:
        # A key under a passphrase would make OpenSSL ask on the terminal: an empty answer makes it fail instead.
        context.load_cert_chain(path, password="")


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    import os
    import tempfile

    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("mainstay", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600, removed when left
        file.write(content)
        file.flush()
        yield file.name
