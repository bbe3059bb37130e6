"""The value of the keyword `tls_parameters`: how the peer is verified, and how we authenticate.

`contexts.py` builds OpenSSL's contexts from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
)

from ...core import escape
from ...core.checks import is_integer, plain
from ...core.errors import ProcessArgumentError, argument
from ...core.options import UNSET
from .names import is_host

KEYWORD: Final = "tls_parameters"

#: The name of a file, or the PEM text itself.
Pem: TypeAlias = str | bytes
#: A private key and its certificate with the intermediate ones; the key first, as in Emacs.
KeyPair: TypeAlias = tuple[Pem, Pem]

TYPES: Final = ("x509pki", "anon")
CHECKS: Final = frozenset({"trustfiles", "hostname"})
REQUESTS: Final = ("no", "optional", "required")
MIN_VERSIONS: Final = ("TLS1.2", "TLS1.3")

#: Bits of verify_flags (GnuTLS).
DISABLE_TIME_CHECKS: Final = 64
DISABLE_TRUSTED_TIME_CHECKS: Final = 128
#: Roots of X.509 version 1, and chains that must reach a root: OpenSSL always has these on.
_ALWAYS: Final = 2 | 4 | 8 | 256


def parameter_error(problem: str) -> ProcessArgumentError:
    """Return the error for a wrong value of `tls_parameters`."""
    return ProcessArgumentError(KEYWORD, problem)


def shown_value(value: object) -> str:
    """Return how an error shows VALUE: by its type only, if a private key may be in it."""
    text = escape.shown(value)
    is_secret = isinstance(value, (bytes, bytearray)) or "-----BEGIN" in text
    return f"this {type(value).__name__}" if is_secret else text


def pem_name(pem: Pem) -> str:
    """Return how an error names the source of PEM: the file, on one line of limited length, or "the given bytes"."""
    return escape.escape(pem) if isinstance(pem, str) else "the given bytes"


def _pem_repr(pem: Pem) -> str:
    """Return how the repr of `TLSParameters` shows PEM: by the name of the file; PEM text may be a key, so it is left out."""
    return repr(pem) if isinstance(pem, str) else "<PEM>"


# -- converters ---------------------------------------------------------------------------------


def _type(value: object) -> str:
    text = value.removeprefix("gnutls-") if isinstance(value, str) else None
    if text not in TYPES:
        raise parameter_error(f"type: {shown_value(value)} is neither 'x509pki' nor 'anon'")
    return text


def _file(field: str, value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise parameter_error(f"{field}: {shown_value(value)} is not the name of a file")
    name = os.fsdecode(value)
    if "-----BEGIN" in name:
        raise parameter_error(
            f"{field}: this is PEM text as str; give the name of its file, or the text as bytes"
        )
    try:
        usable = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise parameter_error(f"{field}: {shown_value(value)}: no file can have this name")
    return os.path.abspath(os.path.expanduser(name))


def _files(field: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error(f"{field}: {shown_value(value)} is not a list of file names")
    return tuple(_file(field, name) for name in value)


def _trustfiles(value: object) -> tuple[str, ...]:
    return _files("trustfiles", value)


def _crlfiles(value: object) -> tuple[str, ...]:
    return _files("crlfiles", value)


def _pem(field: str, value: object) -> Pem:
    """Return VALUE as the name of a file, or PEM text as bytes."""
    return value if isinstance(value, bytes) else _file(field, value)


def _key_pair(field: str, value: object) -> KeyPair:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error(f"{field}: an entry is not a pair of a key and a certificate")
    pair = tuple(value)
    if len(pair) != 2:
        raise parameter_error(f"{field}: an entry is not a pair of a key and a certificate")
    return _pem(field, pair[0]), _pem(field, pair[1])


def _keylist(value: object) -> tuple[KeyPair, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error("keylist: it must be a list of pairs of a key and a certificate")
    return tuple(_key_pair("keylist", pair) for pair in value)


def _verify_error(value: object) -> frozenset[str]:
    """Return the checks that VALUE names: True is all, None none, else it is a list of "trustfiles" and "hostname"."""
    if value is True:
        return CHECKS
    if value is None or value is False:
        return frozenset()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise parameter_error(f"verify_error: {shown_value(value)} is not True, None or a list")
    checks = tuple(value)
    if any(check not in tuple(CHECKS) for check in checks):
        raise parameter_error("verify_error: the list may have only 'trustfiles' and 'hostname'")
    return frozenset(checks)


def _verify_flags(value: object) -> int:
    if value is None:
        return 0
    known = _ALWAYS | DISABLE_TIME_CHECKS | DISABLE_TRUSTED_TIME_CHECKS
    if not is_integer(value) or value & ~known:
        raise parameter_error(
            f"verify_flags: {shown_value(value)}: only the bits 2, 4, 8, 64, 128 and 256 are supported"
        )
    return value & ~_ALWAYS


def _min_prime_bits(value: object) -> int | None:
    if value is not None and (not is_integer(value) or value < 0):
        raise parameter_error(f"min_prime_bits: {shown_value(value)} is not a number of bits")
    return value or None


def _hostname(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise parameter_error(f"hostname: {shown_value(value)} is not the name of a host")
    return check_hostname(value)


def check_hostname(name: str) -> str:
    """Return NAME if it can be the name of a server in a certificate.

    :raises ProcessArgumentError: if it cannot.
    """
    if not name.isascii():
        raise parameter_error(
            f"hostname: non-ASCII name {escape.shown(name)}; use its IDNA (xn--) form"
        )
    if not name.isprintable() or not is_host(name):
        raise parameter_error(f"hostname: {shown_value(name)} is not the name of a host")
    return name


def _encoded(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise parameter_error(
            f"{field}: UTF-8 cannot encode these characters; give bytes"
        ) from None


def _alpn(value: object) -> tuple[bytes, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error(f"alpn: {shown_value(value)} is not a list of protocols")
    protocols = tuple(_encoded("alpn", p) if isinstance(p, str) else p for p in value)
    for protocol in protocols:
        if not isinstance(protocol, bytes) or not 1 <= len(protocol) <= 255:
            raise parameter_error(f"alpn: {escape.shown(protocol)} is not the name of a protocol")
    if sum(len(protocol) + 1 for protocol in protocols) > 65535:
        raise parameter_error("alpn: there are too many protocols")
    return protocols


def _sni(value: object) -> str | tuple[tuple[str, KeyPair], ...]:
    """Return a directory of files NAME.pem, or pairs by name; "*.example.org" is for all names of a domain."""
    if value is None:
        return ()
    if isinstance(value, (str, os.PathLike)):
        return _file("sni", value)
    items = value.items() if isinstance(value, Mapping) else value
    if isinstance(items, bytes) or not isinstance(items, Iterable):
        raise parameter_error(
            "sni: it must be a directory, or pairs of a key and a certificate by name"
        )
    found = {}
    for name, pair in items:
        if not isinstance(name, str) or not name.isascii():
            raise parameter_error(f"sni: {escape.shown(name)} is not the name of a host in ASCII")
        found[name.lower()] = _key_pair("sni", pair)
    return tuple(sorted(found.items(), key=lambda item: item[0]))


def _password(value: object) -> bytes | None:
    if isinstance(value, str):
        return _encoded("password", value)
    if value is None or isinstance(value, bytes):
        return value
    raise parameter_error("password: it must be str or bytes")


def _ocsp_staple(value: object) -> Pem | None:
    return None if value is None else _pem("ocsp_staple", value)


def _keylog(value: object) -> str | None:
    return None if value is None else _file("keylog", value)


def _priority(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise parameter_error(f"priority: {shown_value(value)} is not a str")
    return value


def _min_version(value: object) -> str | None:
    if value is not None and value not in MIN_VERSIONS:
        raise parameter_error(
            f"min_version: {shown_value(value)} is not one of {', '.join(map(repr, MIN_VERSIONS))}"
        )
    return None if value is None else str(value)


def _loglevel(value: object) -> int:
    if value is None:
        return 0
    if not is_integer(value) or value < 0:
        raise parameter_error(f"loglevel: {shown_value(value)} is not a log level")
    return value


def _request(value: object) -> str:
    if value not in REQUESTS:
        raise parameter_error(
            f"request_client_certificate: {shown_value(value)} is not one of 'no', 'optional', 'required'"
        )
    return str(value)


def _pairs_repr(pairs: tuple[KeyPair, ...]) -> str:
    return "[" + ", ".join(f"({_pem_repr(key)}, {_pem_repr(cert)})" for key, cert in pairs) + "]"


def _sni_repr(sni: str | tuple[tuple[str, KeyPair], ...]) -> str:
    return repr(sni if isinstance(sni, str) else [name for name, _ in sni])


# -- the value ----------------------------------------------------------------------------------


def _with_checks(_: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Return FIELDS so that any exception of a converter is a ProcessArgumentError."""
    return [field.evolve(converter=_checked(field.converter)) for field in fields]


