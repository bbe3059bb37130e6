"""The value of the keyword `tls_parameters`: what the other side must prove, and what we show it.

`make` hands over what the user gave; `contexts` builds OpenSSL's contexts of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
)

from ...core import escape
from ...core.errors import ProcessArgumentError
from ...core.options import UNSET
from .names import is_host

KEYWORD: Final = "tls_parameters"

#: A file's name, or the PEM text itself.
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
#: Roots of X.509 version 1, chains that must reach a root: OpenSSL does these always.
_ALWAYS: Final = 2 | 4 | 8 | 256


def parameter_error(problem: str) -> ProcessArgumentError:
    """The error for a value of `tls_parameters` that cannot work."""
    return ProcessArgumentError(KEYWORD, problem)


def shown(value: object) -> str:
    """VALUE as an error shows it: by its type only, if a private key may be in it."""
    text = escape.shown(value)
    is_secret = isinstance(value, (bytes, bytearray)) or "-----BEGIN" in text
    return f"this {type(value).__name__}" if is_secret else text


# -- converters ---------------------------------------------------------------------------------


def _type(value: object) -> str:
    text = value.removeprefix("gnutls-") if isinstance(value, str) else None
    if text not in TYPES:
        raise parameter_error(f"type: {shown(value)} is neither 'x509pki' nor 'anon'")
    return text


def _file(field: str, value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise parameter_error(f"{field}: {shown(value)} is no name of a file")
    name = os.fsdecode(value)
    if "-----BEGIN" in name:
        raise parameter_error(
            f"{field}: PEM text as str; give the name of its file, or the text as bytes"
        )
    try:
        usable = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise parameter_error(f"{field}: {shown(value)}: no file can have this name")
    return os.path.abspath(os.path.expanduser(name))


def _files(field: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error(f"{field}: {shown(value)} is no list of names of files")
    return tuple(_file(field, name) for name in value)


def _trustfiles(value: object) -> tuple[str, ...]:
    return _files("trustfiles", value)


def _crlfiles(value: object) -> tuple[str, ...]:
    return _files("crlfiles", value)


def _pem(field: str, value: object) -> Pem:
    """A file's name, or PEM text as bytes."""
    return value if isinstance(value, bytes) else _file(field, value)


def _key_pair(field: str, value: object) -> KeyPair:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error(f"{field}: an entry is no pair of a key and a certificate")
    pair = tuple(value)
    if len(pair) != 2:
        raise parameter_error(f"{field}: an entry is no pair of a key and a certificate")
    return _pem(field, pair[0]), _pem(field, pair[1])


