"""The address forms of Emacs: parse, check, print.

`core/spec.py` parses what `local=` and `remote=` were given, `net/resolve.py` makes addresses from
hosts and services, `process.py` and `core/contact.py` print what the sockets answer.

An address is one of (process-contact, N40):

* ``(a, b, c, d, port)``: IPv4;
* ``(g1, …, g8, port)``: IPv6, the groups as 16-bit numbers;
* a `str`: the path of a UNIX socket; a leading NUL makes it an abstract name; ``""`` is the
  address of a UNIX socket that has none;
* ``(family, (byte, …))``: any family, the bytes of its socket address behind the family.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from .errors import ProcessArgumentError

Address: TypeAlias = tuple[int, ...] | tuple[int, tuple[int, ...]] | str

#: The longest path of a UNIX socket, in bytes; one less than the room in the kernel's structure.
UNIX_PATH_MAX = 107

LOOPBACK: dict[int, str] = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
WILDCARDS = ("0.0.0.0", "::")


class SocketAddress(NamedTuple):
    """A family and what the socket module takes and gives as an address of it."""

    family: int
    raw: Any

    @property
    def is_wildcard(self) -> bool:
        """Does a server bound to it listen on all interfaces?"""
        return self.family in LOOPBACK and self.raw[0] in WILDCARDS


def parse(value: object, keyword: str) -> SocketAddress:
    """Check VALUE, an address form given as KEYWORD, and turn it into a SocketAddress.

    Raises ProcessArgumentError for any other shape and for numbers out of range (D5, N41).
    """
    if isinstance(value, str):
        return SocketAddress(socket.AF_UNIX, unix_path(value, keyword))
    if isinstance(value, (tuple, list)):
        if len(value) in (5, 9):
            return _parse_inet(value, keyword)
        if len(value) == 2 and _is_int(value[0]) and isinstance(value[1], (tuple, list)):
            return _parse_raw(value[0], value[1], keyword)
    raise ProcessArgumentError(keyword, f"malformed address {value!r}")


def unix_path(path: str, keyword: str) -> bytes:
    """Check PATH and encode it as the file system does (N43)."""
    encoded = os.fsencode(path)
    if not encoded.strip(b"\0"):
        raise ProcessArgumentError(keyword, f"empty name {path!r} of a UNIX socket")
    if len(encoded) > UNIX_PATH_MAX:
        raise ProcessArgumentError(
            keyword, f"Service name too long: {len(encoded)} bytes, {UNIX_PATH_MAX} are possible"
        )
    if b"\0" in encoded[1:]:
        raise ProcessArgumentError(keyword, f"NUL inside the name {path!r} of a UNIX socket")
    return encoded


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_range(values: Sequence[object], highest: int, keyword: str, what: str) -> list[int]:
    numbers = []
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
            raise ProcessArgumentError(keyword, f"{what} {value!r} is not in 0…{highest}")
        numbers.append(value)
    return numbers


def _parse_inet(value: Sequence[object], keyword: str) -> SocketAddress:
    (port,) = _check_range(value[-1:], 65535, keyword, "port")
    if len(value) == 5:
        octets = _check_range(value[:-1], 255, keyword, "octet")
        return SocketAddress(socket.AF_INET, (".".join(map(str, octets)), port))
    groups = _check_range(value[:-1], 65535, keyword, "group")
    packed = b"".join(group.to_bytes(2, "big") for group in groups)
    return SocketAddress(socket.AF_INET6, (str(ipaddress.IPv6Address(packed)), port, 0, 0))


def _parse_raw(family: int, values: Sequence[object], keyword: str) -> SocketAddress:
    """The form (family, bytes); the families that have a form of their own take that one."""
    data = bytes(_check_range(values, 255, keyword, "byte"))
    if family == socket.AF_INET:
        data = data.ljust(6, b"\0")
        return SocketAddress(family, (socket.inet_ntoa(data[2:6]), int.from_bytes(data[:2], "big")))
    if family == socket.AF_INET6:
        data = data.ljust(26, b"\0")
        host = str(ipaddress.IPv6Address(data[6:22]))
        numbers = (int.from_bytes(data[:2], "big"), int.from_bytes(data[2:6], "big"))
        return SocketAddress(family, (host, *numbers, int.from_bytes(data[22:26], "little")))
    if family == socket.AF_UNIX:
        name = data.rstrip(b"\0")
        return SocketAddress(family, unix_path(os.fsdecode(name), keyword))
    return SocketAddress(family, data)


def form(address: SocketAddress) -> Address:
    """The address form that Emacs shows for ADDRESS."""
    family, raw = address.family, address.raw
    if family == socket.AF_INET:
        return (*map(int, raw[0].split(".")), raw[1])
    if family == socket.AF_INET6:
        packed = ipaddress.IPv6Address(raw[0].partition("%")[0]).packed
        return (*(int.from_bytes(packed[i : i + 2], "big") for i in range(0, 16, 2)), raw[1])
    if family == socket.AF_UNIX:
        return raw if isinstance(raw, str) else os.fsdecode(raw)
    return (family, tuple(raw))


def host_text(address: SocketAddress | None) -> str:
    """The host as names and messages show it: dotted, eight hex groups (D4), or "-" (N92)."""
    if address is not None:
        if address.family == socket.AF_INET:
            return str(address.raw[0])
        if address.family == socket.AF_INET6:
            return ":".join(f"{group:x}" for group in form(address)[:8])
    return "-"


def text(address: SocketAddress | None) -> str:
    """The whole address for messages: "127.0.0.1:7", "[0:0:0:0:0:0:0:1]:7", a path, or "-"."""
    if address is None:
        return "-"
    if address.family == socket.AF_INET:
        return f"{address.raw[0]}:{address.raw[1]}"
    if address.family == socket.AF_INET6:
        return f"[{host_text(address)}]:{address.raw[1]}"
    shown = form(address)
    if not isinstance(shown, str):
        return f"family {address.family}"
    return f"@{shown[1:]}" if shown.startswith("\0") else shown or "-"


def format_network_address(address: object, omit_port: bool = False) -> str | None:
    """ADDRESS, an address form with or without a port, as text; None for anything else (N46).

    With OMIT_PORT neither the port nor the brackets around IPv6 are shown.  Emacs:
    format-network-address.
    """
    if isinstance(address, str):
        return address
    if not isinstance(address, (tuple, list)):
        return None
    if len(address) == 2 and _is_int(address[0]) and isinstance(address[1], (tuple, list)):
        return f"<Family {address[0]}>"
    shapes = {4: ("{}.{}.{}.{}", 255), 8: (":".join(["{:x}"] * 8), 65535)}
    with_port = len(address) in (5, 9)
    numbers = address[:-1] if with_port else address
    shape, highest = shapes.get(len(numbers), ("", -1))
    checked = [*numbers] if omit_port or not with_port else [*numbers, address[-1]]
    if not shape or not all(_is_int(number) and 0 <= number <= 65535 for number in checked):
        return None
    if max(numbers) > highest:
        return None
    host = shape.format(*numbers)
    if omit_port or not with_port:
        return host
    return f"{host}:{address[-1]}" if highest == 255 else f"[{host}]:{address[-1]}"
