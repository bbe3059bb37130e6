"""Loading of keys, certificates, authorities and revocations from files into a context.

`contexts.py` calls these functions while a process is made.  If a file cannot be used, the error has its name and the
cause, and never shows anything of a key.
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
from .parameters import KeyPair, Pem, parameter_error, pem_name

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
    """Return OpenSSL's reason for ERROR: "key values mismatch"."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(entries[0][2]) if entries else str(error) or type(error).__name__


def read(field: str, pem: Pem) -> bytes:
    """Return the content of a file, or the given bytes."""
    if isinstance(pem, bytes):
        return pem
    try:
        with open(pem, "rb") as file:
            return file.read()
    except OSError as error:
        raise parameter_error(f"{field}: {pem_name(pem)}: {os_error_text(error)}") from None


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """Yield the name of a file with DATA, for functions of OpenSSL that take only a file name."""
    try:
        if sys.platform == "linux":
            # This needs no writable directory.
            with open(os.memfd_create("netproc"), "wb", buffering=0) as file:
                file.write(data)
                yield f"/proc/self/fd/{file.fileno()}"
        else:
            with tempfile.NamedTemporaryFile(buffering=0) as temporary:
                temporary.write(data)
                yield temporary.name
    except OSError as error:
        raise parameter_error(f"cannot make a file for OpenSSL: {os_error_text(error)}") from None


# -- our own side ---------------------------------------------------------------------------------


def _key(field: str, pem: Pem, password: bytes | None) -> _KEYS:
    data = read(field, pem)
    # "from None", since the tracebacks of the causes hold the key and the password.
    try:
        key = load_pem_private_key(data, password if b"ENCRYPTED" in data else None)
    except TypeError:
        raise parameter_error(
            f"{field}: {pem_name(pem)}: the key is encrypted, give its password"
        ) from None
    except ValueError:
        why = "wrong password, or " if b"ENCRYPTED" in data else ""
        raise parameter_error(
            f"{field}: {pem_name(pem)}: {why}no private key in PEM form found"
        ) from None
    except UnsupportedAlgorithm:
        raise parameter_error(
            f"{field}: {pem_name(pem)}: this kind of key is not supported"
        ) from None
    if not isinstance(key, _KEYS):
        raise parameter_error(f"{field}: {pem_name(pem)}: this kind of key cannot be used for TLS")
    return key


def _certificates(field: str, pem: Pem) -> list[crypto.X509]:
    """Return the certificates in PEM, without the data that OpenSSL appends to a "TRUSTED CERTIFICATE"."""
    blocks = _CERTIFICATE.findall(read(field, pem))
    if not blocks:
        raise parameter_error(f"{field}: {pem_name(pem)}: no certificate in PEM form found")
    try:
        return [
            crypto.load_certificate(crypto.FILETYPE_ASN1, binascii.a2b_base64(text))
            for _, text in blocks
        ]
    except binascii.Error:
        raise parameter_error(f"{field}: {pem_name(pem)}: a certificate is not in base64") from None
    except crypto.Error as error:
        raise parameter_error(
            f"{field}: {pem_name(pem)}: a certificate is broken: {reason(error)}"
        ) from None


def _pem_of(certificates: Iterable[crypto.X509]) -> bytes:
    return b"".join(crypto.dump_certificate(crypto.FILETYPE_PEM, made) for made in certificates)


def use_pair(context: SSL.Context, field: str, pair: KeyPair, password: bytes | None) -> None:
    """Make CONTEXT use the key and the certificate of PAIR, with the other certificates in the file as its chain."""
    key = _key(field, pair[0], password)
    chain = _certificates(field, pair[1])
    try:
        # The only function that gives each certificate of a context its own chain.
        with _file_of(_pem_of(chain)) as name:
            context.use_certificate_chain_file(name)
        has_pss_key = Certificate(der_of(chain[0])).has_pss_key
    except SSL.Error as error:
        raise parameter_error(f"{field}: {pem_name(pair[1])}: {reason(error)}") from None
    except ValueError as error:
        raise parameter_error(
            f"{field}: {pem_name(pair[1])}: the certificate is not in DER: {error}"
        ) from None
    try:
        if has_pss_key:
            _use_pss_key(context, read(field, pair[0]), password)
        else:
            context.use_privatekey(key)
        context.check_privatekey()
    except (SSL.Error, crypto.Error) as error:
        both = f"{pem_name(pair[0])} and {pem_name(pair[1])}"
        raise parameter_error(f"{field}: {both} do not belong together: {reason(error)}") from None


def _use_pss_key(context: SSL.Context, data: bytes, password: bytes | None) -> None:
    """Use a key that is for RSA-PSS only; in a key of `cryptography` that restriction is lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # With an empty password, OpenSSL does not ask the terminal for one.
        context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, data, password or b""))


def staple(source: Pem) -> bytes:
    """Return the OCSP response in DER with the status of the server's certificate."""
    data = read("ocsp_staple", source)
    try:
        ocsp.load_der_ocsp_response(data)
    except ValueError:
        raise parameter_error(
            f"ocsp_staple: {pem_name(source)}: not an OCSP response in DER"
        ) from None
    return data


# -- the peers ------------------------------------------------------------------------------------


def trust(context: SSL.Context, files: Iterable[str]) -> list[crypto.X509]:
    """Make CONTEXT trust the authorities in FILES, and return them."""
    found = []
    for name in files:
        found += _certificates("trustfiles", name)
        try:
            context.load_verify_locations(name)
        except SSL.Error as error:
            raise parameter_error(f"trustfiles: {pem_name(name)}: {reason(error)}") from None
    return found


def ask_for(context: SSL.Context, authorities: Iterable[crypto.X509]) -> None:
    """Make CONTEXT, which is a server's, ask clients for certificates of AUTHORITIES."""
    with _file_of(_pem_of(authorities)) as name:
        context.load_client_ca(os.fsencode(name))


def trust_as_they_are(context: SSL.Context) -> None:
    """Make CONTEXT accept each trusted authority as the end of a chain, even if another one has signed it."""
    _store(context).set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)


def _store(context: SSL.Context) -> crypto.X509Store:
    store = context.get_cert_store()
    assert store is not None, "every context has a store"
    return store


def revoke(context: SSL.Context, files: Iterable[str], strict: bool) -> None:
    """Make CONTEXT refuse certificates that the lists in FILES revoke; with STRICT, each authority must have a list."""
    has_lists = strict
    for name in files:
        lists = _CRL.findall(read("crlfiles", name))
        if not lists:
            raise parameter_error(
                f"crlfiles: {pem_name(name)}: no list of revocations in PEM form found"
            )
        try:
            # Load only the lists, since certificates in the same file would be trusted.
            with _file_of(b"\n".join(lists) + b"\n") as lists_only:
                context.load_verify_locations(lists_only)
        except SSL.Error:
            raise parameter_error(
                f"crlfiles: {pem_name(name)}: a list of revocations is broken"
            ) from None
        has_lists = True
    if has_lists:
        _store(context).set_flags(
            crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL
        )
