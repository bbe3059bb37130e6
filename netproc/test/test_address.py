"""core/address.py."""

from __future__ import annotations

import contextlib
import os
import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import address
from netproc.core.address import SocketAddress
from netproc.core.errors import ProcessArgumentError
from netproc.test.support import oddvalues

LOOPBACK_NUMBER = socket.if_nametoindex("lo")

V4 = (127, 0, 0, 1, 80)
V6 = (0x2001, 0xDB8, 0, 0, 0, 0, 0, 0xFF, 443)

ports = st.integers(0, 65535)
v4_addresses = st.tuples(*[st.integers(0, 255)] * 4, ports)
v6_addresses = st.tuples(*[st.integers(0, 65535)] * 8, ports)
paths = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


class ParseTests(SynchronousTestCase):
    def test_ipv4(self) -> None:
        expected = SocketAddress(socket.AF_INET, ("127.0.0.1", 80))
        self.assertEqual(expected, address.parse_address(V4, "remote"))
        self.assertEqual(expected, address.parse_address(list(V4), "remote"))

    def test_ipv6(self) -> None:
        self.assertEqual(
            SocketAddress(socket.AF_INET6, ("2001:db8::ff", 443, 0, 0)),
            address.parse_address(V6, "remote"),
        )

    def test_path(self) -> None:
        found = address.parse_address("/tmp/é", "local")
        self.assertEqual(SocketAddress(socket.AF_UNIX, b"/tmp/\xc3\xa9"), found)

    def test_abstract_name(self) -> None:
        self.assertEqual(
            SocketAddress(socket.AF_UNIX, b"\0name"), address.parse_address("\0name", "local")
        )

    def test_raw_forms_of_known_families_are_these_families(self) -> None:
        raw_v4 = (int(socket.AF_INET), (0, 80, 127, 0, 0, 1))
        raw_v6 = (int(socket.AF_INET6), [1, 187, 0, 0, 0, 0, *[0] * 15, 1, 7, 0, 0, 0])
        raw_unix = (int(socket.AF_UNIX), tuple(b"/run/x\0\0"))
        self.assertEqual(("127.0.0.1", 80), address.parse_address(raw_v4, "remote").raw)
        self.assertEqual(("::1", 443, 0, 7), address.parse_address(raw_v6, "remote").raw)
        self.assertEqual(b"/run/x", address.parse_address(raw_unix, "remote").raw)

    def test_raw_form_of_another_family(self) -> None:
        found = address.parse_address((99, (1, 2, 3)), "remote")
        self.assertEqual(SocketAddress(99, b"\1\2\3"), found)
        self.assertEqual((99, (1, 2, 3)), address.address_form(found))

    def test_other_shapes_are_malformed(self) -> None:
        for value in ((127, 0, 0, 1), (), 5, (2, 5), (2, "abc"), ("x", (1,)), (True, (1,)), b"/x"):
            error = self.assertRaises(ProcessArgumentError, address.parse_address, value, "remote")
            self.assertEqual(
                ("remote", f"malformed address {value!r}"), (error.keyword, error.problem)
            )

    def test_numbers_out_of_range_are_named(self) -> None:
        for value, problem in (
            ((127, 256, 0, 1, 80), "octet 256 is not in 0…255"),
            ((127, 0, 0, 1, 65536), "port 65536 is not in 0…65535"),
            ((127, 0, 0, 1, -1), "port -1 is not in 0…65535"),
            ((127, 0, 0, True, 80), "octet True is not in 0…255"),
            ((127, 0, 0, "1", 80), "octet '1' is not in 0…255"),
            ((0, 0, 0, 0, 0, 0, 0, 65536, 80), "group 65536 is not in 0…65535"),
            ((99, (256,)), "byte 256 is not in 0…255"),
            ((2**31, (1, 2)), "2147483648 cannot be the number of an address family"),
            ((10**5000, ()), "a value of type int cannot be the number of an address family"),
            ((10, (0, 7, 0, 16, 0, 0)), "flow label 1048576 is not in 0…1048575"),
            (("::1", 70000), "port 70000 is not in 0…65535"),
        ):
            error = self.assertRaises(ProcessArgumentError, address.parse_address, value, "local")
            self.assertEqual(problem, error.problem)

    def test_hosts_as_text(self) -> None:
        for value, expected in (
            (("127.0.0.1", 80), ("127.0.0.1", 80)),
            (("2001:DB8::FF", 443), ("2001:db8::ff", 443, 0, 0)),
            (["fe80::1%lo", 7], ("fe80::1", 7, 0, LOOPBACK_NUMBER)),
            (("fe80::1%4711", 7), ("fe80::1", 7, 0, 4711)),
        ):
            self.assertEqual(expected, address.parse_address(value, "local").raw)
        for host, problem in (
            ("localhost", "'localhost' is not a numeric address"),
            ("\ud800", "'\\ud800' is not a numeric address"),
            ("fe80::1%nope", "there is no network interface 'nope'"),
            ("fe80::1%\ud800", "there is no network interface '\\ud800'"),
            ("fe80::1%" + "9" * 5000, f"there is no network interface {'9' * 199!r}"[:-1] + "…"),
        ):
            error = self.assertRaises(
                ProcessArgumentError, address.parse_address, (host, 7), "local"
            )
            self.assertEqual(problem, error.problem)

    def test_hosts_are_spelled_as_the_kernel_does(self) -> None:
        """Because of this, addresses can be compared by their text."""
        mapped = (0, 0, 0, 0, 0, 0xFFFF, 0x7F00, 1, 7)
        for value in (mapped, ("::ffff:127.0.0.1", 7), ("::FFFF:7f00:1", 7)):
            self.assertEqual(("::ffff:127.0.0.1", 7, 0, 0), address.parse_address(value, "x").raw)

    def test_nuls_belong_to_abstract_names(self) -> None:
        for name in (b"\0name", b"\0name\0", b"\0na\0me", b"\0name".ljust(108, b"\0"), bytes(108)):
            for value in (os.fsdecode(name), (int(socket.AF_UNIX), tuple(name))):
                found = address.parse_address(value, "remote")
                self.assertEqual(
                    (name, os.fsdecode(name)), (found.raw, address.address_form(found))
                )

    def test_unix_names_that_cannot_be(self) -> None:
        for path, problem in (
            (
                "/tmp/\ud800",
                "the name '/tmp/\\ud800' of a UNIX socket has characters that files cannot have",
            ),
            ("\0" + "a" * 108, "Service name too long: 109 bytes, 108 are possible"),
            ("a" * 108, "Service name too long: 108 bytes, 107 are possible"),
            ("", "empty name '' of a UNIX socket"),
            ("\0", "empty name '\\x00' of a UNIX socket"),
            ("a\0b", "NUL inside the name 'a\\x00b' of a UNIX socket"),
        ):
            error = self.assertRaises(ProcessArgumentError, address.parse_address, path, "local")
            self.assertEqual(problem, error.problem)
        self.assertEqual(b"a" * 107, address.parse_address("a" * 107, "local").raw)


class PrintTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for value in (V4, V6, "/run/x", "\0abstract"):
            self.assertEqual(value, address.address_form(address.parse_address(value, "local")))
        self.assertEqual("", address.address_form(SocketAddress(socket.AF_UNIX, "")))

    def test_the_zone_survives(self) -> None:
        found = address.parse_address(("fe80::1%lo", 7), "local")
        self.assertEqual(("fe80::1%lo", 7), address.address_form(found))
        self.assertEqual("fe80::1%lo", address.numeric_host(found))
        self.assertEqual("fe80:0:0:0:0:0:0:1%lo", address.host_text(found))
        self.assertEqual("[fe80:0:0:0:0:0:0:1%lo]:7", address.format_address(found))
        gone = SocketAddress(socket.AF_INET6, ("fe80::1", 7, 0, 999_999))
        self.assertEqual(("fe80::1%999999", 7), address.address_form(gone))
        self.assertEqual(gone, address.parse_address(address.address_form(gone), "local"))

    def test_ipv4_clients_of_an_ipv6_server_are_shown_as_others_are(self) -> None:
        found = address.parse_address(("::ffff:192.0.2.1", 7), "x")
        self.assertEqual(
            ("192.0.2.1", "192.0.2.1:7"), (address.host_text(found), address.format_address(found))
        )
        self.assertEqual((0, 0, 0, 0, 0, 0xFFFF, 0xC000, 0x201, 7), address.address_form(found))

    def test_names_that_peers_choose_are_one_line(self) -> None:
        found = SocketAddress(socket.AF_UNIX, b"\0evil\n[root] all is well \x1b[2J")
        self.assertEqual("@evil\\n[root] all is well \\x1b[2J", address.format_address(found))

    def test_host_text_has_groups_in_the_right_order(self) -> None:
        self.assertEqual("127.0.0.1", address.host_text(address.parse_address(V4, "x")))
        self.assertEqual("2001:db8:0:0:0:0:0:ff", address.host_text(address.parse_address(V6, "x")))
        self.assertEqual("-", address.host_text(address.parse_address("/run/x", "x")))
        self.assertEqual("-", address.host_text(None))

    def test_text(self) -> None:
        for value, expected in (
            (V4, "127.0.0.1:80"),
            (V6, "[2001:db8:0:0:0:0:0:ff]:443"),
            ("/run/x", "/run/x"),
            ("\0name", "@name"),
            ((99, (1, 2)), "family 99"),
        ):
            self.assertEqual(expected, address.format_address(address.parse_address(value, "x")))
        self.assertEqual("-", address.format_address(None))
        self.assertEqual("-", address.format_address(SocketAddress(socket.AF_UNIX, "")))

    def test_wildcards(self) -> None:
        for value, destination in (
            (("0.0.0.0", 7), ("127.0.0.1", 7)),
            (("::", 7), ("::1", 7)),
            (("::ffff:0.0.0.0", 7), ("::ffff:127.0.0.1", 7)),
        ):
            found = address.parse_address(value, "x")
            expected = address.parse_address(destination, "x")
            self.assertEqual((True, expected), (found.is_wildcard, found.destination))
        for value in (V4, V6, "/x"):
            found = address.parse_address(value, "x")
            self.assertEqual((False, found), (found.is_wildcard, found.destination))

    @given(st.one_of(v4_addresses, v6_addresses))
    def test_what_is_parsed_prints_the_same(self, value: tuple[int, ...]) -> None:
        self.assertEqual(value, address.address_form(address.parse_address(value, "x")))

    @given(oddvalues.addresses)
    def test_anything_else_is_a_faulty_argument(self, value: object) -> None:
        try:
            found = address.parse_address(value, "x")
        except ProcessArgumentError:
            return
        self.assertTrue(address.format_address(found).isprintable())
        again = address.parse_address(address.address_form(found), "x")
        self.assertEqual(address.address_form(found), address.address_form(again))

    @given(oddvalues.addresses)
    def test_the_socket_module_takes_what_is_parsed(self, value: object) -> None:
        try:
            found = address.parse_address(value, "x")
        except ProcessArgumentError:
            return
        if found.family in address.LOOPBACK:
            with socket.socket(found.family, socket.SOCK_DGRAM) as sock:
                with contextlib.suppress(OSError):
                    sock.connect(found.raw)

    @given(paths)
    def test_paths_print_the_same(self, path: str) -> None:
        if len(path.encode()) <= address.UNIX_PATH_MAX:
            self.assertEqual(path, address.address_form(address.parse_address(path, "x")))


