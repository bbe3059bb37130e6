"""Open the socket of a datagram process, a server or a client.

`make.py` hands in the spec and the process; this joins `net/resolve.py`, `net/sockets.py` and
`net/datagram.py`.  There is nothing to connect or to listen to: the process is open at once, but for a look-up.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from .client import ClientMaker
from .core.address import LOOPBACK, SocketAddress, text
from .core.errors import NetprocError, ProcessError, from_os_error
from .core.status import Cause
from .net import icmp, socketfile, sockets
from .net.connector import FAILED
from .net.datagram import DatagramChannel
from .net.inherited import OWN


class DatagramMaker(ClientMaker):
    """Makes one datagram process."""

    async def _connect(self) -> None:
        """Open the process; nothing is asked of the other side."""
        spec = self._spec
        sock = OWN.take(spec.external, spec.kind)
        remote = spec.remote
        on_closed: Callable[[], None] | None = None
        if sock is not None:
            sockets.set_options(sock, spec.options)
        elif spec.is_server:
            sock, on_closed = self._bind(await self._addresses())
        else:
            sock, remote = self._client_socket(await self._addresses())
        self._use_buffer()
        if sock.family in LOOPBACK:
            icmp.queue_errors(sock)
        channel = DatagramChannel(
            sock,
            self._reactor,
            remote,
            not spec.is_server and not self._hears_all(remote),
            on_closed,
        )
        self._channel_opened(channel)

    def _channel_opened(self, channel: DatagramChannel) -> None:
        process = self._process
        event = process.life.connected(channel, Cause.CONNECTED)
        if self._spec.is_server:
            process.life.show_port(channel.local)
        channel.start()
        if not self._spec.nowait:
            process.table.enter(process)
        process.tell(event)

    def _hears_all(self, remote: SocketAddress | None) -> bool:
        """Do answers come from others than REMOTE: after a broadcast, from a group (D9)?"""
        options = self._spec.options
        if options.get("broadcast") or "join" in options:
            return True
        if remote is None or remote.family not in LOOPBACK:
            return False
        return ipaddress.ip_address(remote.raw[0].partition("%")[0]).is_multicast

    # -- sockets --------------------------------------------------------------------------------

    def _bind(
        self, addresses: Sequence[SocketAddress]
    ) -> tuple[socket.socket, Callable[[], None] | None]:
        """A socket bound to the first of ADDRESSES for which there are sockets."""
        sock, address = self._make_socket(addresses, "make server process failed")
        try:
            sockets.set_options(sock, self._spec.options)
            if address.family == socket.AF_UNIX:
                file = socketfile.bind(sock, address, None, self._spec.mode)
                return sock, file.remove if file is not None else None
            sockets.bind(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock, None

    def _client_socket(
        self, addresses: Sequence[SocketAddress]
    ) -> tuple[socket.socket, SocketAddress]:
        """A socket for the first of ADDRESSES for which there are sockets, and that address."""
        sock, address = self._make_socket(addresses, FAILED)
        try:
            sockets.set_options(sock, self._spec.options)
            if address.family == socket.AF_UNIX:
                # Linux gives it an abstract name, so that there can be an answer.
                sock.bind(b"")
        except OSError as error:
            sock.close()
            if isinstance(error, NetprocError):
                raise
            raise from_os_error(error, FAILED, text(address)) from error
        except BaseException:
            sock.close()
            raise
        return sock, address

    def _make_socket(
        self, addresses: Sequence[SocketAddress], what: str
    ) -> tuple[socket.socket, SocketAddress]:
        last: ProcessError | None = None
        for address in addresses:
            try:
                return sockets.make_socket(address.family, socket.SOCK_DGRAM), address
            except OSError as error:
                last = from_os_error(error, what, text(address))
        assert last is not None
        raise last
