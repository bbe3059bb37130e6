"""Conversion of keywords to one checked `ProcessSpec`, in Emacs's order of the checks (N24).

`making/make.py` passes the keywords of `make_network_process`, and makes what the spec describes.  `commands/keywords.py`
passes those of the command line.  Every wrong argument is found here, before there is a socket or a buffer.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from . import address, options
from .address import SocketAddress
from .buffer import Buffer
from .checks import C_INT_MAX, check_number, is_integer, plain, plain_keywords
from .coding import Coding, coding_pair
from .errors import ProcessArgumentError, argument
from .escape import shown
from .limits import DEFAULT_LIMITS, Limits, check_seconds
from .options import UNSET

#: A filter, sentinel or log function.
Callback: TypeAlias = Callable[..., Any]

Checked = TypeVar("Checked")

FAMILIES = ("local", "ipv4", "ipv6")
DEFAULT_BACKLOG = 5
#: The kernel lowers it to its own limit.
LONGEST_BACKLOG = C_INT_MAX

#: Python converts no longer text to a number.
_MOST_DIGITS = 4300

#: The keywords that a Twisted endpoint replaces.
_NOT_WITH_ENDPOINT = ("host", "service", "family", "local", "remote", "mode")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A host and a service whose addresses are looked up.

    Args:
        host: A host name or a numeric address.
        service: A port as text, or the name of a service.
        family: "ipv4", "ipv6", the number of an address family, or None for any family.
        kind: `socket.SOCK_STREAM` or `socket.SOCK_DGRAM`.  The port of a service may differ between them.
    """

    host: str
    service: str
    family: str | int | None
    #: SOCK_STREAM or SOCK_DGRAM: a service may have another port for each.
    kind: int = socket.SOCK_STREAM


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """The process that `make_network_process` has to make; exactly one of `address`, `lookup` and `endpoint` is given."""

    name: str
    #: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    kind: int
    #: The backlog of a server, None for a client.
    backlog: int | None
    address: SocketAddress | None
    lookup: Lookup | None
    #: A Twisted endpoint, or its description.
    endpoint: object
    #: Where a datagram server sends to before it has received a packet.
    remote: SocketAddress | None
    #: The inherited socket to use: its position, its name, True for the first, False for none.
    external: bool | int | str
    #: As given; the TLS modules check them.
    tls_parameters: object = field(repr=False)
    #: The name that the server's certificate must have, unless the parameters have one; None if it is unknown.
    tls_host: str | None

    nowait: bool
    stopped: bool
    query_on_exit: bool
    buffer: Buffer | str | None
    filter: Callback | bool | None
    sentinel: Callback | None
    log: Callback | None
    filter_multibyte: bool
    coding: Coding
    plist: Mapping[str, object]
    options: Mapping[str, object]
    mode: int | None
    limits: Limits
    #: The keywords as the program gave them, for the contact.
    given: Mapping[str, object]

    @property
    def is_server(self) -> bool:
        """Whether the process is a server."""
        return self.backlog is not None


def process_spec(keywords: Mapping[str, object]) -> ProcessSpec:
    """Return what KEYWORDS describe, which are all keywords of `make_network_process`.

    Raises ProcessArgumentError for the first wrong one.
    """
    keywords = plain_keywords(keywords)
    check = _Checks(keywords)
    kind = check("type", _kind)
    backlog = check("server", _backlog)
    is_server = backlog is not None
    nowait = check("nowait", bool)
    if is_server and nowait:
        raise ProcessArgumentError("server", "'server' is incompatible with 'nowait'")
    name = check("name", _string, "name")
    given = {key: value for key, value in keywords.items() if _is_shown(key, value)}
    place, lookup = _place(check, kind, is_server, given)
    # The fields stand in the order of the checks.
    return ProcessSpec(
        name=name,
        kind=kind,
        backlog=backlog,
        address=place,
        lookup=lookup,
        endpoint=keywords["endpoint"],
        remote=check("remote", _first_remote, kind, is_server),
        external=check("use_external_socket", _external),
        nowait=nowait,
        stopped=check("stop", bool),
        query_on_exit=not check("noquery", bool),
        buffer=check("buffer", _buffer),
        plist=check("plist", _plist),
        filter=check("filter", _filter),
        sentinel=check("sentinel", _callback, "sentinel"),
        log=check("log", _callback, "log"),
        tls_parameters=check("tls_parameters", _tls_parameters, kind, is_server, keywords),
        tls_host=_tls_host(keywords, is_server),
        filter_multibyte=check("filter_multibyte", bool),
        coding=check("coding", coding_pair),
        options=_options(check),
        mode=check("mode", _mode, place if is_server else None),
        limits=_limits(check),
        given=given,
    )


