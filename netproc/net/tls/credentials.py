"""Keys, certificates, authorities and revocations, from files into a context.

`contexts` calls this while a process is being made: whatever cannot be read or does not
fit is an error that names the file and the cause, and never shows what is in a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import ocsp
from OpenSSL import SSL, crypto

from ...core.errors import os_error_text
from .parameters import KeyPair, Pem, refuse

_CRL = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
_KEYS = (
    rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)


def reason(error: SSL.Error) -> str:
    """What OpenSSL says: "key values mismatch"."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(entries[0][2]) if entries else str(error) or type(error).__name__


def read(field: str, pem: Pem) -> bytes:
    """The PEM text of a file, or what was given as text."""
    if isinstance(pem, bytes):
        return pem
    try:
        with open(pem, "rb") as file:
            return file.read()
    except OSError as error:
        raise refuse(f"{field}: {pem}: {os_error_text(error)}") from None


def shown(pem: Pem) -> str:
    """How errors call it."""
    return pem if isinstance(pem, str) else "the given bytes"


# -- one's own ------------------------------------------------------------------------------------


def _key(field: str, pem: Pem, password: bytes | None) -> _KEYS:
    data = read(field, pem)
    # The causes are cut off: their tracebacks hold the key and the password.
    try:
        key = load_pem_private_key(data, password if b"ENCRYPTED" in data else None)
    except TypeError:
        raise refuse(f"{field}: {shown(pem)}: the key is encrypted, give its password") from None
    except ValueError:
        why = "wrong password or " if b"ENCRYPTED" in data else ""
        raise refuse(f"{field}: {shown(pem)}: {why}no private key in PEM form") from None
    except UnsupportedAlgorithm:
        raise refuse(f"{field}: {shown(pem)}: this kind of key is not supported") from None
    if not isinstance(key, _KEYS):
        raise refuse(f"{field}: {shown(pem)}: this kind of key does no TLS")
    return key


def _certificates(field: str, pem: Pem) -> list[x509.Certificate]:
    data = read(field, pem)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise refuse(f"{field}: {shown(pem)}: no certificate in PEM form") from None


def use_pair(context: SSL.Context, field: str, pair: KeyPair, password: bytes | None) -> None:
    """Make CONTEXT show the certificate of PAIR, with those behind it in its file."""
    key = _key(field, pair[0], password)
    leaf, *others = _certificates(field, pair[1])
    try:
        context.use_certificate(leaf)
    except SSL.Error as error:
        raise refuse(f"{field}: {shown(pair[1])}: {reason(error)}") from None
    try:
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error as error:
        both = f"{shown(pair[0])} and {shown(pair[1])}"
        raise refuse(f"{field}: {both} do not fit: {reason(error)}") from None
    for certificate in others:
        context.add_extra_chain_cert(certificate)


def staple(source: Pem) -> bytes:
    """The status of the server's certificate: an OCSP response in DER."""
    data = read("ocsp_staple", source)
    try:
        ocsp.load_der_ocsp_response(data)
    except ValueError:
        raise refuse(f"ocsp_staple: {shown(source)}: no OCSP response in DER form") from None
    return data


# -- the others' ----------------------------------------------------------------------------------


def trust(context: SSL.Context, files: Iterable[str]) -> list[x509.Certificate]:
    """Make CONTEXT trust the authorities in FILES, and return them."""
    found = []
    for name in files:
        found += _certificates("trustfiles", name)
        try:
            context.load_verify_locations(name)
        except SSL.Error as error:
            raise refuse(f"trustfiles: {name}: {reason(error)}") from None
    return found


def revoke(context: SSL.Context, files: Iterable[str], strict: bool) -> None:
    """Make CONTEXT refuse what the lists in FILES revoke; if STRICT, look for lists even without files."""
    store = context.get_cert_store()
    assert store is not None, "every context has a store"
    flags = crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL
    has_lists = strict
    for name in files:
        blocks = _CRL.findall(read("crlfiles", name))
        if not blocks:
            raise refuse(f"crlfiles: {name}: no list of revocations in PEM form")
        for block in blocks:
            try:
                store.add_crl(x509.load_pem_x509_crl(block))
            except (ValueError, crypto.Error):
                raise refuse(f"crlfiles: {name}: a list of revocations is broken") from None
        has_lists = True
    if has_lists:
        store.set_flags(flags)
