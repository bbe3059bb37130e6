"""The command `open`: a stream between a server and the terminal.

`table.py` lists its options.  `streams/openstream.py` opens the stream, and `terminal.py` reads and writes the terminal.
Standard output has the server's bytes and nothing else; everything that netproc reports goes to standard error.
"""

from __future__ import annotations

import getopt
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.python import usage
from twisted.python.failure import Failure

from ..core.errors import NetprocError, ProcessArgumentError, ProcessError, os_error_text
from ..core.escape import shown
from ..core.negotiate import StreamProperties
from ..net.interfaces import INetprocReactor, default_reactor
from ..process.process import NetworkProcess
from ..streams.openstream import open_network_stream
from .clock import use_monotonic_clock
from .exits import say
from .options import CommandOptions
from .terminal import Terminal
from .values import (
    OptionError,
    option_name,
    read_option,
    read_password_option,
    seconds,
    words,
)

#: The command line's names for keywords, and for fields of TLSParameters, that it does not name `--KEYWORD`.
_OPTIONS = {
    "connect_timeout": "--timeout",
    "host": "HOST",
    "service": "SERVICE",
    "hostname": "--hostname",
    "trustfiles": "--trust",
    "priority": "--priority",
    "alpn": "--alpn",
    "keylist": "--key",
    "password": "--password",
}


class OpenOptions(CommandOptions):
    """Options of the command `open`."""

    synopsis = "HOST SERVICE [options]"

    longdesc = (
        "Open a stream as open_network_stream does, and connect it to the terminal.  Standard input is "
        "sent to the server until it ends (Ctrl-D).  The server's data is written to standard output."
    )
    optParameters: ClassVar[list[Any]] = [
        [
            "type",
            None,
            "network",
            "tls, starttls, plain, or network (STARTTLS if the server offers it).",
        ],
        ["protocol", None, None, "Protocol for STARTTLS: smtp, imap, pop3, ..."],
        ["client-name", None, None, "Our name in EHLO or LHLO; [127.0.0.1] by default."],
        ["hostname", None, None, "Name that the certificate must be for, if it is not HOST."],
        ["priority", None, None, "TLS versions and ciphers, in GnuTLS's notation."],
        ["alpn", None, None, "Application protocols, separated by commas."],
        ["key", None, None, "File of our private key, for servers that ask for a certificate."],
        ["cert", None, None, "File of the key's certificate."],
        ["password", None, None, "Password of the key: file:PATH, env:NAME or prompt."],
        ["timeout", None, "30", "Seconds for connecting and for the STARTTLS dialogue."],
    ]

    optFlags: ClassVar[list[Any]] = [
        ["no-shutdown", None, "At the end of the input, keep our sending side open."]
    ]

    def __init__(self) -> None:
        super().__init__()
        self._trustfiles: list[str] = []

    def opt_trust(self, file: str) -> None:
        """File of authorities to trust in addition to the system's; repeatable."""
        self._trustfiles.append(file)

    def parseOptions(self, options: Sequence[str] = ()) -> None:
        """Read the command line, in which options may also follow HOST and SERVICE."""
        try:
            found, place = getopt.gnu_getopt(options, "", self.longOpt)
        except getopt.GetoptError as error:
            raise usage.UsageError(str(error)) from error
        named = [f"{o}={value}" if f"{o[2:]}=" in self.longOpt else o for o, value in found]
        super().parseOptions([*named, "--", *place])

    def parseArgs(self, *place: str) -> None:
        """Read HOST and SERVICE."""
        if len(place) != 2:
            raise usage.UsageError("open takes two arguments: HOST and SERVICE")
        self["host"], self["service"] = place

    def postOptions(self) -> None:
        """Read the values."""
        for option, read in (("timeout", seconds), ("alpn", words)):
            if self[option] is not None:
                self[option] = read_option(option, read, self[option])
        if (self["key"] is None) is not (self["cert"] is None):
            raise OptionError(["key", "cert"], "give both or neither")
        self["password"] = read_password_option(self, "password", "key")

    def keywords(self) -> dict[str, Any]:
        """Return the keywords of open_network_stream."""
        given = ("host", "service", "type", "protocol", "timeout")
        return {
            **{key: self[key] for key in given},
            "client_name": self["client-name"],
            "tls_parameters": self._tls_fields(),
        }

    def _tls_fields(self) -> dict[str, object] | None:
        fields = {key: self[key] for key in ("hostname", "priority") if self[key] is not None}
        if self._trustfiles:
            fields["trustfiles"] = tuple(self._trustfiles)
        if self["alpn"] is not None:
            fields["alpn"] = self["alpn"]
        if self["key"] is not None:
            fields["keylist"] = ((self["key"], self["cert"]),)
        if self["password"] is not None:
            fields["password"] = self["password"]
        return fields or None

    def run(self) -> int:
        """Open the stream; return the exit status when it has ended."""
        reactor = default_reactor()
        use_monotonic_clock(reactor)
        # There is nothing to clean up, so Ctrl-C ends the program as it ends others.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        command = _OpenCommand(reactor, shuts=not self["no-shutdown"])
        reactor.callWhenRunning(command.start, self.keywords())
        reactor.run(installSignalHandlers=False)  # type: ignore[call-arg]
        return command.status


