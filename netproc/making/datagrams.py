"""Open the socket of a datagram process, a server or a client.

`make.py` calls this with the spec and the process.  The addresses come from `maker.py`, the socket from `net/sockets.py`;
`net/datagram.py` makes a channel of it.  There is no connection to wait for, so the process is open at once, unless there
are names to look up.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from twisted.internet.defer import CancelledError

from ..core.address import LOOPBACK, SocketAddress, format_address
from ..core.errors import NetprocError, ProcessArgumentError, ProcessError, from_os_error
from ..core.options import answers_come_from_all
from ..core.status import Cause
from ..net import icmp, packetinfo, socketfile, sockets
from ..net.connector import FAILED
from ..net.datagram import DatagramChannel
from ..net.foreign import network_error
from ..net.inherited import OWN
from .maker import AttemptMaker

_SERVER_FAILED = "make server process failed"


class DatagramMaker(AttemptMaker[None]):
    """Makes one datagram process."""

    async def _connect(self) -> None:
        try:
            await self._open_channel()
        except (NetprocError, CancelledError):
            raise
        except BaseException as error:
            raise network_error(error, self._what_failed) from error

    async def _open_channel(self) -> None:
        resources = ExitStack()
        try:
            channel = await self._channel_of(resources)
        except BaseException:
            resources.close()
            raise
        try:
            self._channel_opened(channel)
        except BaseException:
            channel.discard()
            raise

    async def _channel_of(self, resources: ExitStack) -> DatagramChannel:
        """Return a channel that closes RESOURCES, the socket and perhaps its file, when it is closed."""
        sock, remote = await self._bound_socket(resources)
        self._use_buffer()
        if sock.family in LOOPBACK:
            icmp.queue_errors(sock)
        return DatagramChannel(
            sock,
            self._reactor,
            remote,
            not self._spec.is_server and not self._hears_all(remote),
            resources.close,
        )

    def _channel_opened(self, channel: DatagramChannel) -> None:
        process = self._process
        channel.start()
        event = process._lifecycle.connected(channel, Cause.CONNECTED)
        if self._spec.is_server:
            process._lifecycle.show_port(channel.local)
        if not self._spec.nowait:
            process.table.enter(process)
        process._call_sentinel(event)

    def _hears_all(self, remote: SocketAddress | None) -> bool:
        """Whether hosts other than REMOTE may answer: after a broadcast, or from a group (D9)."""
        if any(answers_come_from_all(*option) for option in self._spec.options.items()):
            return True
        if remote is None or remote.family not in LOOPBACK:
            return False
        host = ipaddress.ip_address(remote.raw[0])
        return (getattr(host, "ipv4_mapped", None) or host).is_multicast

    # -- sockets --------------------------------------------------------------------------------

    @property
    def _what_failed(self) -> str:
        return _SERVER_FAILED if self._spec.is_server else FAILED

    async def _bound_socket(
        self, resources: ExitStack
    ) -> tuple[socket.socket, SocketAddress | None]:
        """Return a socket, which RESOURCES close, and the address to which packets go at first."""
        spec = self._spec
        sock = OWN.take(spec.external, spec.kind)
        if sock is not None:
            resources.callback(sock.close)
        addresses = await self._fitting_addresses(sock)
        if sock is not None:
            sockets.set_options(sock, spec.options)
            if spec.is_server and addresses[0].is_wildcard:
                packetinfo.ask_for_destinations(sock)
            return sock, spec.remote if spec.is_server else addresses[0].destination
        sock, address = self._make_socket(addresses)
        resources.callback(sock.close)
        sockets.set_options(sock, spec.options)
        if spec.is_server:
            self._bind(sock, address, resources)
            return sock, spec.remote
        if address.family == socket.AF_UNIX:
            # Linux gives the socket an abstract name, so that the peer can answer.
            sock.bind(b"")
        return sock, address.destination

    async def _fitting_addresses(self, inherited: socket.socket | None) -> Sequence[SocketAddress]:
        """Return the addresses to bind or to send to, of the family of the remote address or the INHERITED socket.

        A server's INHERITED socket is already bound.
        """
        spec = self._spec
        if inherited is not None and spec.is_server:
            addresses: Sequence[SocketAddress] = [sockets.local_address(inherited)]
        else:
            addresses = await self._addresses()
        if spec.remote is not None:
            keyword, family = "remote", spec.remote.family
            problem = (
                f"{format_address(spec.remote)} is not of the same family as the server's {{}}"
            )
        elif inherited is not None:
            keyword, family = "use_external_socket", inherited.family
            problem = "the inherited socket is not of the same family as {}"
        else:
            return addresses
        fitting = [address for address in addresses if address.family == family]
        if not fitting:
            raise ProcessArgumentError(keyword, problem.format(format_address(addresses[0])))
        return fitting

    def _bind(self, sock: socket.socket, address: SocketAddress, resources: ExitStack) -> None:
        if address.family == socket.AF_UNIX:
            file = socketfile.bind(sock, address, None, self._spec.mode)
            if file is not None:
                resources.callback(file.remove)
            return
        if address.is_wildcard:
            packetinfo.ask_for_destinations(sock)
        sockets.bind(sock, address)

    def _make_socket(
        self, addresses: Sequence[SocketAddress]
    ) -> tuple[socket.socket, SocketAddress]:
        """Return a socket for the first of ADDRESSES whose family the system supports, and that address."""
        last: ProcessError | None = None
        for address in addresses:
            try:
                return sockets.make_socket(address.family, socket.SOCK_DGRAM), address
            except OSError as error:
                last = from_os_error(error, self._what_failed, format_address(address))
        assert last is not None
        raise last
