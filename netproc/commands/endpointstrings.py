"""The endpoint descriptions "netproc:…" and "starttls:…", which hold command line options between colons.

`twisted/plugins/netproc_endpoints.py` calls this with a description that Twisted has split into words and options.
`keywords.py` reads the options, and `adapters/endpoints.py` has the endpoints that are made from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet.interfaces import IReactorCore

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
from ..net.interfaces import INetprocReactor
from .keywords import KeywordOptions
from .values import OptionError, lisp, option_name

_TLS = ("tls-trust", "tls-hostname", "tls-priority", "tls-alpn", "tls-key", "tls-cert")
_STREAM = ("name", "host", "service", "connect-timeout", *_TLS)
_BOTH = (
    *_STREAM,
    "family",
    "handshake-timeout",
    "noquery",
    "tls",
    *sorted(option_name(keyword) for keyword in NETWORK_OPTIONS),
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
    """Return the client endpoint for "netproc:…", with its WORDS and OPTIONS.

    :raises ProcessArgumentError: naming the option that is wrong.
    """
    keywords = _keywords("netproc", _named(words, options, _CLIENT))
    return ProcessClientEndpoint(client_opener(keywords, _ours(reactor)))


def netproc_server(reactor: IReactorCore, words: Words, options: Options) -> ProcessServerEndpoint:
    """Return the server endpoint for "netproc:…", with its WORDS and OPTIONS.

    :raises ProcessArgumentError: naming the option that is wrong.
    """
    given = {"server": "t", **_named(words, options, _SERVER)}
    keywords = _keywords("netproc", given)
    if not isinstance(keywords["server"], int):
        problem = f"{shown(given['server'])} is neither t nor the length of the backlog"
        raise ProcessArgumentError("server", problem)
    return ProcessServerEndpoint(keywords, _ours(reactor))


def starttls_client(reactor: IReactorCore, words: Words, options: Options) -> ProcessClientEndpoint:
    """Return the client endpoint for "starttls:…", with its WORDS and OPTIONS.

    :raises ProcessArgumentError: naming the option that is wrong.
    """
    given = _named(words, options, _STARTTLS)
    for needed in ("host", "service", "protocol"):
        if needed not in given:
            raise ProcessArgumentError(needed, "this option is required")
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
    """Return REACTOR as netproc's type: Twisted's parsers declare only a part of its interfaces."""
    return cast(INetprocReactor, reactor)


def _named(words: Words, options: Options, known: frozenset[str]) -> dict[str, str]:
    """Return the values of all options by name, if the names are KNOWN.

    WORDS hold the host and the service, and the option "port" is the same as "service".
    """
    found = _place(words)
    for option, value in options.items():
        name = "service" if option == "port" else option
        if name not in known:
            raise ProcessArgumentError(option, "this kind of endpoint has no such option")
        if name in found:
            raise ProcessArgumentError(option, "this option is given twice")
        found[name] = value
    return found


def _place(words: Words) -> dict[str, str]:
    """Return the options that WORDS stand for."""
    match words:
        case []:
            return {}
        case [service]:
            return {"service": service}
        case ["unix", path]:
            return {"family": "local", "service": path}
        case [host, service]:
            return {"host": host, "service": service}
    raise ProcessArgumentError(words[2], "after host and service, write an option as NAME=VALUE")


def _keywords(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the keywords of make_network_process for the options GIVEN; NAME is the default name."""
    options = KeywordOptions()
    try:
        options.parseOptions([f"--{o}={value}" for o, value in {"name": name, **given}.items()])
    except OptionError as error:
        raise ProcessArgumentError(", ".join(error.options), error.problem) from error
    return options.keywords
