"""The engine of one TLS connection: OpenSSL's connection, and the check of the peer.

`contexts.py` makes one for each connection.  A TLS channel moves bytes between the engine and the transport, calls
`check` after the handshake, and closes the connection if `check` returns an error.
"""

from __future__ import annotations

from OpenSSL import SSL

from ...core.errors import ProcessError
from .certificate import Certificate, der_of
from .peerstatus import peer_status
from .primes import prime_bits
from .verify import Verdict


class OpenSSLEngine:
    """An engine with OpenSSL's CONNECTION, whose role is set, so that `do_handshake` is next.

    The connection works on memory (`bio_write`, `bio_read`), or on the socket if it is a `SocketConnection`.
    NAME is the name that the server must have; None on servers.  A Diffie-Hellman prime must have LEAST_PRIME bits,
    unless that is None.
    """

    def __init__(
        self,
        connection: SSL.Connection,
        verdict: Verdict,
        name: str | None,
        least_prime: int | None = None,
    ) -> None:
        self.connection = connection
        self.name = name
        self._verdict = verdict
        self._least_prime = least_prime

    def _certificate(self) -> Certificate | None:
        certificate = self.connection.get_peer_certificate()
        return None if certificate is None else Certificate(der_of(certificate))

    def check(self) -> ProcessError | None:
        """Return what is wrong with the peer, or None: after the handshake, whatever its result was.

        After a failed handshake this is the reason if the peer's certificate caused the failure.
        """
        # A certificate that cannot be read proves nothing, so it is refused.
        try:
            problem = self._verdict.problem(self._certificate()) or self._prime_problem()
        except Exception as error:
            problem = f"certificate cannot be read ({type(error).__name__}: {error})"
        return None if problem is None else ProcessError(None, f"TLS: {problem}", self.name)

    def _prime_problem(self) -> str | None:
        if self._least_prime is None:
            return None
        bits = prime_bits(self.connection)
        if bits is None or bits >= self._least_prime:
            return None
        return f"Diffie-Hellman prime has {bits or 'unknown'} bits, not {self._least_prime}"

    def peer_status(self) -> dict[str, object]:
        """Return the result of `gnutls-peer-status` (N236) and more, see `peerstatus.py`."""
        return peer_status(self.connection, self._verdict.warnings(self._certificate()))
