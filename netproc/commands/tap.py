"""The options of `twistd netproc`: keywords of make_network_process on the command line.

The plugin file names this module; twistd asks it for `Options` and `makeService`.  What is given becomes
keywords, checked when the options are read, and a `command.ProcessCommand` of them.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final

from twisted.application.service import IService
from twisted.python import reflect, usage

from ..core.errors import ProcessArgumentError
from ..core.escape import error_text, escape, shown
from ..core.spec import makes_server, process_spec
from ..making.make import KEYWORDS
from ..net.interfaces import INetprocReactor, default_reactor
from ..net.tls import contexts
from .exits import one_line_errors, option_name, say
from .make import ProcessCommand
from .passwords import read_password

#: Exit statuses for a wrong command line.
WRONG_FOR_TWISTD = 1
WRONG_FOR_TWIST = os.EX_USAGE


#: What `--server t` asks for: as much as the system allows.  Emacs's 5 makes clients of a busy server wait for seconds.
BACKLOG: Final = 2**31 - 1

#: Python refuses to read integers of more than 4300 digits; no option needs more than these.
_MOST_DIGITS: Final = 20


# -- values -------------------------------------------------------------------------------------


def lisp(text: str) -> object:
    """t, nil and integers as in Lisp; anything else stands for itself."""
    if text in ("t", "nil"):
        return True if text == "t" else None
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        return text
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:_MOST_DIGITS]}… has too many digits")
    return int(text)


def octal(text: str) -> int:
    """The mode of a file."""
    if not re.fullmatch(r"(0o?)?[0-7]+", text):
        raise ValueError(f"{shown(text)} is not an octal number, as 600")
    return int(text.removeprefix("0o"), 8)


def seconds(text: str) -> float:
    """A time."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a number of seconds") from None


def address(text: str) -> object:
    """HOST:PORT with a numeric host, [HOST]:PORT for IPv6, @NAME of an abstract socket, or a path."""
    if match := re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+):([0-9]+)", text):
        return tuple(map(lisp, match.groups()))
    if match := re.fullmatch(r"\[(.+)\]:([0-9]+)", text):
        return match[1], int(match[2][:_MOST_DIGITS])
    return "\0" + text[1:] if text.startswith("@") else text


def _zone(name: str) -> int:
    """The number of the interface NAME."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        if re.fullmatch(r"[0-9]{1,9}", name):
            return int(name)
        raise ValueError(f"{shown(name)} is no network interface") from None


def function(name: str) -> object:
    """The function of that dotted name, of an installed package or of the working directory.

    t and nil as in Lisp.
    """
    if name in ("t", "nil"):
        return lisp(name)
    try:
        found = _import(name)
    except BaseException as error:
        # A module may end the program, with SystemExit or KeyboardInterrupt, when it is imported.
        problem = f"{type(error).__name__}: {error_text(error)}"
        raise ValueError(f"cannot import {shown(name)}: {problem}") from error
    if not callable(found):
        raise ValueError(f"{shown(name)} is not a function")
    return found


def _import(name: str) -> object:
    try:
        return reflect.namedAny(name)
    except (reflect.ModuleNotFound, reflect.ObjectNotFound):
        here = os.getcwd()
        if here in sys.path:
            raise
        # Behind the installed packages, whose names a file here must not take.
        sys.path.append(here)
        return reflect.namedAny(name)


def _text(text: str) -> str:
    """Strings are never taken for anything else."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{escape(text)} is not text in UTF-8") from None
    return text


def _one(text: str) -> tuple[str, ...]:
    return (text,)


def words(text: str) -> tuple[str, ...]:
    """A list with commas."""
    return tuple(_text(text).split(","))


