"""OpenSSL's contexts, built and checked when a process is made, and the engines of connections.

`making/make.py` and `streams/openstream.py` call `security` with the value of `tls_parameters`.  The result makes the
engine (`engine.py`) of each connection.
"""

from __future__ import annotations

import socket
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
from twisted.python.failure import Failure

from ...core.errors import ProcessArgumentError, argument
from ...core.escape import shown
from . import credentials, keylog, priority, servernames
from .connection import SUPPORTED, SocketConnection
from .engine import OpenSSLEngine
from .interfaces import Security
from .names import address_of, server_name
from .parameters import KEYWORD, KeyPair, TLSParameters, check_hostname, parameter_error, parse
from .primes import WatchedConnection
from .renewal import Renewed
from .verify import ForeignContextVerdict, Verification

log = Logger()

#: These are always set: no renegotiation, no compression and no resumption, whatever the versions are.
_OPTIONS: Final = SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET

_NO_NAME: Final = "hostname: give the name that the server's certificate must have"


def _selection(parameters: TLSParameters, is_server: bool) -> priority.Selection:
    anonymous = parameters.type == "anon"
    return priority.select(parameters.priority, anonymous=anonymous, is_server=is_server)


def _set_protocol(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    selection = _selection(parameters, is_server)
    least = selection.lowest
    if parameters.min_version is not None:
        least = max(least, priority.NUMBERS[parameters.min_version])
    if least > selection.highest:
        raise parameter_error(
            f"min_version: {parameters.min_version}: the priority allows no such version"
        )
    context.set_min_proto_version(least)
    context.set_max_proto_version(selection.highest)
    context.set_options(_OPTIONS | selection.options)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.set_cipher_list(selection.ciphers.encode("ascii"))
        if selection.tls13:
            context.set_tls13_ciphersuites(selection.tls13.encode("ascii"))
    except SSL.Error as error:
        raise parameter_error(
            f"priority: {shown(parameters.priority)}: {credentials.reason(error)}"
        ) from None


def _set_trust(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    """Set the trusted authorities; a server never trusts those of the system."""
    if parameters.system_trust and not is_server:
        context.set_default_verify_paths()
    authorities = credentials.trust(context, parameters.trustfiles)
    if parameters.partial_chain:
        credentials.trust_as_they_are(context)
    credentials.revoke(context, parameters.crlfiles, parameters.crl_strict)
    if is_server and parameters.request_client_certificate != "no":
        credentials.ask_for(context, authorities)


def _set_protocols(context: SSL.Context, parameters: TLSParameters, is_server: bool) -> None:
    """Set up ALPN (RFC 7301); without a common protocol the connection has none."""
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
    """Set up OCSP: a server sends its status, a client keeps the status of the server for the check."""

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


def _context(
    parameters: TLSParameters, is_server: bool, names: servernames.ServerNames | None = None
) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    _set_protocol(context, parameters, is_server)
    for pair in parameters.keylist:
        credentials.use_pair(context, "keylist", pair, parameters.password)
    _set_trust(context, parameters, is_server)
    _set_protocols(context, parameters, is_server)
    _set_staple(context, parameters, is_server)
    if parameters.keylog is not None:
        keylog.log_keys(context, parameters.keylog)
    if parameters.loglevel:
        _log_steps(context)
    if names is not None:
        context.set_tlsext_servername_callback(names.choose)
    return context


def _names(parameters: TLSParameters) -> servernames.ServerNames | None:
    """Return the contexts for the names of `sni`, each with one pair, or None if there are none."""

    def make_context(pair: KeyPair) -> SSL.Context:
        return _context(attrs.evolve(parameters, keylist=[pair], sni=(), ocsp_staple=None), True)

    return servernames.ServerNames(parameters, make_context) if parameters.sni else None


class _Own:
    """TLS by `TLSParameters`.  Changed files are used for the connections after the change."""

    def __init__(self, parameters: TLSParameters, is_server: bool) -> None:
        self._parameters = parameters
        self._is_server = is_server
        self._mode = self._verify_mode()
        # A client has to see the size of the server's prime if the cipher suite has one.
        self._watches = not is_server and _selection(parameters, is_server).uses_primes
        self._names = _names(parameters)
        pems = [*(pem for pair in parameters.keylist for pem in pair), parameters.ocsp_staple]
        self._context = Renewed(
            [*pems, *parameters.trustfiles, *parameters.crlfiles],
            lambda: _context(parameters, is_server, self._names),
        )
        self.read()

    def read(self) -> None:
        """Read the files again if they have changed; after an error the old ones stay in use."""
        self._context.read()
        if self._names is not None:
            self._names.read()

    def _verify_mode(self) -> int:
        request = self._parameters.request_client_certificate
        if self._parameters.type == "anon" or (self._is_server and request == "no"):
            return SSL.VERIFY_NONE
        if self._is_server and request == "required":
            return SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        return SSL.VERIFY_PEER

    def engine(self, name: str | None, sock: socket.socket | None = None) -> OpenSSLEngine:
        # Files that cannot be used, such as half written ones, are only logged.
        context = self._context.latest()
        assert context is not None, "read when the process was made"
        if self._watches or not SUPPORTED:
            sock = None  # a watched connection works on memory
        if self._watches:
            connection: SSL.Connection = WatchedConnection(context)
        elif sock is None:
            connection = SSL.Connection(context)
        else:
            connection = SocketConnection(context, sock)
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
            # Set on the connection, since other connections share the context.
            connection.set_verify(self._mode, verdict.callback)
        connection.set_app_data(verdict)
        if not self._is_server and self._parameters.type == "x509pki":
            connection.request_ocsp()
        return OpenSSLEngine(connection, verdict, name, least_prime)

    def _name(self, name: str | None) -> str | None:
        name = self._parameters.hostname or name
        verified = (
            self._parameters.type == "x509pki" and "hostname" in self._parameters.verify_error
        )
        if verified and not name:
            raise parameter_error(_NO_NAME)
        if name:
            check_hostname(name)
        return name or None


def _ask_for(connection: SSL.Connection, name: str | None) -> None:
    """Send NAME to the server (SNI) if it is the name of a host, not an address (RFC 6066, section 3)."""
    if not name or address_of(name) is not None:
        return
    connection.set_tlsext_host_name(server_name(name).encode("ascii"))


class _Watcher(TLSMemoryBIOProtocol):
    """The protocol that Twisted's makers of connections expect: they look for ALPN here, and call `failVerification`."""

    def __init__(self, source: Any, is_server: bool) -> None:
        upper = Factory.forProtocol(Protocol)
        super().__init__(TLSMemoryBIOFactory(source, not is_server, upper), Protocol())
        #: Why the maker refuses the peer, or None.
        self.refusal: str | None = None

    def failVerification(self, reason: Failure) -> None:
        """Note the failure.  In newer versions of Twisted the verify callback makes the handshake fail too."""
        self.refusal = repr(reason.value)


class _ForeignContext:
    """TLS by an object of the program: a context, or one of Twisted's makers of connections."""

    def __init__(self, source: Any, is_server: bool) -> None:
        self._source = source
        self._is_server = is_server
        self._watcher: _Watcher | None = None
        self._creates: Callable[[Any], SSL.Connection] | None = None
        if is_server and IOpenSSLServerConnectionCreator.providedBy(source):
            self._creates = source.serverConnectionForTLS
        elif not is_server and IOpenSSLClientConnectionCreator.providedBy(source):
            self._creates = source.clientConnectionForTLS
        if self._creates is not None:
            # The connections have only a weak reference to it.
            self._watcher = _Watcher(source, is_server)

    def check(self) -> None:
        """Raise ProcessArgumentError if the object cannot make a connection, or makes one that does not verify the server."""
        # Twisted reads keys and certificates when it makes the first connection, so make one.
        source = self._source
        try:
            connection = self._connection()
        except Exception as error:
            why = credentials.reason(error) if isinstance(error, SSL.Error) else str(error)
            raise parameter_error(
                f"{type(source).__name__} cannot make a connection: {why}"
            ) from None
        if not self._is_server and not connection.get_verify_mode() & SSL.VERIFY_PEER:
            raise parameter_error(
                f"{type(source).__name__} does not verify the server: "
                "if that is intended, use TLSParameters(verify_error=None)"
            )

    def _connection(self) -> SSL.Connection:
        source = self._source
        if self._creates is not None:
            return self._creates(self._watcher)
        context = source if isinstance(source, SSL.Context) else source.getContext()
        return SSL.Connection(context, None)

    def engine(self, name: str | None, sock: socket.socket | None = None) -> OpenSSLEngine:
        """Return an engine, see `Security`; if a maker sends its own server name, the certificate must be for that one.

        The engine never works on SOCK, since Twisted's makers of connections use memory only.
        """
        connection = self._connection_in_role()
        name = None if self._is_server else self._name(connection, name)
        return OpenSSLEngine(connection, ForeignContextVerdict(name), name)

    def _connection_in_role(self) -> SSL.Connection:
        connection = self._connection()
        connection.set_options(_OPTIONS)
        if self._is_server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        return connection

    def _name(self, connection: SSL.Connection, name: str | None) -> str:
        named = connection.get_servername()
        if named is not None:
            return named.decode("ascii", "replace")
        if not name:
            raise parameter_error(_NO_NAME)
        check_hostname(name)
        _ask_for(connection, name)
        return name


class _Given(_ForeignContext):
    """TLS by the argument of Twisted's `startTLS`, which alone checks the peer."""

    def engine(self, name: str | None, sock: socket.socket | None = None) -> OpenSSLEngine:
        return OpenSSLEngine(self._connection_in_role(), _GivenVerdict(self._watcher), None)


class _GivenVerdict:
    """A `Verdict` that refuses a peer only if the maker of connections does; the context checks the rest."""

    def __init__(self, watcher: _Watcher | None) -> None:
        self._watcher = watcher

    def problem(self, certificate: object) -> str | None:
        """Return why the maker of connections refuses the peer, or None."""
        return None if self._watcher is None else self._watcher.refusal

    def warnings(self, certificate: object) -> list[str]:
        """Return no warnings, since none are known."""
        return []


def as_given(context_factory: object, *, is_server: bool) -> Security:
    """Return the security for one connection by Twisted's CONTEXT_FACTORY, without the checks of `security`.

    :raises ProcessArgumentError: if this side cannot use it for TLS.
    """
    # Twisted accepts any object with this method, whatever interfaces it provides.
    if not hasattr(context_factory, "getContext"):
        context_factory = parse(context_factory, is_server)
    if isinstance(context_factory, TLSParameters):
        return security(context_factory, is_server=is_server)
    return _Given(context_factory, is_server)


# -- one for equal parameters -----------------------------------------------------------------------

#: How many contexts are kept for later processes with equal parameters.
MOST: Final = 64
_kept: OrderedDict[object, _Own] = OrderedDict()


@argument(KEYWORD)
def security(parameters: object, *, is_server: bool) -> Security:
    """Return the security for PARAMETERS, any value that `parse` takes.  Equal parameters share one.

    :raises ProcessArgumentError: with file and cause, if a key, a certificate, a file of authorities or revocations, or
        the priority cannot be used.
    """
    parsed = parse(parameters, is_server)
    if not isinstance(parsed, TLSParameters):
        foreign = _ForeignContext(parsed, is_server)
        foreign.check()
        return foreign
    key = (parsed, is_server)
    try:
        if key in _kept:
            _kept[key].read()
        else:
            _kept[key] = _Own(parsed, is_server)
    except ProcessArgumentError as error:
        # The frames of the traceback hold the key and its password.
        raise error.with_traceback(None) from None
    _kept.move_to_end(key)
    if len(_kept) > MOST:
        _kept.popitem(last=False)
    return _kept[key]