class _OpenCommand:
    """One stream, from connecting to its end."""

    def __init__(self, reactor: INetprocReactor, *, shuts: bool) -> None:
        self._reactor = reactor
        # Whether the end of the input shuts our sending side.
        self._shuts = shuts
        self._terminal = Terminal(reactor)
        self.status = os.EX_OK

    def start(self, keywords: dict[str, Any]) -> None:
        """Open the stream by KEYWORDS; stop the reactor when it has ended."""
        ended = Deferred.fromCoroutine(self._run(keywords))
        ended.addErrback(self._unexpected)
        ended.addBoth(lambda _: self._reactor.stop())

    async def _run(self, keywords: dict[str, Any]) -> None:
        try:
            process, properties = await self._open(keywords)
        except ProcessArgumentError as error:
            self._fail(complaint(error, keywords), os.EX_USAGE)
            return
        except NetprocError as error:
            self._fail(str(error))
            return
        if process is None:
            self._fail(properties.error or "the server did not open the stream")
            return
        _describe(properties, process.peer_status())
        process.filter = self._show
        # When the process has ended, the read goes on: there is no way to cancel it.
        Deferred.fromCoroutine(self._send_input(process)).addErrback(self._unexpected)
        await process.closed
        self._judge(process)

    def _open(
        self, keywords: dict[str, Any]
    ) -> Deferred[tuple[NetworkProcess | None, StreamProperties]]:
        return open_network_stream(
            "open",
            None,
            **keywords,
            return_list=True,
            coding="binary",
            filter=True,
            sentinel=lambda process, event: None,
            reactor=self._reactor,
        )

    async def _show(self, process: NetworkProcess, data: bytes) -> None:
        """The filter.  The process is paused until DATA is written."""
        try:
            await self._terminal.write(data)
        except OSError as error:
            self._broken(process, "output", error)

    async def _send_input(self, process: NetworkProcess) -> None:
        try:
            while data := await self._terminal.read():
                process.send(data)
                await process.drain()
            if self._shuts:
                process.send_eof()
        except ProcessError:
            # The process has ended; `_judge` reports why.
            pass
        except OSError as error:
            self._broken(process, "input", error)

    def _broken(self, process: NetworkProcess, what: str, error: OSError) -> None:
        if process.live:
            self._fail(f"standard {what}: {os_error_text(error)}")
            process.delete()

    def _judge(self, process: NetworkProcess) -> None:
        """Report the end of PROCESS, unless it ended in order."""
        if process.reason is not None:
            self._fail(str(process.reason))
        elif process.truncated:
            self._fail("TLS ended without close_notify: the input may be incomplete")
        elif process.unsent:
            self._fail(f"{process.unsent} bytes could not be sent")

    def _unexpected(self, failure: Failure) -> None:
        self._fail(f"unexpected error: {shown(failure.value)}")

    def _fail(self, problem: str, status: int = 1) -> None:
        self.status = status
        say(problem)


def complaint(error: ProcessArgumentError, keywords: Mapping[str, Any]) -> str:
    """Return ERROR with the options that are to blame; the command line gave KEYWORDS."""
    keyword, problem = error.keyword, error.problem
    if keyword != "tls_parameters":
        return f"{_OPTIONS.get(keyword) or f'--{option_name(keyword)}'}: {problem}"
    field, _, what = problem.partition(": ")
    if field in _OPTIONS:
        also = ", --password" if field == "keylist" and "password" in what else ""
        return f"{_OPTIONS[field]}{also}: {what}"
    # The error is not about one field, so name all TLS options that were given.
    return f"{', '.join(_OPTIONS[field] for field in keywords[keyword])}: {problem}"


def _describe(properties: StreamProperties, status: dict[str, Any] | None) -> None:
    """Report the dialogue and TLS: PROPERTIES of the stream and STATUS of the peer."""
    for what in ("greeting", "capabilities"):
        for line in (getattr(properties, what) or "").splitlines():
            say(f"{what}: {line}")
    if properties.error is not None:
        say(properties.error)
    if status is None:
        say("TLS: none, the connection is not encrypted")
        return
    say(f"TLS: {status['protocol']}, {status['cipher']}, {status['key_exchange']}")
    if status["alpn"]:
        say(f"ALPN: {status['alpn'].decode('ascii', 'backslashreplace')}")
    certificate = status.get("certificate")
    if certificate is not None:
        _describe_certificate(certificate)
    # A self-signed certificate may be trusted; if it is not, there is another warning.
    problems = [warning for warning in status.get("warnings", ()) if warning != "self-signed"]
    is_verified = bool(status["verified_chain"]) and not problems
    say("verified: yes" if is_verified else f"verified: no ({', '.join(problems) or 'no chain'})")


def _describe_certificate(certificate: dict[str, str]) -> None:
    say(f"subject: {certificate.get('subject')}")
    say(f"issuer: {certificate.get('issuer')}")
    say(f"valid: {certificate.get('valid_from')} to {certificate.get('valid_to')}")
    say(f"certificate pin: {certificate['certificate_pin']}")
    say(f"public key pin: {certificate.get('public_key_pin')}")
