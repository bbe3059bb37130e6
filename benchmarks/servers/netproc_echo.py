"""The processes of netproc.  The words name the reactor and the coding system."""

from __future__ import annotations

from common import (
    BACKLOG,
    CERTIFICATE,
    HOST,
    KEY,
    PIECES,
    WORDS,
    announce,
    end_with_parent,
    install_reactor,
    unix_path,
)

install_reactor()

from twisted.internet.task import react  # noqa: E402

from netproc import NetworkProcess, filters, make_network_process  # noqa: E402


def pieces(process: NetworkProcess, text: str | bytes) -> None:
    """Send it back in pieces."""
    size = max(1, len(text) // PIECES)
    for at in range(0, len(text), size):
        process.send(text[at : at + size])


async def serve(**keywords: object) -> NetworkProcess:
    """A server with KEYWORDS."""
    return await make_network_process(
        server=BACKLOG,
        coding="binary" if "bytes" in WORDS else "utf-8-unix",
        **keywords,  # type: ignore[arg-type]
    )


async def main(reactor: object) -> None:
    """Serve."""
    path = unix_path()
    own = {"keylist": [(str(KEY), str(CERTIFICATE))]}
    inet = {"host": HOST, "service": True}
    servers = {
        "tcp": await serve(name="echo", filter=filters.echo, **inet),
        "pieces": await serve(name="pieces", filter=pieces, **inet),
        "sink": await serve(name="sink", filter=filters.discard, **inet),
        "tls": await serve(name="tls", filter=filters.echo, tls_parameters=own, **inet),
        "udp": await serve(name="udp", filter=filters.echo, type="datagram", **inet),
    }
    local = await serve(name="local", filter=filters.echo, family="local", service=path)
    announce({name: server.contact("service") for name, server in servers.items()}, path)
    await local.closed


if __name__ == "__main__":
    end_with_parent()
    react(main)
