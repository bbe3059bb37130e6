"""Contexts of OpenSSL, built and checked when a process is made, and the engines made of them.

`make` asks for a `Security` with what `parameters.parse` returned; `client` and `server` ask
that for the engine of each connection.
"""

from __future__ import annotations

import os
import socket
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from ...core.errors import ProcessArgumentError, os_error_text
from ...core.escape import escape
from . import credentials, priority, servernames
from .connection import SUPPORTED, SocketConnection
from .engine import Engine
from .parameters import TLSParameters, parse, refuse
from .primes import WatchedConnection
from .verify import ForeignVerdict, Verification, address_of, server_name

log = Logger()

#: Always: nobody renegotiates, compresses or resumes, whatever the versions are.
_OPTIONS: Final = SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET

_NO_NAME: Final = "hostname: which name must the server's certificate have?"

#: Of what DNS can have, and server name indication.
_LONGEST_NAME: Final = 255


class Security(typing.Protocol):
    """How one side does TLS: what every connection of a process has in common."""

    def engine(self, name: str | None, sock: socket.socket | None = None) -> Engine:
        """For one connection: a client's to NAME, or a server's with None; on SOCK if that can be.

        :raises ProcessArgumentError: if NAME cannot be verified.
        """


def _selection(parameters: TLSParameters, is_server: bool) -> priority.Selection:
    anonymous = parameters.type == "anon"
    return priority.select(parameters.priority, anonymous=anonymous, is_server=is_server)