def _checked(convert: Any) -> Callable[[object], Any]:
    @argument(KEYWORD)
    def checked(value: object) -> Any:
        return convert(plain(value))

    return checked


@attrs.frozen(kw_only=True, field_transformer=_with_checks)
class TLSParameters:
    """How one side of a connection uses TLS.

    The value is frozen.  Two equal values share one OpenSSL context.  Wherever netproc takes a `TLSParameters`, it also
    takes a dictionary of these fields.  netproc reads the files when it makes the process.  A key, a file or a priority
    that cannot be used then is a `ProcessArgumentError`.

    "PEM" means the name of a PEM file, or its contents as bytes.

    Args:
        type: "x509pki": the sides prove their identity by certificates.  "anon": neither side proves anything, so
            anyone can be between them.
        hostname: The name or the address for which the server's certificate must be.  None is the host of the process.
            A name has labels of ASCII letters, digits, "-" and "_".
        priority: Protocol versions and ciphers, as a priority string of GnuTLS.  None is "NORMAL" from TLS 1.2 on and with
            forward secrecy only; servers then use no ciphers with CBC, and choose a cipher by their own order.  OpenSSL
            allows TLS 1.0, TLS 1.1 and "anon" only without a security level.  A string that asks for one of these and also
            for a level, by ``%PROFILE_…`` or ``SECURE256``, is refused.
        min_version: "TLS1.2" or "TLS1.3": the oldest version that is allowed, whatever `priority` says.
        trustfiles: PEM files of certificate authorities.  A client trusts them in addition to those of the system.  A
            server trusts only them, to verify its clients.  netproc respects the restrictions that OpenSSL stores in a
            "TRUSTED CERTIFICATE".
        system_trust: Whether a client trusts the certificate authorities of the system.
        partial_chain: Whether a trusted authority may end a chain although another authority has signed it.  The
            `trustfiles` then need not contain the root of the chain.  A server's own certificate in the `trustfiles` is
            trusted then, too.
        crlfiles: PEM files of certificate revocation lists.  An authority may issue lists that each cover only some of its
            certificates.  For the other certificates, such a list does not count as a list of this authority.
        crl_strict: Whether each authority of a chain must have a revocation list, even if there are no `crlfiles`.
        keylist: Pairs of a private key and its certificate, each PEM.  Intermediate certificates follow in the file of the
            certificate, and are sent with this certificate only.  A server needs one pair, or `sni`.  If there are two
            pairs of different kinds, such as RSA and ECDSA, each client receives the certificate that it can use.
        password: The password of encrypted keys, as str or bytes.
        verify_error: The checks whose failure ends the connection.  True is all checks, None is no check, and a list
            names some of them: "trustfiles" is the certificate chain with its revocations and the OCSP status, "hostname" is
            the name.  A problem that does not end the connection is among the "warnings" of `peer_status`.
        verify_flags: Bits as in GnuTLS.  64 accepts certificates that have expired or are not valid yet, 128 accepts such
            roots.  2, 4, 8 and 256 are always on.  Other bits are refused.
        min_prime_bits: For clients: the smallest Diffie-Hellman prime of a server that is accepted, in bits.
        alpn: Names of application protocols, as bytes or str, the preferred one first.  The order of the server decides.
            If both sides have no protocol in common, the connection has none.
        sni: For servers: a dictionary of the names for which clients ask.  Its values are pairs as in `keylist`.  The name
            ``*.example.org`` stands for all names of a domain.  It can also be a directory of files NAME.pem that each have a
            key and a certificate.  netproc looks into the directory again for each connection that asks for a name.
        request_client_certificate: For servers: "optional" asks clients for a certificate that an authority in the
            `trustfiles` has signed.  "required" also refuses clients without one.  "no" does not ask.
        ocsp_staple: For servers: the OCSP response for the certificate in DER, as the name of a file or as bytes.
            netproc's clients verify a response that a server staples.
        keylog: A file to which the secrets of each connection are appended.  Anyone who has this file can decrypt the
            connections.  netproc creates it with the mode 0600.  A file that exists already must be a regular file of the
            same user, not a link, and other users must have no rights to it.
        loglevel: With 1 or more, netproc logs the steps of each handshake at debug level.
        allow_anonymous: Must be True if `type` is "anon".

    Raises:
        ProcessArgumentError: A field has a value that cannot be used.
    """

    type: str = attrs.field(default="x509pki", converter=_type)
    hostname: str | None = attrs.field(default=None, converter=_hostname)
    priority: str | None = attrs.field(default=None, converter=_priority)
    min_version: str | None = attrs.field(default=None, converter=_min_version)
    trustfiles: tuple[str, ...] = attrs.field(default=(), converter=_trustfiles)
    system_trust: bool = attrs.field(default=True, converter=bool)
    partial_chain: bool = attrs.field(default=False, converter=bool)
    crlfiles: tuple[str, ...] = attrs.field(default=(), converter=_crlfiles)
    crl_strict: bool = attrs.field(default=False, converter=bool)
    keylist: tuple[KeyPair, ...] = attrs.field(default=(), converter=_keylist, repr=_pairs_repr)
    password: bytes | None = attrs.field(default=None, converter=_password, repr=False)
    verify_error: frozenset[str] = attrs.field(default=True, converter=_verify_error)
    verify_flags: int = attrs.field(default=0, converter=_verify_flags)
    min_prime_bits: int | None = attrs.field(default=None, converter=_min_prime_bits)
    alpn: tuple[bytes, ...] = attrs.field(default=(), converter=_alpn)
    sni: str | tuple[tuple[str, KeyPair], ...] = attrs.field(
        default=(), converter=_sni, repr=_sni_repr
    )
    request_client_certificate: str = attrs.field(default="no", converter=_request)
    ocsp_staple: Pem | None = attrs.field(default=None, converter=_ocsp_staple, repr=False)
    keylog: str | None = attrs.field(default=None, converter=_keylog)
    loglevel: int = attrs.field(default=0, converter=_loglevel)
    allow_anonymous: bool = attrs.field(default=False, converter=bool)

    def __attrs_post_init__(self) -> None:
        if self.type == "anon" and not self.allow_anonymous:
            raise parameter_error(
                "type: 'anon' authenticates no peer; if that is intended, add allow_anonymous=True"
            )