class _Checks:
    """Calls the check of the value of each keyword."""

    def __init__(self, keywords: Mapping[str, object]) -> None:
        self.keywords = keywords

    def __call__(self, keyword: str, check: Callable[..., Checked], *more: object) -> Checked:
        """Return the result of CHECK for the value of KEYWORD; any exception of it becomes a ProcessArgumentError."""
        with argument(keyword):
            return check(self.keywords[keyword], *more)


#: Keywords that the contact does not show: those of netproc alone, and those with a default other than None.
_NOT_SHOWN = frozenset(
    {
        "connect_timeout",
        "endpoint",
        "filter_multibyte",
        "handshake_timeout",
        "mode",
        "tls_parameters",  # they may contain keys and passwords
    }
)


def _is_shown(key: str, value: object) -> bool:
    """Whether the contact shows KEY, which it does not if the program did not give it (N131)."""
    if key in _NOT_SHOWN or value is UNSET:
        return False
    return (value is not None and value is not False) or key in options.NAMES


_KINDS: Mapping[object, int] = {
    None: socket.SOCK_STREAM,
    "datagram": socket.SOCK_DGRAM,
    "seqpacket": socket.SOCK_SEQPACKET,
}


def _kind(name: object) -> int:
    if not (name is None or isinstance(name, str)) or name not in _KINDS:
        raise ProcessArgumentError("type", f"Unsupported connection type {shown(name)}")
    return _KINDS[name]


def _first_remote(remote: object, kind: int, is_server: bool) -> SocketAddress | None:
    """Return `remote` of a datagram server; a client connects to its own, and other servers ignore it."""
    if remote is None or kind != socket.SOCK_DGRAM or not is_server:
        return None
    return address.parse_address(remote, "remote")


def _external(which: object) -> bool | int | str:
    if which is None:
        return False
    if isinstance(which, (int, str)):
        return which
    problem = f"{shown(which)} is neither True nor the position or name of a socket"
    raise ProcessArgumentError("use_external_socket", problem)


def makes_server(server: object) -> bool:
    """Whether SERVER, the value of that keyword, makes a server: 0 does, with a backlog of 0 (N35)."""
    return server is not None and server is not False


def _backlog(server: object) -> int | None:
    """Return the backlog of a server: an integer is the backlog, True is 5 (N35); None for a client."""
    if not makes_server(server):
        return None
    if is_integer(server):
        return server if abs(server) <= C_INT_MAX else DEFAULT_BACKLOG
    return DEFAULT_BACKLOG


def _place(
    check: _Checks, kind: int, is_server: bool, given: dict[str, object]
) -> tuple[SocketAddress | None, Lookup | None]:
    """Return where to connect or listen, in the order of the checks of N24.4–8."""
    keywords = check.keywords
    if keywords["endpoint"] is not None:
        _check_endpoint(keywords, kind)
        return None, None
    key = "local" if is_server else "remote"
    if keywords[key] is not None:
        return check(key, address.parse_address, key), None
    family = check("family", _family)
    host = check("host", _host, family)
    if family == "local":
        given.pop("host", None)
        return check("service", _unix_service), None
    return None, Lookup(host, check("service", _service), family, kind)


def _family(family: object) -> str | int | None:
    """Return one of FAMILIES, the number of a family, or None for any."""
    if family is None or (isinstance(family, str) and family in FAMILIES):
        return family
    if is_integer(family):
        return address.check_family(family, "family")
    raise ProcessArgumentError("family", f"Unknown address family {shown(family)}")


def _check_endpoint(keywords: Mapping[str, object], kind: int) -> None:
    if kind != socket.SOCK_STREAM:
        raise ProcessArgumentError("type", "an endpoint can only be a stream")
    for key in _NOT_WITH_ENDPOINT:
        if keywords[key] is not None:
            raise ProcessArgumentError(
                key, "not possible with an endpoint, which decides this itself"
            )
    for key in sorted(options.NAMES):
        if keywords[key] is not UNSET:
            raise ProcessArgumentError(
                key, "not possible with an endpoint, which has the socket itself"
            )
    if makes_server(keywords["server"]) and keywords["server"] is not True:
        raise ProcessArgumentError("server", "an endpoint has its own backlog: use server=True")


def _host(host: object, family: object) -> str:
    if host is None or host == "local":
        return "::1" if family == "ipv6" else "127.0.0.1"
    text = _string(host, "host")
    if not text.isascii():
        raise ProcessArgumentError(
            "host", f"Non-ASCII hostname {shown(host)}; use its IDNA (xn--) form"
        )
    if "\0" in text:
        raise ProcessArgumentError("host", f"{shown(host)} has a NUL character in it")
    return text


