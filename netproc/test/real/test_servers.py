"""Servers: where they listen, their options, and the names and inherited settings of their connections."""

from __future__ import annotations

import errno
import socket
from typing import Any

from netproc import NetworkProcess, ProcessArgumentError, ProcessError, make_network_process
from netproc.net import rawaddress
from netproc.net.transport import StreamTransport
from netproc.test.support.base import reactor
from netproc.test.support.fixtures import Recorder, TcpFixture, echo
from netproc.test.support.peers import (
    connect,
    in_thread,
    read_all,
    read_exactly,
    request_and_half_close,
)


class AddressTests(TcpFixture):
    async def test_a_server_on_127_0_0_2_refuses_on_127_0_0_1(self) -> None:
        server = await self.server(host="127.0.0.2", filter=echo)
        port = server.contact("service")
        self.assertEqual((127, 0, 0, 2, port), server.contact("local"))
        self.assertRaises(ConnectionRefusedError, connect, socket.AF_INET, ("127.0.0.1", port))
        peer = connect(socket.AF_INET, ("127.0.0.2", port))
        self.assertEqual(b"x", await in_thread(request_and_half_close, peer, b"x"))

    def server_place(self) -> dict[str, Any]:
        return {"service": True}

    async def test_a_wildcard_knows_which_address_a_client_used(self) -> None:
        server = await self.server(host="0.0.0.0", filter=echo)
        port = server.contact("service")
        peer = connect(socket.AF_INET, ("127.0.0.7", port))
        connection = await self.connection(server)
        self.assertEqual((127, 0, 0, 7, port), connection.contact("local"))
        peer.close()
        await connection.closed

    async def test_ipv6(self) -> None:
        server = await self.server(family="ipv6", filter=echo)
        port = server.contact("service")
        peer = connect(socket.AF_INET6, ("::1", port))
        connection = await self.connection(server)
        here = peer.getsockname()[1]
        self.assertEqual(f"server <[0:0:0:0:0:0:0:1]:{here}>", connection.name)
        self.assertEqual(["open from 0:0:0:0:0:0:0:1\n"], self.events(connection))
        self.assertEqual((0, 0, 0, 0, 0, 0, 0, 1, here), connection.contact("remote"))
        self.assertEqual(("0:0:0:0:0:0:0:1", here), connection.contact())
        peer.close()
        await connection.closed

    async def test_addresses_spelled_raw(self) -> None:
        for family, data in (
            (socket.AF_INET, (0, 0, 127, 0, 0, 1)),
            (socket.AF_INET6, (0, 0, 0, 0, 0, 0, *[0] * 15, 1)),
        ):
            server = await self.make(
                name="s", server=True, local=(int(family), data), filter=echo, coding="binary"
            )
            port = server.contact("service")
            remote = (int(family), (*port.to_bytes(2, "big"), *data[2:]))
            recorder = Recorder()
            client = await self.make(name="c", remote=remote, filter=recorder, coding="binary")
            client.send(b"hello")
            await self.until(lambda seen=recorder: seen.data == b"hello")
            self.assertEqual(port, client.contact("remote")[-1])
            client.delete()
            await self.all_closed(server)

    async def test_families_that_the_system_has_not(self) -> None:
        for keywords in ({"server": True, "local": (99, (1, 2))}, {"remote": (99, (1, 2))}):
            made = make_network_process(name="p", **keywords)
            error = await self.failure_of(made, ProcessError)
            self.assertEqual((errno.EAFNOSUPPORT, "family 99"), (error.errno, error.address))

    async def test_families_of_systems_with_other_addresses(self) -> None:
        self.patch(rawaddress, "SUPPORTED", False)
        netlink = (int(socket.AF_NETLINK), tuple(bytes(10)))
        made = make_network_process(name="p", type="datagram", server=True, local=netlink)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(errno.EAFNOSUPPORT, error.errno)

    async def test_listening_fails_behind_the_bind(self) -> None:
        class Socket(socket.socket):
            def listen(self, backlog: int = 0) -> None:
                raise OSError(errno.EADDRINUSE, "Address already in use")

        self.patch(socket, "socket", Socket)
        made = make_network_process(name="p", server=True, service=True)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(errno.EADDRINUSE, error.errno)

    async def test_the_port_can_be_used_again_at_once(self) -> None:
        server = await self.server(filter=echo)
        port = server.contact("service")
        peer = connect(socket.AF_INET, ("127.0.0.1", port))
        connection = await self.connection(server)
        connection.delete()
        server.delete()
        peer.close()
        await connection.closed
        again = await self.make(name="again", server=True, service=port, filter=echo)
        self.assertEqual(port, again.contact("service"))


