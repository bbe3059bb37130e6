"""The size of Diffie-Hellman primes, and which are too small."""

from __future__ import annotations

import base64
import os
import ssl
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from netproc.net.tls.contexts import security
from netproc.net.tls.interfaces import Engine
from netproc.net.tls.primes import LONGEST, WatchedConnection, _Reader
from netproc.test.support.certificates import Authority, handshake

ROOT = Authority("Root CA")
#: A prime from RFC 2409, section 6.2.
PRIME_1024 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A0879"
    "8E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B"
    "0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)


def parameters(prime: int) -> bytes:
    """Diffie-Hellman parameters (PKCS #3) with the generator 2."""
    number = b"\0" + prime.to_bytes(128)
    body = b"\x02\x81" + bytes([len(number)]) + number + b"\x02\x01\x02"
    text = base64.encodebytes(b"\x30\x81" + bytes([len(body)]) + body)
    return b"-----BEGIN DH PARAMETERS-----\n" + text + b"-----END DH PARAMETERS-----\n"


class OtherServer:
    """Python's own `ssl`, which may use another OpenSSL, with the methods that a handshake needs."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def bio_write(self, data: bytes) -> int:
        return self._incoming.write(data)

    def bio_read(self, size: int) -> bytes:
        data = self._outgoing.read(size)
        if not data:
            raise SSL.WantReadError
        return data

    def do_handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            raise SSL.WantReadError from None
        except ssl.SSLError as error:
            raise SSL.Error(str(error)) from None


class PrimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.trust = self.file(ROOT.pem)
        key = rsa.generate_private_key(65537, 2048)
        self.pair = ROOT.issue("good.example", key=key)

    def file(self, data: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(data)
        return name

    def server(self) -> SSL.Connection:
        """With a prime of 1024 bits."""
        if ssl.OPENSSL_VERSION_INFO >= (4,):
            raise SkipTest("this OpenSSL takes a prime of its own")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
        context.load_dh_params(self.file(parameters(PRIME_1024)))
        context.load_cert_chain(self.file(self.pair[1]), self.file(self.pair[0]))
        return cast(SSL.Connection, OtherServer(context))

    def client(self, **fields: object) -> Engine:
        fields.setdefault("priority", "NORMAL:-KX-ALL:+DHE-RSA:%PROFILE_VERY_WEAK")
        parameters = {"trustfiles": [self.trust], "system_trust": False, **fields}
        return security(parameters, is_server=False).engine("good.example")

    def test_large_enough_or_not(self) -> None:
        for least, problem in (
            (None, None),
            (1024, None),
            (1025, "prime has 1024 bits, not 1025"),
            (2048, "prime has 1024 bits, not 2048"),
        ):
            client = self.client(min_prime_bits=least)
            self.assertEqual((None, None), handshake(client.connection, self.server()))
            found = client.check()
            if problem is None:
                self.assertIsNone(found)
            else:
                self.assertIn(problem, str(found))
            status = client.peer_status()
            self.assertEqual(1024, status["diffie_hellman_prime_bits"])
            self.assertEqual("DHE-RSA", status["key_exchange"])

    def test_openssl_refuses_it_by_default(self) -> None:
        client = self.client(priority="NORMAL:-KX-ALL:+DHE-RSA")
        errors = handshake(client.connection, self.server())
        self.assertIn("dh key too small", str(errors[0]))

    def test_other_key_exchanges_have_none(self) -> None:
        client = self.client(priority="NORMAL", min_prime_bits=8000)
        server = security({"keylist": [self.pair]}, is_server=True).engine(None)
        self.assertEqual((None, None), handshake(client.connection, server.connection))
        self.assertIsNone(client.check())
        self.assertNotIn("diffie_hellman_prime_bits", client.peer_status())

    def test_a_prime_that_nobody_saw_is_too_small(self) -> None:
        client = self.client(min_prime_bits=1024)
        connection = client.connection
        assert isinstance(connection, WatchedConnection)
        connection.reader.is_done = True
        self.assertEqual((None, None), handshake(connection, self.server()))
        self.assertIn("prime has unknown bits", str(client.check()))

    def test_records_in_pieces(self) -> None:
        body = b"\x00\x80" + PRIME_1024.to_bytes(128) + b"\x00\x01\x02"
        message = b"\x0c" + len(body).to_bytes(3) + body
        half = len(message) // 2
        stream = b"".join(
            b"\x16\x03\x03" + len(part).to_bytes(2) + part
            for part in (b"\x02\x00\x00\x01x" + message[:half], message[half:])
        )
        for cut in range(len(stream)):
            reader = _Reader()
            reader.feed(stream[:cut])
            reader.feed(stream[cut:])
            self.assertEqual(1024, reader.bits)

    def test_what_ends_the_reading(self) -> None:
        reader = _Reader()
        reader.feed(b"\x14\x03\x03\x00\x01\x01")
        self.assertTrue(reader.is_done)
        reader = _Reader()
        record = b"\x16\x03\x03\x40\x00" + b"\x0b\xff\xff\xff" + b"x" * 16380
        for _ in range(LONGEST // 16384 + 1):
            reader.feed(record)
        self.assertTrue(reader.is_done)
        self.assertIsNone(reader.bits)
