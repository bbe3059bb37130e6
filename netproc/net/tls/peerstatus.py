"""The result of `peer_status`: what client and server agreed on in a handshake, in the words of Emacs.

`engine.py` calls `peer_status` with its connection.
"""

from __future__ import annotations

import datetime
import functools
import re
import ssl
import warnings as python_warnings
from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from OpenSSL import SSL

from .certificate import Certificate, Element, der_of, readable_copy
from .primes import prime_bits

#: GnuTLS's names of security levels, with the least bits of a key: of RSA and DSA, of elliptic curves.
_LEVELS: Final = (
    ("Future", 15360, 512),
    ("Ultra", 8192, 384),
    ("High", 3072, 256),
    ("Medium", 2048, 224),
    ("Legacy", 1776, 192),
    ("Low", 1008, 160),
)

#: The beginnings of OpenSSL's names of cipher suites, and GnuTLS's names of the key exchanges.  Other suites use static RSA.
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
_UTC_TIME: Final = 0x17


def _hex(data: bytes) -> str:
    return data.hex(":")


# -- certificates ---------------------------------------------------------------------------------


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> str:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return f"{algorithm.name}:{_hex(digest.finalize())}"


def _name(name: x509.Name) -> str:
    """Return NAME as text, in the order of the certificate, unlike RFC 4514."""
    return ",".join(part.rfc4514_string() for part in name.rdns)


def _day(time: Element) -> str:
    """Return the day of TIME; in the older form the year has two digits (RFC 5280, section 4.1.2.5)."""
    digits = time.content.decode("ascii")
    if time.tag == _UTC_TIME:
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    return datetime.datetime.strptime(digits[:8], "%Y%m%d").date().isoformat()


def _key(certificate: x509.Certificate) -> tuple[str, str]:
    """Return the kind of the public key and its security level, with GnuTLS's names."""
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
    """Return GnuTLS's name of the signature, such as "RSA-SHA256", "ECDSA-SHA384" or "EdDSA-Ed25519"."""
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


def describe(der: bytes) -> dict[str, object]:
    """Return the description of the certificate DER as in gnutls-peer-status, with SHA-256 besides SHA-1.

    A peer can put anything into a certificate.  A value that cannot be read is left out, and named in "problem".
    """
    described: dict[str, object] = {
        "certificate_id": _digest(hashes.SHA1(), der),
        "certificate_pin": _digest(hashes.SHA256(), der),
        "pem": ssl.DER_cert_to_PEM_cert(der),
    }
    problems = []
    try:
        readers = _readers(Certificate(der))
    except ValueError as error:
        return {**described, "problem": f"not in DER: {error}"}
    with python_warnings.catch_warnings():
        # `cryptography` warns about odd values with text that the peer can vary, so the warnings could fill a log.
        python_warnings.simplefilter("ignore")
        for key, read in readers.items():
            try:
                described[key] = read()
            except Exception as error:
                problems.append(f"{key}: {error!r}")
    if problems:
        described["problem"] = "; ".join(problems)
    return described


def _readers(certificate: Certificate) -> dict[str, Callable[[], object]]:
    """Return a function for each value, which returns it or raises an exception if it cannot be read."""

    @functools.cache
    def copy() -> x509.Certificate:
        return x509.load_der_x509_certificate(readable_copy(certificate))

    return {
        "version": lambda: certificate.version,
        # The bytes in DER, with the sign.
        "serial_number": lambda: _hex(certificate.serial_number),
        "issuer": lambda: _name(copy().issuer),
        "valid_from": lambda: _day(certificate.valid_from),
        "valid_to": lambda: _day(certificate.valid_to),
        "subject": lambda: _name(copy().subject),
        "public_key_algorithm": lambda: _key(copy())[0],
        "certificate_security_level": lambda: _key(copy())[1],
        "signature_algorithm": lambda: _signature(copy()),
        "public_key_id": lambda: _digest(hashes.SHA1(), certificate.public_key),
        "public_key_pin": lambda: _digest(hashes.SHA256(), certificate.public_key),
    }


# -- the connection -------------------------------------------------------------------------------


def _cipher(suite: str) -> tuple[str, str]:
    """Return GnuTLS's names of cipher and MAC: ("AES-256-GCM", "AEAD"), ("AES-128-CBC", "SHA1")."""
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
    """Return GnuTLS's name of the key exchange.

    In TLS 1.3 it is not in the name of the suite, but follows from the group.  GnuTLS says RSA for any certificate.
    """
    if not suite.startswith("TLS_"):
        return next((kx for start, kx in _EXCHANGES.items() if suite.startswith(start)), "RSA")
    return "DHE-RSA" if (group or "").startswith("ffdhe") else "ECDHE-RSA"


def _chain(connection: SSL.Connection) -> list[bytes]:
    """Return the certificates that the peer sent, in DER, its own first: some OpenSSLs leave that out on servers."""
    chain = [der_of(certificate) for certificate in connection.get_peer_cert_chain() or ()]
    certificate = connection.get_peer_certificate()
    own = [] if certificate is None else [der_of(certificate)]
    return chain if chain[:1] == own else own + chain


def _verified_chain(connection: SSL.Connection, warnings: Sequence[str]) -> list[bytes]:
    """Return the chain that OpenSSL built, in DER.  OpenSSL keeps a chain that is not valid too: that one is left out."""
    if "invalid" in warnings or connection.get_peer_certificate() is None:
        return []
    return [der_of(certificate) for certificate in connection.get_verified_chain() or ()]


def peer_status(connection: SSL.Connection, warnings: Sequence[str]) -> dict[str, object]:
    """Return what both sides of CONNECTION agreed on; empty before the end of the handshake.

    The keys are Emacs's, with "_" for "-": warnings (if any, without colons), certificates and certificate (if any),
    diffie_hellman_prime_bits (if known), key_exchange, protocol, cipher, mac, safe_renegotiation (up to TLS 1.2).
    Emacs's encrypt-then-mac is missing, since OpenSSL does not report it.
    Further keys are group, alpn, sni and verified_chain: None or empty if there is none.
    """
    suite = connection.get_cipher_name()
    if suite is None:
        return {}
    status: dict[str, object] = {}
    if warnings:
        status["warnings"] = [*warnings]
    chain, verified = _chain(connection), _verified_chain(connection, warnings)
    described = {der: describe(der) for der in {*chain, *verified}}
    if chain:
        status["certificates"] = [described[der] for der in chain]
        status["certificate"] = described[chain[0]]
    bits = prime_bits(connection)
    if bits:
        status["diffie_hellman_prime_bits"] = bits
    group = connection.get_group_name()
    status["key_exchange"] = _key_exchange(suite, group)
    status["protocol"] = _protocol(connection)
    status["cipher"], status["mac"] = _cipher(suite)
    if status["protocol"] != "TLS1.3":
        status["safe_renegotiation"] = True
    name = connection.get_servername()
    status["group"] = group
    status["alpn"] = connection.get_alpn_proto_negotiated() or None
    status["sni"] = None if name is None else name.decode("ascii", "backslashreplace")
    # Copies: a program that changes one list does not change the other.
    status["verified_chain"] = [dict(described[der]) for der in verified]
    return status


def _protocol(connection: SSL.Connection) -> str:
    """Return Emacs's name of the version: "TLS1.3" for TLSv1.3, "TLS1.0" for TLSv1."""
    named = connection.get_protocol_version_name().replace("TLSv", "TLS")
    return "TLS1.0" if named == "TLS1" else named
