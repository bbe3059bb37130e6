"""The checks of the security manager: what is wrong with a connection, and what is remembered of its host.

`streams/security.py` calls them after a handshake, or when a connection stays in clear text, and acts on the problems.
`streams/pinfile.py` keeps the remembered `Record` of each host in a file, in the form that `encode` returns.

The checks are those of Emacs's security manager (N251) without two that cannot find anything here: netproc never uses
compression, and has no cipher suites of export strength.  These checks differ:

* TLS 1.1 is out of date too (RFC 8996).
* "paranoid" objects to a host that was never seen (N255).
* A problem that was accepted is accepted for the same public key only.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

#: The result of `peer_status` of a process.
Status: TypeAlias = Mapping[str, object]

#: The pin of a peer without a certificate.
NO_CERTIFICATE: Final = "none"
UNENCRYPTED: Final = "unencrypted"


class Level(enum.IntEnum):
    """How strict the checks are.

    Emacs: network-security-level.
    """

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    PARANOID = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a connection; `condition` is the name under which it can be accepted."""

    condition: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a host and port."""

    #: The public keys that the host had, and the conditions that were accepted for each.
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Whether clear text was accepted.
    clear_text: bool = False

    def __or__(self, other: Record) -> Record:
        keys = dict(self.keys)
        for key, conditions in other.keys.items():
            keys[key] = keys.get(key, frozenset()) | conditions
        # The first key ends the permission of clear text: there is no way back to clear text.
        still = self.clear_text and (bool(self.keys) or not other.keys)
        return Record(keys, still or other.clear_text)


def accepted(status: Status | None, problems: tuple[Problem, ...] = ()) -> Record:
    """Return what to remember when PROBLEMS of a connection are accepted; STATUS is None in clear text."""
    if status is None:
        return Record(clear_text=True)
    return Record({pin(status): frozenset(problem.condition for problem in problems)})


def host_key(host: str, port: int) -> str:
    """Return the name under which a host and port are remembered."""
    return f"{host.lower().removesuffix('.')}:{port}"


def pin(status: Status) -> str:
    """Return the SHA-256 of the peer's public key."""
    certificate = status.get("certificate")
    return str(certificate["public_key_pin"]) if isinstance(certificate, dict) else NO_CERTIFICATE


# --- Connections with TLS. ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Check:
    """One check, which counts from a level on; `text` may contain keys of the status in braces."""

    condition: str
    level: Level
    found: Callable[[Status], bool]
    text: str


def _says(key: str, *parts: str) -> Callable[[Status], bool]:
    """Return a function that returns whether the value of KEY contains one of PARTS."""
    return lambda status: any(part in str(status.get(key, "")) for part in parts)


def _signed(digest: str) -> Callable[[Status], bool]:
    """Return a function that returns whether a certificate of the chain, except a root, is signed with DIGEST."""

    def found(status: Status) -> bool:
        chain = status.get("certificates")
        return any(
            digest in certificate.get("signature_algorithm", "")
            for certificate in (chain if isinstance(chain, (list, tuple)) else ())
            # A value that could not be read is missing.
            if certificate.get("issuer") is None
            or certificate["issuer"] != certificate.get("subject")
        )

    return found


def _cbc(status: Status) -> bool:
    return "CBC" in str(status.get("cipher", "")) and not status.get("encrypt_then_mac")


def _small_prime(status: Status) -> bool:
    bits = status.get("diffie_hellman_prime_bits")
    return isinstance(bits, int) and bits < 1024


