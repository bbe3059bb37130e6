"""From which senders datagram processes accept packets, and from which local address they answer."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import succeed

from netproc import NetworkProcess, ProcessArgumentError
from netproc.core.address import address_form, parse_address
from netproc.making.make import KEYWORDS, make
from netproc.net import inherited, packetinfo
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.fixtures import Recorder, echo


class AddressTestCase(NetprocTestCase):
    async def server(self, **keywords: Any) -> NetworkProcess:
        keywords = {"service": True, "filter": echo, **keywords}
        return await self.make(name="s", server=True, type="datagram", coding="binary", **keywords)

    async def client(self, **keywords: Any) -> tuple[NetworkProcess, Recorder]:
        heard = Recorder()
        client = await self.make(
            name="c", type="datagram", coding="binary", filter=heard, **keywords
        )
        return client, heard

    async def is_answered(self, **keywords: Any) -> None:
        client, heard = await self.client(**keywords)
        client.send(b"question")
        await self.until(lambda: heard.data == b"question")

    def socket(self, host: str, port: int = 0) -> socket.socket:
        """Return a socket; after it is connected, it receives from the remote address only."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.bind((host, port))
        return sock


class WildcardServerTests(AddressTestCase):
    async def test_it_answers_from_the_address_that_was_asked(self) -> None:
        for host, asked in (
            ("0.0.0.0", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.2"),
            ("::", "127.0.0.1"),
            ("::", "127.0.0.2"),
            ("::", "::1"),
            ("::ffff:0.0.0.0", "127.0.0.2"),
        ):
            server = await self.server(host=host)
            await self.is_answered(host=asked, service=server.contact("service"))
            server.delete()

    async def test_also_later_and_to_several(self) -> None:
        """A program may keep the addresses of its clients, and answer later."""
        server = await self.server(host="0.0.0.0", filter=Recorder())
        port = server.contact("service")
        clients = []
        for host in ("127.0.0.2", "127.0.0.3"):
            client = self.socket("127.0.0.1")
            client.connect((host, port))
            client.send(b"question")
            here = (127, 0, 0, 1, client.getsockname()[1])
            await self.until(lambda here=here: server.datagram_address == here)
            clients.append((client, here))
        for client, address in clients:
            server.datagram_address = address
            server.send(b"answer")
            self.assertEqual(b"answer", client.recv(10))

    async def test_what_waits_for_the_kernel_keeps_its_source(self) -> None:
        server = await self.server(host="0.0.0.0")
        channel = server._lifecycle.channel
        send = channel._send_raw
        full = [BlockingIOError()]

        def send_later(data: bytes, to: Any) -> None:
            if full:
                raise full.pop()
            send(data, to)

        channel._send_raw = send_later
        await self.is_answered(host="127.0.0.2", service=server.contact("service"))
        self.assertEqual([], full)

    async def test_a_source_that_is_none_is_left_to_the_kernel(self) -> None:
        """The destination of a packet may be a broadcast address or a group, or an address removed since."""
        server = await self.server(host="0.0.0.0", filter=Recorder())
        client = self.socket("127.0.0.1")
        client.sendto(b"question", ("127.0.0.1", server.contact("service")))
        await self.until(lambda: server.received)
        answers = server._lifecycle.channel._send_raw.__self__
        ((to, [(level, kind, _)]),) = answers._sources.items()
        nobodys = socket.inet_aton("192.0.2.1")
        answers._sources[to] = [(level, kind, packetinfo._PKTINFO.pack(0, nobodys, bytes(4)))]
        server.send(b"answer")
        self.assertEqual(b"answer", client.recv(10))

    async def test_it_remembers_so_many_clients(self) -> None:
        self.patch(packetinfo, "MOST_CLIENTS", 2)
        server = await self.server(host="0.0.0.0", filter=Recorder())
        for number in range(1, 4):
            client = self.socket("127.0.0.1")
            client.sendto(b"x", ("127.0.0.1", server.contact("service")))
            await self.until(lambda number=number: server.received == number)
        answers = server._lifecycle.channel._send_raw.__self__
        self.assertEqual(2, len(answers._sources))
        self.assertEqual(client.getsockname(), list(answers._sources)[-1])

    async def test_others_do_without(self) -> None:
        server = await self.server(host="127.0.0.1")
        self.assertIsNone(packetinfo.answers_of(server._lifecycle.channel._socket))


class RemoteTests(AddressTestCase):
    async def test_a_mapped_address_however_it_is_spelled(self) -> None:
        server = await self.server(host="127.0.0.1")
        port = server.contact("service")
        for remote in (
            (0, 0, 0, 0, 0, 0xFFFF, 0x7F00, 1, port),
            ("::ffff:7f00:1", port),
            ("::ffff:127.0.0.1", port),
        ):
            await self.is_answered(remote=remote)
        await self.is_answered(host="::FFFF:127.0.0.1", service=port)

    async def test_a_wildcard_is_this_machine_and_nobody_else(self) -> None:
        for wildcard, loopback, other in (("0.0.0.0", "127.0.0.1", "127.0.0.9"), ("::", "::1", "")):
            server = self.socket(loopback)
            port = server.getsockname()[1]
            client, heard = await self.client(host=wildcard, service=port)
            client.send(b"question")
            where = server.recvfrom(10)[1]
            if other:
                stranger = self.socket(other, port)
                stranger.sendto(b"forged", where)
            server.sendto(b"answer", where)
            await self.until(lambda heard=heard: heard.pieces)
            self.assertEqual([b"answer"], heard.pieces)
            self.assertEqual(loopback, server.getsockname()[0])

    def directory(self) -> str:
        """Return the relative name of a new directory, short enough for sockets in it."""
        directory = self.mktemp()[-40:].replace("/", "_")
        os.mkdir(directory)
        return directory

    async def test_a_path_however_the_client_spells_it(self) -> None:
        """Directories and files may be symbolic links."""
        directory = self.directory()
        absolute = os.path.abspath(directory)
        await self.server(local=f"{absolute}/s", service=None)
        os.symlink(directory, directory + "l")
        os.symlink("s", directory + "/link")
        self.addCleanup(os.unlink, directory + "l")
        for spelling in (
            f"{directory}/s",
            f"{absolute}/s",
            f"{absolute}/./s",
            f"{directory}l/s",
            f"{directory}/link",
        ):
            await self.is_answered(remote=spelling)

    async def test_a_server_with_a_relative_name_is_known_by_that(self) -> None:
        directory = self.directory()
        await self.server(local=f"{directory}/s", service=None)
        await self.is_answered(remote=f"{directory}/s")

    async def test_names_that_lead_to_the_remote_are_strangers(self) -> None:
        """The peer chooses its name, such as a link to the server's file, or a name relative to its own directory."""
        directory, elsewhere = (os.path.abspath(self.directory()) for _ in "ab")
        server = await self.server(local=f"{directory}/s", service=None)
        client, heard = await self.client(remote=f"{directory}/s")
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(elsewhere)
        for name in ("s", f"{elsewhere}/link"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
                stranger.bind(name)
                os.unlink(name)
                os.symlink(f"{directory}/s", name)
                stranger.sendto(b"stranger", client.contact("local"))
        os.chdir(directory)
        client.send(b"question")
        await self.until(lambda: heard.pieces)
        os.chdir(here)
        self.assertEqual([b"question"], heard.pieces)
        del server

    async def test_an_answer_of_a_server_that_has_gone_since(self) -> None:
        directory = self.directory()
        path = os.path.abspath(f"{directory}/s")
        server = await self.server(local=path, service=None, filter=True)
        client, heard = await self.client(remote=f"./{directory}/s", stop=True)
        client.send(b"question")
        server.filter = echo
        await self.until(lambda: server.sent)
        server.delete()
        await server.closed
        client.resume()
        await self.until(lambda: heard.data == b"question")

    async def test_other_paths_and_abstract_names_are_strangers(self) -> None:
        names = [self.mktemp()[-40:].replace("/", "_") + end for end in "ab"]
        server = await self.server(local=names[0], service=None)
        client, heard = await self.client(remote=names[0])
        for name in (names[1], "\0" + names[0]):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
                stranger.bind(name)
                stranger.sendto(b"stranger", client.contact("local"))
        client.send(b"question")
        await self.until(lambda: heard.pieces)
        self.assertEqual([b"question"], heard.pieces)
        os.unlink(names[1])
        del server

    async def test_abstract_names_end_where_they_end(self) -> None:
        name = f"\0netproc-{os.getpid()}"
        got = Recorder()
        for ending in ("", "\0", "\0\0x"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                peer.bind(os.fsencode(name + ending))
                peer.settimeout(PATIENCE)
                server = await self.server(local=name + "s", service=None, filter=got)
                peer.sendto(b"x", os.fsencode(name + "s"))
                await self.until(lambda server=server: server.received)
                server.datagram_address = server.datagram_address
                server.send(b"answer")
                self.assertEqual(
                    (b"answer", name + ending), (peer.recv(10), server.datagram_address)
                )
                server.delete()
                await server.closed


class FamilyTests(AddressTestCase):
    async def refused(self, remote: object, **keywords: Any) -> str:
        keywords = {"service": True, **keywords}
        made = self.make(name="s", server=True, type="datagram", remote=remote, **keywords)
        error = await self.failure_of(made, ProcessArgumentError)
        self.assertEqual("remote", error.keyword)
        return error.problem

    async def test_the_remote_of_a_server_has_its_family(self) -> None:
        for remote, shown in (
            ("/tmp/x", "/tmp/x"),
            ((0, 0, 0, 0, 0, 0, 0, 1, 7), "[0:0:0:0:0:0:0:1]:7"),
            ((17, (1, 2)), "family 17"),
        ):
            problem = f"{shown} is not of the same family as the server's 127.0.0.1:0"
            self.assertEqual(problem, await self.refused(remote))
        await self.refused((127, 0, 0, 1, 7), host="::")
        await self.refused((127, 0, 0, 1, 7), family="local", service=self.mktemp())

    async def test_a_host_with_several_families_takes_that_of_the_remote(self) -> None:
        addresses = [parse_address((host, 0), "host") for host in ("127.0.0.1", "::1")]
        for address in addresses:
            keywords = {**KEYWORDS, "name": "s", "server": True, "service": True}
            keywords |= {
                "type": "datagram",
                "host": "some.example",
                "remote": address_form(address),
            }
            server = await make(keywords, resolver=lambda *_: succeed(addresses))
            self.assertEqual(address_form(address)[:-1], server.contact("local")[:-1])
            server.delete()

    def hand_over(self, host: str) -> int:
        """Let the next process that asks for it inherit a socket on HOST; return its port."""
        sock = self.socket(host)
        sock.setblocking(False)
        self.patch(inherited.OWN, "take", lambda which, kind: sock.dup() if which else None)
        return sock.getsockname()[1]

    async def test_inherited_sockets(self) -> None:
        port = self.hand_over("0.0.0.0")
        await self.server(use_external_socket=True)
        await self.is_answered(host="127.0.0.2", service=port)

    async def test_an_inherited_socket_of_another_family(self) -> None:
        self.hand_over("127.0.0.1")
        await self.refused(("::1", 7), use_external_socket=True)

    async def test_a_client_with_an_inherited_socket_sends_to_its_remote(self) -> None:
        server = await self.server()
        self.hand_over("127.0.0.1")
        await self.is_answered(service=server.contact("service"), use_external_socket=True)
        self.hand_over("::1")
        made = self.make(name="c", type="datagram", service=7, use_external_socket=True)
        error = await self.failure_of(made, ProcessArgumentError)
        self.assertEqual(
            "use_external_socket: the inherited socket is not of the same family as 127.0.0.1:7",
            str(error),
        )
