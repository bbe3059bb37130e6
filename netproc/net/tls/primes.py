"""The size of the Diffie-Hellman prime of a connection.

Up to TLS 1.2 the server sends its prime in clear text, but OpenSSL does not report it.  `contexts.py` makes a
`WatchedConnection` if such a key exchange is possible; it reads the prime from the records.  From TLS 1.3 on, the name
of the group has the size.  `engine.py` and `peerstatus.py` call `prime_bits`.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL

_CHANGE_CIPHER_SPEC: Final = 20
_HANDSHAKE: Final = 22
_SERVER_KEY_EXCHANGE: Final = 12

#: If a handshake is longer than this before its prime, it is not read further.
LONGEST: Final = 128 * 1024


class _Reader:
    """A search for ServerKeyExchange (RFC 5246, section 7.4.3) in the records of a server."""

    def __init__(self) -> None:
        self.bits: int | None = None
        self.is_done = False
        self._records = bytearray()
        self._messages = bytearray()

    def feed(self, data: bytes) -> None:
        """Add DATA, which is whole records or parts of them."""
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
                # All records after this one are encrypted.
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
                # The prime comes first if the cipher suite has one.
                prime = body[2 : 2 + int.from_bytes(body[:2])]
                self.bits = int.from_bytes(prime).bit_length()
                self._finish()

    def _finish(self) -> None:
        self.is_done = True
        self._records.clear()
        self._messages.clear()


class WatchedConnection(SSL.Connection):
    """A client's connection over memory that notes the size of the server's prime."""

    def __init__(self, context: SSL.Context) -> None:
        super().__init__(context, None)
        self.reader = _Reader()

    def bio_write(self, buf: Any) -> int:
        """Give OpenSSL records from the server; over memory it takes all of them."""
        if not self.reader.is_done:
            self.reader.feed(buf)
        return super().bio_write(buf)


def uses_primes(suite: str) -> bool:
    """Whether SUITE, OpenSSL's name of a cipher suite up to TLS 1.2, has a Diffie-Hellman prime."""
    return suite.startswith(("DHE-", "ADH-"))


def prime_bits(connection: SSL.Connection) -> int | None:
    """Return the bits of the prime that CONNECTION uses: None if it uses none, 0 if the prime is not known."""
    suite, group = connection.get_cipher_name() or "", connection.get_group_name() or ""
    if suite.startswith("TLS_") and group.startswith("ffdhe"):
        return int(group.removeprefix("ffdhe"))
    if not uses_primes(suite):
        return None
    if isinstance(connection, WatchedConnection):
        return connection.reader.bits or 0
    return 0