_CHECKS: Final = (
    _Check(
        "version",
        Level.MEDIUM,
        _says("protocol", "SSL", "TLS1.0", "TLS1.1"),
        "the protocol {protocol} is out of date",
    ),
    _Check(
        "renegotiation-info-ext",
        Level.MEDIUM,
        lambda status: status.get("safe_renegotiation") is False,
        "renegotiation is not safe",
    ),
    _Check("null-suite", Level.MEDIUM, _says("cipher", "NULL"), "nothing is encrypted"),
    _Check(
        "anon-kx",
        Level.MEDIUM,
        _says("key_exchange", "ANON"),
        "the key exchange {key_exchange} does not tell who the peer is",
    ),
    _Check("md5-sig", Level.MEDIUM, _signed("MD5"), "a certificate is signed with MD5"),
    _Check("sha1-sig", Level.MEDIUM, _signed("SHA1"), "a certificate is signed with SHA-1"),
    _Check(
        "rc4-cipher",
        Level.MEDIUM,
        _says("cipher", "ARCFOUR", "RC4"),
        "the cipher {cipher} is broken",
    ),
    _Check(
        "dhe-prime-kx",
        Level.MEDIUM,
        _small_prime,
        "the Diffie-Hellman prime has only {diffie_hellman_prime_bits} bits",
    ),
    _Check(
        "ecdsa-cbc-cipher",
        Level.MEDIUM,
        lambda status: "ECDSA" in str(status.get("key_exchange", "")) and _cbc(status),
        "the cipher {cipher} is weak with {key_exchange}",
    ),
    _Check(
        "dhe-kx",
        Level.HIGH,
        lambda status: str(status.get("key_exchange", "")).startswith("DHE"),
        "the key exchange is {key_exchange}",
    ),
    _Check(
        "rsa-kx",
        Level.HIGH,
        lambda status: status.get("key_exchange") == "RSA",
        "the key exchange RSA has no forward secrecy",
    ),
    _Check("3des-cipher", Level.HIGH, _says("cipher", "3DES"), "the cipher {cipher} is weak"),
    _Check("cbc-cipher", Level.HIGH, _cbc, "the cipher {cipher} is weak"),
)


def tls_problems(level: Level, status: Status, record: Record) -> tuple[Problem, ...]:
    """Return the problems of a connection after its handshake, without those that were accepted for its key."""
    known = record.keys.get(pin(status), frozenset())
    found = _tls_problems(level, status, record)
    return tuple(problem for problem in found if problem.condition not in known)


def _tls_problems(level: Level, status: Status, record: Record) -> Iterator[Problem]:
    if level >= Level.MEDIUM:
        for warning in _warnings(status):
            yield Problem(warning, f"the certificate is not valid: {warning}")
        if record.keys and pin(status) not in record.keys:
            yield Problem("same-cert", "the public key is not the one that the host had")
    if level >= Level.PARANOID and not record.keys:
        yield Problem("not-seen", "the host was never seen")
    for check in _CHECKS:
        if level >= check.level and check.found(status):
            yield Problem(check.condition, check.text.format_map(status))


def _warnings(status: Status) -> tuple[str, ...]:
    warnings = status.get("warnings", ())
    return tuple(map(str, warnings)) if isinstance(warnings, (list, tuple)) else ()


# --- Connections in clear text (N253). ------------------------------------------------------------------


def plain_problems(level: Level, record: Record, warn: bool) -> tuple[Problem, ...]:
    """Return the problems of a connection that stays in clear text; with WARN, clear text is a problem in any case."""
    if record.clear_text:
        return ()
    if level >= Level.MEDIUM and record.keys:
        return (Problem(UNENCRYPTED, "the connection used to be encrypted"),)
    return (Problem(UNENCRYPTED, "the connection is not encrypted"),) if warn else ()


# --- Records in a file. ---------------------------------------------------------------------------------

_VERSION = 1


def encode(records: Mapping[str, Record]) -> bytes:
    """Return RECORDS, by host, as JSON that people can read."""
    hosts = {
        host: {
            "keys": {key: sorted(record.keys[key]) for key in sorted(record.keys)},
            "clear_text": record.clear_text,
        }
        for host, record in sorted(records.items())
    }
    return json.dumps({"version": _VERSION, "hosts": hosts}, indent=1).encode("ascii") + b"\n"


def decode(data: bytes) -> dict[str, Record]:
    """Return the records that `encode` wrote; raise ValueError for anything else."""
    content = json.loads(data)
    if not isinstance(content, dict) or content.keys() != {"version", "hosts"}:
        raise ValueError("no version and hosts")
    if content["version"] != _VERSION:
        raise ValueError("another version")
    return {host: _record(value) for host, value in _object(content["hosts"]).items()}


def _record(value: object) -> Record:
    match value:
        case {"keys": keys, "clear_text": bool(clear_text), **rest} if not rest:
            return Record(
                {key: _strings(conditions) for key, conditions in _object(keys).items()}, clear_text
            )
    raise ValueError("a host without keys and clear_text")


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("a list or a value instead of an object")
    return value


def _strings(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("conditions that are not strings")
    return frozenset(value)