def _set_protocol(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    selection = _selection(parameters, is_server)
    least = selection.lowest
    if parameters.min_version is not None:
        least = max(least, priority.NUMBERS[parameters.min_version])
    if least > selection.highest:
        raise refuse(f"min_version: {parameters.min_version}: the priority has none of it")
    context.set_min_proto_version(least)
    context.set_max_proto_version(selection.highest)
    context.set_options(_OPTIONS | selection.options)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.set_cipher_list(selection.ciphers.encode("ascii"))
        if selection.tls13:
            context.set_tls13_ciphersuites(selection.tls13.encode("ascii"))
    except SSL.Error as error:
        raise refuse(f"priority: {parameters.priority!r}: {credentials.reason(error)}") from None


def _set_trust(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    """Whose certificates are taken: on servers never those of the system's authorities."""
    if parameters.system_trust and not is_server:
        context.set_default_verify_paths()
    authorities = credentials.trust(context, parameters.trustfiles)
    credentials.revoke(context, parameters.crlfiles, parameters.crl_strict)
    if is_server and parameters.request_client_certificate != "no":
        for authority in authorities:
            context.add_client_ca(authority)


def _set_protocols(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    """ALPN (RFC 7301); without a common protocol the connection has none."""
    ours = parameters.alpn
    if not ours:
        return

    def choose(connection: SSL.Connection, theirs: list[bytes]) -> Any:
        common = [protocol for protocol in ours if protocol in theirs]
        return common[0] if common else SSL.NO_OVERLAPPING_PROTOCOLS

    if is_server:
        context.set_alpn_select_callback(choose)
    else:
        context.set_alpn_protos([*ours])


def _set_staple(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    """OCSP: a server sends its status, a client keeps the server's for the verdict."""

    def take(connection: SSL.Connection, staple: bytes, data: None) -> bool:
        connection.get_app_data().staple = staple
        return True

    if not is_server:
        context.set_ocsp_client_callback(take)
    elif parameters.ocsp_staple is not None:
        staple = credentials.staple(parameters.ocsp_staple)
        context.set_ocsp_server_callback(lambda connection, data: staple)


def _log_steps(context: SSL.Context) -> None:
    def tell(connection: SSL.Connection, where: int, result: int) -> None:
        state = connection.get_state_string().decode("ascii", "replace")
        log.debug("TLS: {state} (result {result})", state=state, result=result)

    context.set_info_callback(tell)


def _log_keys(context: SSL.Context, name: str) -> None:
    """Append the secrets of connections to the file NAME, which nobody else can read."""
    if (os.getuid(), os.getgid()) != (os.geteuid(), os.getegid()):
        raise refuse("keylog: not in a program that runs with more rights than its user has")

    def append(lines: bytes) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "ab", buffering=0) as file:
            file.write(lines)

    try:
        append(b"")
    except OSError as error:
        raise refuse(f"keylog: {name}: {os_error_text(error)}") from None
    context.set_keylog_callback(lambda connection, line: append(line + b"\n"))


def _context(parameters: TLSParameters, is_server: bool) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    _set_protocol(context, parameters, is_server)
    for pair in parameters.keylist:
        credentials.use_pair(context, "keylist", pair, parameters.password)
    _set_trust(context, parameters, is_server)
    _set_protocols(context, parameters, is_server)
    _set_staple(context, parameters, is_server)
    if parameters.keylog is not None:
        _log_keys(context, parameters.keylog)
    if parameters.loglevel:
        _log_steps(context)
    names = servernames.pairs(parameters)
    if names:
        servernames.answer(
            context,
            names,
            lambda pair: _context(
                attrs.evolve(parameters, keylist=[pair], sni=(), ocsp_staple=None), True
            ),
        )
    return context


def _stamp(name: str) -> object:
    """What changes when a file does."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _stamps(parameters: TLSParameters) -> tuple[object, ...]:
    """What changes when any file of PARAMETERS does."""
    found = [*parameters.keylist]
    found += servernames.pairs(parameters).values()
    pems = [pem for pair in found for pem in pair] + [parameters.ocsp_staple]
    names = [pem for pem in pems if isinstance(pem, str)]
    return tuple(
        (name, _stamp(name)) for name in [*names, *parameters.trustfiles, *parameters.crlfiles]
    )


class _Own:
    """By parameters of ours.  Files that change count for the connections that come after."""

    def __init__(self, parameters: TLSParameters, is_server: bool) -> None:
        self._parameters = parameters
        self._is_server = is_server
        self._mode = self._verify_mode()
        # A client has to see the prime of such a server.
        self._watches = not is_server and _selection(parameters, is_server).uses_primes
        self._stamps: object = None
        self._told: str | None = None
        self.read()

    def read(self) -> None:
        """Read the files again if they have changed; an error leaves everything as it was."""
        stamps = _stamps(self._parameters)
        if stamps != self._stamps:
            self._context = _context(self._parameters, self._is_server)
            self._stamps = stamps

    def _read_for_connection(self) -> None:
        """The same, but files that have become useless, or are half written, are logged only."""
        try:
            self.read()
            self._told = None
        except ProcessArgumentError as error:
            if error.problem != self._told:
                self._told = error.problem
                log.error("TLS goes on with the old files: {problem}", problem=escape(str(error)))

    def _verify_mode(self) -> int:
        request = self._parameters.request_client_certificate
        if self._parameters.type == "anon" or (self._is_server and request == "no"):
            return SSL.VERIFY_NONE
        if self._is_server and request == "required":
            return SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        return SSL.VERIFY_PEER

    def engine(self, name: str | None, sock: socket.socket | None = None) -> Engine:
        """See `Security`."""
        self._read_for_connection()
        if self._watches or not SUPPORTED:
            sock = None  # what is watched has to pass through here
        connection = self._connection(sock)
        least_prime = None
        if self._is_server:
            name = None
            connection.set_accept_state()
        else:
            name = self._name(name)
            connection.set_connect_state()
            _ask_for(connection, name)
            least_prime = self._parameters.min_prime_bits
        verdict = Verification(self._parameters, name, self._is_server)
        if self._mode != SSL.VERIFY_NONE or not self._is_server:
            # Of this connection, not of the context: others share that.
            connection.set_verify(self._mode, verdict.callback)
        connection.set_app_data(verdict)
        if not self._is_server and self._parameters.type == "x509pki":
            connection.request_ocsp()
        return Engine(connection, verdict, name, least_prime, on_socket=sock is not None)

    def _connection(self, sock: socket.socket | None) -> SSL.Connection:
        if self._watches:
            return WatchedConnection(self._context)
        return (
            SSL.Connection(self._context) if sock is None else SocketConnection(self._context, sock)
        )

    def _name(self, name: str | None) -> str | None:
        name = self._parameters.hostname or name
        verified = (
            self._parameters.type == "x509pki" and "hostname" in self._parameters.verify_error
        )
        if verified and not name:
            raise refuse(_NO_NAME)
        if name:
            _check_name(name)
        return name or None


def _check_name(name: str) -> None:
    if not name.isascii():
        raise refuse(f"hostname: non-ASCII name {name!r}: give its IDNA form")
    if not name.isprintable() or not 1 <= len(server_name(name)) <= _LONGEST_NAME:
        raise refuse(f"hostname: {escape(name)} is no name of a host")


def _ask_for(connection: SSL.Connection, name: str | None) -> None:
    """Server name indication: of hosts only, never of addresses (RFC 6066, section 3)."""
    if not name or address_of(name) is not None:
        return
    connection.set_tlsext_host_name(server_name(name).encode("ascii"))


class _Watcher(TLSMemoryBIOProtocol):
    """For Twisted's makers of connections, which look for ALPN here and tell it of their failures."""

    def __init__(self, source: Any, is_server: bool) -> None:
        upper = Factory.forProtocol(Protocol)
        super().__init__(TLSMemoryBIOFactory(source, not is_server, upper), Protocol())

    def failVerification(self, reason: object) -> None:
        """The verify callback says no as well, so the handshake fails by itself."""


class _Foreign:
    """By what somebody else made: a context, or Twisted's maker of connections."""

    def __init__(self, source: Any, is_server: bool) -> None:
        self._source = source
        self._is_server = is_server
        self._watcher: TLSMemoryBIOProtocol | None = None
        self._creates: Callable[[Any], SSL.Connection] | None = None
        if is_server and IOpenSSLServerConnectionCreator.providedBy(source):
            self._creates = source.serverConnectionForTLS
        elif not is_server and IOpenSSLClientConnectionCreator.providedBy(source):
            self._creates = source.clientConnectionForTLS
        if self._creates is not None:
            # They know it by a weak reference.
            self._watcher = _Watcher(source, is_server)
        # Twisted reads keys and certificates with the first connection: here is one.
        try:
            connection = self._connection()
        except Exception as error:
            why = credentials.reason(error) if isinstance(error, SSL.Error) else str(error)
            raise refuse(f"{type(source).__name__} makes no connection: {why}") from None
        if not is_server and not connection.get_verify_mode() & SSL.VERIFY_PEER:
            raise refuse(
                f"{type(source).__name__} does not verify the server: "
                "TLSParameters(verify_error=None) says so if it is meant"
            )

    def _connection(self) -> SSL.Connection:
        source = self._source
        if self._creates is not None:
            return self._creates(self._watcher)
        context = source if isinstance(source, SSL.Context) else source.getContext()
        return SSL.Connection(context, None)

    def engine(self, name: str | None, sock: socket.socket | None = None) -> Engine:
        """See `Security`; a maker that sends a name of its own has that one verified.

        It is never on SOCK: Twisted's makers know connections over memory only.
        """
        connection = self._connection()
        connection.set_options(_OPTIONS)
        if self._is_server:
            name = None
            connection.set_accept_state()
        else:
            connection.set_connect_state()
            name = self._name(connection, name)
        return Engine(connection, ForeignVerdict(name), name)

    def _name(self, connection: SSL.Connection, name: str | None) -> str:
        named = connection.get_servername()
        if named is not None:
            return named.decode("ascii", "replace")
        if not name:
            raise refuse(_NO_NAME)
        _check_name(name)
        _ask_for(connection, name)
        return name


# -- one for equal parameters -----------------------------------------------------------------------

#: How many contexts are kept for parameters that come again.
MOST: Final = 64
_kept: OrderedDict[object, _Own] = OrderedDict()


def security(parameters: object, *, is_server: bool) -> Security:
    """What PARAMETERS, anything that `parse` takes, come to.  Equal ones share it.

    :raises ProcessArgumentError: naming file and cause, if a key, a certificate, a file
        of authorities or revocations, or the priority cannot be used.
    """
    parsed = parse(parameters, is_server)
    if not isinstance(parsed, TLSParameters):
        return _Foreign(parsed, is_server)
    key = (parsed, is_server)
    try:
        if key in _kept:
            _kept[key].read()
        else:
            _kept[key] = _Own(parsed, is_server)
    except ProcessArgumentError as error:
        # The frames below hold the key and its password.
        raise error.with_traceback(None) from None
    _kept.move_to_end(key)
    if len(_kept) > MOST:
        _kept.popitem(last=False)
    return _kept[key]
