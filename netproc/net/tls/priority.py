"""What a priority string of GnuTLS is for OpenSSL.

`contexts` asks for it and sets what it says.
"""

from __future__ import annotations

from typing import NamedTuple

from OpenSSL import SSL


class Selection(NamedTuple):
    """What OpenSSL is told: versions, cipher suites up to TLS 1.2 and of TLS 1.3, and options."""

    lowest: int
    highest: int
    ciphers: str
    tls13: str
    options: int


_DEFAULT = Selection(
    SSL.TLS1_2_VERSION,
    SSL.TLS1_3_VERSION,
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:"
    "@SECLEVEL=2",
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
    0,
)
_ANONYMOUS = Selection(
    SSL.TLS1_2_VERSION,
    SSL.TLS1_2_VERSION,
    "AECDH-AES256-SHA:AECDH-AES128-SHA:ADH-AES256-GCM-SHA384:ADH-AES128-GCM-SHA256:@SECLEVEL=0",
    "",
    0,
)


def select(priority: str | None, *, anonymous: bool) -> Selection:
    """The versions and cipher suites that PRIORITY names."""
    return _ANONYMOUS if anonymous else _DEFAULT
