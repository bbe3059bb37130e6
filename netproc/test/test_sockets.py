"""net/sockets.py and net/lookup.py: addresses between sockets, netproc and Twisted."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.address import SocketAddress, parse_address
from netproc.core.spec import Lookup
from netproc.net import sockets
from netproc.net.lookup import resolve
from netproc.test.support.base import install_resolver, reactor

PAIRS = (
    (SocketAddress(socket.AF_INET, ("127.0.0.1", 7)), IPv4Address("TCP", "127.0.0.1", 7)),
    (SocketAddress(socket.AF_INET6, ("::1", 7, 0, 0)), IPv6Address("TCP", "::1", 7)),
)


class AddressTests(SynchronousTestCase):
    def test_twisteds_addresses_are_ours(self) -> None:
        for ours, theirs in PAIRS:
            self.assertEqual(theirs, sockets.twisted_address(ours))
            self.assertEqual(ours, sockets.from_twisted_address(theirs))

    def test_unix(self) -> None:
        for raw, name in (("/x", b"/x"), (b"\0x", b"\0x"), ("", None)):
            found = sockets.twisted_address(SocketAddress(socket.AF_UNIX, raw))
            self.assertEqual(UNIXAddress(name), found)
        self.assertEqual(UNIXAddress(None), sockets.twisted_address(None))
        for name, raw in ((b"/x", b"/x"), (None, "")):
            found = sockets.from_twisted_address(UNIXAddress(name))
            self.assertEqual(SocketAddress(socket.AF_UNIX, raw), found)

    def test_zones_survive(self) -> None:
        ours = parse_address(("fe80::1%lo", 7), "remote")
        theirs = sockets.twisted_address(ours)
        self.assertEqual(ours, sockets.from_twisted_address(theirs))
        named = IPv6Address("TCP", "fe80::1%lo", 7)
        self.assertEqual(ours, sockets.from_twisted_address(named))

    def test_a_name_is_no_address(self) -> None:
        self.assertIsNone(sockets.from_twisted_address(IPv4Address("TCP", "some.example", 7)))

    def test_others_are_unknown(self) -> None:
        self.assertIsNone(sockets.from_twisted_address(HostnameAddress(b"x", 7)))


class ResolveTests(SynchronousTestCase):
    def resolve(self, *addresses: Any) -> Any:
        """Resolve a name; the reactor's resolver answers with ADDRESSES."""

        def answer(receiver: Any, host: str, port: int, types: Any) -> None:
            receiver.resolutionBegan(None)
            for address in addresses:
                receiver.addressResolved(address)
            receiver.resolutionComplete()
            receiver.resolutionComplete()

        install_resolver(self, answer)
        return resolve(Lookup("some.example", "7", None), reactor)

    def test_in_the_resolvers_order(self) -> None:
        found = self.successResultOf(self.resolve(PAIRS[1][1], PAIRS[0][1]))
        self.assertEqual([PAIRS[1][0], PAIRS[0][0]], found)

    def test_what_is_no_address_is_left_out(self) -> None:
        self.failureResultOf(self.resolve(HostnameAddress(b"x", 7)))

    def test_numeric_services_of_names(self) -> None:
        found = self.successResultOf(resolve(Lookup("127.0.0.1", "echo", None), reactor))
        self.assertEqual(("127.0.0.1", 7), found[0].raw)

    def test_families_by_number(self) -> None:
        found = self.successResultOf(resolve(Lookup("::1", "7", socket.AF_INET6), reactor))
        self.assertEqual("::1", found[0].raw[0])
        failure = self.failureResultOf(resolve(Lookup("127.0.0.1", "7", 77), reactor))
        self.assertIn("ai_family not supported", failure.getErrorMessage())
