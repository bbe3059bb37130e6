"""core/spec.py."""

from __future__ import annotations

import inspect
import socket
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc import make_network_process
from netproc.core.buffer import Buffer
from netproc.core.errors import ProcessArgumentError
from netproc.core.limits import DEFAULT_LIMITS, Limits
from netproc.core.options import NAMES
from netproc.core.spec import Lookup, ProcessSpec, name_to_verify, process_spec
from netproc.test.support import oddvalues

DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(make_network_process).parameters.items()
    if name not in ("table", "reactor")
}


def spec(**keywords: Any) -> ProcessSpec:
    return process_spec({**DEFAULTS, "name": "p", "service": 80, **keywords})


class SpecTests(SynchronousTestCase):
    def bad(self, keyword: str, problem: str, **keywords: Any) -> None:
        error = self.assertRaises(ProcessArgumentError, spec, **keywords)
        self.assertEqual((keyword, problem), (error.keyword, error.problem))

    # -- where --------------------------------------------------------------------------------

    def test_no_host_is_loopback(self) -> None:
        self.assertEqual(Lookup("127.0.0.1", "80", None), spec().lookup)
        self.assertEqual(
            Lookup("127.0.0.1", "80", "ipv4"), spec(host="local", family="ipv4").lookup
        )
        self.assertEqual(Lookup("::1", "80", "ipv6"), spec(host="local", family="ipv6").lookup)
        self.assertEqual(Lookup("::1", "80", "ipv6"), spec(family="ipv6").lookup)

    def test_host(self) -> None:
        self.assertEqual(Lookup("example", "80", 2), spec(host="example", family=2).lookup)
        self.bad("host", "5 is not a string", host=5)
        self.bad(
            "host", "Non-ASCII hostname 'é.invalid'; use its IDNA (xn--) form", host="é.invalid"
        )
        self.bad("host", "'a\\x00b' has a NUL character in it", host="a\0b")

    def test_service(self) -> None:
        for service, expected in (
            (7, "7"),
            ("7", "7"),
            (" 80", "80"),
            ("echo", "echo"),
            (True, "0"),
            (0, "0"),
        ):
            lookup = spec(service=service, server=True).lookup
            self.assertEqual(expected, lookup and lookup.service)
        for service in (-1, 65536, "65536", "-1"):
            self.bad("service", f"port {service} is not in 0…65535", service=service)
        self.bad("service", "port a value of type int is not in 0…65535", service=10**5000)
        for service in ("9" * 5000, "-" + "9" * 5000):
            self.bad(
                "service",
                "the port has 5000 digits, but the highest port is 65535",
                service=service,
            )
        self.bad("service", "this keyword is required", service=None)
        self.bad("service", "1.5 is not a string", service=1.5)
        self.bad("service", "it is empty", service=" ")

    def test_family(self) -> None:
        self.bad("family", "Unknown address family 'both'", family="both")
        self.bad("family", "Unknown address family True", family=True)
        self.bad("family", "Unknown address family []", family=[])
        problem = "2147483648 cannot be the number of an address family"
        self.bad("family", problem, family=2**31)

    def test_local_family(self) -> None:
        found = spec(family="local", service="/run/x", host="ignored")
        self.assertEqual((b"/run/x", None), (found.address and found.address.raw, found.lookup))
        self.assertNotIn("host", found.given)
        self.bad("service", "80 is not a string", family="local")
        self.bad("host", "5 is not a string", family="local", service="/x", host=5)

    def test_address_goes_before_host_service_and_family(self) -> None:
        found = spec(remote=(127, 0, 0, 1, 9), host=5, service=None, family="bogus")
        self.assertEqual(("127.0.0.1", 9), found.address and found.address.raw)
        found = spec(server=True, local=(0, 0, 0, 0, 9), remote=5)
        self.assertEqual(("0.0.0.0", 9), found.address and found.address.raw)
        self.bad("local", "malformed address 5", server=True, local=5)

    def test_endpoint_goes_without_what_it_decides(self) -> None:
        found = spec(endpoint="tcp:h:80", service=None)
        self.assertEqual(("tcp:h:80", None, None), (found.endpoint, found.address, found.lookup))
        for keyword in ("host", "service", "family", "local", "remote", "mode"):
            given = {"service": None, keyword: "x"}
            problem = "not possible with an endpoint, which decides this itself"
            self.bad(keyword, problem, endpoint="tcp:h:80", **given)
        problem = "not possible with an endpoint, which has the socket itself"
        self.bad("keepalive", problem, endpoint="tcp:h:80", service=None, keepalive=None)
        problem = "an endpoint has its own backlog: use server=True"
        for backlog in (7, 1, 0):
            self.bad("server", problem, endpoint="tcp:80", service=None, server=backlog)

    def test_mode(self) -> None:
        self.assertEqual(0o640, spec(server=True, local="/x", mode=0o640).mode)
        self.bad("mode", "512 is not in 0…0o777", server=True, local="/x", mode=0o1000)
        self.bad("mode", "True is not in 0…0o777", server=True, local="/x", mode=True)
        problem = "only a UNIX server with a file has a mode"
        self.bad("mode", problem, server=True, mode=0o600)
        self.bad("mode", problem, server=True, local="\0x", mode=0o600)
        self.bad("mode", problem, remote="/x", mode=0o600)

    # -- what ---------------------------------------------------------------------------------

    def test_order_of_checks(self) -> None:
        everything: dict[str, Any] = {
            "type": "bogus",
            "server": True,
            "nowait": True,
            "name": 5,
            "local": 5,
            "buffer": 5,
        }
        found = []
        while everything:
            error = self.assertRaises(ProcessArgumentError, spec, **everything)
            found.append(error.keyword)
            everything.pop(error.keyword)
            if error.keyword == "server":
                everything["server"] = True
                everything.pop("nowait")
            if error.keyword == "buffer":
                break
        self.assertEqual(["type", "server", "name", "local", "buffer"], found)

    def test_order_of_the_checks_behind_the_place(self) -> None:
        everything: dict[str, Any] = {
            "mode": "x",
            "priority": "x",
            "coding": "x",
            "tls_parameters": {},
            "filter": 5,
            "plist": 5,
            "buffer": 5,
        }
        found = []
        while everything:
            error = self.assertRaises(
                ProcessArgumentError, spec, remote=(127, 0, 0, 1, 9), **everything
            )
            found.append(error.keyword)
            everything.pop(error.keyword)
        expected = ["buffer", "plist", "filter", "tls_parameters", "coding", "priority", "mode"]
        self.assertEqual(expected, found)

    @given(st.dictionaries(st.sampled_from(sorted(DEFAULTS)), oddvalues.addresses, max_size=4))
    def test_whatever_is_given_is_taken_or_a_faulty_argument(self, odd: dict[str, Any]) -> None:
        try:
            spec(**odd)
        except ProcessArgumentError as error:
            self.assertIn(error.keyword, [*odd, "service", "tls_parameters"])

    @given(st.sampled_from(sorted(NAMES)), oddvalues.values)
    def test_so_are_options(self, keyword: str, value: object) -> None:
        try:
            spec(**{keyword: value})
        except ProcessArgumentError as error:
            self.assertEqual(keyword, error.keyword)

    def test_type(self) -> None:
        self.bad("type", "Unsupported connection type 'raw'", type="raw")
        self.bad("type", "Unsupported connection type []", type=[])
        for name, kind in (
            (None, socket.SOCK_STREAM),
            ("datagram", socket.SOCK_DGRAM),
            ("seqpacket", socket.SOCK_SEQPACKET),
        ):
            found = spec(type=name, service=7)
            self.assertEqual((kind, kind), (found.kind, found.lookup.kind))
        self.bad("type", "an endpoint can only be a stream", type="datagram", endpoint="x")

    def test_the_first_remote_of_a_datagram_server(self) -> None:
        place = {"local": (127, 0, 0, 1, 7), "remote": (127, 0, 0, 1, 8)}
        found = spec(type="datagram", server=True, **place)
        self.assertEqual(("127.0.0.1", 8), found.remote.raw)
        self.assertIsNone(spec(server=True, **place).remote)
        self.assertIsNone(spec(type="datagram", remote=(127, 0, 0, 1, 8)).remote)
        self.bad("remote", "malformed address 7", type="datagram", server=True, service=7, remote=7)

    def test_inherited_sockets(self) -> None:
        for value, expected in ((None, False), (True, True), (1, 1), ("web", "web")):
            found = spec(service=7, use_external_socket=value)
            self.assertEqual(expected, found.external)
        self.bad(
            "use_external_socket",
            "1.5 is neither True nor the position or name of a socket",
            service=7,
            use_external_socket=1.5,
        )

    def test_server_is_a_backlog(self) -> None:
        for server, expected in (
            (None, None),
            (False, None),
            (True, 5),
            (0, 0),
            (9, 9),
            ("yes", 5),
            (2**40, 5),
        ):
            self.assertEqual(expected, spec(server=server).backlog)
        self.assertTrue(spec(server=0).is_server)
        self.bad("server", "'server' is incompatible with 'nowait'", server=True, nowait=True)

    def test_buffer(self) -> None:
        buffer = Buffer("b", lambda b: None)
        self.assertEqual([None, "b", buffer], [spec(buffer=b).buffer for b in (None, "b", buffer)])
        self.bad("buffer", "5 is neither a buffer nor a name", buffer=5)
        self.bad("buffer", "the name of a buffer must not be empty", buffer="")

    def test_functions(self) -> None:
        self.assertIs(True, spec(filter=True).filter)
        self.assertIs(print, spec(sentinel=print).sentinel)
        for keyword in ("filter", "sentinel", "log"):
            self.bad(keyword, "5 is not a function", **{keyword: 5})

    def test_plist_is_copied(self) -> None:
        plist = {"a": 1}
        found = spec(plist=plist).plist
        self.assertEqual(plist, found)
        self.assertIsNot(plist, found)
        self.bad("plist", "5 is not a dictionary", plist=5)

    def test_options_that_were_given(self) -> None:
        self.assertEqual({}, spec().options)
        found = spec(keepalive=None, linger=5).options
        self.assertEqual({"keepalive": None, "linger": 5}, found)
        problem = "bad option value 'x', it takes a number"
        self.bad("priority", problem, priority="x")

    def test_tls_is_for_streams(self) -> None:
        for kind in ("datagram", "seqpacket"):
            self.bad("tls_parameters", "TLS is for streams", type=kind, tls_parameters={})

    def test_tls_verifies_the_host_unless_the_parameters_name_another(self) -> None:
        for expected, keywords in (
            ("localhost", {}),
            ("localhost", {"host": "local", "family": "ipv6"}),
            ("example", {"host": "example"}),
            ("192.0.2.1", {"host": "192.0.2.1"}),
            (None, {"endpoint": "e", "service": None}),
            (None, {"remote": "/socket"}),
            (None, {"family": "local", "service": "/socket"}),
            (None, {"server": True}),
        ):
            self.assertEqual(expected, spec(**keywords).tls_host, keywords)
        self.assertEqual("other", name_to_verify({"hostname": "other"}, "example"))
        self.assertEqual("other", name_to_verify(SimpleNamespace(hostname="other"), None))
        self.assertEqual("example", name_to_verify({}, "example"))

    def test_tls_needs_a_name_to_verify(self) -> None:
        problem = "there is no host name to verify: give hostname in the parameters"
        place = {"family": "local", "service": "/socket"}
        self.bad("tls_parameters", problem, **place, tls_parameters={})
        given = {"hostname": "example"}
        self.assertIs(given, spec(**place, tls_parameters=given).tls_parameters)
        self.assertEqual({}, spec(**place, server=True, tls_parameters={}).tls_parameters)

    def test_tls_parameters_are_not_shown(self) -> None:
        found = spec(tls_parameters={"password": "secret"})
        self.assertNotIn("tls_parameters", found.given)
        self.assertNotIn("secret", repr(found))

    def test_limits(self) -> None:
        self.assertIs(DEFAULT_LIMITS, spec().limits)
        self.assertEqual(Limits(connect_timeout=1.5), spec(connect_timeout=1.5).limits)
        problem = "0 is not a positive number of seconds"
        self.bad("connect_timeout", problem, connect_timeout=0)
        problem = "the number of seconds must be finite"
        self.bad("handshake_timeout", problem, handshake_timeout=float("inf"))
        problem = "nan is not a positive number of seconds"
        self.bad("handshake_timeout", problem, handshake_timeout=float("nan"))

    def test_flags(self) -> None:
        found = spec(stop=True, noquery=True, nowait=True, filter_multibyte=False)
        self.assertEqual(
            (True, False, True, False),
            (found.stopped, found.query_on_exit, found.nowait, found.filter_multibyte),
        )

    def test_contact_shows_what_was_given(self) -> None:
        found = spec(host="local", keepalive=None, stop=True, mode=None)
        expected = {
            "name": "p",
            "service": 80,
            "host": "local",
            "keepalive": None,
            "stop": True,
        }
        self.assertEqual(expected, found.given)
