"""Messages without data that a TLS peer can send endlessly: HelloRequests, and requests for new keys."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

#: A record of TLS 1.2 with a HelloRequest (RFC 5246, section 7.4.1.1).
HELLO_REQUEST = b"\x16\x03\x03\x00\x04" + bytes(4)

# The content types of records, which TLS 1.3 puts at the end of a record.
_HANDSHAKE = b"\x16"
_APPLICATION_DATA = b"\x17"
_KEY_UPDATE = b"\x18\x00\x00\x01"


class KeyUpdates:
    """The KeyUpdates of a client (RFC 8446, section 4.6.3), which are its first records after the handshake.

    OpenSSL can make them too, but pyOpenSSL and `ssl` have no call for this.
    """

    def __init__(self) -> None:
        #: For the client.
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384")
        self.context.set_keylog_callback(self._note)
        self._secret = b""

    def _note(self, connection: SSL.Connection, line: bytes) -> None:
        label, _, secret = line.split()
        if label == b"CLIENT_TRAFFIC_SECRET_0":
            self._secret = bytes.fromhex(secret.decode())

    def records(self, number: int, ask: bool = False) -> bytes:
        """Return NUMBER key updates; with ASK they request answers."""
        return b"".join(self._update(ask) for _ in range(number))

    def _update(self, ask: bool) -> bytes:
        record = self._seal(_KEY_UPDATE + bytes([ask]) + _HANDSHAKE)
        self._secret = self._expand(b"traffic upd", 48)
        return record

    def data(self, data: bytes) -> bytes:
        """Return a record with DATA, to be sent after the key updates."""
        return self._seal(data + _APPLICATION_DATA)

    def _seal(self, message: bytes) -> bytes:
        # Each is the first record under its keys, so the nonce is the IV.
        header = b"\x17\x03\x03" + (len(message) + 16).to_bytes(2)
        cipher = AESGCM(self._expand(b"key", 32))
        return header + cipher.encrypt(self._expand(b"iv", 12), message, header)

    def _expand(self, label: bytes, size: int) -> bytes:
        """HKDF-Expand-Label, section 7.1."""
        label = b"tls13 " + label
        info = size.to_bytes(2) + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(SHA384(), size, info).derive(self._secret)