def tls_boot_parameters(
    *,
    type: str = "x509pki",
    hostname: str | None = None,
    priority_string: str | None = None,
    trustfiles: object = None,
    crlfiles: object = None,
    keylist: object = None,
    loglevel: int | None = None,
    min_prime_bits: int | None = None,
    verify_flags: int | None = None,
    verify_error: object = UNSET,
    verify_hostname_error: object = None,
    **more: Any,
) -> TLSParameters:  # N230
    """Make `TLSParameters` with the parameter names of Emacs.

    Emacs: ``gnutls-boot-parameters``.

    Args:
        type: As in `TLSParameters`.
        hostname: As in `TLSParameters`.
        priority_string: `priority` in `TLSParameters`.
        trustfiles: As in `TLSParameters`.
        crlfiles: As in `TLSParameters`.
        keylist: As in `TLSParameters`.
        loglevel: As in `TLSParameters`.
        min_prime_bits: As in `TLSParameters`.
        verify_flags: As in `TLSParameters`.
        verify_error: As in `TLSParameters`.  If you do not pass it, it is True; in Emacs it is nil.
        verify_hostname_error: Whether to add "hostname" to `verify_error`.
        more: Other fields of `TLSParameters`, which Emacs does not have.

    Returns:
        The parameters.

    Raises:
        ProcessArgumentError: A value cannot be used, or a name is unknown.
    """
    with argument(KEYWORD):
        checks = _verify_error(True if verify_error is UNSET else verify_error)
        if verify_hostname_error:
            checks |= {"hostname"}
    return _from_fields(
        {
            "type": type,
            "hostname": hostname,
            "priority": priority_string,
            "trustfiles": trustfiles,
            "crlfiles": crlfiles,
            "keylist": keylist,
            "loglevel": loglevel,
            "min_prime_bits": min_prime_bits,
            "verify_flags": verify_flags,
            "verify_error": checks,
            **more,
        }
    )