#: The options in the order of the help: keyword, how its value is read, what it says.
_OPTIONS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("name", _text, "The name of the process (required)."),
    ("server", lisp, "t, or the length of the backlog: a server.  Otherwise a client."),
    ("host", _text, "Host name or address; local (the default) is this machine."),
    ("service", lisp, "Port, name of a service, path of a UNIX socket; t is any free port."),
    ("family", lisp, "local (a UNIX socket), ipv4 or ipv6."),
    ("local", address, "Address of a server: 127.0.0.1:80, [::1]:80, /path or @name."),
    ("remote", address, "Address of a client's server, or a datagram server's first target."),
    ("endpoint", _text, "Description of a Twisted endpoint, in the place of host and service."),
    ("filter", function, "Dotted name of the function that gets what comes."),
    ("sentinel", function, "Dotted name of the function that hears what happens."),
    ("log", function, "Dotted name of the function that hears of new connections."),
    ("coding", _text, "Coding system for both ways: utf-8-unix, binary, …"),
    ("filter_multibyte", lisp, "nil: the filter gets bytes."),
    ("buffer", _text, "Name of a buffer that keeps what comes."),
    ("type", lisp, "nil, a stream; datagram; or seqpacket, for UNIX sockets."),
    ("nowait", lisp, "t: the process is there before it is connected."),
    ("stop", lisp, "t: begin stopped."),
    ("noquery", lisp, "t: stopping does not wait for it."),
    ("mode", octal, "Mode of the file of a UNIX server, in octal; 600 if not given."),
    (
        "use_external_socket",
        lisp,
        "Use a socket that was handed over: t, its position or its name.",
    ),
    ("bindtodevice", _text, "Network option: name of an interface."),
    ("broadcast", lisp, "Network option, t or nil."),
    ("dontroute", lisp, "Network option, t or nil."),
    ("keepalive", lisp, "Network option, t or nil."),
    ("linger", lisp, "Network option: t, nil, or seconds to flush; 0 resets."),
    ("nodelay", lisp, "Network option, t or nil."),
    ("oobinline", lisp, "Network option, t or nil."),
    ("priority", lisp, "Network option, a number."),
    ("reuseaddr", lisp, "Network option, t or nil; stream servers have it."),
    ("join", _text, "Network option: multicast group to join, with %INTERFACE behind it."),
    ("keepcnt", lisp, "Network option: probes that get no answer before the end."),
    ("keepidle", lisp, "Network option: seconds of silence before the first probe."),
    ("keepintvl", lisp, "Network option: seconds between probes."),
    ("multicast_loop", lisp, "Network option, t or nil: do we hear our own packets?"),
    ("multicast_ttl", lisp, "Network option: how many routers packets to a group may pass."),
    ("rcvbuf", lisp, "Network option: size of the kernel's buffer for input."),
    ("reuseport", lisp, "Network option, t or nil: several servers may share the port."),
    ("sndbuf", lisp, "Network option: size of the kernel's buffer for output."),
    ("v6only", lisp, "Network option, t or nil: an IPv6 server that has no IPv4 clients."),
    ("connect_timeout", seconds, "Seconds for look-up and connect together; 30."),
    ("handshake_timeout", seconds, "Seconds for a TLS handshake; 10."),
)


#: The options that say how TLS is done: the field of TLSParameters, how the value is read, help.
_TLS_OPTIONS: tuple[tuple[str, str, Callable[[str], object], str], ...] = (
    ("tls-trust", "trustfiles", _one, "TLS: file of authorities that a client trusts, too."),
    ("tls-hostname", "hostname", _text, "TLS: whom a client verifies, if not the host."),
    ("tls-priority", "priority", _text, "TLS: versions and ciphers, as GnuTLS has them."),
    ("tls-client-ca", "trustfiles", _one, "TLS: file of the authorities of clients' certificates."),
    ("tls-alpn", "alpn", words, "TLS: application protocols, with commas between them."),
)
_KEY, _CERTIFICATE, _REQUIRE = "tls-key", "tls-cert", "tls-require-client-cert"
_PASSWORD = "tls-password"
_TRUST, _CLIENT_CA = "tls-trust", "tls-client-ca"
#: Options that only a server has, and only a client.
_OF_SERVERS, _OF_CLIENTS = (_CLIENT_CA, _REQUIRE), (_TRUST, "tls-hostname")


# -- options ------------------------------------------------------------------------------------


def read_option(option: str, read: Callable[[str], object], value: str) -> Any:
    """What READ makes of the VALUE of OPTION; its ValueError becomes a complaint about the option."""
    try:
        return read(value)
    except ValueError as error:
        raise usage.UsageError(f"--{option}: {error}") from error


def read_password_option(options: usage.Options, option: str, key: str) -> bytes | None:
    """The password that OPTION names, if it was given; the option KEY has the file of the key."""
    source = options[option]
    if source is None:
        return None
    if options[key] is None:
        raise usage.UsageError(f"--{option}: it needs --{key}")
    password: bytes = read_option(option, lambda text: read_password(text, options[key]), source)
    return password


