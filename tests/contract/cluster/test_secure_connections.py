"""TLS, client certificates and proxies, on real sockets."""

from __future__ import annotations

import dataclasses
import datetime
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.cluster import transport
from chalicelib.cluster.client import Client
from chalicelib.cluster.credentials import CertificateFiles, Connection
from chalicelib.domain.errors import ClusterNotConfigured, ClusterUnreachable
from tests.contract.cluster.scripted import Reply, ScriptedServer, scripted
from tests.support.connect_proxy import Proxy

PATH = "/api/v1/namespaces/shop/configmaps/web"


class Pair(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def issue(name: str, issuer: Pair | None = None, names: tuple[str, ...] = ()) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    at = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(hours=1))
        .not_valid_after(at + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def authority() -> Pair:
    return issue("authority")


@pytest.fixture(scope="module")
def context(authority: Pair, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """The server's side: its certificate is for `api.shop`, and it wants one of the client."""
    folder: Path = tmp_path_factory.mktemp("tls")
    serving = issue("server", authority, ("api.shop",))
    (folder / "pair.pem").write_bytes(serving.pem + serving.key_pem())
    (folder / "ca.pem").write_bytes(authority.pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "pair.pem")
    made.load_verify_locations(folder / "ca.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def secure(context: ssl.SSLContext) -> Iterator[ScriptedServer]:
    with scripted(context) as running:
        running.otherwise = lambda _asked: Reply(200, {"found": True})
        yield running


@pytest.fixture
def connection(secure: ScriptedServer, authority: Pair) -> Connection:
    mine = issue("ann", authority)
    return Connection(
        server=secure.url,
        source="a test",
        authority=authority.pem,
        client_certificate=mine.pem,
        client_key=mine.key_pem(),
        tls_server_name="api.shop",
    )


def test_a_client_certificate_and_the_servers_other_name_are_used(connection: Connection) -> None:
    assert Client(connection).get_json(PATH) == {"found": True}


def test_no_key_is_left_on_disk(connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Client(connection).get_json(PATH)
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_files_in_memory_the_key_is_gone_at_once(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = Client(connection)
    assert list(tmp_path.iterdir()) == []
    assert client.get_json(PATH) == {"found": True}


def test_a_server_whose_certificate_is_for_another_name_is_not_talked_to(
    connection: Connection, secure: ScriptedServer
) -> None:
    with pytest.raises(ClusterUnreachable, match="certificate is not accepted"):
        Client(dataclasses.replace(connection, tls_server_name="")).get_json(PATH)
    assert secure.asked == []


def test_a_server_of_another_authority_is_not_talked_to(connection: Connection, secure: ScriptedServer) -> None:
    with pytest.raises(ClusterUnreachable, match="certificate is not accepted"):
        Client(dataclasses.replace(connection, authority=issue("stranger").pem)).get_json(PATH)
    assert secure.asked == []


def test_the_check_can_be_skipped(connection: Connection) -> None:
    unchecked = dataclasses.replace(connection, authority=None, tls_server_name="", insecure=True)
    assert Client(unchecked).get_json(PATH) == {"found": True}


def test_a_client_without_the_certificate_that_is_wanted_does_not_get_in(
    connection: Connection, secure: ScriptedServer
) -> None:
    nobody = dataclasses.replace(connection, client_certificate=None, client_key=None)
    with pytest.raises(ClusterUnreachable) as raised:
        Client(nobody, patience=1.0).get_json(PATH)
    # Whether the server's alert is seen before its hanging up is a matter of time.
    assert re.search("refused the TLS connection|the connection broke", raised.value.message)
    assert secure.asked == []


def test_a_key_under_a_passphrase_is_refused_without_asking_for_it(connection: Connection, authority: Pair) -> None:
    mine = issue("ann", authority)
    locked = dataclasses.replace(connection, client_certificate=mine.pem, client_key=mine.key_pem(b"hunter2"))
    with pytest.raises(ClusterNotConfigured, match="client-key"):
        Client(locked)


def test_a_client_certificate_that_is_renewed_in_its_files_is_taken_up_by_a_client_that_goes_on(
    connection: Connection, secure: ScriptedServer, authority: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TOKEN_FILE_SECONDS", 0.0)
    files = CertificateFiles(tmp_path / "client.crt", tmp_path / "client.key")

    def write(pair: Pair) -> None:
        files.certificate.write_bytes(pair.pem)
        files.key.write_bytes(pair.key_pem())

    stranger, renewed = issue("ann"), issue("ann", authority)
    write(stranger)
    client = Client(
        dataclasses.replace(
            connection, client_certificate=stranger.pem, client_key=stranger.key_pem(), client_files=files
        ),
        patience=1.0,
    )
    with pytest.raises(ClusterUnreachable):
        client.get_json(PATH)
    write(renewed)
    assert client.get_json(PATH) == {"found": True}
    # Half written, or gone for a moment: the one that works is gone on with.
    files.key.write_bytes(stranger.key_pem())
    assert client.get_json(PATH) == {"found": True}
    files.key.unlink()
    assert client.get_json(PATH) == {"found": True}


def test_a_proxy_is_gone_through_with_its_own_credentials(connection: Connection) -> None:
    proxy = Proxy()
    through = dataclasses.replace(connection, proxy=f"http://me:pass%40word@127.0.0.1:{proxy.port}")
    client = Client(through)
    assert client.get_json(PATH) == {"found": True}
    assert proxy.heads[0].startswith("CONNECT 127.0.0.1:")
    assert "Proxy-Authorization: Basic bWU6cGFzc0B3b3Jk" in proxy.heads[0].replace("proxy-a", "Proxy-A")
    client.close()
    proxy.close()


def test_a_proxy_that_is_not_there_is_named_as_the_reason(connection: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    through = dataclasses.replace(connection, proxy=f"http://me:password@127.0.0.1:{port}")
    with pytest.raises(ClusterUnreachable) as raised:
        Client(through, patience=0.3).get_json(PATH)
    assert "proxy" in raised.value.message
    assert "password" not in str(raised.value.as_json())


def test_a_stream_of_its_own_goes_the_same_way(connection: Connection) -> None:
    proxy = Proxy()
    through = dataclasses.replace(connection, proxy=f"http://127.0.0.1:{proxy.port}")
    client = Client(through)
    with client.transport.open_socket(5.0) as stream:
        stream.sendall(b"GET /x HTTP/1.1\r\nHost: api.shop\r\nConnection: close\r\n\r\n")
        assert stream.recv(12) == b"HTTP/1.1 200"
    assert proxy.heads[0].startswith("CONNECT 127.0.0.1:")
    proxy.close()
