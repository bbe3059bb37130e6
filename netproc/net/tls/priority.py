"""Conversion of GnuTLS's priority strings, such as "SECURE128:-VERS-TLS1.2:%SERVER_PRECEDENCE", to settings of OpenSSL.

`contexts.py` calls `select` when it builds a context.  The meaning of the keywords, their order and the rules are those
of GnuTLS 3.7: the result has what ``gnutls-cli --list --priority`` lists for the string, as far as OpenSSL has it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from OpenSSL import SSL

from ...core.escape import shown
from .parameters import parameter_error
from .primes import uses_primes

# -- the sets -------------------------------------------------------------------------------------

_VERSIONS: Final = ("TLS1.3", "TLS1.2", "TLS1.1", "TLS1.0")
#: OpenSSL's numbers of the versions.
NUMBERS: Final = {
    "TLS1.0": SSL.TLS1_VERSION,
    "TLS1.1": SSL.TLS1_1_VERSION,
    "TLS1.2": SSL.TLS1_2_VERSION,
    "TLS1.3": SSL.TLS1_3_VERSION,
}
_HOLES: Final = {
    "TLS1.1": SSL.OP_NO_TLSv1_1,
    "TLS1.2": SSL.OP_NO_TLSv1_2,
}
#: Versions that are used only if a string names them; OpenSSL has them at level 0 only.
_OLD_VERSIONS: Final = {"TLS1.0", "TLS1.1"}

_EXCHANGES: Final = ("ECDHE-ECDSA", "ECDHE-RSA", "RSA", "DHE-RSA")
_CIPHERS: Final = (
    "AES-256-GCM",
    "CHACHA20-POLY1305",
    "AES-256-CCM",
    "AES-256-CBC",
    "AES-128-GCM",
    "AES-128-CCM",
    "AES-128-CBC",
)
_SECURE_CIPHERS: Final = (
    "AES-256-GCM",
    "CHACHA20-POLY1305",
    "AES-256-CBC",
    "AES-256-CCM",
    "AES-128-GCM",
    "AES-128-CBC",
    "AES-128-CCM",
)
_FAST_CIPHERS: Final = (
    "AES-128-GCM",
    "AES-256-GCM",
    "CHACHA20-POLY1305",
    "AES-128-CCM",
    "AES-256-CCM",
    "AES-128-CBC",
    "AES-256-CBC",
)
_MACS: Final = ("SHA1", "AEAD")


#: OpenSSL's security level of NORMAL.
_LEVEL: Final = 2


class _Set(NamedTuple):
    """The meaning of a keyword; `level` is OpenSSL's security level."""

    versions: tuple[str, ...] = _VERSIONS
    exchanges: tuple[str, ...] = _EXCHANGES
    ciphers: tuple[str, ...] = _CIPHERS
    macs: tuple[str, ...] = _MACS
    level: int = _LEVEL


_256_BITS: Final = _Set(ciphers=_SECURE_CIPHERS[:4], macs=("AEAD",), level=3)
_KEYWORDS: Final = {
    "NONE": _Set((), (), (), (), 2),
    "NORMAL": _Set(),
    "LEGACY": _Set(level=1),
    "PERFORMANCE": _Set(
        exchanges=("RSA", "ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA"), ciphers=_FAST_CIPHERS
    ),
    "PFS": _Set(exchanges=("ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA")),
    "SECURE128": _Set(ciphers=_SECURE_CIPHERS),
    "SECURE192": _256_BITS,
    "SECURE256": _256_BITS,
    "SUITEB128": _Set(("TLS1.2",), ("ECDHE-ECDSA",), ("AES-256-GCM", "AES-128-GCM"), ("AEAD",), 3),
    "SUITEB192": _Set(("TLS1.2",), ("ECDHE-ECDSA",), ("AES-256-GCM",), ("AEAD",), 4),
}

