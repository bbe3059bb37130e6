"""Which certificate to show to a server: the keyword `client_certificate` of open_network_stream (N270).

`openstream.py` asks before it makes the TLS parameters, whose key list the answer is.  `core/authinfo.py`
understands the files that are read here.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable
from typing import TypeAlias

from twisted.logger import Logger

from ..core.authinfo import find
from ..core.errors import ProcessArgumentError, os_error_text
from ..core.limits import MIB
from ..net.tls.parameters import shown_value

#: The files of a key and of its certificate.
KeyPair: TypeAlias = tuple[str, str]

#: Where `True` looks, in this order.  Encrypted files are not for here.
FILES = ("~/.authinfo", "~/.netrc")

#: A larger file is none of these.
LARGEST = MIB

log = Logger()


def client_certificate(
    value: object, host: str, service: int | str, files: Iterable[str] = FILES
) -> KeyPair | None:
    """The files of the key and the certificate to show to HOST, None for none.

    VALUE is what the keyword was given: None or False for none; (KEY, CERTIFICATE), taken as it is; True for the first
    entry of FILES that has both for HOST, and for SERVICE, a number or a name, or for every port.  A
    file that cannot be used is passed over with a line in the log, an entry whose files cannot be
    read in silence, as in Emacs.

    Raises ProcessArgumentError for any other VALUE.  Reads files, and blocks while it does.
    """
    if value is None or value is False:
        return None
    if value is True:
        return _look_up(host, service, files)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        key, certificate = value
        if isinstance(key, str) and isinstance(certificate, str):
            return key, certificate
    raise ProcessArgumentError(
        "client_certificate",
        f'{shown_value(value)} is neither True nor a pair of file names; give ("key.pem", "cert.pem")',
    )


def _look_up(host: str, service: int | str, files: Iterable[str]) -> KeyPair | None:
    wanted = _port_number(str(service))
    for name in files:
        path = os.path.expanduser(name)
        try:
            pair = find(_read(path), host, lambda port: _port_number(port) == wanted)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problem = os_error_text(error) if isinstance(error, OSError) else str(error)
            log.warn("No client certificate from {path}: {problem}", path=path, problem=problem)
            continue
        if pair is not None:
            return _readable(pair)
    return None


def _port_number(port: str) -> int | str:
    """The number of PORT, or PORT itself if it is neither a number nor the name of a service."""
    try:
        return int(port) if port.isdecimal() else socket.getservbyname(port, "tcp")
    except (OSError, ValueError):
        # ValueError: too many digits, or characters that no name has.
        return port


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        status = os.fstat(file.fileno())
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError("others can write it")
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError("it is too large")
    return text


def _readable(pair: KeyPair) -> KeyPair | None:
    key, certificate = map(os.path.expanduser, pair)
    if os.access(key, os.R_OK) and os.access(certificate, os.R_OK):
        return key, certificate
    return None
