"""What a finished handshake agreed on, in the words of Emacs.

`engine` asks for it; `peer_status` of a process hands it to the user.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL

from .primes import prime_bits

#: The least bits of a key for GnuTLS's names of security levels: RSA and DSA, elliptic curves.
_LEVELS: Final = (
    ("Future", 15360, 512),
    ("Ultra", 8192, 384),
    ("High", 3072, 256),
    ("Medium", 2048, 224),
    ("Legacy", 1776, 192),
    ("Low", 1008, 160),
)

#: How OpenSSL's names of suites begin, and GnuTLS's key exchange; no beginning is static RSA.
_EXCHANGES: Final = {
    "ECDHE-ECDSA-": "ECDHE-ECDSA",
    "ECDHE-RSA-": "ECDHE-RSA",
    "DHE-RSA-": "DHE-RSA",
    "AECDH-": "ANON-ECDH",
    "ADH-": "ANON-DH",
}
_CIPHER: Final = re.compile(
    r"(?P<name>AES|ARIA|CAMELLIA)_?(?P<bits>\d+)?[-_]?(?P<mode>GCM|CCM[-_]?8|CCM)?"
)


def _hex(data: bytes) -> str:
    return data.hex(":")


# -- certificates ---------------------------------------------------------------------------------


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> str:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return f"{algorithm.name}:{_hex(digest.finalize())}"


def _name(name: x509.Name) -> str:
    """In the certificate's own order, unlike RFC 4514."""
    return ",".join(part.rfc4514_string() for part in name.rdns)


def _key(certificate: x509.Certificate) -> tuple[str, str]:
    """The kind of the public key and its security level, as GnuTLS calls them."""
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA (Ed25519)", "High"
    if isinstance(key, ed448.Ed448PublicKey):
        return "EdDSA (Ed448)", "Ultra"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC/ECDSA", _level(key.key_size, on_curve=True)
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "DSA"
        return kind, _level(key.key_size, on_curve=False)
    return "Unknown", "Unknown"


def _level(bits: int, on_curve: bool) -> str:
    for name, least, least_on_curve in _LEVELS:
        if bits >= (least_on_curve if on_curve else least):
            return name
    return "Insecure"


def _signature(certificate: x509.Certificate) -> str:
    """Such as "RSA-SHA256", "ECDSA-SHA384", "EdDSA-Ed25519"."""
    oid = certificate.signature_algorithm_oid
    hashed = certificate.signature_hash_algorithm
    if hashed is None:
        return {
            x509.SignatureAlgorithmOID.ED25519: "EdDSA-Ed25519",
            x509.SignatureAlgorithmOID.ED448: "EdDSA-Ed448",
        }.get(oid, oid.dotted_string)
    if oid == x509.SignatureAlgorithmOID.RSASSA_PSS:
        kind = "RSA-PSS"
    else:
        named = getattr(oid, "_name", "")
        kind = "ECDSA" if "ecdsa" in named else "DSA" if "dsa" in named else "RSA"
    return f"{kind}-{hashed.name.upper()}"


def describe(certificate: x509.Certificate) -> dict[str, object]:
    """CERTIFICATE as in gnutls-peer-status, with SHA-256 beside its SHA-1.

    Of one that is only half understood, there is what depends on no understanding.
    """
    der = certificate.public_bytes(Encoding.DER)
    described: dict[str, object] = {
        "certificate_id": _digest(hashes.SHA1(), der),
        "certificate_pin": _digest(hashes.SHA256(), der),
        "pem": certificate.public_bytes(Encoding.PEM).decode("ascii"),
    }
    # It can be anything: a peer made it up.
    try:
        described |= _contents(certificate)
    except Exception as error:
        described["problem"] = type(error).__name__
    return described