_PROFILES: Final = {
    "VERY_WEAK": 0,
    "LOW": 1,
    "LEGACY": 1,
    "MEDIUM": 2,
    "HIGH": 3,
    "SUITEB128": 3,
    "ULTRA": 4,
    "SUITEB192": 4,
    "FUTURE": 5,
}
_OPTIONS: Final = {
    "SERVER_PRECEDENCE": SSL.OP_CIPHER_SERVER_PREFERENCE,
    "NO_TICKETS": SSL.OP_NO_TICKET,
}
#: Workarounds for very old peers, and options that OpenSSL always has.
_WITHOUT_EFFECT: Final = {
    "ALLOW_SMALL_RECORDS",
    "COMPAT",
    "DISABLE_TLS13_COMPAT_MODE",
    "DUMBFW",
    "FALLBACK_SCSV",
    "FORCE_ETM",
    "LATEST_RECORD_VERSION",
    "NEW_PADDING",
    "NO_ETM",
    "NO_SESSION_HASH",
    "PARTIAL_RENEGOTIATION",
    "SAFE_RENEGOTIATION",
    "SSL3_RECORD_VERSION",
    "STATELESS_COMPRESSION",
    "VERIFY_ALLOW_X509_V1_CA_CRT",
}
#: Names that are allowed and have no effect: algorithms for which OpenSSL has no suites, and other versions.
_UNUSED: Final = re.compile(
    r"(?:GROUP|CURVE|SIGN|CTYPE|COMP)-[A-Z0-9-]+|VERS-(?:SSL3\.0|DTLS(?:-ALL|0\.9|1\.[02]))"
    r"|(?:3DES|CAMELLIA-(?:128|192|256))-CBC|CAMELLIA-(?:128|256)-GCM|AES-192-(?:CBC|GCM)"
    r"|ARCFOUR-128|NULL|DES-CBC|MD5|SHA512|DHE-DSS|(?:(?:RSA|DHE|ECDHE)-)?PSK|SRP(?:-RSA|-DSS)?"
)


# -- suites ---------------------------------------------------------------------------------------

#: OpenSSL's name of a cipher within the name of a suite up to TLS 1.2.
_WITH_MAC: Final = {
    ("AES-256-GCM", "AEAD"): "AES256-GCM-SHA384",
    ("AES-128-GCM", "AEAD"): "AES128-GCM-SHA256",
    ("CHACHA20-POLY1305", "AEAD"): "CHACHA20-POLY1305",
    ("AES-256-CCM", "AEAD"): "AES256-CCM",
    ("AES-128-CCM", "AEAD"): "AES128-CCM",
    ("AES-256-CCM-8", "AEAD"): "AES256-CCM8",
    ("AES-128-CCM-8", "AEAD"): "AES128-CCM8",
    ("AES-256-CBC", "SHA1"): "AES256-SHA",
    ("AES-128-CBC", "SHA1"): "AES128-SHA",
    ("AES-256-CBC", "SHA256"): "AES256-SHA256",
    ("AES-128-CBC", "SHA256"): "AES128-SHA256",
    ("AES-256-CBC", "SHA384"): "AES256-SHA384",
}
_TLS13: Final = {
    "AES-256-GCM": "TLS_AES_256_GCM_SHA384",
    "CHACHA20-POLY1305": "TLS_CHACHA20_POLY1305_SHA256",
    "AES-128-GCM": "TLS_AES_128_GCM_SHA256",
    "AES-128-CCM": "TLS_AES_128_CCM_SHA256",
    "AES-128-CCM-8": "TLS_AES_128_CCM_8_SHA256",
}
#: How OpenSSL's names begin, and which of the above there are not.
_SUITES: Final = {
    "ECDHE-ECDSA": ("ECDHE-ECDSA-", re.compile("AES256-SHA256")),
    "ECDHE-RSA": ("ECDHE-RSA-", re.compile("AES256-SHA256|.*CCM")),
    "RSA": ("", re.compile("CHACHA20|.*-SHA384$(?<!GCM-SHA384)")),
    "DHE-RSA": ("DHE-RSA-", re.compile(".*-SHA384$(?<!GCM-SHA384)")),
    "ANON-DH": ("ADH-", re.compile("CHACHA20|.*CCM|.*-SHA384$(?<!GCM-SHA384)")),
    "ANON-ECDH": ("AECDH-", re.compile("(?!AES(128|256)-SHA$)")),
}
_ANONYMOUS: Final = ("ANON-DH", "ANON-ECDH")