class MakeOptions(usage.Options):
    """Options of `twistd netproc make`; `keywords` is what they say."""

    synopsis = "--name NAME [--server t] [options]"
    longdesc = (
        "Makes a process as make_network_process does.  Values are written as in Lisp: t, nil, "
        "integers; strings as they are.  Functions are named with dots; there are "
        "netproc.filters.echo, discard, daytime and chat."
    )
    optParameters: ClassVar[list[Any]] = [
        *([option_name(keyword)[2:], None, None, help_text] for keyword, _, help_text in _OPTIONS),
        ["tls", None, None, "t: TLS; the options below imply it."],
        [_KEY, None, None, "TLS: file of the private key; servers need one."],
        [_CERTIFICATE, None, None, "TLS: file of its certificate, with those between."],
        [_PASSWORD, None, None, "TLS: password of the key: file:PATH, env:NAME or prompt."],
        [_REQUIRE, None, None, "TLS: t: clients must have a certificate."],
        *([name, None, None, help_text] for name, _, _, help_text in _TLS_OPTIONS),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.keywords: dict[str, Any] = {}
        self._plist: dict[str, object] = {}

    def opt_plist(self, pair: str) -> None:
        """KEY=VALUE: put a value into the property list; repeatable."""
        key, equals, value = pair.partition("=")
        if not equals:
            raise usage.UsageError(f"--plist: {shown(pair)} is not KEY=VALUE")
        self._plist[key] = read_option("plist", lisp, value)

    def postOptions(self) -> None:
        """Read the values and check them together."""
        for keyword, read, _ in _OPTIONS:
            name = option_name(keyword)[2:]
            if self[name] is not None:
                self.keywords[keyword] = read_option(name, read, self[name])
        if self.keywords.get("server") is True and self["endpoint"] is None:
            self.keywords["server"] = BACKLOG
        if self._plist:
            self.keywords["plist"] = self._plist
        fields = self._tls_fields()
        if fields is not None:
            self.keywords["tls_parameters"] = fields
        self._check()

    def _tls_fields(self) -> dict[str, object] | None:
        """The fields of TLSParameters, None if there is to be no TLS."""
        is_server = makes_server(self.keywords.get("server"))
        for name in _OF_CLIENTS if is_server else _OF_SERVERS:
            if self[name] is not None:
                raise usage.UsageError(
                    f"--{name}: it is for {'clients' if is_server else 'servers'}"
                )
        fields: dict[str, object] = {}
        for name, field, read, _ in _TLS_OPTIONS:
            if self[name] is not None:
                fields[field] = read_option(name, read, self[name])
        key, certificate = self[_KEY], self[_CERTIFICATE]
        if (key is None) is not (certificate is None):
            raise usage.UsageError(f"--{_KEY}, --{_CERTIFICATE}: one needs the other")
        if key is not None:
            fields["keylist"] = ((key, certificate),)
        password = read_password_option(self, _PASSWORD, _KEY)
        if password is not None:
            fields["password"] = password
        if self[_CLIENT_CA] is not None or self[_REQUIRE] is not None:
            required = self._is_on(_REQUIRE)
            fields["request_client_certificate"] = "required" if required else "optional"
        return fields if fields or self._is_on("tls") else None

    def _is_on(self, option: str) -> bool:
        return self[option] is not None and bool(read_option(option, lisp, self[option]))

    def _check(self) -> None:
        given = self.keywords
        if "name" not in given:
            raise usage.UsageError("--name: it is missing")
        try:
            spec = process_spec({**KEYWORDS, **given})
            if spec.tls_parameters is not None:
                contexts.security(spec.tls_parameters, is_server=spec.is_server)
        except ProcessArgumentError as error:
            raise usage.UsageError(self._complaint(error)) from error
        if spec.is_server and spec.filter is None and spec.buffer is None:
            raise usage.UsageError("--server: it needs --filter or --buffer for what comes")

    def _complaint(self, error: ProcessArgumentError) -> str:
        """ERROR by the option that is to blame; parameters of TLS begin with the name of a field."""
        if error.keyword != "tls_parameters":
            return f"{option_name(error.keyword)}: {error.problem}"
        field, _, problem = error.problem.partition(": ")
        given = [name for name, of, _, _ in _TLS_OPTIONS if of == field and self[name] is not None]
        if field == "keylist":
            given = [_KEY, _CERTIFICATE, *([_PASSWORD] if "password" in problem else [])]
        elif field == "trustfiles" and not given:
            given = [_CLIENT_CA]
        if not given:
            return f"--tls: {error.problem}"
        return f"{', '.join(f'--{name}' for name in given)}: {problem}"


class Options(usage.Options):
    """Options of `twistd netproc`."""

    synopsis = "COMMAND [options]"
    subCommands: ClassVar[list[Any]] = [
        ["make", None, MakeOptions, "Make a server or a client process."]
    ]

    def parseOptions(self, options: Any = None) -> None:
        """Read the command line; what is wrong with it is one line, not the usage text."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            say(str(error))
            is_twistd = "nodaemon" in (self.parent or ())
            raise SystemExit(WRONG_FOR_TWISTD if is_twistd else WRONG_FOR_TWIST) from error

    def postOptions(self) -> None:
        """There must be a command."""
        if self.subCommand is None:
            raise usage.UsageError("which command? try: make --help")


# -- the service ----------------------------------------------------------------------------------


def makeService(options: Options) -> IService:
    """The service of the command that OPTIONS name."""
    reactor = default_reactor()
    use_monotonic_clock(reactor)
    one_line_errors()
    command = options.subOptions
    assert isinstance(command, MakeOptions)
    return ProcessCommand(reactor, command.keywords, _owner(options.parent))


def use_monotonic_clock(reactor: INetprocReactor) -> None:
    """Let the reactor's timers follow a clock that nobody sets back (H5).

    Timers that run already would be lost, so then the clock stays; there are none this early.
    """
    if not reactor.getDelayedCalls():
        reactor.seconds = time.monotonic  # type: ignore[method-assign]


def _owner(twistd: Any) -> tuple[int, int] | None:
    """Whom the file of a UNIX server must belong to: the user that twistd will become."""
    uid = twistd.get("uid") if twistd is not None else None
    if uid is None:
        return None
    gid = twistd.get("gid")
    return uid, -1 if gid is None else gid
