"""Descriptions of endpoints, "netproc:…" and "starttls:…": the options of the command line between colons.

`twisted/plugins/netproc_endpoints.py` hands in what Twisted has read of a description; `tap.py` reads the options, and
`adapters/endpoints.py` has the endpoints that are made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet.interfaces import IReactorCore
from twisted.python import usage

from ..adapters.endpoints import (
    ProcessClientEndpoint,
    ProcessServerEndpoint,
    client_opener,
    starttls_opener,
)
from ..core.dialects import dialect
from ..core.errors import ProcessArgumentError
from ..core.escape import shown
from ..core.options import NAMES as NETWORK_OPTIONS
from ..core.spec import LONGEST_BACKLOG
from ..net.interfaces import INetprocReactor
from .exits import option_name
from .tap import MakeOptions, lisp

_TLS = ("tls-trust", "tls-hostname", "tls-priority", "tls-alpn", "tls-key", "tls-cert")
_STREAM = ("name", "host", "service", "connect-timeout", *_TLS)
_BOTH = (
    *_STREAM,
    "family",
    "handshake-timeout",
    "noquery",
    "tls",
    *sorted(option_name(keyword)[2:] for keyword in NETWORK_OPTIONS),
)
_CLIENT = frozenset({*_BOTH, "remote"})
_SERVER = frozenset(
    {
        *_BOTH,
        "local",
        "mode",
        "server",
        "use-external-socket",
        "tls-client-ca",
        "tls-require-client-cert",
    }
)
_STARTTLS = frozenset({*_STREAM, "protocol", "greeting", "client-name"})

Words = Sequence[str]
Options = Mapping[str, str]


def netproc_client(reactor: IReactorCore, words: Words, options: Options) -> ProcessClientEndpoint:
    """The endpoint of "netproc:…" for a client; raises ProcessArgumentError that names an option."""
    keywords = _keywords("netproc", _named(words, options, _CLIENT))
    return ProcessClientEndpoint(client_opener(keywords, _ours(reactor)))


def netproc_server(reactor: IReactorCore, words: Words, options: Options) -> ProcessServerEndpoint:
    """The same for a server."""
    given = {"server": "t", **_named(words, options, _SERVER)}
    backlog = _backlog(given["server"])
    keywords = _keywords("netproc", {**given, "filter": "t"})
    return ProcessServerEndpoint({**keywords, "server": backlog}, _ours(reactor))


def _backlog(text: str) -> int:
    """How many clients may wait; with "t" as many as the kernel allows, since nobody asked for Emacs's 5."""
    server = lisp(text)
    if server is True:
        return LONGEST_BACKLOG
    if isinstance(server, int):
        return server
    problem = f"{shown(text)} does not make a server: give t, or the length of the backlog"
    raise ProcessArgumentError("server", problem)


def starttls_client(reactor: IReactorCore, words: Words, options: Options) -> ProcessClientEndpoint:
    """The endpoint of "starttls:…"; raises ProcessArgumentError that names an option."""
    given = _named(words, options, _STARTTLS)
    for needed in ("host", "service", "protocol"):
        if needed not in given:
            raise ProcessArgumentError(needed, "it is missing")
    protocol, client_name = given.pop("protocol"), given.pop("client-name", None)
    dialect(protocol, given["host"], client_name)
    with_greeting = bool(lisp(given.pop("greeting", "nil")))
    keywords = _keywords("starttls", {"tls": "t", **given})
    if "connect_timeout" in keywords:
        keywords["timeout"] = keywords.pop("connect_timeout")
    return ProcessClientEndpoint(
        starttls_opener(
            {**keywords, "protocol": protocol, "client_name": client_name},
            with_greeting,
            _ours(reactor),
        )
    )


def _ours(reactor: IReactorCore) -> INetprocReactor:
    """Twisted's interface of the parsers does not say all that a reactor can do."""
    return cast(INetprocReactor, reactor)


def _named(words: Words, options: Options, known: frozenset[str]) -> dict[str, str]:
    """All options by their names: WORDS are the host and the service, "port" is another name of it."""
    found = _place(words)
    for option, value in options.items():
        name = "service" if option == "port" else option
        if name not in known:
            raise ProcessArgumentError(option, "this kind of endpoint has no such option")
        if name in found:
            raise ProcessArgumentError(option, "it is given twice")
        found[name] = value
    return found


def _place(words: Words) -> dict[str, str]:
    match words:
        case []:
            return {}
        case [service]:
            return {"service": service}
        case ["unix", path]:
            return {"family": "local", "service": path}
        case [host, service]:
            return {"host": host, "service": service}
    raise ProcessArgumentError(words[2], "behind host and service every option has its name")


def _keywords(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """The keywords that GIVEN stands for."""
    options = MakeOptions()
    try:
        arguments = {"name": name, **given}
        options.parseOptions([f"--{option}={value}" for option, value in arguments.items()])
    except usage.UsageError as error:
        names, _, problem = str(error).partition(": ")
        raise ProcessArgumentError(names.replace("--", ""), problem) from error
    keywords = dict(options.keywords)
    keywords.pop("filter", None)
    return keywords
