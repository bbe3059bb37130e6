"""`python -m netproc open`: a stream between a server and the terminal.

`__main__.py` hands in the command line; `streams/openstream.py` opens the stream, `terminal.py` has the other end.  What there
is to know of the stream goes to standard error; standard output has the server's bytes and nothing else.
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

from .._version import __version__
from ..core.errors import NetprocError, ProcessArgumentError, ProcessError, os_error_text
from ..core.escape import shown
from ..core.negotiate import StreamProperties
from ..net.interfaces import INetprocReactor, default_reactor
from ..process.process import NetworkProcess
from ..streams.openstream import open_network_stream
from .exits import option_name, say
from .tap import read_option, read_password_option, seconds, use_monotonic_clock, words
from .terminal import Terminal

#: Where the name of an option is not that of the keyword, or of the field of TLSParameters.
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


class CommandOptions(usage.Options):
    """What every command has."""

    def opt_version(self) -> None:
        """Show the version and end."""
        print(f"netproc {__version__}")  # noqa: T201
        raise SystemExit(os.EX_OK)


class OpenOptions(CommandOptions):
    """Options of `python -m netproc open`."""

    longdesc = (
        "Opens a stream as open_network_stream does, and joins it to the terminal: what is typed goes to "
        "the server, Ctrl-D ends that, and what the server says is shown until it ends."
    )
    optParameters: ClassVar[list[Any]] = [
        ["type", None, "network", "tls, starttls, plain; or network: STARTTLS if it is offered."],
        ["protocol", None, None, "The dialect of STARTTLS: smtp, imap, pop3, …"],
        ["client-name", None, None, "The name that we say in EHLO or LHLO, if not [127.0.0.1]."],
        ["hostname", None, None, "Whom the certificate must be for, if not HOST."],
        ["priority", None, None, "Versions and ciphers, as GnuTLS has them."],
        ["alpn", None, None, "Application protocols, with commas between them."],
        ["key", None, None, "File of our private key, for servers that want to know us."],
        ["cert", None, None, "File of its certificate."],
        ["password", None, None, "Password of the key: file:PATH, env:NAME or prompt."],
        ["timeout", None, "30", "Seconds for connecting, and for the dialogue."],
    ]

    optFlags: ClassVar[list[Any]] = [
        ["no-shutdown", None, "Go on at the end of the input, until the server ends."]
    ]

    def __init__(self) -> None:
        super().__init__()
        self._trustfiles: list[str] = []

    def opt_trust(self, file: str) -> None:
        """File of authorities to trust beside the system's; repeatable."""
        self._trustfiles.append(file)

    def getSynopsis(self) -> str:
        """How to call it."""
        return "Usage: python -m netproc open HOST SERVICE [options]"

    def parseOptions(self, options: Sequence[str] = ()) -> None:
        """Read the command line; options may stand behind the place too."""
        try:
            found, place = getopt.gnu_getopt(options, "", self.longOpt)
        except getopt.GetoptError as error:
            raise usage.UsageError(str(error)) from error
        named = [f"{o}={value}" if f"{o[2:]}=" in self.longOpt else o for o, value in found]
        super().parseOptions([*named, "--", *place])

    def parseArgs(self, *place: str) -> None:
        """Where to connect."""
        if len(place) != 2:
            raise usage.UsageError("open: this takes HOST and SERVICE")
        self["host"], self["service"] = place

    def postOptions(self) -> None:
        """Read the values."""
        for option, read in (("timeout", seconds), ("alpn", words)):
            if self[option] is not None:
                self[option] = read_option(option, read, self[option])
        if (self["key"] is None) is not (self["cert"] is None):
            raise usage.UsageError("--key, --cert: one needs the other")
        self["password"] = read_password_option(self, "password", "key")

    def keywords(self) -> dict[str, Any]:
        """Those of open_network_stream."""
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
        """Do it; the exit status."""
        reactor = default_reactor()
        use_monotonic_clock(reactor)
        # Nothing has to be cleaned up, so Ctrl-C does what it does to other programs.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        command = _OpenCommand(reactor, shuts=not self["no-shutdown"])
        reactor.callWhenRunning(command.start, self.keywords())
        reactor.run(installSignalHandlers=False)  # type: ignore[call-arg]
        return command.status


