"""Look-ups: names, interfaces, supported features."""

from __future__ import annotations

import builtins
import socket
from typing import Any

from netproc import (
    InterfaceInfo,
    ProcessArgumentError,
    ProcessError,
    network_interface_info,
    network_interface_list,
    network_lookup_address_info,
    supports,
)
from netproc.core import options
from netproc.net import info
from netproc.test.support.base import NetprocTestCase, install_resolver


class LookupTests(NetprocTestCase):
    async def test_numeric_names(self) -> None:
        self.assertEqual([(127, 0, 0, 1, 0)], await network_lookup_address_info("127.0.0.1"))
        loopback6 = (0, 0, 0, 0, 0, 0, 0, 1, 0)
        self.assertEqual([loopback6], await network_lookup_address_info("::1", "ipv6"))
        self.assertEqual([], await network_lookup_address_info("127.0.0.1", "ipv6"))
        found = await network_lookup_address_info("fe80::1%lo")
        self.assertEqual([("fe80::1%lo", 0)], found)

    async def test_names(self) -> None:
        self.assertIn((127, 0, 0, 1, 0), await network_lookup_address_info("localhost", "ipv4"))
        self.assertEqual([], await network_lookup_address_info("nosuchhost.invalid"))
        self.assertEqual([], await network_lookup_address_info(""))

    async def test_what_cannot_be_asked(self) -> None:
        for name, keywords, problem in (
            ("x", {"family": "bogus"}, "family: Unsupported lookup type 'bogus'"),
            ("x", {"timeout": 0}, "timeout: 0 is not a positive number of seconds"),
            ("é", {}, "name: 'é' is not a host name in ASCII; use its IDNA (xn--) form"),
            ("x", {"family": []}, "family: Unsupported lookup type []"),
            ("\ud800", {}, "name: '\\ud800' is not a host name in ASCII; use its IDNA (xn--) form"),
            (5, {}, "name: 5 is not a host name in ASCII; use its IDNA (xn--) form"),
        ):
            looking = network_lookup_address_info(name, **keywords)
            error = await self.failure_of(looking, ProcessArgumentError)
            self.assertEqual(problem, str(error))

    async def test_what_takes_too_long_is_not_found(self) -> None:
        asked: list[str] = []

        install_resolver(self, lambda receiver, name, *rest: asked.append(name))
        found = await network_lookup_address_info("slow.example", timeout=0.01)
        self.assertEqual(([], ["slow.example"]), (found, asked))


class FakeStats:
    flags = "up,running"


def address(family: int, *texts: str | None) -> Any:
    class Found:
        pass

    found = Found()
    found.family = family
    found.address, found.netmask, found.broadcast = texts
    return found


class FakePsutil:
    """A machine with two interfaces: one has every property, the other has none."""

    AF_LINK = 17

    @classmethod
    def net_if_addrs(cls) -> dict[str, list[Any]]:
        return {
            "lan0": [
                address(socket.AF_INET, "10.1.2.3", "255.255.0.0", "10.1.255.255"),
                address(socket.AF_INET6, "fe80::1%lan0", "ffff:ffff:ffff:ffff::", None),
                address(cls.AF_LINK, "02:fc:00:00:00:01", None, "ff:ff:ff:ff:ff:ff"),
            ],
            "tun0": [address(socket.AF_INET, "10.9.9.9", None, None)],
            "bare0": [],
        }

    @staticmethod
    def net_if_stats() -> dict[str, Any]:
        return {"lan0": FakeStats()}