def _contents(certificate: x509.Certificate) -> dict[str, object]:
    kind, level = _key(certificate)
    key = _public_key_info(certificate)
    serial = certificate.serial_number
    return {
        "version": certificate.version.value + 1,
        # As it is in DER, with the sign.
        "serial_number": _hex(serial.to_bytes(serial.bit_length() // 8 + 1, signed=True)),
        "issuer": _name(certificate.issuer),
        "valid_from": f"{certificate.not_valid_before_utc:%Y-%m-%d}",
        "valid_to": f"{certificate.not_valid_after_utc:%Y-%m-%d}",
        "subject": _name(certificate.subject),
        "public_key_algorithm": kind,
        "certificate_security_level": level,
        "signature_algorithm": _signature(certificate),
        "public_key_id": _digest(hashes.SHA1(), key),
        "public_key_pin": _digest(hashes.SHA256(), key),
    }


def _public_key_info(certificate: x509.Certificate) -> bytes:
    """SubjectPublicKeyInfo in DER: the key that pins are made of."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# -- the connection -------------------------------------------------------------------------------


def _cipher(suite: str) -> tuple[str, str]:
    """GnuTLS's cipher and MAC of a suite: ("AES-256-GCM", "AEAD"), ("AES-128-CBC", "SHA1")."""
    if "CHACHA20" in suite:
        return "CHACHA20-POLY1305", "AEAD"
    found = _CIPHER.search(suite)
    if found is None:
        return suite, "Unknown"
    mode = (found["mode"] or "CBC").replace("CCM_8", "CCM-8").replace("CCM8", "CCM-8")
    named = f"{found['name']}-{found['bits'] or 128}-{mode}"
    if mode != "CBC":
        return named, "AEAD"
    mac = re.split("[-_]", suite)[-1]
    return named, "SHA1" if mac == "SHA" else mac


def _key_exchange(suite: str, group: str | None) -> str:
    """Of TLS 1.3 it is not in the name: the group tells.  GnuTLS says RSA whatever the certificate is."""
    if not suite.startswith("TLS_"):
        return next((kx for start, kx in _EXCHANGES.items() if suite.startswith(start)), "RSA")
    return "DHE-RSA" if (group or "").startswith("ffdhe") else "ECDHE-RSA"


def _chain(connection: SSL.Connection) -> list[x509.Certificate]:
    """What the peer sent, its own first; some OpenSSLs leave that out on servers."""
    chain = list(connection.get_peer_cert_chain(as_cryptography=True) or ())
    own = connection.get_peer_certificate(as_cryptography=True)
    if own is not None and (not chain or chain[0] != own):
        chain.insert(0, own)
    return chain


def peer_status(connection: SSL.Connection, warnings: Sequence[str]) -> dict[str, object]:
    """What CONNECTION agreed on, empty before that.

    Emacs's keys, with "_" for "-": warnings (if any, without colons), certificates and certificate
    (if any), diffie_hellman_prime_bits (if known), key_exchange, protocol, cipher, mac,
    safe_renegotiation (up to TLS 1.2); encrypt-then-mac cannot be read from OpenSSL.
    And group, alpn, sni, verified_chain: None or empty if there is none.
    """
    suite = connection.get_cipher_name()
    if suite is None:
        return {}
    status: dict[str, object] = {}
    if warnings:
        status["warnings"] = [*warnings]
    certificates = [describe(certificate) for certificate in _chain(connection)]
    if certificates:
        status["certificates"] = certificates
        status["certificate"] = certificates[0]
    bits = prime_bits(connection)
    if bits:
        status["diffie_hellman_prime_bits"] = bits
    own = connection.get_peer_certificate(as_cryptography=True)
    group = connection.get_group_name()
    status["key_exchange"] = _key_exchange(suite, group)
    status["protocol"] = _protocol(connection)
    status["cipher"], status["mac"] = _cipher(suite)
    if status["protocol"] != "TLS1.3":
        status["safe_renegotiation"] = True
    verified = connection.get_verified_chain(as_cryptography=True) if own is not None else None
    name = connection.get_servername()
    status["group"] = group
    status["alpn"] = connection.get_alpn_proto_negotiated() or None
    status["sni"] = None if name is None else name.decode("ascii", "backslashreplace")
    status["verified_chain"] = [describe(certificate) for certificate in verified or ()]
    return status


def _protocol(connection: SSL.Connection) -> str:
    """TLSv1.3 is "TLS1.3", and TLSv1 is "TLS1.0"."""
    named = connection.get_protocol_version_name().replace("TLSv", "TLS")
    return "TLS1.0" if named == "TLS1" else named
