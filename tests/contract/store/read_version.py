"""Reads a version of a vault in a directory, written from docs/format.md alone. Nothing of Mainstay is imported.

    python read_version.py DIRECTORY APPLICATION (PASSPHRASE | MSR1-…)

prints the newest version's objects as JSON lines, after the document's text as a JSON string.
"""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, None, f"mainstay/1/{purpose}".encode()).derive(key)


def unbox(key: bytes, box: bytes, beside: bytes) -> bytes:
    return AESGCM(key).decrypt(box[:12], box[12:], beside)


def keyed_hash(key: bytes, data: bytes) -> str:
    return hmac.new(key, data, "sha256").hexdigest()


def root_key(wrappings: list[dict], secret: str) -> bytes:
    if secret.startswith("MSR1-"):
        key = derive(base64.b32decode(secret[5:].replace("-", ""))[:20], "recovery")
        wrapping = next(one for one in wrappings if one["wrapper"] == "recovery")
    else:
        wrapping = next(one for one in wrappings if one["wrapper"] == "passphrase")
        cost = {name: wrapping[name] for name in "nrp"}
        salt = base64.b64decode(wrapping["salt"])
        key = hashlib.scrypt(secret.encode(), salt=salt, dklen=32, maxmem=1 << 28, **cost)
    return unbox(key, base64.b64decode(wrapping["box"]), b"mainstay root key")


def main(directory: str, application: str, secret: str) -> None:
    folder = Path(directory) / "vault" / application
    file = json.loads((folder / "key-1.json").read_text("utf-8"))
    root = root_key(file["root"]["wrappings"], secret)
    beside = b"application key\0" + application.encode()
    own = unbox(derive(root, "application key"), base64.b64decode(file["box"]), beside)
    encryption, ids = derive(own, "segment encryption"), derive(own, "segment id")

    def segment(name: str, content: str) -> bytes:
        stored = (folder / "segments" / name[:2] / name).read_bytes()
        header, identity = stored[:4], name.split("-", maxsplit=1)[0]
        assert header == b"MS\x01\x01"
        place = b"\0".join([header, application.encode(), content.encode(), identity.encode()])
        plain = zstandard.ZstdDecompressor().decompress(unbox(encryption, stored[4:], place))
        assert keyed_hash(ids, content.encode() + b"\0" + plain) == identity
        return plain

    sealed = [
        path for path in sorted((folder / "versions").glob("*.json")) if not path.with_suffix(".ended").exists()
    ]
    signed = json.loads(sealed[-1].read_text("utf-8"))
    manifest = signed["manifest"]
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert hmac.compare_digest(signed["mac"], keyed_hash(derive(own, "manifest"), canonical))
    assert (manifest["application"], manifest["version"]) == (application, sealed[-1].stem)

    print(json.dumps(segment(manifest["document"]["name"], "document").decode()))
    for reference in manifest["index"]:
        for row in segment(reference["name"], "index").decode().splitlines():
            _group, _kind, _namespace, _name, _digest, name, offset, length = json.loads(row)
            print(json.dumps(json.loads(segment(name, "objects")[offset : offset + length])["object"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