def _service(service: object) -> str:
    """Return a port as decimal text, or a name to look up; True is any free port."""
    if service is None:
        raise ProcessArgumentError("service", "this keyword is required")
    if service is True:
        return "0"
    if is_integer(service):
        return _port(service)
    text = _string(service, "service").strip()
    if not text:
        raise ProcessArgumentError("service", "it is empty")
    digits = text.removeprefix("-")
    if not digits.isdecimal():
        return text
    if len(digits) > _MOST_DIGITS:
        highest = address.PORT_MAX
        problem = f"the port has {len(digits)} digits, but the highest port is {highest}"
        raise ProcessArgumentError("service", problem)
    return _port(int(text))


def _port(port: int) -> str:
    return str(check_number(port, address.PORT_MAX, "service", "port"))


def _unix_service(service: object) -> SocketAddress:
    """Return the address of a UNIX socket: a path or an abstract name."""
    return address.parse_address(_string(service, "service"), "service")


def _string(value: object, keyword: str) -> str:
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"{shown(value)} is not a string")
    return value


def _buffer(buffer: object) -> Buffer | str | None:
    if buffer is None or isinstance(buffer, Buffer):
        return buffer
    if not isinstance(buffer, str):
        problem = f"{shown(buffer)} is neither a buffer nor a name"
        raise ProcessArgumentError("buffer", problem)
    if not buffer:
        raise ProcessArgumentError("buffer", "the name of a buffer must not be empty")
    return buffer


def _callback(value: object, keyword: str) -> Callback | None:
    if value is not None and not callable(value):
        raise ProcessArgumentError(keyword, f"{shown(value)} is not a function")
    return value


def _filter(value: object) -> Callback | bool | None:
    return True if value is True else _callback(value, "filter")


def _plist(plist: object) -> Mapping[str, object]:
    if plist is None:
        return {}
    if not isinstance(plist, Mapping):
        raise ProcessArgumentError("plist", f"{shown(plist)} is not a dictionary")
    return dict(plist)


def _options(check: _Checks) -> Mapping[str, object]:
    """Return the network options that were given, checked."""
    given = check.keywords
    chosen = {key: given[key] for key in sorted(options.NAMES) if given[key] is not UNSET}
    for key, value in chosen.items():
        options.check(key, value)
    return chosen


def _tls_parameters(
    parameters: object, kind: int, is_server: bool, keywords: Mapping[str, object]
) -> object:
    if parameters is not None:
        if kind != socket.SOCK_STREAM:
            raise ProcessArgumentError("tls_parameters", "TLS is for streams")
        if not is_server:
            name_to_verify(parameters, _tls_host(keywords, is_server))
    return parameters


def _tls_host(keywords: Mapping[str, object], is_server: bool) -> str | None:
    place_is_no_name = keywords["family"] == "local" or any(
        keywords[key] is not None for key in ("endpoint", "remote")
    )
    if is_server or place_is_no_name:
        return None
    host = keywords["host"]
    return host if isinstance(host, str) and host != "local" else "localhost"


@argument("tls_parameters")
def name_to_verify(parameters: object, host: str | None) -> str:
    """Return the name that a server's certificate must have: the one in PARAMETERS, else HOST.

    Raises ProcessArgumentError if there is neither.
    """
    if isinstance(parameters, Mapping):
        name = parameters.get("hostname")
    else:
        name = getattr(parameters, "hostname", None)
    name = plain(name or host)
    if not isinstance(name, str):
        problem = "there is no host name to verify: give hostname in the parameters"
        raise ProcessArgumentError("tls_parameters", problem)
    return name


def _mode(mode: object, place: SocketAddress | None) -> int | None:
    if mode is None:
        return None
    if not is_integer(mode) or not 0 <= mode <= 0o777:
        raise ProcessArgumentError("mode", f"{shown(mode)} is not in 0…0o777")
    if place is None or not isinstance(place.raw, bytes) or place.raw.startswith(b"\0"):
        raise ProcessArgumentError("mode", "only a UNIX server with a file has a mode")
    return mode


def _seconds(value: object, keyword: str) -> float:
    return check_seconds(keyword, value)


def _limits(check: _Checks) -> Limits:
    limits = Limits(
        connect_timeout=check("connect_timeout", _seconds, "connect_timeout"),
        handshake_timeout=check("handshake_timeout", _seconds, "handshake_timeout"),
    )
    return DEFAULT_LIMITS if limits == DEFAULT_LIMITS else limits
