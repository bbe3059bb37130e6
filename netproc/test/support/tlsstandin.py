"""TLS contexts for the tests of the TLS channel, with certificates made for each run.

`Authority` makes certificates, pyOpenSSL contexts for netproc's side, and `ssl` contexts for the peers.  `security`
replaces `netproc.net.tls.contexts.security`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import trustme
from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.pyopenssl import verify_hostname

from netproc import ProcessError
from netproc.net.tls.connection import SocketConnection


@dataclass
class Parameters:
    """A value for tls_parameters."""

    context: SSL.Context
    hostname: str | None = None
    check: Callable[[SSL.Connection], ProcessError | None] = lambda connection: None


class Engine:
    """One connection."""

    def __init__(
        self,
        parameters: Parameters,
        name: str | None,
        is_server: bool,
        sock: socket.socket | None,
    ) -> None:
        context = parameters.context
        self.connection = (
            SSL.Connection(context) if sock is None else SocketConnection(context, sock)
        )
        self._check = parameters.check
        self._name = name
        if is_server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def check(self) -> ProcessError | None:
        if self._name is not None:
            if self.connection.get_peer_certificate() is None:
                return None
            try:
                verify_hostname(self.connection, self._name)
            except VerificationError:
                return ProcessError(None, f"TLS: the certificate is not for {self._name}")
        return self._check(self.connection)

    def peer_status(self) -> dict[str, object]:
        return {"protocol": self.connection.get_protocol_version_name()}


class Security:
    """The TLS settings of one side."""

    def __init__(self, parameters: Parameters, is_server: bool) -> None:
        self._parameters = parameters
        self._is_server = is_server

    def engine(self, name: str | None, sock: socket.socket | None = None) -> Engine:
        return Engine(self._parameters, name, self._is_server, sock)


class SecurityInMemory(Security):
    """The same, never on a socket."""

    def engine(self, name: str | None, sock: socket.socket | None = None) -> Engine:
        return super().engine(name)


def security(parameters: object, *, is_server: bool) -> Security:
    """See `netproc.net.tls.contexts.security`."""
    assert isinstance(parameters, Parameters)
    return Security(parameters, is_server)


def security_in_memory(parameters: object, *, is_server: bool) -> Security:
    """The same, never on a socket."""
    assert isinstance(parameters, Parameters)
    return SecurityInMemory(parameters, is_server)


class Authority:
    """All contexts for "localhost", for clients and servers."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.certificate = certificate = authority.issue_cert("localhost")

        context = SSL.Context(SSL.TLS_METHOD)
        certificate.configure_cert(context)
        self.server = Parameters(context)
        context = SSL.Context(SSL.TLS_METHOD)
        authority.configure_trust(context)
        context.set_verify(SSL.VERIFY_PEER)
        self.client = Parameters(context, hostname="localhost")
        #: A client that trusts no authority.
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER)
        self.distrustful = Parameters(context, hostname="localhost")

        #: For peers that are servers.
        self.raw_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.raw_server)
        #: For peers that are clients.
        self.raw_client = ssl.create_default_context()
        authority.configure_trust(self.raw_client)


#: Shared, because making keys takes time.
AUTHORITY = Authority()
