"""The network options: their keywords, their values and the socket options of the kernel.

`core/spec.py` checks the options among the keywords; `net/sockets.py` sets them on sockets.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from .address import interface_name
from .checks import C_INT_MAX, C_INT_MIN, is_integer, plain
from .errors import ProcessArgumentError, argument
from .escape import shown


class Group(NamedTuple):
    """A multicast group, and the name of the interface on which to join it; None lets the system choose."""

    address: bytes
    interface: bytes | None


#: A value for the kernel: a number, the bytes of a name, or the parts of a structure.
Packed: TypeAlias = int | bytes | Group


class Unset(enum.Enum):
    """The type of `UNSET`, the value of an option that was not given.  It differs from None."""

    UNSET = "not given"


UNSET: Final = Unset.UNSET


class Kind(NamedTuple):
    """What values an option takes, and how they are written on a command line.

    `values` describes them in the help.  They are strings if `is_text` is true, and otherwise t, nil and numbers.
    """

    pack: Callable[[str, object], Packed]
    values: str
    is_text: bool


class Option(NamedTuple):
    """Where the kernel keeps an option, what values it takes, and the help text of the command line."""

    level: int
    number: int
    kind: Kind
    help: str

    @property
    def pack(self) -> Callable[[str, object], Packed]:
        """The function that packs a value for the kernel."""
        return self.kind.pack


def is_on(value: object) -> bool:
    """Whether VALUE turns a flag on: anything but None and False does (Emacs: nil, N211)."""
    return value is not None and value is not False


def _pack_flag(keyword: str, value: object) -> int:
    return int(is_on(value))


def _pack_number(keyword: str, value: object) -> int:
    if not is_integer(value):
        raise ProcessArgumentError(keyword, f"bad option value {shown(value)}, it takes a number")
    if not C_INT_MIN <= value <= C_INT_MAX:
        problem = f"{shown(value)} is not in {C_INT_MIN}…{C_INT_MAX}"
        raise ProcessArgumentError(keyword, problem)
    return value


def _pack_device(keyword: str, value: object) -> bytes:
    """Pack the name of an interface; None unbinds the socket."""
    if value is None:
        return b""
    if not isinstance(value, str):
        problem = f"bad option value {shown(value)}, it takes a name or None"
        raise ProcessArgumentError(keyword, problem)
    return interface_name(value, keyword) + b"\0"


def _pack_group(keyword: str, value: object) -> Group:
    """Pack a multicast address, which may be followed by a percent sign and the name of an interface."""
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"bad option value {shown(value)}, it takes an address")
    host, _, interface = value.partition("%")
    try:
        group = ipaddress.ip_address(host)
    except ValueError:
        raise ProcessArgumentError(keyword, f"{shown(host)} is not a numeric address") from None
    if not group.is_multicast:
        raise ProcessArgumentError(keyword, f"{host} is not the address of a multicast group")
    return Group(group.packed, interface_name(interface, keyword) if interface else None)


def _pack_linger(keyword: str, value: object) -> int:
    """Check VALUE, which the kernel does not get."""
    return _pack_number(keyword, int(value)) if isinstance(value, int) else 0


_FLAG = Kind(_pack_flag, "t or nil", is_text=False)
_NUMBER = Kind(_pack_number, "a number", is_text=False)
_LINGER = Kind(_pack_linger, "t, nil or seconds", is_text=False)
_DEVICE = Kind(_pack_device, "a name", is_text=True)
_GROUP = Kind(_pack_group, "an address", is_text=True)


def _constant(name: str) -> int:
    """Return a constant of the socket module, or -1 if the system does not have it; then the kernel refuses the option."""
    return int(getattr(socket, name, -1))


_SOCKET = socket.SOL_SOCKET
_TCP = socket.IPPROTO_TCP
_IP = socket.IPPROTO_IP
_IPV6 = socket.IPPROTO_IPV6

#: The channel obeys this option when it closes.  The kernel does not get it: a positive SO_LINGER would make close() block
#: (D18).
LINGER = "linger"

#: Every option.  The first nine are Emacs's.  The option of the command line, the option of endpoint strings and their
#: help are made from the rows.  Tests check that `making/make.py`, and options.rst and twistd.rst in docs/reference/, name
#: each of them.
OPTIONS: dict[str, Option] = {
    "bindtodevice": Option(
        _SOCKET, _constant("SO_BINDTODEVICE"), _DEVICE, "use only this interface."
    ),
    "broadcast": Option(_SOCKET, socket.SO_BROADCAST, _FLAG, "allow broadcasts."),
    "dontroute": Option(
        _SOCKET, socket.SO_DONTROUTE, _FLAG, "reach directly connected networks only."
    ),
    "keepalive": Option(_SOCKET, socket.SO_KEEPALIVE, _FLAG, "probe idle connections."),
    LINGER: Option(
        _SOCKET,
        socket.SO_LINGER,
        _LINGER,
        "how long closing may send pending output; 0 resets.",
    ),
    "nodelay": Option(_TCP, socket.TCP_NODELAY, _FLAG, "send small pieces at once."),
    "oobinline": Option(_SOCKET, socket.SO_OOBINLINE, _FLAG, "receive out-of-band data in line."),
    "priority": Option(
        _SOCKET, _constant("SO_PRIORITY"), _NUMBER, "priority of the packets that are sent."
    ),
    "reuseaddr": Option(
        _SOCKET,
        socket.SO_REUSEADDR,
        _FLAG,
        "reuse a port whose old connections still linger; t for stream servers.",
    ),
    "join": Option(
        _IP,
        socket.IP_ADD_MEMBERSHIP,
        _GROUP,
        "join this multicast group; GROUP%INTERFACE joins on that interface.",
    ),
    "keepcnt": Option(
        _TCP, _constant("TCP_KEEPCNT"), _NUMBER, "unanswered probes that break the connection."
    ),
    "keepidle": Option(
        _TCP, _constant("TCP_KEEPIDLE"), _NUMBER, "seconds of silence before the first probe."
    ),
    "keepintvl": Option(_TCP, _constant("TCP_KEEPINTVL"), _NUMBER, "seconds between two probes."),
    "multicast_loop": Option(
        _IP, socket.IP_MULTICAST_LOOP, _FLAG, "receive our own packets to groups."
    ),
    "multicast_ttl": Option(
        _IP, socket.IP_MULTICAST_TTL, _NUMBER, "how many routers packets to a group may pass."
    ),
    "rcvbuf": Option(
        _SOCKET, socket.SO_RCVBUF, _NUMBER, "size of the kernel's input buffer, in bytes."
    ),
    "reuseport": Option(
        _SOCKET, _constant("SO_REUSEPORT"), _FLAG, "let several servers share the port."
    ),
    "sndbuf": Option(
        _SOCKET, socket.SO_SNDBUF, _NUMBER, "size of the kernel's output buffer, in bytes."
    ),
    "v6only": Option(_IPV6, socket.IPV6_V6ONLY, _FLAG, "an IPv6 server refuses IPv4 clients."),
}

#: Options that have other numbers on IPv6 sockets.
_OPTIONS_V6: dict[str, Option] = {
    name: OPTIONS[name]._replace(level=_IPV6, number=number)
    for name, number in (
        ("multicast_loop", socket.IPV6_MULTICAST_LOOP),
        ("multicast_ttl", socket.IPV6_MULTICAST_HOPS),
    )
}

#: The keywords of all network options.
NAMES = frozenset(OPTIONS)


def answers_come_from_all(keyword: str, value: object) -> bool:
    """Whether a datagram client with option KEYWORD set to VALUE may receive answers from other addresses than its remote."""
    return keyword == "join" or (keyword == "broadcast" and is_on(value))


def exists(keyword: str) -> bool:
    """Whether this system has the option KEYWORD."""
    return keyword in OPTIONS and OPTIONS[keyword].number >= 0


def option(keyword: str, family: int) -> Option:
    """Return the option of the kernel for KEYWORD, one of OPTIONS, on sockets of FAMILY."""
    if family == socket.AF_INET6 and keyword in _OPTIONS_V6:
        return _OPTIONS_V6[keyword]
    return OPTIONS[keyword]


def pack(keyword: str, value: object) -> Packed:
    """Return VALUE for the kernel's option KEYWORD, one of OPTIONS; raise ProcessArgumentError if it cannot be."""
    with argument(keyword):
        return OPTIONS[keyword].pack(keyword, plain(value))


def check(keyword: str, value: object) -> None:
    """Raise ProcessArgumentError if option KEYWORD, one of NAMES, cannot have VALUE."""
    pack(keyword, value)


def linger_seconds(value: object) -> int | None:
    """Return the seconds for flushing when the process closes: None is as the limits say, 0 aborts (D18)."""
    if is_integer(value):
        return min(max(0, value), C_INT_MAX)
    return None
