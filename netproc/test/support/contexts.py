"""A test case with two TLS engines that trust each other."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from netproc.net.tls.contexts import security
from netproc.net.tls.interfaces import Engine
from netproc.net.tls.parameters import TLSParameters
from netproc.test.support.certificates import Authority, handshake

ROOT = Authority("Root CA")
GOOD = ROOT.issue("good.example", common="good")
OTHER = ROOT.issue("other.example", common="other")


class ContextCase(SynchronousTestCase):
    def file(self, data: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(data)
        return name

    def trusting(self, **fields: object) -> TLSParameters:
        fields.setdefault("trustfiles", [self.file(ROOT.pem)])
        return TLSParameters(system_trust=False, **fields)

    def client(self, name: str = "good.example", **fields: object) -> Engine:
        return security(self.trusting(**fields), is_server=False).engine(name)

    def server(self, **fields: object) -> Engine:
        return security({"keylist": [GOOD], **fields}, is_server=True).engine(None)

    def agree(self, client: Engine, server: Engine) -> None:
        self.assertEqual((None, None), handshake(client.connection, server.connection))
        self.assertIsNone(client.check())
        self.assertIsNone(server.check())