_ALL: Final = {
    "VERS-ALL": ("versions", _VERSIONS),
    "VERS-TLS-ALL": ("versions", _VERSIONS),
    "KX-ALL": ("exchanges", _EXCHANGES),
    "CIPHER-ALL": ("ciphers", _CIPHERS),
    "MAC-ALL": ("macs", _MACS),
}


def _name_of_one(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the list to which NAME belongs, and its values there, or None."""
    if name in _ALL:
        return _ALL[name]
    if name.removeprefix("VERS-") in _VERSIONS and name.startswith("VERS-"):
        return "versions", (name.removeprefix("VERS-"),)
    if name in _SUITES:
        return "exchanges", (name,)
    if any(name == cipher for cipher, _ in _WITH_MAC):
        return "ciphers", (name,)
    if any(name == mac for _, mac in _WITH_MAC):
        return "macs", (name,)
    return None


class _Lists:
    """The lists that the tokens of a string choose, in the order of preference."""

    def __init__(self, string: str) -> None:
        self._string = string
        self.chosen: dict[str, list[str]] = {}
        #: The last keyword, and the last profile, which has priority over any keyword.
        self._keyword = ""
        self._profile: str | None = None
        self.options = 0
        #: The versions that the string names.
        self.named: set[str] = set()
        tokens = string.upper().split(":")
        if tokens[0] not in _KEYWORDS:
            raise self._error(tokens[0])
        for token in tokens:
            self._apply(token)

    def _error(self, token: str) -> Exception:
        return parameter_error(f"priority: syntax error at {shown(token)} in {shown(self._string)}")

    def _apply(self, token: str) -> None:
        sign, name = token[:1], token[1:]
        if token in _KEYWORDS:
            self._add_keyword(token)
        elif sign == "%":
            self._apply_option(token)
        elif sign == "+" and name in _KEYWORDS:
            self._add_keyword(name)
        elif sign and sign in "+-!":
            self._change(token)
        else:
            raise self._error(token)

    def _add_keyword(self, name: str) -> None:
        keyword = _KEYWORDS[name]
        for field in ("versions", "exchanges", "ciphers", "macs"):
            self._add(field, getattr(keyword, field))
        self._keyword = name

    @property
    def level(self) -> int:
        """OpenSSL's security level."""
        if self._profile is None:
            return _KEYWORDS[self._keyword].level
        return _PROFILES[self._profile]

    @property
    def demand(self) -> str | None:
        """The token that demands a security level, or None; the level of NORMAL is no demand."""
        if self._profile is None:
            return self._keyword if self.level > _LEVEL else None
        return f"%PROFILE_{self._profile}" if self.level else None

    def _add(self, field: str, names: tuple[str, ...]) -> None:
        self.chosen[field] = [*dict.fromkeys([*self.chosen.get(field, ()), *names])]

    def _change(self, token: str) -> None:
        found = _name_of_one(token[1:])
        if found is None:
            if not _UNUSED.fullmatch(token[1:]):
                raise self._error(token)
            return
        field, names = found
        if token[0] == "+":
            self._add(field, names)
            if token[1:] not in _ALL and field == "versions":
                self.named.update(names)
        else:
            self.chosen[field] = [name for name in self.chosen[field] if name not in names]

    def _apply_option(self, token: str) -> None:
        name = token[1:]
        if name in _OPTIONS:
            self.options |= _OPTIONS[name]
        elif name.startswith("PROFILE_") and name.removeprefix("PROFILE_") in _PROFILES:
            self._profile = name.removeprefix("PROFILE_")
        elif name not in _WITHOUT_EFFECT:
            raise self._error(token)

    def suites(self, exchanges: list[str]) -> list[str]:
        """Return OpenSSL's names of the cipher suites up to TLS 1.2 with these key exchanges."""
        found = []
        for exchange in exchanges:
            start, missing = _SUITES[exchange]
            for cipher in self.chosen["ciphers"]:
                for mac in self.chosen["macs"]:
                    name = _WITH_MAC.get((cipher, mac))
                    if name is not None and not missing.match(name):
                        found.append(start + name)
        return found

    def tls13(self) -> list[str]:
        """Return the cipher suites of TLS 1.3."""
        if "AEAD" not in self.chosen["macs"]:
            return []
        return [_TLS13[cipher] for cipher in self.chosen["ciphers"] if cipher in _TLS13]


# -- settings of OpenSSL --------------------------------------------------------------------------

DEFAULT: Final = "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:-RSA:-DHE-RSA"
#: All clients of today do without CBC, and the server knows best which cipher to prefer.  Our clients still meet servers
#: that have nothing better than CBC.
DEFAULT_OF_SERVERS: Final = f"{DEFAULT}:-AES-256-CBC:-AES-128-CBC:%SERVER_PRECEDENCE"
DEFAULT_ANONYMOUS: Final = "NORMAL:+ANON-ECDH:+ANON-DH"


class Selection(NamedTuple):
    """The versions from `lowest` to `highest`, the cipher suites up to TLS 1.2, those of TLS 1.3, and options."""

    lowest: int
    highest: int
    ciphers: str
    tls13: str
    options: int

    @property
    def uses_primes(self) -> bool:
        """Whether a cipher suite up to TLS 1.2 may have a prime that the server chooses."""
        return any(uses_primes(suite) for suite in self.ciphers.split(":"))


def select(priority: str | None, *, anonymous: bool = False, is_server: bool = False) -> Selection:
    """Return the settings of OpenSSL for the string PRIORITY; None is the default of that side.

    The cipher suites authenticate the server; with ANONYMOUS, none of them does.  There is no version before TLS 1.2
    unless the string adds it by name.  OpenSSL chooses groups and signatures itself.

    :raises ProcessArgumentError: for a syntax error, or if no cipher suite or version is left.
    """
    default = DEFAULT_OF_SERVERS if is_server else DEFAULT
    lists = _Lists(priority or (DEFAULT_ANONYMOUS if anonymous else default))
    exchanges = [kx for kx in lists.chosen["exchanges"] if (kx in _ANONYMOUS) == anonymous]
    suites, tls13 = lists.suites(exchanges), lists.tls13()
    versions = [
        version
        for version in lists.chosen["versions"]
        if (tls13 and not anonymous if version == "TLS1.3" else suites)
        and (version not in _OLD_VERSIONS or version in lists.named)
    ]
    if not versions:
        raise parameter_error(f"priority: {shown(priority)} leaves no version or no cipher suite")
    numbers = [NUMBERS[version] for version in versions]
    old = [version for version in versions if version in _OLD_VERSIONS]
    unprotected = "anonymous TLS" if anonymous else next(iter(old), None)
    if unprotected is not None and lists.demand is not None:
        raise parameter_error(
            f"priority: {shown(priority)}: OpenSSL has {unprotected} at security level 0 only; "
            f"leave out {lists.demand}, or do without {unprotected}"
        )
    level = lists.level if unprotected is None else 0
    # OpenSSL does not accept an empty list, even with TLS 1.3 only.
    ciphers = ":".join([*(suites or ["DEFAULT"]), f"@SECLEVEL={level}"])
    options = lists.options
    for version, hole in _HOLES.items():
        if version not in versions and min(numbers) < NUMBERS[version] < max(numbers):
            options |= hole
    return Selection(min(numbers), max(numbers), ciphers, ":".join(tls13), options)