class _OpenCommand:
    """One stream, from the connect to the end."""

    def __init__(self, reactor: INetprocReactor, *, shuts: bool) -> None:
        self._reactor = reactor
        # Whether the end of the input shuts the sending side.
        self._shuts = shuts
        self._terminal = Terminal(reactor)
        self.status = os.EX_OK

    def start(self, keywords: dict[str, Any]) -> None:
        """Open the stream by KEYWORDS and stop the reactor when all is over."""
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
            self._fail(properties.error or "the server does not open the stream")
            return
        _tell(properties, process.peer_status())
        process.filter = self._show
        # It is left alone when the process has ended: a read cannot be called off.
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
        """The filter; the process waits until DATA has been taken."""
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
            # It has ended, which tells why.
            pass
        except OSError as error:
            self._broken(process, "input", error)

    def _broken(self, process: NetworkProcess, what: str, error: OSError) -> None:
        if process.live:
            self._fail(f"standard {what}: {os_error_text(error)}")
            process.delete()

    def _judge(self, process: NetworkProcess) -> None:
        """How has it ended?"""
        if process.reason is not None:
            self._fail(str(process.reason))
        elif process.truncated:
            self._fail("TLS ended without close_notify: maybe not everything has come")
        elif process.unsent:
            self._fail(f"{process.unsent} bytes could not be sent")

    def _unexpected(self, failure: Failure) -> None:
        self._fail(f"unexpected error: {shown(failure.value)}")

    def _fail(self, problem: str, status: int = 1) -> None:
        self.status = status
        say(problem)


def complaint(error: ProcessArgumentError, keywords: Mapping[str, Any]) -> str:
    """ERROR in the words of the command line that said KEYWORDS."""
    keyword, problem = error.keyword, error.problem
    if keyword != "tls_parameters":
        return f"{_OPTIONS.get(keyword) or option_name(keyword)}: {problem}"
    field, _, what = problem.partition(": ")
    if field in _OPTIONS:
        also = ", --password" if field == "keylist" and "password" in what else ""
        return f"{_OPTIONS[field]}{also}: {what}"
    # It is not about one field: these options are all that was said of TLS.
    return f"{', '.join(_OPTIONS[field] for field in keywords[keyword])}: {problem}"


def _tell(properties: StreamProperties, status: dict[str, Any] | None) -> None:
    """Say what there is to know."""
    for what in ("greeting", "capabilities"):
        for line in (getattr(properties, what) or "").splitlines():
            say(f"{what}: {line}")
    if properties.error is not None:
        say(properties.error)
    if status is None:
        say("TLS: none, everything goes in clear text")
        return
    say(f"TLS: {status['protocol']}, {status['cipher']}, {status['key_exchange']}")
    if status["alpn"]:
        say(f"ALPN: {status['alpn'].decode('ascii', 'backslashreplace')}")
    certificate = status.get("certificate")
    if certificate is not None:
        _tell_certificate(certificate)
    # One that signed itself is fine if it is trusted, and else there is another warning.
    problems = [warning for warning in status.get("warnings", ()) if warning != "self-signed"]
    is_verified = bool(status["verified_chain"]) and not problems
    say("verified: yes" if is_verified else f"verified: no ({', '.join(problems) or 'no chain'})")


def _tell_certificate(certificate: dict[str, str]) -> None:
    say(f"subject: {certificate.get('subject')}")
    say(f"issuer: {certificate.get('issuer')}")
    say(f"valid: {certificate.get('valid_from')} to {certificate.get('valid_to')}")
    say(f"certificate pin: {certificate['certificate_pin']}")
    say(f"public key pin: {certificate.get('public_key_pin')}")
