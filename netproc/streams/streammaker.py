"""Make the client of one stream: the row of stages that its connection passes before it is open.

`openstream.py` calls this with the specs.  `making/client.py` connects; the stages are those of `net/opening/`, and one of
them asks the security manager (`security.py`).
"""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial
from typing import Literal

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..core.errors import NetprocError, ProcessError, StartTLSError
from ..core.negotiate import SHELL, TLS, Negotiation, StreamProperties
from ..core.spec import ProcessSpec
from ..core.status import Cause
from ..core.streamspec import StreamSpec
from ..making.client import ClientMaker
from ..net.channel import Channel
from ..net.child import ChildEndpoint
from ..net.lookup import resolve
from ..net.opening.approval import Approval
from ..net.opening.dialogue import Dialogue, Said
from ..net.opening.handshake import Handshake
from ..net.opening.stages import Deadline, Stage
from ..net.stream import StreamChannel
from ..net.tls.attach import engine_for
from ..net.tls.channel import TLSChannel
from ..net.tls.interfaces import Engine, Security
from ..process.process import NetworkProcess
from .security import SecurityManager


class Vet:
    """Asks MANAGER about the stream to HOST; WARN_UNENCRYPTED is an argument of `verify_connection`."""

    def __init__(self, manager: SecurityManager, host: str, warn_unencrypted: bool) -> None:
        self._manager = manager
        self._host = host
        self._warn = warn_unencrypted

    def __call__(self, channel: Channel, *, starttls: bool) -> Deferred[None]:
        """Fire if CHANNEL, with TLS or in clear text, may be used, otherwise fail."""
        status = channel.peer_status() if isinstance(channel, TLSChannel) else None
        assert channel.remote is not None
        port = channel.remote.raw[1]
        # Emacs saves the public key only after STARTTLS (N254).
        return self._manager.verify_connection(
            self._host, port, status, save_fingerprint=starttls, warn_unencrypted=self._warn
        )


class StreamMaker(ClientMaker):
    """Makes the client of one stream."""

    def __init__(
        self,
        spec: ProcessSpec,
        stream: StreamSpec,
        process: NetworkProcess,
        security: Security | None,
        timeout: float,
        vet: Vet | None,
        command: tuple[str, ...] | None,
    ) -> None:
        endpoint = None if command is None else ChildEndpoint(process.reactor, command)
        super().__init__(spec, process, resolve, endpoint, security if stream.type is TLS else None)
        # The event is that of a client without TLS, however the stream is encrypted.
        self._cause = Cause.CONNECTED
        if command is not None:
            process._contact.set("command", command)
            self._cause = Cause.STARTED
        self._vet = vet
        self._stream = stream
        self._starttls = security
        self._timeout = timeout
        # None once it is over: the dialogue and this maker refer to each other.
        self._dialogue: Dialogue | None = None
        self._properties: StreamProperties | None = None
        # The properties of a stream that has been refused.
        self._refusal: StreamProperties | None = None
        # The text of the dialogue, which the buffer of the process begins with.
        self._said = Said(b"", None)

    def found(self, process: NetworkProcess) -> tuple[NetworkProcess | None, StreamProperties]:
        """Return the result with `return_list`."""
        return process, self._properties or StreamProperties(None, None, self._kind)

    @property
    def _kind(self) -> Literal["plain", "tls"]:
        return "tls" if self._stream.type is TLS else "plain"

    def not_found(self, failure: Failure) -> tuple[None, StreamProperties]:
        """Return the result with `return_list` if the stream was refused; other failures, such as a cancel, stay."""
        if self._refusal is None:
            failure.raiseException()
        assert self._refusal is not None
        return None, self._refusal

    # -- the stages -----------------------------------------------------------------------------

    def _stages(self, channel: StreamChannel) -> list[Stage]:
        """Return the stages: TLS from the beginning, security manager, dialogue.

        A stream with a dialogue that may upgrade to TLS passes the security manager after STARTTLS, or at the end if it
        has remained in clear text.
        """
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
        """Return the stage of the security manager, if there is one; a shell has no connection to judge."""
        if self._vet is None or self._stream.type is SHELL:
            return []
        ask = partial(self._ask, starttls=starttls)
        return [Approval(ask, deadline or self._stage_deadline(), clear_text_only=clear_text_only)]

    def _ask(self, channel: Channel, *, starttls: bool) -> Deferred[None]:
        assert self._vet is not None
        if self._properties is None and not (self._dialogue and self._dialogue.began):
            # For `return_list`, if the manager refuses.
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
        """Return the stages of STARTTLS."""
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
        """Insert the text of the dialogue into the buffer, as Emacs does; the filter receives what follows it."""
        process._insert_dialogue(self._said.clear, self._said.secure)
        if self._properties is not None and self._properties.error is not None:
            process._lifecycle.noticed(StartTLSError(self._properties.error))

    def _refused(self, error: NetprocError) -> None:
        """Note the result with `return_list`, and fail."""
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
