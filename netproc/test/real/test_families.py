"""Addresses of families without their own form, and raw addresses of the known families (D6)."""

from __future__ import annotations

import os
import socket
import struct

from netproc.net import rawaddress
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.fixtures import Recorder, echo


class RawTests(NetprocTestCase):
    async def test_the_known_families_spelled_raw(self) -> None:
        path = self.socket_path()
        loopback6 = (0, 0, 0, 0, *[0] * 15, 1, 0, 0, 0, 0)
        for family, raw in (
            (socket.AF_INET, (0, 0, 127, 0, 0, 1)),
            (socket.AF_INET6, (0, 0, *loopback6)),
            (socket.AF_UNIX, tuple(os.fsencode(path))),
        ):
            server = await self.make(name="s", server=True, local=(family, raw), filter=echo)
            recorder = Recorder()
            local = server.contact("local")
            if isinstance(local, tuple):
                port = tuple(local[-1].to_bytes(2, "big"))
                remote = (family, (*port, *raw[2:]))
            else:
                remote = (family, raw)
            client = await self.make(name="c", remote=remote, filter=recorder)
            self.assertEqual(local, client.contact("remote"))
            client.send("hello")
            await self.until(lambda recorder=recorder: recorder.data == "hello")
            client.delete()
            server.delete()
            for process in list(self.ledger.events):
                process.delete()

    async def test_netlink_asks_the_kernel(self) -> None:
        """The kernel lists the interfaces of this machine over a family that netproc does not know."""
        family = socket.AF_NETLINK
        recorder = Recorder()
        recorder.pieces.append(b"")
        kernel = (family, tuple(bytes(10)))
        process = await self.make(
            name="route", type="datagram", remote=kernel, filter=recorder, coding="binary"
        )
        self.assertEqual(family, process.datagram_address[0])
        get_link, request_dump = 18, 0x301
        process.send(struct.pack("=IHHIIB3x", 20, get_link, request_dump, 1, 0, 0))
        await self.until(lambda: b"lo\0" in recorder.data)
        self.assertIsNone(process.last_error)

    async def test_a_bound_raw_address_is_shown(self) -> None:
        family = socket.AF_NETLINK
        server = await self.make(
            name="n",
            type="datagram",
            server=True,
            local=(family, tuple(bytes(10))),
            coding="binary",
        )
        shown, data = server.contact("local")
        self.assertEqual(family, shown)
        number = int.from_bytes(bytes(data[2:6]), "little")
        self.assertNotEqual(0, number)
        self.assertIn(family, {family} - rawaddress.IN_PYTHON)
