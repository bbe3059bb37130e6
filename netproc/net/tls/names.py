"""Names of servers: which names are possible, and whether a certificate is for a name.

`parameters.py` and `contexts.py` check the names that programs give; `verify.py` compares them with certificates.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from .certificate import DNS_NAME, IP_ADDRESS, Certificate


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that NAME is, without its zone, or None if NAME is the name of a host."""
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None


def server_name(name: str) -> str:
    """Return NAME as it is sent and verified: without one dot at its end."""
    return name.removesuffix(".")


#: Labels of letters, digits, "-" and "_".  A name in DNS has 253 characters at most.
_HOST: Final = re.compile(rb"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
#: A name for which a wildcard may stand: the wildcard is one label of a domain with two labels at least.
_OF_WILDCARD: Final = re.compile(rb"(?!xn--)[a-z0-9-]+(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?){2,}")


def _lowered(name: str) -> bytes:
    return server_name(name).encode("ascii", "replace").lower()


def is_host(name: str) -> bool:
    """Whether NAME can be the name of a host, or is an IP address."""
    return address_of(name) is not None or bool(_HOST.fullmatch(_lowered(name)))


def _is_name_of(pattern: bytes, host: bytes, domain: bytes | None) -> bool:
    """Whether PATTERN, a name in a certificate, is HOST, or a wildcard for all of DOMAIN."""
    if pattern[:2] == b"*.":
        return pattern[2:].lower() == domain
    # A certificate can have thousands of names.
    return len(pattern) == len(host) and pattern.lower() == host


def is_for(certificate: Certificate, name: str) -> bool:
    """Whether CERTIFICATE is for NAME, the name of a host or an IP address.

    Only alternative names count, each on its own: a name that cannot be read does not match, and does not make the
    others invalid.
    """
    if not is_host(name):
        return False
    try:
        address = address_of(name)
        if address is not None:
            return address.packed in certificate.alternative_names(IP_ADDRESS)
        names = certificate.alternative_names(DNS_NAME)
    except ValueError:
        return False
    host = _lowered(name)
    domain = host.partition(b".")[2] if _OF_WILDCARD.fullmatch(host) else None
    return any(_is_name_of(pattern, host, domain) for pattern in names)
