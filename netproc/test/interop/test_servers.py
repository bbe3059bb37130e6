"""open_network_stream with real servers: what they offer, and what a client refuses of them."""

from __future__ import annotations

from typing import Any

from netproc import NetworkProcess, ProcessError, open_network_stream
from netproc.core.negotiate import StreamProperties
from netproc.test.interop import servers
from netproc.test.interop.launch import Configure, InteropTestCase, Server


class StartTLSTests(InteropTestCase):
    async def open(
        self, server: Server, protocol: str, **keywords: Any
    ) -> tuple[NetworkProcess | None, StreamProperties]:
        keywords = {
            "type": "starttls",
            "tls_parameters": self.trusting(),
            "host": "localhost",
            "service": server.port,
            **keywords,
        }
        process, properties = await open_network_stream(
            "s", None, protocol=protocol, return_list=True, **keywords
        )
        if process is not None:
            self.addCleanup(process.delete)
        return process, properties

    async def check(self, configure: Configure, protocol: str, capability: str | None) -> None:
        server = await self.serve(configure)
        process, properties = await self.open(server, protocol)
        assert process is not None
        print(properties)
        self.assertEqual(("tls", None), (properties.type, properties.error))
        process.delete()

    async def test_imap(self) -> None:
        await self.check(servers.dovecot("imap"), "imap", "AUTH=PLAIN")

    async def test_pop3(self) -> None:
        await self.check(servers.dovecot("pop3"), "pop3", "SASL PLAIN")

    async def test_sieve(self) -> None:
        await self.check(servers.dovecot("sieve"), "sieve", '"SASL" "PLAIN"')

    async def test_lmtp(self) -> None:
        await self.check(servers.dovecot("lmtp"), "lmtp", "PIPELINING")

    async def test_submission(self) -> None:
        await self.check(servers.dovecot("submission"), "smtp", "AUTH PLAIN")

    async def test_smtp(self) -> None:
        await self.check(servers.postfix(), "smtp", "PIPELINING")

    async def test_ldap(self) -> None:
        await self.check(servers.slapd, "ldap", None)

    async def test_postgres(self) -> None:
        await self.check(servers.postgres, "postgres", None)

    async def test_xmpp(self) -> None:
        await self.check(servers.prosody, "xmpp", "mechanisms")

    async def test_irc(self) -> None:
        await self.check(servers.inspircd, "irc", None)

    async def test_nntp(self) -> None:
        await self.check(servers.nnrpd, "nntp", "READER")

    async def test_ftp(self) -> None:
        await self.check(servers.vsftpd, "ftp", "PASV")
