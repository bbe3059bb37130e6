"""The keywords of make_network_process as options: the tables, and how they are read and checked.

`make.py` puts these options on the command line, `endpointstrings.py` between the colons of an endpoint string.
`values.py` has the readers, `core/spec.py` checks the keywords together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

from twisted.python import usage

from ..core import options
from ..core.errors import ProcessArgumentError
from ..core.escape import shown
from ..core.spec import LONGEST_BACKLOG, makes_server, process_spec
from ..making.make import KEYWORDS
from ..net.tls import contexts
from .values import (
    OptionError,
    address,
    function,
    lisp,
    octal,
    option_name,
    read_option,
    read_password_option,
    seconds,
    text,
    words,
)


class Keyword(NamedTuple):
    """A keyword of make_network_process, the reader of its option's value, and the help text."""

    name: str
    read: Callable[[str], object]
    help: str


class TLSField(NamedTuple):
    """An option for a field of TLSParameters, the reader of its value, and the help text."""

    option: str
    name: str
    read: Callable[[str], object]
    help: str


def _one(value: str) -> tuple[str, ...]:
    return (value,)


#: The options, one row each.
OPTIONS: Final = (
    Keyword("name", text, "Name of the process (required)."),
    Keyword("server", lisp, "Make a server: t, or the length of the backlog.  Otherwise a client."),
    Keyword("host", text, "Host name or address; local (the default) is this machine."),
    Keyword("service", lisp, "Port, service name, or path of a UNIX socket; t is any free port."),
    Keyword("family", lisp, "local (a UNIX socket), ipv4 or ipv6."),
    Keyword("local", address, "Address of a server: 127.0.0.1:80, [::1]:80, /path or @name."),
    Keyword("remote", address, "Address to connect to, or a datagram server's first destination."),
    Keyword("endpoint", text, "Description of a Twisted endpoint, instead of host and service."),
    Keyword("filter", function, "Dotted name of the function that receives the input."),
    Keyword("sentinel", function, "Dotted name of the function that is called with each event."),
    Keyword("log", function, "Dotted name of the function that is called for each new connection."),
    Keyword("coding", text, "Coding system for input and output: utf-8-unix, binary, ..."),
    Keyword("filter_multibyte", lisp, "nil: the filter receives bytes."),
    Keyword("buffer", text, "Name of the buffer into which input is inserted."),
    Keyword("type", lisp, "nil for a stream, datagram, or seqpacket (UNIX sockets only)."),
    Keyword("nowait", lisp, "t: connect in the background."),
    Keyword("stop", lisp, "t: start the process stopped."),
    Keyword("noquery", lisp, "t: stopping the program does not wait for this process."),
    Keyword("mode", octal, "Mode of a UNIX server's socket file, in octal; 600 by default."),
    Keyword("use_external_socket", lisp, "Use an inherited socket: t, its position or its name."),
    *(
        Keyword(
            name,
            text if option.kind.is_text else lisp,
            f"Network option, {option.kind.values}: {option.help}",
        )
        for name, option in options.OPTIONS.items()
    ),
    Keyword("connect_timeout", seconds, "Seconds for looking up and connecting; 30 by default."),
    Keyword("handshake_timeout", seconds, "Seconds for a TLS handshake; 10 by default."),
)

#: The options that set a field of TLSParameters.
_TLS_FIELDS: Final = (
    TLSField(
        "tls-trust", "trustfiles", _one, "TLS: file of more authorities that a client trusts."
    ),
    TLSField("tls-hostname", "hostname", text, "TLS: name to verify, if it is not the host."),
    TLSField("tls-priority", "priority", text, "TLS: versions and ciphers, in GnuTLS's notation."),
    TLSField(
        "tls-client-ca", "trustfiles", _one, "TLS: file of authorities for client certificates."
    ),
    TLSField("tls-alpn", "alpn", words, "TLS: application protocols, separated by commas."),
)
_KEY, _CERTIFICATE, _REQUIRE = "tls-key", "tls-cert", "tls-require-client-cert"
_PASSWORD = "tls-password"
_TRUST, _CLIENT_CA = "tls-trust", "tls-client-ca"
_ONLY_SERVERS, _ONLY_CLIENTS = (_CLIENT_CA, _REQUIRE), (_TRUST, "tls-hostname")


