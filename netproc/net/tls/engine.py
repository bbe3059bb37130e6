"""One TLS connection: the engine that encrypts, and what to think of the peer behind it.

`contexts` makes one for each connection; the TLS channel moves bytes between it and the
transport, asks `check` when the handshake is over, and must close if that tells a problem.
"""

from __future__ import annotations

from OpenSSL import SSL

from ...core.errors import ProcessError
from .certificate import Certificate, der_of
from .peerstatus import peer_status
from .primes import prime_bits
from .verify import Verdict


class OpenSSLEngine:
    """CONNECTION works on memory (`bio_write`, `bio_read`), or on the socket if ON_SOCKET; its role is set, so
    `do_handshake` is next.

    NAME is what the server is verified as; None on servers.  A Diffie-Hellman prime must have
    LEAST_PRIME bits, if that is not None.
    """

    def __init__(
        self,
        connection: SSL.Connection,
        verdict: Verdict,
        name: str | None,
        least_prime: int | None = None,
        on_socket: bool = False,
    ) -> None:
        self.connection = connection
        self.on_socket = on_socket
        self.name = name
        self._verdict = verdict
        self._least_prime = least_prime

    def _certificate(self) -> Certificate | None:
        certificate = self.connection.get_peer_certificate()
        return None if certificate is None else Certificate(der_of(certificate))

    def check(self) -> ProcessError | None:
        """What is wrong with the peer, None if nothing: after the handshake, whatever it said.

        After a handshake that failed, this tells why if the peer's certificate was the reason.
        """
        # Failing closed: what cannot be read is no proof of anything.
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
        """What `gnutls-peer-status` tells (N236) and more; see `peerstatus`."""
        return peer_status(self.connection, self._verdict.warnings(self._certificate()))
