"""Servers that ask clients for certificates, over sockets."""

from __future__ import annotations

import os

from netproc import NetworkProcess, ProcessError, TLSParameters
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.certificates import Authority, Pair
from netproc.test.support.fixtures import echo

ROOT, OTHER = Authority("Root"), Authority("Other")
SERVER = ROOT.issue("localhost", common="server")


class ClientCertificateTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.trusted = os.path.abspath(self.mktemp())
        with open(self.trusted, "wb") as file:
            file.write(ROOT.pem)
        self.logged: list[str] = []

    def log(self, server: NetworkProcess, process: NetworkProcess, message: str) -> None:
        status = process.peer_status()
        assert status is not None
        certificate = status.get("certificate")
        self.logged.append(certificate["subject"] if isinstance(certificate, dict) else "nobody")

    async def server(self, request: str) -> NetworkProcess:
        return await self.make(
            name="s",
            server=True,
            service=True,
            filter=echo,
            coding="binary",
            log=self.log,
            tls_parameters=TLSParameters(
                keylist=[SERVER], trustfiles=[self.trusted], request_client_certificate=request
            ),
        )

    async def comes(self, server: NetworkProcess, pair: Pair | None, **fields: str) -> str:
        """Return "answered" if the server answers a client with PAIR, or else why it does not."""
        heard: list[bytes] = []
        parameters = TLSParameters(
            keylist=[] if pair is None else [pair], trustfiles=[self.trusted], **fields
        )
        try:
            client = await self.make(
                name="c",
                service=server.contact("service"),
                coding="binary",
                filter=lambda process, data: heard.append(data),
                tls_parameters=parameters,
            )
        except ProcessError as error:
            return str(error)
        client.send(b"x")
        client.send_eof()
        await client.closed
        return "answered" if heard else str(client.reason)

    async def test_the_program_hears_of_those_only_who_have_been_verified(self) -> None:
        server = await self.server("required")
        for priority in ("NORMAL:-VERS-TLS1.3:-RSA", "NORMAL:-RSA"):
            for pair in (
                None,
                OTHER.issue(common="mallory"),
                ROOT.issue(common="late", days=(-9, -1)),
            ):
                reason = await self.comes(server, pair, priority=priority)
                self.assertIn("alert", reason)
            self.assertEqual([], self.logged)
            alice = ROOT.issue(common="alice")
            self.assertEqual("answered", await self.comes(server, alice, priority=priority))
            self.assertEqual(["O=netproc tests,CN=alice"], self.logged)
            self.logged.clear()

    async def test_who_need_not_say_may_not_lie(self) -> None:
        server = await self.server("optional")
        self.assertEqual("answered", await self.comes(server, None))
        self.assertIn("alert", await self.comes(server, OTHER.issue(common="mallory")))
        self.assertEqual(["nobody"], self.logged)
