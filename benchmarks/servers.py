"""The echo servers that are compared: `servers.py NAME` runs one of them.

`programs.py` starts it and reads its address, HOST:PORT, from standard output; `load.c` talks to it.
Each is written as a user of its library would write it, with the library's defaults and a backlog of
BACKLOG, and ends when whoever started it does.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
from collections.abc import Callable
from typing import cast

HOST = "127.0.0.1"
BACKLOG = 1024


def announce(port: object) -> None:
    """Tell who started this that it can connect."""
    print(f"{HOST}:{port}", flush=True)


# -- Twisted ------------------------------------------------------------------------------------


def serve_twisted() -> None:
    from twisted.internet import reactor
    from twisted.internet.protocol import Protocol, ServerFactory

    class Echo(Protocol):
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(data)  # type: ignore[union-attr]

    class EchoFactory(ServerFactory):
        protocol = Echo

    port = reactor.listenTCP(0, EchoFactory(), BACKLOG, HOST)
    announce(port.getHost().port)  # type: ignore[attr-defined]
    reactor.run()


# -- netproc ------------------------------------------------------------------------------------


def serve_netproc(coding: str) -> None:
    from twisted.internet.task import react

    from netproc import filters, make_network_process

    async def main(reactor: object) -> None:
        server = await make_network_process(
            name="echo",
            server=BACKLOG,
            host=HOST,
            service=True,
            filter=filters.echo,
            coding=coding,
        )
        announce(server.contact("service"))
        await server.closed

    react(main)


# -- asyncio ------------------------------------------------------------------------------------


class AsyncioEcho(asyncio.Protocol):
    """Echo on asyncio's transports, and on uvloop's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no instances of asyncio's classes.
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


def serve_asyncio(new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(AsyncioEcho, HOST, 0, backlog=BACKLOG)
        announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def serve_uvloop() -> None:
    import uvloop

    serve_asyncio(uvloop.new_event_loop)


# -- all of them --------------------------------------------------------------------------------

#: The first one is what the others are compared with.
SERVERS: dict[str, Callable[[], None]] = {
    "twisted": serve_twisted,
    "netproc": lambda: serve_netproc("binary"),
    "netproc-text": lambda: serve_netproc("utf-8-unix"),
    "asyncio": serve_asyncio,
    "uvloop": serve_uvloop,
}
BASELINE = "twisted"


def end_with_parent() -> None:
    """Be killed by the kernel when the parent is gone, however it went."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    SERVERS[sys.argv[1]]()
