"""Protocols of asyncio's, on its own loop or, with the word "uvloop", on that."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

from common import (
    BACKLOG,
    CERTIFICATE,
    HOST,
    KEY,
    PIECES,
    WORDS,
    announce,
    end_with_parent,
    unix_path,
)


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no instances of asyncio's classes.
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


class Pieces(Echo):
    """Sends it back in pieces."""

    def data_received(self, data: bytes) -> None:
        """Send it back in pieces."""
        size = max(1, len(data) // PIECES)
        for at in range(0, len(data), size):
            self.transport.write(data[at : at + size])


class Sink(asyncio.Protocol):
    """Takes what comes."""

    def data_received(self, data: bytes) -> None:
        """Take it."""


class Packets(asyncio.DatagramProtocol):
    """Sends back each packet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Send it back."""
        self.transport.sendto(data, addr)


def own_certificate() -> ssl.SSLContext:
    """The context for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


async def main() -> None:
    """Serve."""
    loop = asyncio.get_running_loop()

    async def listen(protocol: type[asyncio.Protocol], tls: ssl.SSLContext | None = None) -> object:
        server = await loop.create_server(protocol, HOST, 0, backlog=BACKLOG, ssl=tls)
        return server.sockets[0].getsockname()[1]

    path = unix_path()
    await loop.create_unix_server(Echo, path, backlog=BACKLOG)
    udp, _ = await loop.create_datagram_endpoint(Packets, (HOST, 0))
    ports = {
        "tcp": await listen(Echo),
        "pieces": await listen(Pieces),
        "sink": await listen(Sink),
        "tls": await listen(Echo, own_certificate()),
        "udp": udp.get_extra_info("sockname")[1],
    }
    announce(ports, path)
    await asyncio.Event().wait()


if __name__ == "__main__":
    end_with_parent()
    if "uvloop" in WORDS:
        import uvloop

        new_loop: Any = uvloop.new_event_loop
    else:
        new_loop = None
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
