"""core/options.py."""

from __future__ import annotations

import inspect
import socket

from twisted.trial.unittest import SynchronousTestCase

from netproc import make_network_process
from netproc.core import options
from netproc.core.errors import ProcessArgumentError


class PackTests(SynchronousTestCase):
    def test_flags_are_on_for_anything_but_nil(self) -> None:
        for value, expected in ((True, 1), ("yes", 1), (0, 1), (None, 0), (False, 0)):
            self.assertEqual(expected, options.pack("keepalive", value))

    def test_priority_is_a_number(self) -> None:
        self.assertEqual(6, options.pack("priority", 6))
        for value in ("high", None, True):
            error = self.assertRaises(ProcessArgumentError, options.pack, "priority", value)
            self.assertEqual("priority", error.keyword)

    def test_numbers_that_the_kernel_cannot_hold(self) -> None:
        for value, problem in (
            (2**31, "2147483648 is not in -2147483648…2147483647"),
            (10**5000, "a value of type int is not in -2147483648…2147483647"),
        ):
            for keyword in ("priority", "linger"):
                error = self.assertRaises(ProcessArgumentError, options.check, keyword, value)
                self.assertEqual((keyword, problem), (error.keyword, error.problem))

    def test_device_is_a_name(self) -> None:
        self.assertEqual(b"lo\0", options.pack("bindtodevice", "lo"))
        self.assertEqual(b"", options.pack("bindtodevice", None))
        self.assertEqual(b"\xff\0", options.pack("bindtodevice", "\udcff"))
        error = self.assertRaises(ProcessArgumentError, options.pack, "bindtodevice", 7)
        self.assertEqual("bad option value 7, it takes a name or None", error.problem)

    def test_interfaces_that_the_kernel_would_take_for_others(self) -> None:
        for name, problem in (
            ("l\0o", "'l\\x00o' cannot be the name of an interface"),
            ("\ud800", "'\\ud800' cannot be the name of an interface"),
            ("x" * 16, f"interface name too long: {'x' * 16!r}, 15 bytes are possible"),
        ):
            for keyword, value in (("bindtodevice", name), ("join", f"224.0.0.1%{name}")):
                error = self.assertRaises(ProcessArgumentError, options.pack, keyword, value)
                self.assertEqual((keyword, problem), (error.keyword, error.problem))

    def test_linger(self) -> None:
        for value, expected in (
            (True, None),
            (None, None),
            ("t", None),
            (5, 5),
            (0, 0),
            (-3, 0),
            (10**400, 2**31 - 1),
        ):
            self.assertEqual(expected, options.linger_seconds(value))

    def test_groups(self) -> None:
        group = options.Group(b"\xef\1\2\3", None)
        self.assertEqual(group, options.pack("join", "239.1.2.3"))
        self.assertEqual(group._replace(interface=b"lo"), options.pack("join", "239.1.2.3%lo"))
        for value, problem in (
            ("10.0.0.1", "10.0.0.1 is not the address of a multicast group"),
            ("all", "'all' is not a numeric address"),
            (224, "bad option value 224, it takes an address"),
        ):
            error = self.assertRaises(ProcessArgumentError, options.pack, "join", value)
            self.assertEqual(("join", problem), (error.keyword, error.problem))

    def test_some_are_elsewhere_on_ipv6_sockets(self) -> None:
        ttl = options.option("multicast_ttl", socket.AF_INET6)
        self.assertEqual(socket.IPPROTO_IPV6, ttl.level)
        self.assertNotEqual(ttl, options.option("multicast_ttl", socket.AF_INET))
        keepalive = options.option("keepalive", socket.AF_INET6)
        self.assertEqual(keepalive, options.option("keepalive", socket.AF_INET))

    def test_the_signature_of_make_network_process_has_exactly_these(self) -> None:
        parameters = inspect.signature(make_network_process).parameters.values()
        found = {p.name for p in parameters if p.default is options.UNSET}
        self.assertEqual(options.NAMES, found)

    def test_those_of_emacs_and_ours(self) -> None:
        theirs = (
            "bindtodevice broadcast dontroute keepalive linger nodelay oobinline priority reuseaddr"
        )
        ours = "join keepcnt keepidle keepintvl multicast_loop multicast_ttl rcvbuf reuseport sndbuf v6only"
        self.assertEqual([*theirs.split(), *ours.split()], list(options.OPTIONS))