class KeywordOptions(usage.Options):
    """Options for the keywords; once they are read, `keywords` holds the keywords."""

    optParameters: ClassVar[list[Any]] = [
        *([option_name(keyword.name), None, None, keyword.help] for keyword in OPTIONS),
        ["tls", None, None, "t: use TLS.  Each --tls-... option implies it."],
        [_KEY, None, None, "TLS: file of the private key; a server needs one."],
        [_CERTIFICATE, None, None, "TLS: file of the key's certificate chain."],
        [_PASSWORD, None, None, "TLS: password of the key: file:PATH, env:NAME or prompt."],
        [_REQUIRE, None, None, "TLS: t: clients must present a certificate."],
        *([field.option, None, None, field.help] for field in _TLS_FIELDS),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.keywords: dict[str, Any] = {}
        self._plist: dict[str, object] = {}

    def opt_plist(self, pair: str) -> None:
        """KEY=VALUE: put a value into the property list; repeatable."""
        key, equals, value = pair.partition("=")
        if not equals:
            raise OptionError(["plist"], f"{shown(pair)} is not KEY=VALUE")
        self._plist[key] = read_option("plist", lisp, value)

    def postOptions(self) -> None:
        """Read the values and check them together."""
        for keyword in OPTIONS:
            option = option_name(keyword.name)
            if self[option] is not None:
                self.keywords[keyword.name] = read_option(option, keyword.read, self[option])
        if self.keywords.get("server") is True and self["endpoint"] is None:
            # Emacs's 5 makes the clients of a busy server wait for seconds.
            self.keywords["server"] = LONGEST_BACKLOG
        if self._plist:
            self.keywords["plist"] = self._plist
        fields = self._tls_fields()
        if fields is not None:
            self.keywords["tls_parameters"] = fields
        if "name" not in self.keywords:
            raise OptionError(["name"], "this option is required")
        try:
            spec = process_spec({**KEYWORDS, **self.keywords})
            if spec.tls_parameters is not None:
                contexts.security(spec.tls_parameters, is_server=spec.is_server)
        except ProcessArgumentError as error:
            raise self._complaint(error) from error

    def _tls_fields(self) -> dict[str, object] | None:
        """Return the fields of TLSParameters, or None if TLS is not wanted."""
        is_server = makes_server(self.keywords.get("server"))
        others = "clients" if is_server else "servers"
        for option in _ONLY_CLIENTS if is_server else _ONLY_SERVERS:
            if self[option] is not None:
                raise OptionError([option], f"this option is for {others} only")
        fields: dict[str, object] = {}
        for field in _TLS_FIELDS:
            if self[field.option] is not None:
                fields[field.name] = read_option(field.option, field.read, self[field.option])
        key, certificate = self[_KEY], self[_CERTIFICATE]
        if (key is None) is not (certificate is None):
            raise OptionError([_KEY, _CERTIFICATE], "give both or neither")
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

    def _complaint(self, error: ProcessArgumentError) -> OptionError:
        """Return ERROR by the options that are to blame.

        An error in `tls_parameters` begins with the name of a field.
        """
        if error.keyword != "tls_parameters":
            return OptionError([option_name(error.keyword)], error.problem)
        name, _, problem = error.problem.partition(": ")
        given = [f.option for f in _TLS_FIELDS if f.name == name and self[f.option] is not None]
        if name == "keylist":
            given = [_KEY, _CERTIFICATE, *([_PASSWORD] if "password" in problem else [])]
        elif name == "trustfiles" and not given:
            given = [_CLIENT_CA]
        return OptionError(given, problem) if given else OptionError(["tls"], error.problem)