#: What programs call the two halves of a pair in `keylist`.
_NAMES_OF_PAIRS = {"key", "cert", "certificate", "keyfile", "certfile", "private_key"}


def _from_fields(fields: Mapping[Any, Any]) -> TLSParameters:
    unknown = sorted(str(name) for name in fields if name not in attrs.fields_dict(TLSParameters))
    if unknown:
        raise parameter_error(
            f"unknown fields {', '.join(map(escape.shown, unknown[:3]))}{_hint(unknown)}"
        )
    return TLSParameters(**fields)


def _hint(unknown: list[str]) -> str:
    """Return what to write instead of the UNKNOWN names, if that can be guessed."""
    if not _NAMES_OF_PAIRS.isdisjoint(unknown):
        return '; use keylist=[("key.pem", "cert.pem")]'
    near = get_close_matches(unknown[0], attrs.fields_dict(TLSParameters), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


# -- values of the keyword ------------------------------------------------------------------------


@argument(KEYWORD)
def parse(value: object, is_server: bool) -> object:
    """Return VALUE, checked: `TLSParameters`, also from a mapping of its fields, or as it is a context of pyOpenSSL or one
    of Twisted's makers of connections.

    :raises ProcessArgumentError: for anything else, and for parameters that this side cannot use.
    """
    if isinstance(value, Mapping):
        value = _from_fields(value)
    if isinstance(value, TLSParameters):
        (_check_server if is_server else _check_client)(value)
        return value
    creator = IOpenSSLServerConnectionCreator if is_server else IOpenSSLClientConnectionCreator
    if (
        isinstance(value, SSL.Context)
        or creator.providedBy(value)
        or IOpenSSLContextFactory.providedBy(value)
    ):
        return value
    side = "server" if is_server else "client"
    raise parameter_error(f"a {side} cannot use {type(value).__name__} for TLS")


def _check_server(parameters: TLSParameters) -> None:
    if parameters.type == "x509pki" and not (parameters.keylist or parameters.sni):
        raise parameter_error("keylist: a server needs a key and a certificate")
    if parameters.request_client_certificate != "no" and not parameters.trustfiles:
        raise parameter_error(
            "trustfiles: give the authorities that sign the certificates of clients"
        )


def _check_client(parameters: TLSParameters) -> None:
    for name, given in (
        ("sni", bool(parameters.sni)),
        ("ocsp_staple", parameters.ocsp_staple is not None),
        ("request_client_certificate", parameters.request_client_certificate != "no"),
    ):
        if given:
            raise parameter_error(f"{name}: only a server can have this")