class ConnectionTests(TcpFixture):
    async def test_names(self) -> None:
        server = await self.server(filter=echo, name="50% <x>")
        peer = self.raw_client(server)
        connection = await self.connection(server)
        self.assertEqual(f"50% <x> <127.0.0.1:{peer.getsockname()[1]}>", connection.name)
        peer.close()
        await connection.closed

    async def test_what_is_inherited(self) -> None:
        shared = [1]
        server = await self.server(
            filter=echo, noquery=True, plist={"shared": shared}, keepalive=True, coding="utf-8"
        )
        server.plist["later"] = 1
        server.coding = ("binary", "utf-8")
        server.limits = type(server.limits)(send_cap=5)
        with self.raw_client(server):
            connection = await self.connection(server)
            self.assertEqual(
                (True, {"shared": shared, "later": 1}, ("binary", "utf-8-unix"), echo, server),
                (
                    connection.query_on_exit,
                    connection.plist,
                    connection.coding,
                    connection.filter,
                    connection.accepted_by,
                ),
            )
            self.assertIs(shared, connection.plist["shared"])
            self.assertEqual(5, connection.limits.send_cap)
            connection.plist["mine"] = 1
            self.assertNotIn("mine", server.plist)
        await connection.closed

    async def test_the_buffer_of_a_connection(self) -> None:
        for keywords, base in (({"buffer": "log"}, "log"), ({"filter": True}, "server")):
            server = await self.server(coding="utf-8", **keywords)
            peer = self.raw_client(server)
            connection = await self.connection(server)
            port = peer.getsockname()[1]
            assert connection.buffer is not None
            self.assertEqual(f"{base} <127.0.0.1:{port}>", connection.buffer.name)
            self.assertIsNone(connection.mark)
            connection.filter = None
            peer.sendall(b"text")
            await self.until(lambda seen=connection: seen.received == 4)
            peer.close()
            await connection.closed
            self.assertTrue(connection.buffer.text.startswith("text\nProcess server <127"))
            self.assertIsNone(connection.table.get_buffer(connection.buffer.name))
            server.delete()
            self.ledger.events.pop(connection)
            self.ledger.gone.discard(connection)

    async def test_the_log_function_hears_of_failures(self) -> None:
        heard: list[tuple[NetworkProcess | None, str]] = []
        server = await self.server(
            filter=echo, log=lambda server, connection, message: heard.append((connection, message))
        )
        port = server._lifecycle.port
        assert port is not None
        port._accept_failed(OSError(errno.ECONNABORTED, "aborted"))
        self.assertEqual([(None, "accept failed with code 103\n")], heard)
        self.assertEqual("listen", server.status)

    async def test_a_broken_listener_fails_the_server(self) -> None:
        server = await self.server(filter=echo)
        port = server._lifecycle.port
        assert port is not None
        port._accept_failed(OSError(errno.EINVAL, "Invalid argument"))
        self.assertEqual(("failed", errno.EINVAL), (server.status, server.exit_status))
        self.assertEqual(["failed with code 22\n"], self.events(server))


class ShortConnectionTests(TcpFixture):
    async def test_several_that_have_gone_already_are_never_watched(self) -> None:
        watched: list[object] = []
        add = reactor.addReader
        recorder = Recorder()
        server = await self.server(filter=recorder, coding="binary")
        self.patch(reactor, "addReader", lambda reader: (watched.append(reader), add(reader)))
        peers = [self.raw_client(server) for _ in range(3)]
        for peer in peers:
            peer.sendall(b"x")
            peer.shutdown(socket.SHUT_WR)
        await self.until(lambda: len(recorder.pieces) == 3)
        for peer in peers:
            self.assertEqual(b"", await in_thread(read_all, peer))
        self.assertFalse([one for one in watched if isinstance(one, StreamTransport)])

    async def test_several_that_stay_are_watched(self) -> None:
        server = await self.server(filter=echo, coding="binary")
        peers = [self.raw_client(server) for _ in range(3)]
        for data in (b"one", b"two"):
            for peer in peers:
                peer.sendall(data)
            for peer in peers:
                self.assertEqual(data, await in_thread(read_exactly, peer, 3))
        for peer in peers:
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(b"", await in_thread(read_all, peer))