def _keylist(value: object) -> tuple[KeyPair, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise parameter_error("keylist: this takes a list of pairs of a key and a certificate")
    return tuple(_key_pair("keylist", pair) for pair in value)


def _verify_error(value: object) -> frozenset[str]:
    """True is everything, None nothing; else a list of "trustfiles", "hostname"."""
    if value is True:
        return CHECKS
    if value is None or value is False:
        return frozenset()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise parameter_error(f"verify_error: {shown(value)} is neither True nor None nor a list")
    checks = tuple(value)
    if any(check not in tuple(CHECKS) for check in checks):
        raise parameter_error("verify_error: a list of it has 'trustfiles' and 'hostname' only")
    return frozenset(checks)


def _verify_flags(value: object) -> int:
    if value is None:
        return 0
    known = _ALWAYS | DISABLE_TIME_CHECKS | DISABLE_TRUSTED_TIME_CHECKS
    if not isinstance(value, int) or isinstance(value, bool) or value & ~known:
        raise parameter_error(
            f"verify_flags: {shown(value)}: netproc has the bits 2, 4, 8, 64, 128 and 256"
        )
    return value & ~_ALWAYS


def _min_prime_bits(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise parameter_error(f"min_prime_bits: {shown(value)} is no number of bits")
    return value or None


def _hostname(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise parameter_error(f"hostname: {shown(value)} is no name of a host")
    return check_hostname(value)


def check_hostname(name: str) -> str:
    """NAME, if it can be the name of a server in a certificate.

    :raises ProcessArgumentError: if not.
    """
    if not name.isascii():
        raise parameter_error(f"hostname: non-ASCII name {escape.shown(name)}: give its IDNA form")
    if not name.isprintable() or not is_host(name):
        raise parameter_error(f"hostname: {shown(name)} is no name of a host")
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
        raise parameter_error(f"alpn: {shown(value)} is no list of protocols")
    protocols = tuple(_encoded("alpn", p) if isinstance(p, str) else p for p in value)
    for protocol in protocols:
        if not isinstance(protocol, bytes) or not 1 <= len(protocol) <= 255:
            raise parameter_error(f"alpn: {escape.shown(protocol)} is no name of a protocol")
    if sum(len(protocol) + 1 for protocol in protocols) > 65535:
        raise parameter_error("alpn: these protocols are too many")
    return protocols


def _sni(value: object) -> str | tuple[tuple[str, KeyPair], ...]:
    """A directory of NAME.pem, or pairs by name, "*.example.org" for all of a domain."""
    if value is None:
        return ()
    if isinstance(value, (str, os.PathLike)):
        return _file("sni", value)
    items = value.items() if isinstance(value, Mapping) else value
    if isinstance(items, bytes) or not isinstance(items, Iterable):
        raise parameter_error(
            "sni: this takes a directory, or pairs of a key and a certificate by name"
        )
    found = {}
    for name, pair in items:
        if not isinstance(name, str) or not name.isascii():
            raise parameter_error(f"sni: {escape.shown(name)} is no ASCII name of a host")
        found[name.lower()] = _key_pair("sni", pair)
    return tuple(sorted(found.items(), key=lambda item: item[0]))


def _password(value: object) -> bytes | None:
    if isinstance(value, str):
        return _encoded("password", value)
    if value is None or isinstance(value, bytes):
        return value
    raise parameter_error("password: this takes a text or bytes")


def _ocsp_staple(value: object) -> Pem | None:
    return None if value is None else _pem("ocsp_staple", value)


def _keylog(value: object) -> str | None:
    return None if value is None else _file("keylog", value)


def _priority(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise parameter_error(f"priority: {shown(value)} is no text")
    return value


def _min_version(value: object) -> str | None:
    if value is not None and value not in MIN_VERSIONS:
        raise parameter_error(
            f"min_version: {shown(value)} is none of {', '.join(map(repr, MIN_VERSIONS))}"
        )
    return None if value is None else str(value)


def _loglevel(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise parameter_error(f"loglevel: {shown(value)} is no level of logging")
    return value


def _request(value: object) -> str:
    if value not in REQUESTS:
        raise parameter_error(
            f"request_client_certificate: {shown(value)} is none of 'no', 'optional', 'required'"
        )
    return str(value)


def _shown(pem: Pem) -> str:
    """A file's name; what is in keys is never shown."""
    return repr(pem) if isinstance(pem, str) else "<PEM>"


def _shown_pairs(pairs: tuple[KeyPair, ...]) -> str:
    return "[" + ", ".join(f"({_shown(key)}, {_shown(cert)})" for key, cert in pairs) + "]"


def _shown_names(sni: str | tuple[tuple[str, KeyPair], ...]) -> str:
    return repr(sni if isinstance(sni, str) else [name for name, _ in sni])


# -- the value ----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class TLSParameters:
    """How one side does TLS.  Two equal values share a context.

    `type` is "x509pki", or "anon" for TLS where nobody proves anything, which `allow_anonymous`
    must allow as well.  `hostname` is the name that the server's certificate must have, None the
    process's host.  `priority` is a priority string of GnuTLS; None is "NORMAL" from TLS 1.2 on and
    with forward secrecy only, and on servers without CBC, by the server's order.  `min_version`,
    "TLS1.2" or "TLS1.3", raises the least version of that.

    `trustfiles` are PEM files of authorities: a client trusts them beside those of the system
    (without, if `system_trust` is False), a server asks for certificates of theirs and no others.
    With `partial_chain`, an authority in them counts without its root.
    `crlfiles` are PEM files of revocations; with `crl_strict` every authority must have one.
    `verify_error` says which problems end the connection: True all, None none, or a list of
    "trustfiles" and "hostname".  `verify_flags` are bits of GnuTLS: 64 takes certificates
    whose time is over, 128 such roots.  `min_prime_bits` is the least size of a
    server's Diffie-Hellman prime.

    `keylist` has pairs of a key and a certificate, names of PEM files or PEM text as bytes;
    `password` opens the keys.  `alpn` has the names of protocols, the best first.  `keylog` is a
    file for the session secrets, which others can decrypt the connection with.

    For servers: `sni` has pairs by the name that a client asks for, as a mapping or a directory of
    NAME.pem with key and certificate each; `request_client_certificate` is "no", "optional"
    or "required"; `ocsp_staple` is the OCSP response for the certificate, a file or bytes in DER.
    A client has the status verified that a server staples, and misses one that was promised.

    A `loglevel` of 1 or more logs the steps of each handshake, at debug level.

    :raises ProcessArgumentError: for a value that cannot work; files are read later.
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
    keylist: tuple[KeyPair, ...] = attrs.field(default=(), converter=_keylist, repr=_shown_pairs)
    password: bytes | None = attrs.field(default=None, converter=_password, repr=False)
    verify_error: frozenset[str] = attrs.field(default=True, converter=_verify_error)
    verify_flags: int = attrs.field(default=0, converter=_verify_flags)
    min_prime_bits: int | None = attrs.field(default=None, converter=_min_prime_bits)
    alpn: tuple[bytes, ...] = attrs.field(default=(), converter=_alpn)
    sni: str | tuple[tuple[str, KeyPair], ...] = attrs.field(
        default=(), converter=_sni, repr=_shown_names
    )
    request_client_certificate: str = attrs.field(default="no", converter=_request)
    ocsp_staple: Pem | None = attrs.field(default=None, converter=_ocsp_staple, repr=False)
    keylog: str | None = attrs.field(default=None, converter=_keylog)
    loglevel: int = attrs.field(default=0, converter=_loglevel)
    allow_anonymous: bool = attrs.field(default=False, converter=bool)

    def __attrs_post_init__(self) -> None:
        if self.type == "anon" and not self.allow_anonymous:
            raise parameter_error(
                "type: 'anon' proves nothing to anybody and needs allow_anonymous=True"
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
) -> TLSParameters:
    """The parameters under the names of `gnutls-boot-parameters` (N230).

    Unlike in Emacs, `verify_error` is True unless given.  `verify_hostname_error` adds "hostname"
    to it.  MORE are fields of `TLSParameters` that Emacs does not have.

    :raises ProcessArgumentError: for a value that cannot work, or an unknown name.
    """
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


def _from_fields(fields: Mapping[Any, Any]) -> TLSParameters:
    unknown = sorted(str(name) for name in fields if name not in attrs.fields_dict(TLSParameters))
    if unknown:
        raise parameter_error(f"there is no {', '.join(unknown)}")
    return TLSParameters(**fields)


# -- what the user may give -----------------------------------------------------------------------


def parse(value: object, is_server: bool) -> object:
    """VALUE, checked, as `contexts.security` takes it: `TLSParameters`, made of a mapping of its
    fields if need be, or as it is a context of pyOpenSSL or Twisted's maker of connections.

    :raises ProcessArgumentError: for anything else, or what this side cannot do.
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
    raise parameter_error(f"{type(value).__name__} is nothing that a {side} can do TLS with")


def _check_server(parameters: TLSParameters) -> None:
    if parameters.type == "x509pki" and not (parameters.keylist or parameters.sni):
        raise parameter_error("keylist: a server needs a key and a certificate")
    if parameters.request_client_certificate != "no" and not parameters.trustfiles:
        raise parameter_error("trustfiles: who signs the certificates of the clients?")


def _check_client(parameters: TLSParameters) -> None:
    for name, given in (
        ("sni", bool(parameters.sni)),
        ("ocsp_staple", parameters.ocsp_staple is not None),
        ("request_client_certificate", parameters.request_client_certificate != "no"),
    ):
        if given:
            raise parameter_error(f"{name}: this is for servers")
