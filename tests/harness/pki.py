"""A certificate authority of one cluster, and kubeconfigs for anybody it signs for."""

import base64
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.harness.cache import write_whole

_LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class Credential:
    """A certificate and its key, as PEM text."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """The CA, kept in a directory as `ca.crt` and `ca.key`."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("mainstay-test-ca", ())
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_whole(directory / "ca.crt", _pem(certificate))
        write_whole(directory / "ca.key", private_pem(key), 0o600)
        return cls(directory)

    @property
    def certificate_file(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def key_file(self) -> Path:
        return self.directory / "ca.key"

    def client(self, user: str, groups: Sequence[str] = ()) -> Credential:
        """A client certificate; the API server takes its CN as user and its Os as groups."""
        return self._issue(user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, serves=False)

    def server(self) -> Credential:
        """A serving certificate for this machine's loopback."""
        return self._issue("kube-apiserver", (), ExtendedKeyUsageOID.SERVER_AUTH, serves=True)

    def _issue(self, user: str, groups: Sequence[str], use: x509.ObjectIdentifier, *, serves: bool) -> Credential:
        authority = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        signer = serialization.load_pem_private_key(self.key_file.read_bytes(), password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.key_file} is no elliptic-curve key")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(user, groups), authority.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if serves:
            names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            names += [x509.DNSName(name) for name in ("localhost", "kubernetes", "kubernetes.default.svc")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Credential(_pem(builder.sign(signer, hashes.SHA256())), private_pem(key))


def signing_request(user: str, groups: Sequence[str]) -> tuple[str, str]:
    """A certificate signing request and its key, as PEM, for a cluster whose CA is out of reach."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(user, groups)).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode(), private_pem(key)


def token_keys(directory: Path) -> None:
    """The pair that signs and checks ServiceAccount tokens: `sa.key`, `sa.pub`."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_whole(directory / "sa.key", private_pem(key), 0o600)
    write_whole(directory / "sa.pub", public.decode())


def kubeconfig(server: str, ca: str, user: str, access: Credential | str) -> str:
    """A kubeconfig, complete in itself; `access` is a client certificate or a bearer token.

    It is JSON, which is YAML too, so that the harness reads it without a YAML library.
    """
    if isinstance(access, str):
        secret = {"token": access}
    else:
        secret = {
            "client-certificate-data": _base64(access.certificate),
            "client-key-data": _base64(access.key),
        }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "mainstay-test",
                "cluster": {"server": server, "certificate-authority-data": _base64(ca)},
            }
        ],
        "users": [{"name": user, "user": secret}],
        "contexts": [{"name": "mainstay-test", "context": {"cluster": "mainstay-test", "user": user}}],
        "current-context": "mainstay-test",
    }
    return json.dumps(config, indent=2) + "\n"


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(user: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
