"""Certificates that libraries refuse to make: their DER is changed by hand and signed again."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from netproc.net.tls.certificate import elements, inside
from netproc.test.support.certificates import Authority, Pair

# The positions of fields in a certificate.
VERSION, SERIAL, ISSUER, VALIDITY, SUBJECT, EXTENSIONS = 0, 1, 3, 4, 5, -1

Fields = list[bytes]


def tlv(tag: int, *contents: bytes) -> bytes:
    """Return one DER element."""
    content = b"".join(contents)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    return bytes([tag, 0x82]) + size.to_bytes(2) + content


def oid(dotted: str) -> bytes:
    """Return an object identifier in DER."""
    first, second, *others = map(int, dotted.split("."))
    content = [first * 40 + second]
    for number in others:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.insert(0, number & 0x7F | 0x80)
        content += digits
    return tlv(6, bytes(content))


def common_name(tag: int, text: bytes) -> bytes:
    """Return a name whose common name is TEXT, a string of the type TAG."""
    return tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(tag, text))))


def extension(dotted: str, value: bytes, critical: bytes = b"") -> bytes:
    return tlv(0x30, oid(dotted), critical, tlv(4, value))


def alternative_names(*names: bytes) -> bytes:
    return extension("2.5.29.17", tlv(0x30, *names))


def changed(signer: Authority, pem: bytes, change: Callable[[Fields], None]) -> bytes:
    """Let CHANGE change the fields of a certificate or list of revocations in PEM; return it signed by SIGNER."""
    kind, der = load(pem)
    signed, algorithm, _ = inside(der)
    fields = [field.raw for field in elements(signed.content)]
    change(fields)
    body = tlv(0x30, *fields)
    signature = signer.key.sign(body, ec.ECDSA(hashes.SHA256()))
    made = tlv(0x30, body, algorithm.raw, tlv(3, b"\0", signature))
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (kind, base64.encodebytes(made), kind)


def load(pem: bytes) -> tuple[bytes, bytes]:
    """Return the label of the first block of PEM, and its DER."""
    found = re.search(rb"-----BEGIN (.*?)-----(.*?)-----END", pem, re.DOTALL)
    assert found is not None
    return found[1], base64.b64decode(found[2])


def with_field(signer: Authority, pair: Pair, field: int, value: bytes) -> Pair:
    """Return PAIR with another VALUE of a FIELD."""
    return pair[0], changed(signer, pair[1], lambda fields: fields.__setitem__(field, value))


def with_extensions(signer: Authority, pair: Pair, *extensions: bytes) -> Pair:
    """Return PAIR with these EXTENSIONS and no others."""
    return with_field(signer, pair, EXTENSIONS, tlv(0xA3, tlv(0x30, *extensions)))
