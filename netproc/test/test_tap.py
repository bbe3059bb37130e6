"""Right and wrong command lines: commands/tap.py, make.py, keywords.py, values.py and exits.py."""

from __future__ import annotations

import errno
import io
import os
import socket
import sys
import time
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netproc import ProcessError, filters
from netproc.commands import exits as ending
from netproc.commands import make as command
from netproc.commands import tap, values
from netproc.commands.clock import use_monotonic_clock
from netproc.commands.keywords import OPTIONS
from netproc.commands.make import MakeOptions, ProcessCommand
from netproc.core.options import OPTIONS as NETWORK_OPTIONS
from netproc.making.make import KEYWORDS
from netproc.test.support.base import NetprocTestCase, reactor
from netproc.test.support.certificates import Authority, pem_of_key


def parse(*arguments: str) -> dict[str, Any]:
    options = MakeOptions()
    options.parseOptions(arguments)
    return options.keywords


class Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class ValueTests(SynchronousTestCase):
    def test_lisp(self) -> None:
        for text, value in (("t", True), ("nil", None), ("7", 7), ("-1", -1), ("x", "x"), ("", "")):
            self.assertEqual(value, values.lisp(text))

    def test_strings_are_never_coerced(self) -> None:
        found = parse("--name", "t", "--host", "7", "--buffer", "nil", "--service", "7")
        self.assertEqual({"name": "t", "host": "7", "buffer": "nil", "service": 7}, found)

    def test_mode_is_octal(self) -> None:
        self.assertEqual([0o640, 0o640, 0o640], [values.octal(t) for t in ("640", "0640", "0o640")])
        self.assertRaises(ValueError, values.octal, "9")

    def test_addresses(self) -> None:
        for text, value in (
            ("127.0.0.1:80", (127, 0, 0, 1, 80)),
            ("[::1]:80", ("::1", 80)),
            ("[fe80::1%lo]:80", ("fe80::1%lo", 80)),
            ("@name", "\0name"),
            ("/run/x", "/run/x"),
            ("١.0.0.1:80", "١.0.0.1:80"),
        ):
            self.assertEqual(value, values.address(text))

    def test_functions(self) -> None:
        self.assertIs(filters.echo, values.function("netproc.filters.echo"))
        self.assertIs(True, values.function("t"))
        self.assertIsNone(values.function("nil"))

    def test_functions_of_the_working_directory_come_last(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        for name in ("mine_for_tap", "netproc"):
            with open(os.path.join(directory, f"{name}.py"), "w") as file:
                file.write("def upper(process, text): pass\nnumber = 5\n")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        self.patch(sys, "path", [p for p in sys.path if p not in ("", os.getcwd())])
        self.assertEqual("upper", values.function("mine_for_tap.upper").__name__)
        self.assertRaises(ValueError, values.function, "netproc.upper")
        self.assertRaises(ValueError, values.function, "mine_for_tap.number")

    def test_plist(self) -> None:
        found = parse("--name", "p", "--service", "7", "--plist", "a=1", "--plist", "b=x=y")
        self.assertEqual({"a": 1, "b": "x=y"}, found["plist"])

    def test_tls(self) -> None:
        client = ("--name", "p", "--service", "7")
        self.assertNotIn("tls_parameters", parse(*client))
        self.assertEqual({}, parse(*client, "--tls", "t")["tls_parameters"])
        found = parse(*client, "--tls-hostname", "h.example", "--tls-alpn", "imap,http/1.1")
        self.assertEqual(
            {"hostname": "h.example", "alpn": ("imap", "http/1.1")}, found["tls_parameters"]
        )

    def test_a_server_has_the_backlog_that_the_system_allows(self) -> None:
        server = ("--name", "p", "--filter", "netproc.filters.echo", "--server")
        for arguments, backlog in (
            (("t", "--service", "7"), 2**31 - 1),
            (("0", "--service", "7"), 0),
            (("7", "--service", "7"), 7),
            (("t", "--endpoint", "tcp:7"), True),
        ):
            self.assertEqual(backlog, parse(*server, *arguments)["server"])

    def test_the_password_of_a_key(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        key, certificate = Authority("tap").issue("h")
        locked = pem_of_key(load_pem_private_key(key, None), b"secret")
        files = {"key": locked, "cert": certificate, "password": b"secret\n", "wrong": b"x\n"}
        paths = {name: os.path.join(directory, name) for name in files}
        for name, content in files.items():
            with open(paths[name], "wb") as file:
                file.write(content)
        pair = ("--tls-key", paths["key"], "--tls-cert", paths["cert"])
        server = ("--name", "p", "--service", "7", "--filter", "t", *pair, "--server")
        for number in ("t", "0"):
            found = parse(*server, number, "--tls-password", f"file:{paths['password']}")
            self.assertEqual(b"secret", found["tls_parameters"]["password"])
        for password, problem in (
            ((), "the key is encrypted, give its password"),
            (("--tls-password", f"file:{paths['wrong']}"), "wrong password, or "),
        ):
            error = self.assertRaises(usage.UsageError, parse, *server, "t", *password)
            self.assertTrue(str(error).startswith("--tls-key, --tls-cert, --tls-password: "), error)
            self.assertIn(problem, str(error))

    def test_every_keyword_is_an_option(self) -> None:
        options = {keyword.name for keyword in OPTIONS} | {"plist", "tls_parameters"}
        self.assertEqual(set(KEYWORDS), options)

    def test_the_help_of_network_options_is_that_of_their_table(self) -> None:
        help_texts = MakeOptions().docs
        for name, option in NETWORK_OPTIONS.items():
            expected = f"Network option, {option.kind.values}: {option.help}"
            self.assertEqual(expected, help_texts[values.option_name(name)])


class ComplaintTests(SynchronousTestCase):
    """Each message is one line that names the option."""

    def complaint(self, *arguments: str) -> str:
        error = self.assertRaises(usage.UsageError, parse, *arguments)
        self.assertEqual(1, len(str(error).splitlines()))
        return str(error)

    def test_what_is_wrong_is_named(self) -> None:
        server = ("--name", "p", "--server", "t", "--filter", "netproc.filters.echo")
        for arguments, expected in (
            (("--hosst", "x"), "option --hosst not recognized"),
            (("--service", "7"), "--name: this option is required"),
            ((*server, "--service", "70000"), "--service: port 70000 is not in 0…65535"),
            ((*server, "--mode", "9"), "--mode: '9' is not an octal number such as 600"),
            ((*server, "--local", "1.2.3.4:99999"), "--local: port 99999 is not in 0…65535"),
            ((*server, "--connect-timeout", "x"), "--connect-timeout: 'x' is not a number of seconds"),
            ((*server, "--service", "7", "--connect-timeout", "0"), "--connect-timeout: 0.0 is not a positive number of seconds"),
            (server, "--service: this keyword is required"),
            ((*server, "--service", "7", "--tls-key", "k"), "--tls-key, --tls-cert: give both or neither"),
            (
                (*server, "--service", "7", "--tls-key", "/nokey", "--tls-cert", "/nocert"),
                "--tls-key, --tls-cert: /nokey: No such file or directory",
            ),
            (
                (*server, "--service", "7", "--tls-require-client-cert", "t"),
                "--tls-key, --tls-cert: a server needs a key and a certificate",
            ),
            ((*server, "--service", "7", "--tls-trust", "x"), "--tls-trust: this option is for clients only"),
            (
                ("--name", "p", "--service", "7", "--tls-client-ca", "x"),
                "--tls-client-ca: this option is for servers only",
            ),
            (
                ("--name", "p", "--service", "7", "--tls-trust", "/no"),
                "--tls-trust: /no: No such file or directory",
            ),
            (
                ("--name", "p", "--service", "7", "--tls-priority", "NONSENSE"),
                "--tls-priority: syntax error at 'NONSENSE' in 'NONSENSE'",
            ),
            ((*server, "--type", "raw"), "--type: Unsupported connection type 'raw'"),
            ((*server, "--plist", "x"), "--plist: 'x' is not KEY=VALUE"),
            ((*server, "--plist", "a=" + "9" * 5000), "--plist: 99999999999999999999… has too many digits"),
            ((*server, "--tls", "9" * 5000), "--tls: 99999999999999999999… has too many digits"),
            ((*server, "--server", "9" * 5000), "--server: 99999999999999999999… has too many digits"),
            ((*server, "--local", "127.0.0.1:" + "9" * 5000), "--local: 99999999999999999999… has too many digits"),
            ((*server, "--local", "[::1]:" + "9" * 5000), "--local: port 99999999999999999999 is not in 0…65535"),
            ((*server, "--bindtodevice", "\udcff"), "--bindtodevice: \\udcff is not text in UTF-8"),
            ((*server, "--tls-alpn", "\udcff"), "--tls-alpn: \\udcff is not text in UTF-8"),
            ((*server, "--tls-password", "secret"), "--tls-password: this option requires --tls-key"),
            (
                (*server, "--tls-key", "k", "--tls-cert", "c", "--tls-password", "secret"),
                "--tls-password: expected file:PATH, env:NAME or prompt, not the password itself",
            ),
            (
                ("--name", "p", "--server", "t", "--service", "7"),
                "--server: a server requires --filter or --buffer for its input",
            ),
        ):  # fmt: skip
            self.assertEqual(expected, self.complaint(*arguments))

    def test_ipv6_addresses(self) -> None:
        found = self.complaint("--name", "p", "--remote", "[1::2::3]:80")
        self.assertTrue(found.startswith("--remote: "), found)

    def test_functions_that_do_not_import(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        with open(os.path.join(directory, "broken_for_tap.py"), "w") as file:
            file.write("def (\n")
        for name, raised in (
            ("ends_for_tap", "raise SystemExit(3)"),
            ("broken_off_for_tap", "raise KeyboardInterrupt"),
            ("odd_for_tap", "class E(Exception):\n    __str__ = None\nraise E"),
            ("long_for_tap", "raise ValueError('a\\nb' * 1000)"),
        ):
            with open(os.path.join(directory, f"{name}.py"), "w") as file:
                file.write(raised)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        self.patch(sys, "path", list(sys.path))
        for name, expected in (
            ("nosuchmodule.f", "cannot import 'nosuchmodule.f': "),
            ("netproc.filters.nosuch", "cannot import 'netproc.filters.nosuch': "),
            ("broken_for_tap.f", "cannot import 'broken_for_tap.f': SyntaxError: "),
            ("ends_for_tap.f", "cannot import 'ends_for_tap.f': SystemExit: 3"),
            (
                "broken_off_for_tap.f",
                "cannot import 'broken_off_for_tap.f': KeyboardInterrupt: KeyboardInterrupt",
            ),
            ("odd_for_tap.f", "cannot import 'odd_for_tap.f': E: E"),
            ("long_for_tap.f", "cannot import 'long_for_tap.f': ValueError: a\\nba\\nb"),
            ("a..b", "cannot import 'a..b': "),
            ("netproc.filters", "'netproc.filters' is not a function"),
        ):
            found = self.complaint("--name", "p", "--filter", name)
            self.assertTrue(found.startswith("--filter: " + expected), found)
            self.assertTrue(found.isprintable(), found)

    def test_the_exit_status_is_that_of_the_runner(self) -> None:
        said: list[str] = []
        self.patch(tap, "say", said.append)
        for parent, expected in (({"nodaemon": 0}, 1), ({}, 64)):
            options = tap.Options()
            options.parent = parent
            error = self.assertRaises(SystemExit, options.parseOptions, ["make", "--nosuch", "x"])
            self.assertEqual(expected, error.code)
        error = self.assertRaises(SystemExit, tap.Options().parseOptions, [])
        self.assertEqual(64, error.code)
        self.assertEqual("a command is required: make; try --help", said[-1])


class ServiceTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.patch(sys, "excepthook", sys.excepthook)

    def make_service(self, *arguments: str, parent: dict[str, Any] | None = None) -> Any:
        options = tap.Options()
        if parent is not None:
            options.parent = parent
        options.parseOptions(["make", "--name", "p", *arguments])
        return tap.makeService(options)

    def test_service(self) -> None:
        service = self.make_service("--service", "7", "--filter", "netproc.filters.echo")
        self.assertIsInstance(service, ProcessCommand)
        self.assertIs(filters.echo, service._keywords["filter"])

    def test_the_owner_is_the_user_that_twistd_becomes(self) -> None:
        for parent, expected in (
            (None, None),
            ({"uid": None, "gid": None}, None),
            ({"uid": 5, "gid": None}, (5, -1)),
            ({"uid": 5, "gid": 6}, (5, 6)),
        ):
            self.assertEqual(expected, self.make_service("--service", "7", parent=parent)._owner)

    def test_the_clock_is_monotonic_unless_something_waits(self) -> None:
        class Reactor:
            seconds: Any = None
            calls: list[Any] = []

            def getDelayedCalls(self) -> list[Any]:
                return self.calls

        fake: Any = Reactor()
        use_monotonic_clock(fake)
        self.assertIs(time.monotonic, fake.seconds)
        fake.seconds, fake.calls = None, [1]
        use_monotonic_clock(fake)
        self.assertIsNone(fake.seconds)


class EndingTests(SynchronousTestCase):
    def test_errors_of_netproc_are_one_line(self) -> None:
        said: list[str] = []
        others: list[object] = []
        self.patch(sys, "excepthook", lambda *arguments: others.append(arguments))
        self.patch(ending, "say", said.append)
        ending.one_line_errors()
        error = ProcessError(98, "in use")
        sys.excepthook(type(error), error, None)
        sys.excepthook(ValueError, ValueError("x"), None)
        self.assertEqual((["in use"], 1), (said, len(others)))

    def test_saying_goes_to_the_real_standard_error(self) -> None:
        stream = io.StringIO()
        self.patch(sys, "__stderr__", stream)
        ending.say("evil\nline")
        self.assertEqual("netproc: evil\\nline\n", stream.getvalue())
        self.patch(sys, "__stderr__", None)
        ending.say("nobody hears")

    def test_a_standard_error_that_takes_nothing_is_no_error(self) -> None:
        closed, full = io.StringIO(), io.TextIOWrapper(Full(), write_through=True)
        closed.close()
        for stream in (closed, full):
            self.patch(sys, "__stderr__", stream)
            ending.say("nobody hears")

    def test_the_exit_status(self) -> None:
        left: list[int] = []
        self.patch(os, "_exit", left.append)
        self.patch(ending._Exit, "status", 0)
        ending._leave()
        ending.exit_with(1)
        ending._leave()
        self.assertEqual([1], left)


class CommandTests(NetprocTestCase):
    """What the command prints and when it ends, with a reactor that only records that it is stopped."""

    async def setUp(self) -> None:
        await super().setUp()
        self.stopped = 0
        self.said: list[str] = []
        self.patch(reactor, "stop", self.stop)
        self.patch(command, "say", self.said.append)
        self.patch(command, "exit_with", lambda status: self.said.append(f"status {status}"))
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def stop(self) -> None:
        self.stopped += 1

    def lines(self) -> list[str]:
        return [
            formatEvent(e) or ""
            for e in self.log
            if e["log_namespace"] in ("netproc.command", "netproc.report")
        ]

    def start(self, **keywords: Any) -> ProcessCommand:
        service = ProcessCommand(reactor, {"name": "p", "filter": filters.echo, **keywords})
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def test_a_server_says_where_it_listens_and_how_to_try_it(self) -> None:
        service = self.start(server=True, service=True)
        assert service.process is not None
        port = service.process.contact("service")
        self.assertEqual(
            [f"p listens on 127.0.0.1:{port}", f"try it: nc -N 127.0.0.1 {port}"], self.lines()
        )

    async def test_a_wildcard_is_warned_of(self) -> None:
        self.start(server=True, host="0.0.0.0", service=True)
        self.assertIn("p can be reached from every network of this machine", self.lines())

    async def test_an_endpoint_of_unknown_place(self) -> None:
        class Port:
            def getHost(self) -> object:
                return object()

            def stopListening(self) -> None:
                pass

        @implementer(IStreamServerEndpoint)
        class Endpoint:
            def listen(self, protocolFactory: object) -> Deferred[Any]:
                return succeed(Port())

        self.start(server=True, endpoint=Endpoint())
        self.assertEqual(["p listens on -"], self.lines())

    async def client(self, **keywords: Any) -> ProcessCommand:
        server = await self.make(name="s", server=True, service=True, filter=filters.echo)
        service = self.start(service=server.contact("service"), **keywords)
        await self.until(lambda: len(self.ledger.events) == 3)
        connection = next(p for p in self.ledger.events if p.accepted_by is server)
        await self.until(lambda: service.process and service.process.status == "open")
        connection.delete()
        await self.until(lambda: self.stopped)
        return service

    async def test_a_client_ends_with_its_connection(self) -> None:
        await self.client()
        self.assertEqual((1, []), (self.stopped, self.said))
        self.assertEqual(["p: open"], self.lines()[:1])
        self.assertIn("connection broken by remote peer", self.lines()[1])

    async def test_a_client_with_a_sentinel_of_its_own_says_that_it_ended(self) -> None:
        await self.client(sentinel=lambda process, event: None)
        self.assertEqual(["p: ended"], self.lines())

    async def test_a_nowait_client(self) -> None:
        await self.client(nowait=True)
        self.assertEqual(["p: open"], self.lines()[:1])

    async def test_a_client_that_is_refused(self) -> None:
        for keywords in ({}, {"nowait": True}, {"nowait": True, "stop": True}):
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            self.said.clear()
            self.start(service=port, **keywords)
            await self.until(lambda: len(self.said) == 2)
            refused = f"make client process failed: Connection refused: 127.0.0.1:{port}"
            self.assertEqual(["status 1", refused], self.said)
            sock.close()

    async def test_an_endpoint_that_fails_later(self) -> None:
        later: Deferred[Any] = Deferred()

        @implementer(IStreamServerEndpoint)
        class Endpoint:
            def listen(self, protocolFactory: object) -> Deferred[Any]:
                return later

        self.start(server=True, endpoint=Endpoint())
        self.assertEqual(0, self.stopped)
        later.errback(RuntimeError("no such onion"))
        self.assertEqual(1, self.stopped)
        self.assertEqual(["status 1", "Cannot bind server socket: no such onion"], self.said)

    async def test_what_nobody_expected(self) -> None:
        service = self.start(server=True, service=True)
        service.failed(Failure(ZeroDivisionError()))
        self.assertEqual(["status 1", "unexpected ZeroDivisionError"], self.said)
        self.flushLoggedErrors(ZeroDivisionError)
