"""Connections to servers with unusual certificates."""

from __future__ import annotations

import os
import socket
from typing import Any

from OpenSSL import crypto
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory, Protocol

from netproc import (
    NetworkProcess,
    ProcessArgumentError,
    SecurityManager,
    make_network_process,
    open_network_stream,
    process_list,
)
from netproc.test.support.base import NetprocTestCase, reactor
from netproc.test.support.certificates import Authority
from netproc.test.support.oddcertificates import ISSUER, SUBJECT, Fields, changed, common_name


def renamed(signer: Authority, pem: bytes, issuer: bytes, subject: bytes) -> bytes:
    """PEM with these names in Latin-1, which `cryptography` does not parse."""

    def change(fields: Fields) -> None:
        fields[ISSUER], fields[SUBJECT] = common_name(0x14, issuer), common_name(0x14, subject)

    return changed(signer, pem, change)


class OddTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        root = Authority("Root CA")
        trusted = renamed(root, root.pem, b"Rh\xf4ne", b"Rh\xf4ne")
        key, leaf = root.issue("localhost")
        # The chain also has an unneeded certificate after the server's.
        other = Authority("Other CA")
        chain = renamed(root, leaf, b"Rh\xf4ne", b"Is\xe8re")
        chain += renamed(other, other.pem, b"Sa\xf4ne", b"Sa\xf4ne")
        self.trust = os.path.abspath(self.mktemp())
        with open(self.trust, "wb") as file:
            file.write(trusted)
        self.server = await self.make(
            name="s",
            server=True,
            service=True,
            tls_parameters={"keylist": [(key, chain)]},
            filter=lambda process, text: process.send(text),
        )
        self.port = self.server.contact("service")
        self.parameters: dict[str, Any] = {"trustfiles": [self.trust], "system_trust": False}

    async def end(self, process: NetworkProcess) -> None:
        """Delete PROCESS, and wait until its server has noticed."""
        process.delete()
        await self.until(lambda: process_list() == [self.server])

    def check(self, process: NetworkProcess) -> None:
        status = process.peer_status()
        assert status is not None
        certificates = status["certificates"]
        assert isinstance(certificates, list)
        self.assertEqual(["CN=Isère", "CN=Saône"], [made["subject"] for made in certificates])

    async def test_a_client(self) -> None:
        client = await self.make(
            name="c", host="localhost", service=self.port, tls_parameters=self.parameters
        )
        self.check(client)
        await self.end(client)

    async def test_a_stream_with_a_security_manager(self) -> None:
        for more in ({}, {"nowait": True}):
            stream = await open_network_stream(
                "c",
                None,
                "localhost",
                self.port,
                type="tls",
                tls_parameters=self.parameters,
                security_manager=SecurityManager(level="high"),
                **more,
            )
            await self.until(lambda stream=stream: stream.status == "open")
            self.check(stream)
            await self.end(stream)

    async def test_a_protocol_of_twisted(self) -> None:
        description = f"netproc:localhost:{self.port}:tls=t:tls-trust={self.trust}"
        endpoint = clientFromString(reactor, description)
        protocol = await endpoint.connect(Factory.forProtocol(Protocol))
        assert protocol.transport is not None
        certificate = protocol.transport.getPeerCertificate()
        self.assertIsInstance(certificate, crypto.X509)
        protocol.transport.loseConnection()
        await self.until(lambda: process_list() == [self.server])


class NameTests(NetprocTestCase):
    async def test_a_name_that_is_none_is_refused_before_there_is_a_socket(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for name in ("a\nb", "a" * 300, "."):
            made = make_network_process(
                name="c", host="127.0.0.1", service=port, tls_parameters={"hostname": name}
            )
            error = await self.failure_of(made, ProcessArgumentError)
            self.assertIn("hostname", str(error))
        with self.assertRaises(BlockingIOError):
            listener.accept()
