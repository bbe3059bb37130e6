"""System calls with addresses of any family, as bytes.

`net/sockets.py` and `net/packetbuffer.py` use these calls for address families that netproc knows only by number and bytes.
Python's sockets have another form of address for each family, and support only some of them.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable

from ..core.address import SocketAddress

#: sizeof(struct sockaddr_storage): the most bytes of an address.
_LONGEST = 128
_FAMILY_SIZE = 2

#: The address families for which netproc uses the socket module.
IN_PYTHON = frozenset({socket.AF_INET, socket.AF_INET6, socket.AF_UNIX})

#: We know Linux's layout of struct sockaddr.  On the BSDs it also contains its length.
SUPPORTED = sys.platform == "linux"

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    """Return RESULT, of a system call.  Raise its OSError if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _packed(address: SocketAddress) -> bytes:
    return address.family.to_bytes(_FAMILY_SIZE, sys.byteorder) + bytes(address.raw)


def bind(sock: socket.socket, address: SocketAddress) -> None:
    """Bind SOCK to ADDRESS."""
    packed = _packed(address)
    _checked(_libc.bind(sock.fileno(), packed, len(packed)))


def connect(sock: socket.socket, address: SocketAddress) -> None:
    """Begin to connect SOCK to ADDRESS."""
    packed = _packed(address)
    _checked(_libc.connect(sock.fileno(), packed, len(packed)))


def sendto(sock: socket.socket, data: bytes, address: SocketAddress) -> None:
    """Send DATA to ADDRESS as one packet."""
    packed = _packed(address)
    flags = socket.MSG_NOSIGNAL
    _checked(_libc.sendto(sock.fileno(), data, len(data), flags, packed, len(packed)))


def recvfrom(sock: socket.socket, buffer: bytearray) -> tuple[int, SocketAddress | None]:
    """Receive a packet into BUFFER.  Return its size, which may be larger than BUFFER, and its sender."""
    room = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    found, length = ctypes.create_string_buffer(_LONGEST), ctypes.c_int(_LONGEST)
    size = _libc.recvfrom(
        sock.fileno(), room, len(buffer), socket.MSG_TRUNC, found, ctypes.byref(length)
    )
    return _checked(size), _unpacked(found, length)


def local(sock: socket.socket) -> SocketAddress | None:
    """Return the address that SOCK is bound to."""
    return _ask(_libc.getsockname, sock)


def remote(sock: socket.socket) -> SocketAddress | None:
    """Return the address that SOCK is connected to."""
    return _ask(_libc.getpeername, sock)


def _ask(call: Callable[..., int], sock: socket.socket) -> SocketAddress | None:
    found, length = ctypes.create_string_buffer(_LONGEST), ctypes.c_int(_LONGEST)
    _checked(call(sock.fileno(), found, ctypes.byref(length)))
    return _unpacked(found, length)


def _unpacked(found: ctypes.Array[ctypes.c_char], length: ctypes.c_int) -> SocketAddress | None:
    packed = found.raw[: length.value]
    if len(packed) < _FAMILY_SIZE:
        return None
    family = int.from_bytes(packed[:_FAMILY_SIZE], sys.byteorder)
    return SocketAddress(family, packed[_FAMILY_SIZE:])
