"""open_network_stream: a client that passes greeting, capabilities, TLS and the security manager before it is open.

The keywords become a spec (`core/streamspec.py`) and one of `core/spec.py`.  `making/client.py` connects; here is the row of stages
(`net/opening/`) that the connection passes then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from ..core.buffer import Buffer
from ..core.checks import plain_keywords
from ..core.errors import NetprocError, ProcessArgumentError, ProcessError, StartTLSError
from ..core.escape import escape, shown
from ..core.limits import DEFAULT_LIMITS, check_seconds
from ..core.negotiate import NETWORK, PLAIN, SHELL, TLS, Negotiation, StreamProperties
from ..core.spec import ProcessSpec, process_spec
from ..core.status import Cause
from ..core.streamspec import StreamSpec, stream_spec
from ..making.client import ClientMaker
from ..making.make import KEYWORDS, new_process
from ..net.channel import Channel
from ..net.child import ChildEndpoint
from ..net.interfaces import INetprocReactor, default_reactor
from ..net.opening.approval import Approval
from ..net.opening.dialogue import Dialogue, Said
from ..net.opening.handshake import Handshake
from ..net.opening.stages import Deadline, Stage
from ..net.resolve import resolve
from ..net.stream import StreamChannel
from ..net.tls import contexts
from ..net.tls.attach import engine_for
from ..net.tls.channel import TLSChannel
from ..net.tls.interfaces import Engine, Security
from ..net.tls.parameters import TLSParameters, parse
from ..process.process import DEFAULT_TABLE, NetworkProcess, Table
from ..process.settings import Filter, Sentinel
from .clientcert import client_certificate as find_client_certificate
from .security import SecurityManager


def open_network_stream(
    name: str,
    buffer: Buffer | str | None,
    host: str,
    service: str | int,
    *,
    type: str | None = None,
    nowait: bool = False,
    coding: object = None,
    return_list: bool = False,
    capability_command: object = None,
    end_of_command: object = None,
    end_of_capability: object = None,
    success: object = None,
    starttls_function: object = None,
    always_query_capabilities: bool = False,
    client_certificate: object = None,
    use_starttls_if_possible: bool = False,
    warn_unless_encrypted: bool = False,
    nogreeting: bool = False,
    shell_command: str | None = None,
    tls_parameters: object = None,
    security_manager: SecurityManager | None = None,
    protocol: str | None = None,
    client_name: str | None = None,
    filter: Filter | bool | None = None,
    sentinel: Sentinel | None = None,
    plist: Mapping[str, object] | None = None,
    noquery: bool = False,
    timeout: float = 30,
    table: Table | None = None,
    reactor: INetprocReactor | None = None,
) -> Deferred[Any]:
    r"""Open a stream to a server, with TLS or STARTTLS if you want it.

    Before the stream is open, netproc conducts a dialogue with the server: it reads the greeting, asks for the
    capabilities, and switches to TLS.

    Emacs: ``open-network-stream``.

    Args:
        name: The name of the process, as in `make_network_process`.
        buffer: The process buffer, or None.  A str is the name of a buffer.  If netproc conducts a dialogue, this buffer must
            exist.  Without a dialogue, netproc creates the buffer if there is none.
        host: The host, as in `make_network_process`, but not None.
        service: The port or the service, as in `make_network_process`, but not None.
        type: When TLS starts.

            * "plain": never.
            * "tls" or "ssl": before the first byte.
            * "starttls": during the dialogue.  If TLS does not start, the stream does not open.
            * None or "network": during the dialogue, if the server offers it.  If the server does not offer TLS or refuses
              it, the stream stays unencrypted.
            * "shell": netproc runs `shell_command` instead of connecting.
        nowait: Whether to return the process before the stream is open.  The sentinel is called with ``"open\n"``
            when the stream is open, or with ``"failed: …\n"``.
        coding: As in `make_network_process`.
        return_list: Whether the Deferred fires with a pair.  You cannot combine it with `nowait`.
        capability_command: The command that asks for the capabilities: str, bytes, or a function that is called with the
            greeting and returns one of these.  With `protocol`, it replaces the command of the protocol.
        end_of_command: Where an answer of the server ends: a regular expression, or a function that is called with the
            received bytes and returns the length of the answer, or None if the answer is not complete.  Regular expressions
            are for str.  Unless you compile them, they ignore case, and ``^`` and ``$`` match at each line.
        end_of_capability: Where the capabilities end, in the same form.  None is `end_of_command`.
        success: Whether the answer to STARTTLS is positive: a regular expression that matches it, or a function that is
            called with the answer.
        starttls_function: A function that is called with the capabilities as str and returns the STARTTLS command, or None if the
            server does not offer TLS.
        always_query_capabilities: Whether to ask for the capabilities with the type "plain" too, if there is a dialogue.
        client_certificate: A pair of file names (key, certificate), or True to look for a pair for this server in
            ``~/.authinfo`` and ``~/.netrc``.
        use_starttls_if_possible: Has no effect, because netproc always has TLS.
        warn_unless_encrypted: Whether the security manager objects to each unencrypted stream, even with the type "plain"
            and without a dialogue.  Without a `security_manager`, netproc uses one with the level "medium" that refuses
            everything to which it objects.  The type "shell" has no connection to check.
        nogreeting: Whether the server sends nothing before the first command.
        shell_command: The command of the type "shell".
        tls_parameters: How TLS is done, as in `make_network_process`.
        security_manager: A `SecurityManager` that must approve the connection before the stream is open.
        protocol: The dialect of the dialogue: "imap", "pop3", "smtp", "lmtp", "sieve", "nntp", "ftp", "xmpp", "irc", "ldap"
            or "postgres".  Then you cannot pass `end_of_command`, `end_of_capability`, `success` and `starttls_function`.
            An XMPP client asks for the domain that is the `hostname` of the `tls_parameters`, or else for `host`.
            Emacs does not have it.
        client_name: The name that a client of the protocols "smtp" and "lmtp" sends in EHLO or LHLO: a domain, or an address
            in brackets.  None is "[127.0.0.1]".
            Emacs does not have it.
        filter: As in `make_network_process`.
        sentinel: As in `make_network_process`.
        plist: As in `make_network_process`.
        noquery: As in `make_network_process`.
        timeout: The time limit in seconds for each of three steps: connecting, the dialogue with STARTTLS, and the decision of
            the security manager.  A handshake before the dialogue has a limit of 10 seconds, or of `timeout` if that is less.
            Emacs does not have it.
        table: As in `make_network_process`.
        reactor: As in `make_network_process`.

    Returns:
        A Deferred that fires with the process.  It fails with `ProcessArgumentError`, before there is a socket, or with
        `ProcessError`.

        With `return_list`, it fires with the pair (process, `StreamProperties`).  If the dialogue fails or the security
        manager refuses the connection, it fires with (None, `StreamProperties`), whose `error` says why.  If netproc cannot
        connect, or the handshake of the type "tls" fails, the Deferred fails even with `return_list`.
    """
    given = plain_keywords(locals())
    table = DEFAULT_TABLE if given.pop("table") is None else table
    assert table is not None
    reactor = default_reactor() if given.pop("reactor") is None else reactor
    assert reactor is not None
    try:
        stream = _stream(given)
        _check(given, stream, table)
        parameters = _parameters(given, stream)
        first = parameters if stream.type is TLS else None
        spec = process_spec(_client_keywords(given, first))
        security = None if parameters is None else contexts.security(parameters, is_server=False)
    except ProcessArgumentError as error:
        return fail(error)
    if security_manager is None and warn_unless_encrypted:
        # Nobody is there to be warned, so the answer is no, as in a batch Emacs.
        security_manager = SecurityManager()
    process = new_process(spec, table, reactor)
    vet = None if security_manager is None else _Vet(security_manager, given)
    maker = _StreamMaker(spec, stream, process, security, timeout, vet, _command(stream))
    if nowait:
        return succeed(maker.make_nowait())
    made = maker.make()
    return made.addCallbacks(maker.found, maker.not_found) if return_list else made


def _stream(given: Mapping[str, Any]) -> StreamSpec:
    """How the stream is opened; without a dialogue parameters of TLS begin with it, as in Emacs (N261)."""
    stream = stream_spec(given)
    if given["tls_parameters"] is None or not _has_no_tls(stream):
        return stream
    if stream.bare:
        return replace(stream, type=TLS)
    problem = "nothing begins TLS here: give a type or a protocol that does"
    if stream.type is not NETWORK:
        problem = f"the type {shown(given['type'])} has no TLS"
    raise ProcessArgumentError("tls_parameters", problem)


def _has_no_tls(stream: StreamSpec) -> bool:
    if stream.type is NETWORK:
        return stream.dialect.upgrade is None
    return stream.type in (PLAIN, SHELL)


def _check(given: Mapping[str, Any], stream: StreamSpec, table: Table) -> None:
    if given["return_list"] and given["nowait"]:
        raise ProcessArgumentError("return_list", "with nowait there is nothing to tell yet")
    if given["host"] is None or given["service"] is None:
        raise ProcessArgumentError("host" if given["host"] is None else "service", "it is missing")
    buffer = given["buffer"]
    if not stream.bare and isinstance(buffer, str) and table.get_buffer(buffer) is None:
        raise ProcessArgumentError("buffer", f"No buffer named {escape(buffer)}")


def _command(stream: StreamSpec) -> tuple[str, ...] | None:
    """The program of the type shell, and its arguments."""
    if stream.command is None:
        return None
    return os.environ.get("SHELL") or "/bin/sh", "-c", stream.command


def _parameters(given: Mapping[str, Any], stream: StreamSpec) -> object:
    """How TLS is done, if there may be any; the certificate of a client goes into them."""
    if _has_no_tls(stream):
        return None
    certificate = find_client_certificate(
        given["client_certificate"], given["host"], given["service"]
    )
    parameters = given["tls_parameters"]
    if certificate is None:
        return TLSParameters() if parameters is None else parameters
    parameters = TLSParameters() if parameters is None else parse(parameters, is_server=False)
    if not isinstance(parameters, TLSParameters) or parameters.keylist:
        raise ProcessArgumentError("client_certificate", "tls_parameters has one already")
    return attrs.evolve(parameters, keylist=(certificate,))


def _client_keywords(given: Mapping[str, Any], tls_parameters: object) -> dict[str, object]:
    """Those of make_network_process."""
    shared = (
        "name",
        "buffer",
        "host",
        "service",
        "nowait",
        "coding",
        "filter",
        "sentinel",
        "plist",
        "noquery",
    )
    keywords = {**KEYWORDS, **{key: given[key] for key in shared}}
    timeout = check_seconds("timeout", given["timeout"])
    keywords["connect_timeout"] = timeout
    if tls_parameters is not None:
        # The handshake is before the dialogue, whose deadline is that of other handshakes.
        keywords["tls_parameters"] = tls_parameters
        keywords["handshake_timeout"] = min(timeout, DEFAULT_LIMITS.handshake_timeout)
    return keywords


class _Vet:
    """Asks MANAGER about one stream, with what the keywords GIVEN say."""

    def __init__(self, manager: SecurityManager, given: Mapping[str, Any]) -> None:
        self._manager = manager
        self._host: str = given["host"]
        self._warn = bool(given["warn_unless_encrypted"])

    def __call__(self, channel: Channel, *, starttls: bool) -> Deferred[None]:
        """May CHANNEL, with TLS or in clear text, be used?"""
        status = channel.peer_status() if isinstance(channel, TLSChannel) else None
        assert channel.remote is not None
        port = channel.remote.raw[1]
        # Emacs saves the key after STARTTLS only (N254).
        return self._manager.verify_connection(
            self._host, port, status, save_fingerprint=starttls, warn_unencrypted=self._warn
        )


class _StreamMaker(ClientMaker):
    """Makes the client of one stream."""

    def __init__(
        self,
        spec: ProcessSpec,
        stream: StreamSpec,
        process: NetworkProcess,
        security: Security | None,
        timeout: float,
        vet: _Vet | None,
        command: tuple[str, ...] | None,
    ) -> None:
        endpoint = None if command is None else ChildEndpoint(process.reactor, command)
        super().__init__(spec, process, resolve, endpoint, security if stream.type is TLS else None)
        # A stream is told of as if it had no TLS, however it has got it.
        self._cause = Cause.CONNECTED
        if command is not None:
            process._contact.set("command", command)
            self._cause = Cause.STARTED
        self._vet = vet
        self._stream = stream
        self._starttls = security
        self._timeout = timeout
        # Until it is over: the two would keep each other.
        self._dialogue: Dialogue | None = None
        self._properties: StreamProperties | None = None
        # What is known of a stream that must not be opened.
        self._refusal: StreamProperties | None = None
        # The text of the dialogue, until the process is there.
        self._said = Said(b"", None)

    def found(self, process: NetworkProcess) -> tuple[NetworkProcess | None, StreamProperties]:
        """What `return_list` gives."""
        return process, self._properties or StreamProperties(None, None, self._kind)

    @property
    def _kind(self) -> Literal["plain", "tls"]:
        return "tls" if self._stream.type is TLS else "plain"

    def not_found(self, failure: Failure) -> tuple[None, StreamProperties]:
        """The same, if it was not to be opened; a cancel, say, stays a failure."""
        if self._refusal is None:
            failure.raiseException()
        assert self._refusal is not None
        return None, self._refusal

    # -- the stages -----------------------------------------------------------------------------

    def _stages(self, channel: StreamChannel) -> list[Stage]:
        """TLS from the beginning, the security manager, the dialogue; the manager again, if STARTTLS was not to be had."""
        kind = self._stream.type
        stages = super()._stages(channel)
        if self._stream.bare or not kind.negotiates:
            stages += self._approval()
        if not self._stream.bare:
            stages.append(self._make_dialogue())
            if kind.negotiates:
                stages += self._approval(clear_text_only=True)
        return stages

    def _approval(
        self,
        deadline: Deadline | None = None,
        *,
        starttls: bool = False,
        clear_text_only: bool = False,
    ) -> list[Stage]:
        """The stage of the security manager, if there is one; a shell has no connection to ask about."""
        if self._vet is None or self._stream.type is SHELL:
            return []
        ask = partial(self._ask, starttls=starttls)
        return [Approval(ask, deadline or self._stage_deadline(), clear_text_only=clear_text_only)]

    def _ask(self, channel: Channel, *, starttls: bool) -> Deferred[None]:
        assert self._vet is not None
        if self._properties is None and not (self._dialogue and self._dialogue.began):
            # What `return_list` gives if the manager refuses.
            self._properties = StreamProperties(None, None, self._kind)
        return self._vet(channel, starttls=starttls)

    def _make_dialogue(self) -> Dialogue:
        stream = self._stream
        negotiation = Negotiation(
            stream.type,
            stream.dialect,
            always_query=stream.always_query,
            limits=self._spec.limits,
        )
        deadline = self._stage_deadline()
        self._dialogue = Dialogue(
            negotiation,
            self._reactor,
            deadline,
            upgrade=partial(self._upgrade, deadline),
            done=self._dialogue_done,
        )
        return self._dialogue

    def _upgrade(self, deadline: Deadline) -> list[Stage]:
        """The stages of STARTTLS."""
        handshake = Handshake(self._starttls_engine, self._reactor, self._spec.limits, deadline)
        return [handshake, *self._approval(deadline, starttls=True)]

    def _stage_deadline(self) -> Deadline:
        return Deadline(self._reactor, self._timeout)

    def _starttls_engine(self, channel: StreamChannel, unread: bytes) -> Engine:
        assert self._starttls is not None
        return engine_for(self._starttls, self._spec.tls_host, channel, unread)

    def _dialogue_done(self, properties: StreamProperties, said: Said) -> None:
        self._dialogue = None
        self._properties = properties
        self._said = said

    # -- the end --------------------------------------------------------------------------------

    def _before_open(self, process: NetworkProcess) -> None:
        """What was said stays in the buffer, as in Emacs; a filter of the program's begins behind it."""
        self._insert(process, self._said.clear)
        if self._said.secure is not None:
            process._mark_tls_start()
            self._insert(process, self._said.secure)
        if self._properties is not None and self._properties.error is not None:
            process._lifecycle.noticed(StartTLSError(self._properties.error))

    def _insert(self, process: NetworkProcess, said: bytes) -> None:
        if said:
            process._insert_in_buffer(process._new_decoder().decode(said))

    def _refused(self, error: NetprocError) -> None:
        """See ClientMaker; note what `return_list` gives."""
        if self._properties is not None:
            told = str(error)
            if self._properties.error is not None:
                # The server's own refusal is why the stream was in clear text.
                told = f"{told} ({self._properties.error})"
                error.__cause__ = StartTLSError(self._properties.error)
            self._refusal = replace(self._properties, error=told)
        elif self._dialogue is not None and self._dialogue.began:
            self._refusal = self._dialogue.negotiation.properties(str(error))
        self._dialogue = None
        if not isinstance(error, ProcessError):
            error = ProcessError(errno.EPROTO, str(error))
        super()._refused(error)