class FormatTests(SynchronousTestCase):
    def test_format_network_address(self) -> None:
        v6 = (8193, 3512, 0, 0, 0, 255, 0, 43981)
        for value, omit_port, expected in (
            ((127, 0, 0, 1, 80), False, "127.0.0.1:80"),
            ((127, 0, 0, 1, 80), True, "127.0.0.1"),
            ((127, 0, 0, 1, 70000), True, "127.0.0.1"),
            ((127, 0, 0, 1, 70000), False, None),
            ((10, 20, 30, 40), False, "10.20.30.40"),
            ((10, 20, 30, 256), False, None),
            (v6, False, "2001:db8:0:0:0:ff:0:abcd"),
            ((*v6, 443), False, "[2001:db8:0:0:0:ff:0:abcd]:443"),
            ((*v6, 443), True, "2001:db8:0:0:0:ff:0:abcd"),
            ([127, 0, 0, 1], False, "127.0.0.1"),
            (("a", 0, 0, 1), False, None),
            ("/tmp/sock", False, "/tmp/sock"),
            ((99, (1, 2)), False, "<Family 99>"),
            (("a", (1, 2)), False, None),
            ((10**5000, (1, 2)), False, None),
            (("fe80::1%lo", 7), False, "[fe80:0:0:0:0:0:0:1%lo]:7"),
            (("fe80::1%lo", 7), True, "fe80:0:0:0:0:0:0:1%lo"),
            (("localhost", 7), False, None),
            ((1, 2), False, None),
            ((), False, None),
            (None, False, None),
            (5, False, None),
        ):
            self.assertEqual(expected, address.format_network_address(value, omit_port), value)
