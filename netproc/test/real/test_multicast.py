"""Multicast: groups joined on an interface, in a network namespace made for the test."""

from __future__ import annotations

from netproc import ProcessArgumentError, ProcessError
from netproc.test.support.programs import ProgramTestCase, require

#: A namespace with one multicast interface, and a server that has joined a group on it.
SCRIPT = """
import ctypes, os, subprocess, sys
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(CLONE_NEWNET) and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
    sys.exit(77)
for command in (
    "link set lo up", "link add one type veth peer name two", "link set one up",
    "addr add 10.9.8.1/24 dev one", "-6 addr add fd00::1/64 dev one nodad",
    "route add 224.0.0.0/4 dev one",
):
    if subprocess.run(["ip", *command.split()], capture_output=True).returncode:
        sys.exit(77)

from twisted.internet.task import react
from netproc import make_network_process

async def main(reactor):
    from twisted.internet.defer import Deferred
    group, any_address = sys.argv[1:3]
    heard, told = Deferred(), Deferred()
    server = await make_network_process(
        name="s", type="datagram", server=True, host=any_address, service=True,
        join=f"{group}%one", filter=lambda p, text: (heard.callback(text), p.send("and hello to you")),
    )
    client = await make_network_process(
        name="c", type="datagram", host=group, service=server.contact("service"),
        filter=lambda p, text: told.callback(text), multicast_ttl=1, multicast_loop=True,
    )
    client.send("hello, group")
    print(await heard, flush=True)
    print(await told, flush=True)

react(main)
"""


class MulticastTests(ProgramTestCase):
    async def hear(self, group: str, any_address: str) -> None:
        """Check that a group member receives the packet, and that the sender accepts its answer from another address."""
        require("ip")
        program = self.python("-c", SCRIPT, group, any_address)
        status = await self.ends(program)
        if status == 77:
            self.skipTest("the kernel has no network namespaces, or no veth interfaces")
        self.assertEqual((0, ""), (status, program.errors))
        self.assertEqual("hello, group\nand hello to you\n", program.text())

    async def test_ipv4(self) -> None:
        await self.hear("239.1.2.3", "0.0.0.0")

    async def test_ipv6(self) -> None:
        await self.hear("ff05::123", "::")

    async def test_what_is_no_group(self) -> None:
        for value, problem in (
            ("10.0.0.1", "10.0.0.1 is not the address of a multicast group"),
            ("all", "'all' is not a numeric address"),
            (224, "bad option value 224, it takes an address"),
        ):
            error = await self.failure_of(
                self.make(name="x", type="datagram", server=True, service=True, join=value),
                ProcessArgumentError,
            )
            self.assertEqual(f"join: {problem}", str(error))

    async def test_a_group_that_cannot_be_joined(self) -> None:
        for value in ("239.1.2.3%nope0", "ff05::1"):
            error = await self.failure_of(
                self.make(name="x", type="datagram", server=True, service=True, join=value),
                ProcessError,
            )
            self.assertIn("Cannot set network option join", str(error))
