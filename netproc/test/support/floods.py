"""Messages without data that a TLS peer can send endlessly: HelloRequests, and requests for new keys."""

from __future__ import annotations

import hmac

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


class Renegotiation:
    """A request of a client for another handshake, of TLS 1.2, in records of one byte.

    It is as long as OpenSSL lets it be, and its first records are those after the handshake.
    """

    def __init__(self) -> None:
        #: For the client.
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.context.set_cipher_list(b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")

    def records(self, connection: SSL.Connection, number: int) -> bytes:
        """Return the first NUMBER records, which the client of CONNECTION encrypts."""
        master, server, client = (
            connection.master_key(),
            connection.server_random(),
            connection.client_random(),
        )
        assert master is not None
        assert server is not None
        assert client is not None
        # The keys of client and server, of 32 bytes, and then the first parts of their nonces, of 4.
        block = _tls12_prf(master, b"key expansion" + server + client, 2 * 32 + 2 * 4)
        cipher, fixed = AESGCM(block[:32]), block[64:68]
        message = b"\1\2\1\0" + bytes(number)
        found = []
        for index in range(number):
            # The first encrypted record was the end of the handshake.
            sequence = (index + 1).to_bytes(8)
            header = _HANDSHAKE + b"\x03\x03"
            sealed = cipher.encrypt(
                fixed + sequence, message[index : index + 1], sequence + header + b"\0\1"
            )
            found.append(header + (8 + len(sealed)).to_bytes(2) + sequence + sealed)
        return b"".join(found)


def _tls12_prf(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash with SHA-384, RFC 5246, section 5."""
    found, last = b"", seed
    while len(found) < size:
        last = hmac.digest(secret, last, "sha384")
        found += hmac.digest(secret, last + seed, "sha384")
    return found[:size]


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
