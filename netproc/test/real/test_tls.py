"""The contract of streams over TLS."""

from __future__ import annotations

from netproc.test.support import tlsstandin
from netproc.test.support.contract import StreamContract
from netproc.test.support.tlsfixture import TlsFixture


class TlsContractTests(TlsFixture, StreamContract):
    """The contract over TLS, with OpenSSL on the socket."""


class MemoryTlsContractTests(TlsContractTests):
    """The contract over TLS, with records in memory."""

    security = staticmethod(tlsstandin.security_in_memory)
