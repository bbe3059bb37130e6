"""TLS in netproc makes no deprecated call."""

from __future__ import annotations

import os
import warnings

from twisted.trial.unittest import SynchronousTestCase

from netproc import TLSParameters
from netproc.net.tls import contexts
from netproc.test.support.certificates import Authority, handshake, pem_of_key

ROOT = Authority("Root")
PAIR = ROOT.issue("good.example", common="good")


class DeprecationTests(SynchronousTestCase):
    def file(self, content: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(content)
        return name

    def test_a_handshake_with_everything(self) -> None:
        trust, revoked = self.file(ROOT.pem), self.file(ROOT.revocations())
        shared = {
            "trustfiles": [trust],
            "crlfiles": [revoked],
            "alpn": ["x"],
            "keylog": os.path.abspath(self.mktemp()),
        }
        encrypted = pem_of_key(ROOT.key, b"secret"), ROOT.pem
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client = contexts.security(
                TLSParameters(hostname="good.example", keylist=[PAIR], **shared), is_server=False
            ).engine(None)
            server = contexts.security(
                TLSParameters(
                    keylist=[PAIR],
                    sni={"other.example": encrypted},
                    password=b"secret",
                    request_client_certificate="required",
                    **shared,
                ),
                is_server=True,
            ).engine(None)
            self.assertEqual((None, None), handshake(client.connection, server.connection))
            for engine in (client, server):
                self.assertIsNone(engine.check())
                self.assertEqual(b"x", engine.connection.get_alpn_proto_negotiated())
                self.assertIn("certificate", engine.peer_status())
