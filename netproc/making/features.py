"""What make_network_process supports on this system, for programs that want to know it in advance.

The program asks; the answers are those of Emacs (N45), and what netproc has besides.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from ..core import options
from ..core.errors import ProcessArgumentError, argument
from ..core.escape import shown

_VALUES: Mapping[str, Sequence[object]] = {
    "family": ("local", "ipv4", "ipv6") if socket.has_ipv6 else ("local", "ipv4"),
    "nowait": (True,),
    "server": (True,),
    "service": (True,),
    "tls": (True,),
    "type": ("datagram", "seqpacket"),
}


def supports(*keywords: str, **values: object) -> bool:
    """Tell whether `make_network_process` supports all of this on this system.

    For example ``supports("keepalive")``, with Emacs's colon ``supports(":keepalive")``, or
    ``supports(type="datagram", family="ipv6")``.

    As in Emacs, the function knows only some values.  For ``type="stream"``, which every system has, it returns False.
    Keywords such as `server` need a value: ``supports(":server")`` is False, and
    ``supports(server=True)`` is True.

    Emacs: ``(featurep 'make-network-process …)``, and ``gnutls-available-p`` for ``tls=True``.

    Args:
        keywords: The names of network options, with or without a colon.
        values: Keywords with a value.

    Raises:
        ProcessArgumentError: A name is not a str, or a value cannot be compared.
    """
    exist = [options.exists(_name(keyword)) for keyword in keywords]
    return all(exist) and all(_has(keyword, value) for keyword, value in values.items())


def _name(keyword: object) -> str:
    if not isinstance(keyword, str):
        raise ProcessArgumentError("keywords", f"{shown(keyword)} is not the name of an option")
    return keyword.removeprefix(":")


def _has(keyword: str, value: object) -> bool:
    with argument(keyword):
        return value in _VALUES.get(keyword, ())