class OptionTests(TcpFixture):
    def kernel(self, process: NetworkProcess, level: int, option: int) -> int:
        """Return the kernel's value of an option."""
        place: Any = process._lifecycle.port or process._lifecycle.channel
        sock = getattr(place, "_socket", None) or place.transport.getHandle()
        return sock.getsockopt(level, option)

    async def test_options_given_are_set_on_clients_and_servers(self) -> None:
        options: dict[str, Any] = {
            "keepalive": True,
            "broadcast": True,
            "dontroute": True,
            "oobinline": True,
            "priority": 3,
            "nodelay": True,
            "reuseaddr": True,
        }
        numbers = {
            "keepalive": socket.SO_KEEPALIVE,
            "broadcast": socket.SO_BROADCAST,
            "dontroute": socket.SO_DONTROUTE,
            "oobinline": socket.SO_OOBINLINE,
            "priority": socket.SO_PRIORITY,
            "reuseaddr": socket.SO_REUSEADDR,
        }
        server = await self.server(filter=echo, **options)
        client = await self.client(server, **options)
        for process in (server, client):
            for name, number in numbers.items():
                found = self.kernel(process, socket.SOL_SOCKET, number)
                self.assertEqual(int(options[name]), found, name)
                self.assertEqual(options[name], process.contact(name))
            self.assertEqual(1, self.kernel(process, socket.IPPROTO_TCP, socket.TCP_NODELAY))
        client.delete()
        await self.until(lambda: self.connections(server))
        await self.all_closed(server)

    async def test_reuseaddr_is_the_servers_default(self) -> None:
        for keywords, expected in (({}, 1), ({"reuseaddr": None}, 0)):
            server = await self.server(filter=echo, **keywords)
            found = self.kernel(server, socket.SOL_SOCKET, socket.SO_REUSEADDR)
            self.assertEqual((expected, None), (found, server.contact("reuseaddr")))

    async def test_setting_at_run_time(self) -> None:
        process, _ = await self.client_of_raw()
        self.assertTrue(process.set_option("keepalive", True))
        self.assertEqual(1, self.kernel(process, socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertIs(True, process.contact("keepalive"))
        self.assertTrue(process.set_option("keepalive", None))
        self.assertEqual(0, self.kernel(process, socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        server = await self.server(filter=echo)
        self.assertTrue(server.set_option("priority", 2))
        self.assertEqual(2, self.kernel(server, socket.SOL_SOCKET, socket.SO_PRIORITY))

    async def test_linger_is_never_left_to_the_kernel(self) -> None:
        process, _ = await self.client_of_raw(linger=5)
        self.assertTrue(process.set_option("linger", 7))
        found = self.kernel(process, socket.SOL_SOCKET, socket.SO_LINGER)
        self.assertEqual((0, 7), (found, process.contact("linger")))

    async def test_what_cannot_be_set(self) -> None:
        process, _ = await self.client_of_raw()
        error = self.assertRaises(ProcessArgumentError, process.set_option, "nosuch", True)
        self.assertEqual("nosuch: Unknown or unsupported option", str(error))
        self.assertIsNone(process.set_option("nosuch", True, True))
        self.assertRaises(ProcessArgumentError, process.set_option, "priority", "x", True)
        error = self.assertRaises(ProcessError, process.set_option, "bindtodevice", "nosuchdev0")
        self.assertEqual(errno.ENODEV, error.errno)
        process.delete()
        error = self.assertRaises(ProcessError, process.set_option, "keepalive", True)
        self.assertEqual("Process client not running", str(error))

    async def test_a_backlog(self) -> None:
        server = await self.server(filter=echo, server=1)
        self.assertEqual(1, server.contact("server"))
        server.stop()
        peers = [self.raw_client(server) for _ in range(2)]
        late = socket.socket()
        late.setblocking(False)
        late.connect_ex(("127.0.0.1", server.contact("service")))
        await self.nothing_happens(errno.ENOTCONN, lambda: self.connected(late))
        late.close()
        server.resume()
        for peer in peers:
            peer.sendall(b"x")
            self.assertEqual(b"x", await in_thread(read_exactly, peer, 1))
            peer.close()
        await self.all_closed(server)

    def connected(self, sock: socket.socket) -> int:
        try:
            sock.getpeername()
        except OSError as error:
            return error.errno or 0
        return 0
