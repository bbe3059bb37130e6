"""Streams to hostile servers: what such a server sends, and how each stream must end.

`hostile.py` has the peer that plays the server.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from netproc import NetworkProcess, ProcessError, TLSParameters, open_network_stream
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.certificates import told
from netproc.test.support.hostile import Peer, records
from netproc.test.support.openstream import AUTHORITY, CERTIFICATE
from netproc.test.support.peers import accept, in_thread

#: The actions of a peer on its connection.
Script = Callable[[Peer], Awaitable[object]]
GO = b"np2 OK begin\r\n"
STARTTLS = b"np2 STARTTLS\r\n"
SECRET = b"LOGIN joe secret"


def server_context(**fields: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    for name, value in fields.items():
        setattr(context, name, value)
    return context


class HostileFixture(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.log: list[str] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: LogEvent) -> None:
        self.log.append(formatEvent(event))

    def trusting(self) -> TLSParameters:
        path = os.path.abspath(self.mktemp())
        AUTHORITY.cert_pem.write_to_path(path)
        return TLSParameters(trustfiles=(path,), system_trust=False)

    async def opening(self, **keywords: Any) -> tuple[NetworkProcess, Peer]:
        """Return a stream that is being opened, with a secret to send, and its peer."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = in_thread(accept, listener)
            keywords = {
                "type": "starttls",
                "protocol": "imap",
                "tls_parameters": self.trusting(),
                **keywords,
            }
            port = listener.getsockname()[1]
            process = await open_network_stream(
                "s", None, "localhost", port, nowait=True, coding="binary", **keywords
            )
            self.addCleanup(process.delete)
            process.send(SECRET)
            peer = Peer(self, await accepting)
        self.addCleanup(peer.close)
        return process, peer

    async def check(self, script: Script, problem: str, **keywords: Any) -> NetworkProcess:
        """Check that SCRIPT ends the stream as "failed", with one event, and that the secret was not sent."""
        process, peer = await self.opening(**keywords)
        await script(peer)
        await peer.until_end()
        peer.close()
        await process.closed
        self.assertEqual("failed", process.status)
        self.assertRaises(ProcessError, process.send, SECRET)
        self.check_outcome(process, peer, problem)
        return process

    def check_outcome(self, process: NetworkProcess, peer: Peer, problem: str) -> None:
        error = process.reason
        assert isinstance(error, ProcessError)
        self.assertIn(problem, told(error))
        code = error.errno
        event = f"failed: {error}\n" if code is None else f"failed with code {code}\n"
        self.assertEqual([event], self.events(process))
        self.assertNotIn(SECRET, peer.heard)
        clear, command, encrypted = peer.heard.partition(STARTTLS)
        if command:
            self.assertIsNot(None, records(encrypted), encrypted)
        self.assertIn(clear, (b"", b"np1 CAPABILITY\r\n"))
        for line in self.log:
            self.assertTrue(line.isprintable() or "Traceback" in line, line)


#: A fatal alert: handshake_failure.
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


def serving(**more: Any) -> TLSParameters:
    key = CERTIFICATE.private_key_pem.bytes()
    chain = b"".join(part.bytes() for part in CERTIFICATE.cert_chain_pems)
    return TLSParameters(keylist=((key, chain),), **more)
