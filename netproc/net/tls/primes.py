"""How large is the Diffie-Hellman prime of a connection?

Up to TLS 1.2 the server sends its prime in clear text, and OpenSSL keeps it to itself: a
`WatchedConnection`, which `contexts` makes where such a key exchange is possible, reads along.
From TLS 1.3 on the name of the group says it.  `engine` and `peerstatus` ask for it.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL

_CHANGE_CIPHER_SPEC: Final = 20
_HANDSHAKE: Final = 22
_SERVER_KEY_EXCHANGE: Final = 12

#: A handshake that is longer before its prime is not read to the end.
LONGEST: Final = 128 * 1024


class _Reader:
    """Looks for ServerKeyExchange (RFC 5246, section 7.4.3) in the records of a server."""

    def __init__(self) -> None:
        self.bits: int | None = None
        self.is_done = False
        self._records = bytearray()
        self._messages = bytearray()

    def feed(self, data: bytes) -> None:
        """More records, or parts of some."""
        self._records += data
        while not self.is_done and len(self._records) >= 5:
            end = 5 + int.from_bytes(self._records[3:5])
            if len(self._records) < end:
                break
            kind, body = self._records[0], self._records[5:end]
            del self._records[:end]
            if kind == _HANDSHAKE:
                self._messages += body
                self._read_messages()
            elif kind == _CHANGE_CIPHER_SPEC:
                # From here on everything is encrypted.
                self._finish()
        if len(self._records) + len(self._messages) > LONGEST:
            self._finish()

    def _read_messages(self) -> None:
        while not self.is_done and len(self._messages) >= 4:
            end = 4 + int.from_bytes(self._messages[1:4])
            if len(self._messages) < end:
                return
            kind, body = self._messages[0], self._messages[4:end]
            del self._messages[:end]
            if kind == _SERVER_KEY_EXCHANGE:
                # The first thing in it, if the suite is one with such primes.
                prime = body[2 : 2 + int.from_bytes(body[:2])]
                self.bits = int.from_bytes(prime).bit_length()
                self._finish()

    def _finish(self) -> None:
        self.is_done = True
        self._records.clear()
        self._messages.clear()


class WatchedConnection(SSL.Connection):
    """A client's connection on memory that notes the server's prime."""

    def __init__(self, context: SSL.Context) -> None:
        super().__init__(context, None)
        self.reader = _Reader()

    def bio_write(self, buf: Any) -> int:
        """Records from the server; OpenSSL on memory takes all of them."""
        if not self.reader.is_done:
            self.reader.feed(buf)
        return super().bio_write(buf)


def uses_primes(suite: str) -> bool:
    """Has the suite of OpenSSL's name, up to TLS 1.2, a Diffie-Hellman prime?"""
    return suite.startswith(("DHE-", "ADH-"))


def prime_bits(connection: SSL.Connection) -> int | None:
    """The bits of the prime CONNECTION relies on: None if on none, 0 if on one that is not known."""
    suite, group = connection.get_cipher_name() or "", connection.get_group_name() or ""
    if suite.startswith("TLS_") and group.startswith("ffdhe"):
        return int(group.removeprefix("ffdhe"))
    if not uses_primes(suite):
        return None
    if isinstance(connection, WatchedConnection):
        return connection.reader.bits or 0
    return 0
