"""Keys, certificates, authorities and revocations, from files into a context.

`contexts` calls this while a process is being made: whatever cannot be read or does not
fit is an error that names the file and the cause, and never shows what is in a key.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import ocsp
from OpenSSL import SSL, crypto

from ...core.errors import os_error_text
from .certificate import Certificate, der_of
from .parameters import KeyPair, Pem, parameter_error

_CERTIFICATE = re.compile(
    rb"-----BEGIN (X509 |TRUSTED |)CERTIFICATE-----(.*?)-----END \1CERTIFICATE-----", re.DOTALL
)
_CRL = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
_KEYS = (
    rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)


def reason(error: SSL.Error | crypto.Error) -> str:
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
        raise parameter_error(f"{field}: {pem}: {os_error_text(error)}") from None


def shown(pem: Pem) -> str:
    """How errors call it."""
    return pem if isinstance(pem, str) else "the given bytes"


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """The name of a file with DATA, for functions of OpenSSL that take nothing else."""
    try:
        if sys.platform == "linux":
            # Needs no directory that can be written.
            with open(os.memfd_create("netproc"), "wb", buffering=0) as file:
                file.write(data)
                yield f"/proc/self/fd/{file.fileno()}"
        else:
            with tempfile.NamedTemporaryFile(buffering=0) as temporary:
                temporary.write(data)
                yield temporary.name
    except OSError as error:
        raise parameter_error(f"there can be no file for OpenSSL: {os_error_text(error)}") from None


# -- one's own ------------------------------------------------------------------------------------


def _key(field: str, pem: Pem, password: bytes | None) -> _KEYS:
    data = read(field, pem)
    # The causes are cut off: their tracebacks hold the key and the password.
    try:
        key = load_pem_private_key(data, password if b"ENCRYPTED" in data else None)
    except TypeError:
        raise parameter_error(
            f"{field}: {shown(pem)}: the key is encrypted, give its password"
        ) from None
    except ValueError:
        why = "wrong password or " if b"ENCRYPTED" in data else ""
        raise parameter_error(f"{field}: {shown(pem)}: {why}no private key in PEM form") from None
    except UnsupportedAlgorithm:
        raise parameter_error(f"{field}: {shown(pem)}: this kind of key is not supported") from None
    if not isinstance(key, _KEYS):
        raise parameter_error(f"{field}: {shown(pem)}: this kind of key does no TLS")
    return key


def _certificates(field: str, pem: Pem) -> list[crypto.X509]:
    """The certificates in PEM, without what OpenSSL adds to a "TRUSTED CERTIFICATE" behind it."""
    blocks = _CERTIFICATE.findall(read(field, pem))
    if not blocks:
        raise parameter_error(f"{field}: {shown(pem)}: no certificate in PEM form")
    try:
        return [
            crypto.load_certificate(crypto.FILETYPE_ASN1, binascii.a2b_base64(text))
            for _, text in blocks
        ]
    except binascii.Error:
        raise parameter_error(f"{field}: {shown(pem)}: a certificate is not in base64") from None
    except crypto.Error as error:
        raise parameter_error(
            f"{field}: {shown(pem)}: a certificate is broken: {reason(error)}"
        ) from None


def _pem_of(certificates: Iterable[crypto.X509]) -> bytes:
    return b"".join(crypto.dump_certificate(crypto.FILETYPE_PEM, made) for made in certificates)


def use_pair(context: SSL.Context, field: str, pair: KeyPair, password: bytes | None) -> None:
    """Make CONTEXT show the certificate of PAIR, with those behind it in its file."""
    key = _key(field, pair[0], password)
    chain = _certificates(field, pair[1])
    try:
        # The only function that gives each certificate of a context a chain of its own.
        with _file_of(_pem_of(chain)) as name:
            context.use_certificate_chain_file(name)
        has_pss_key = Certificate(der_of(chain[0])).has_pss_key
    except SSL.Error as error:
        raise parameter_error(f"{field}: {shown(pair[1])}: {reason(error)}") from None
    except ValueError as error:
        raise parameter_error(
            f"{field}: {shown(pair[1])}: the certificate is not in DER: {error}"
        ) from None
    try:
        if has_pss_key:
            _use_pss_key(context, read(field, pair[0]), password)
        else:
            context.use_privatekey(key)
        context.check_privatekey()
    except (SSL.Error, crypto.Error) as error:
        both = f"{shown(pair[0])} and {shown(pair[1])}"
        raise parameter_error(f"{field}: {both} do not fit: {reason(error)}") from None


def _use_pss_key(context: SSL.Context, data: bytes, password: bytes | None) -> None:
    """Use a key that is for RSA-PSS only, which `cryptography` forgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # With an empty password, OpenSSL does not ask the terminal for one.
        context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, data, password or b""))


def staple(source: Pem) -> bytes:
    """The status of the server's certificate: an OCSP response in DER."""
    data = read("ocsp_staple", source)
    try:
        ocsp.load_der_ocsp_response(data)
    except ValueError:
        raise parameter_error(
            f"ocsp_staple: {shown(source)}: no OCSP response in DER form"
        ) from None
    return data


# -- the others' ----------------------------------------------------------------------------------


def trust(context: SSL.Context, files: Iterable[str]) -> list[crypto.X509]:
    """Make CONTEXT trust the authorities in FILES, and return them."""
    found = []
    for name in files:
        found += _certificates("trustfiles", name)
        try:
            context.load_verify_locations(name)
        except SSL.Error as error:
            raise parameter_error(f"trustfiles: {name}: {reason(error)}") from None
    return found


def ask_for(context: SSL.Context, authorities: Iterable[crypto.X509]) -> None:
    """Make CONTEXT, a server's, ask clients for certificates of AUTHORITIES."""
    with _file_of(_pem_of(authorities)) as name:
        context.load_client_ca(os.fsencode(name))


def trust_as_they_are(context: SSL.Context) -> None:
    """Make CONTEXT take each authority that it trusts for the end of a chain, signed by another or not."""
    _store(context).set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)


def _store(context: SSL.Context) -> crypto.X509Store:
    store = context.get_cert_store()
    assert store is not None, "every context has a store"
    return store


def revoke(context: SSL.Context, files: Iterable[str], strict: bool) -> None:
    """Make CONTEXT refuse what the lists in FILES revoke; if STRICT, look for lists even without files."""
    has_lists = strict
    for name in files:
        lists = _CRL.findall(read("crlfiles", name))
        if not lists:
            raise parameter_error(f"crlfiles: {name}: no list of revocations in PEM form")
        try:
            # Only the lists: certificates in the same file would be trusted.
            with _file_of(b"\n".join(lists) + b"\n") as lists_only:
                context.load_verify_locations(lists_only)
        except SSL.Error:
            raise parameter_error(f"crlfiles: {name}: a list of revocations is broken") from None
        has_lists = True
    if has_lists:
        _store(context).set_flags(
            crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL
        )
