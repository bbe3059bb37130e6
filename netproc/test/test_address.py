"""core/address.py."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import address
from netproc.core.address import SocketAddress
from netproc.core.errors import ProcessArgumentError

V4 = (127, 0, 0, 1, 80)
V6 = (0x2001, 0xDB8, 0, 0, 0, 0, 0, 0xFF, 443)

ports = st.integers(0, 65535)
v4_addresses = st.tuples(*[st.integers(0, 255)] * 4, ports)
v6_addresses = st.tuples(*[st.integers(0, 65535)] * 8, ports)
paths = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


class ParseTests(SynchronousTestCase):
    def test_ipv4(self) -> None:
        expected = SocketAddress(socket.AF_INET, ("127.0.0.1", 80))
        self.assertEqual(expected, address.parse(V4, "remote"))
        self.assertEqual(expected, address.parse(list(V4), "remote"))

    def test_ipv6(self) -> None:
        self.assertEqual(
            SocketAddress(socket.AF_INET6, ("2001:db8::ff", 443, 0, 0)),
            address.parse(V6, "remote"),
        )

    def test_path(self) -> None:
        found = address.parse("/tmp/é", "local")
        self.assertEqual(SocketAddress(socket.AF_UNIX, b"/tmp/\xc3\xa9"), found)

    def test_abstract_name(self) -> None:
        self.assertEqual(SocketAddress(socket.AF_UNIX, b"\0name"), address.parse("\0name", "local"))

    def test_raw_forms_of_known_families_are_these_families(self) -> None:
        raw_v4 = (int(socket.AF_INET), (0, 80, 127, 0, 0, 1))
        raw_v6 = (int(socket.AF_INET6), [1, 187, 0, 0, 0, 0, *[0] * 15, 1, 7, 0, 0, 0])
        raw_unix = (int(socket.AF_UNIX), tuple(b"/run/x\0\0"))
        self.assertEqual(("127.0.0.1", 80), address.parse(raw_v4, "remote").raw)
        self.assertEqual(("::1", 443, 0, 7), address.parse(raw_v6, "remote").raw)
        self.assertEqual(b"/run/x", address.parse(raw_unix, "remote").raw)

    def test_raw_form_of_another_family(self) -> None:
        found = address.parse((99, (1, 2, 3)), "remote")
        self.assertEqual(SocketAddress(99, b"\1\2\3"), found)
        self.assertEqual((99, (1, 2, 3)), address.form(found))

    def test_other_shapes_are_malformed(self) -> None:
        for value in ((127, 0, 0, 1), (), 5, (2, 5), (2, "abc"), ("x", (1,)), (True, (1,)), b"/x"):
            error = self.assertRaises(ProcessArgumentError, address.parse, value, "remote")
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
        ):
            error = self.assertRaises(ProcessArgumentError, address.parse, value, "local")
            self.assertEqual(problem, error.problem)

    def test_unix_names_that_cannot_be(self) -> None:
        for path, problem in (
            ("a" * 108, "Service name too long: 108 bytes, 107 are possible"),
            ("", "empty name '' of a UNIX socket"),
            ("\0", "empty name '\\x00' of a UNIX socket"),
            ("a\0b", "NUL inside the name 'a\\x00b' of a UNIX socket"),
        ):
            error = self.assertRaises(ProcessArgumentError, address.parse, path, "local")
            self.assertEqual(problem, error.problem)
        self.assertEqual(b"a" * 107, address.parse("a" * 107, "local").raw)


class PrintTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for value in (V4, V6, "/run/x", "\0abstract"):
            self.assertEqual(value, address.form(address.parse(value, "local")))
        self.assertEqual("", address.form(SocketAddress(socket.AF_UNIX, "")))

    def test_scope_is_no_part_of_the_form(self) -> None:
        found = address.form(SocketAddress(socket.AF_INET6, ("fe80::1%lo", 7, 0, 1)))
        self.assertEqual((0xFE80, 0, 0, 0, 0, 0, 0, 1, 7), found)

    def test_host_text_has_groups_in_the_right_order(self) -> None:
        self.assertEqual("127.0.0.1", address.host_text(address.parse(V4, "x")))
        self.assertEqual("2001:db8:0:0:0:0:0:ff", address.host_text(address.parse(V6, "x")))
        self.assertEqual("-", address.host_text(address.parse("/run/x", "x")))
        self.assertEqual("-", address.host_text(None))

    def test_text(self) -> None:
        for value, expected in (
            (V4, "127.0.0.1:80"),
            (V6, "[2001:db8:0:0:0:0:0:ff]:443"),
            ("/run/x", "/run/x"),
            ("\0name", "@name"),
            ((99, (1, 2)), "family 99"),
        ):
            self.assertEqual(expected, address.text(address.parse(value, "x")))
        self.assertEqual("-", address.text(None))
        self.assertEqual("-", address.text(SocketAddress(socket.AF_UNIX, "")))

    def test_wildcards(self) -> None:
        for value, expected in (
            ((0, 0, 0, 0, 7), True),
            (V4, False),
            ((0,) * 9, True),
            ("/x", False),
        ):
            self.assertEqual(expected, address.parse(value, "x").is_wildcard)

    @given(st.one_of(v4_addresses, v6_addresses))
    def test_what_is_parsed_prints_the_same(self, value: tuple[int, ...]) -> None:
        self.assertEqual(value, address.form(address.parse(value, "x")))

    @given(paths)
    def test_paths_print_the_same(self, path: str) -> None:
        if len(path.encode()) <= address.UNIX_PATH_MAX:
            self.assertEqual(path, address.form(address.parse(path, "x")))


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
            ((1, 2), False, None),
            ((), False, None),
            (None, False, None),
            (5, False, None),
        ):
            self.assertEqual(expected, address.format_network_address(value, omit_port), value)