class InterfaceTests(NetprocTestCase):
    def test_the_loopback_interface(self) -> None:
        self.assertIn(("lo", (127, 0, 0, 1, 0)), network_interface_list())
        found = network_interface_info("lo")
        self.assertEqual(((127, 0, 0, 1, 0), (255, 0, 0, 0, 0)), (found.address, found.netmask))
        self.assertEqual((772, (0, 0, 0, 0, 0, 0)), found.hardware)
        self.assertEqual(("running", "loopback", "up"), found.flags)

    def test_lists(self) -> None:
        self.patch(info, "_psutil", lambda: FakePsutil)
        lan, tun = ("lan0", (10, 1, 2, 3, 0)), ("tun0", (10, 9, 9, 9, 0))
        link_local = ("lan0", (0xFE80, 0, 0, 0, 0, 0, 0, 1, 0))
        self.assertEqual([lan, link_local, tun], network_interface_list())
        self.assertEqual([lan, tun], network_interface_list(family="ipv4"))
        self.assertEqual([link_local], network_interface_list(family="ipv6"))
        self.assertEqual(
            [
                (*lan, (10, 1, 255, 255, 0), (255, 255, 0, 0, 0)),
                (*tun, (10, 9, 9, 9, 0), (255, 255, 255, 255, 0)),
            ],
            network_interface_list(full=True, family="ipv4"),
        )
        (entry,) = network_interface_list(full=True, family="ipv6")
        ones = (65535,) * 4
        self.assertEqual((0xFE80, 0, 0, 0, *ones, 0), entry[2])
        self.assertEqual((*ones, 0, 0, 0, 0, 0), entry[3])

    def test_one(self) -> None:
        self.patch(info, "_psutil", lambda: FakePsutil)
        self.assertEqual(
            InterfaceInfo(
                address=(10, 1, 2, 3, 0),
                broadcast=(10, 1, 255, 255, 0),
                netmask=(255, 255, 0, 0, 0),
                hardware=(0, (2, 0xFC, 0, 0, 0, 1)),
                flags=("running", "up"),
                ipv6=((0xFE80, 0, 0, 0, 0, 0, 0, 1, 0),),
            ),
            network_interface_info("lan0"),
        )
        nothing = (0, 0, 0, 0, 0)
        self.assertEqual(
            InterfaceInfo(nothing, nothing, nothing, (0, (0,) * 6), (), ()),
            network_interface_info("bare0"),
        )
        self.assertIsNone(network_interface_info("nosuch0"))

    def test_what_cannot_be_asked(self) -> None:
        for call, problem in (
            (lambda: network_interface_list(family="x"), "family: Unsupported address family 'x'"),
            (
                lambda: network_interface_info("x" * 16),
                f"name: interface name too long: {'x' * 16!r}, 15 bytes are possible",
            ),
            (lambda: network_interface_info(None), "name: None is not the name of an interface"),
            (
                lambda: network_interface_info("\ud800"),
                "name: '\\ud800' cannot be the name of an interface",
            ),
        ):
            self.assertEqual(problem, str(self.assertRaises(ProcessArgumentError, call)))

    def test_without_psutil(self) -> None:
        importing = builtins.__import__

        def fail(name: str, *rest: Any) -> Any:
            if name == "psutil":
                raise ImportError(name)
            return importing(name, *rest)

        self.patch(builtins, "__import__", fail)
        error = self.assertRaises(ProcessError, network_interface_list)
        self.assertEqual("interfaces need psutil: pip install netproc[interfaces]", str(error))


class SupportsTests(NetprocTestCase):
    def test_what_emacs_has(self) -> None:
        for values in (
            {"nowait": True}, {"type": "datagram"}, {"type": "seqpacket"}, {"family": "local"},
            {"family": "ipv4"}, {"service": True}, {"server": True},
            {"tls": True},
        ):  # fmt: skip
            self.assertTrue(supports(**values), values)
        for option in (
            "bindtodevice", "broadcast", "dontroute", "keepalive", "linger", "oobinline", "priority",
            "reuseaddr", "nodelay", "join",
        ):  # fmt: skip
            self.assertTrue(supports(option), option)
        self.assertTrue(supports(":keepalive"))
        self.assertEqual(socket.has_ipv6, supports("keepalive", family="ipv6"))

    def test_what_this_system_has_not(self) -> None:
        missing = options.OPTIONS["priority"]._replace(number=-1)
        self.patch(options, "OPTIONS", {**options.OPTIONS, "priority": missing})
        self.assertEqual((False, True), (supports("priority"), supports("keepalive")))

    def test_what_it_has_not(self) -> None:
        for values in ({"type": "stream"}, {"nowait": False}, {"family": "x"}, {"nosuch": 1}):
            self.assertFalse(supports(**values), values)
        self.assertFalse(supports("nosuch"))
        self.assertFalse(supports("use_external_socket"))
        self.assertFalse(supports(":server"))
        self.assertFalse(supports(type=["datagram"]))
        self.assertFalse(supports("keepalive", type="stream"))
