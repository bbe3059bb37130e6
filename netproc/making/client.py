"""Connect a client: look up, connect, pass the stages, open.

`make.py` calls this with the spec and the process, and `streams/streammaker.py` builds on it.  The addresses come from
`maker.py`; `net/endpoints.py`, or the endpoint that the program has given, connects to them.  The connection then passes
an `Opening` (`net/opening/stages.py`), which hands the channel back, to be handed to the process.
"""

from __future__ import annotations

import errno

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from ..core.errors import NetprocError, ProcessError
from ..core.spec import ProcessSpec
from ..core.status import Cause
from ..net.channel import Channel
from ..net.connector import FAILED
from ..net.endpoints import ClientEndpoint
from ..net.foreign import network_error
from ..net.lookup import Resolver
from ..net.opening.stages import Opening, Stage
from ..net.stream import StreamChannel
from ..net.tls.interfaces import Security
from ..process.process import NetworkProcess
from .maker import AttemptMaker


class ClientMaker(AttemptMaker[IStreamClientEndpoint]):
    """Makes one client."""

    def __init__(
        self,
        spec: ProcessSpec,
        process: NetworkProcess,
        resolver: Resolver,
        foreign: IStreamClientEndpoint | None,
        security: Security | None,
    ) -> None:
        super().__init__(spec, process, resolver, foreign, security)
        # Fires when the process is open.
        self._opened: Deferred[None] = Deferred()
        # None once it is over: the opening and this maker refer to each other.
        self._opening: Opening | None = None
        self._over = False
        self._cause = Cause.CONNECTED if security is None else Cause.ENCRYPTED

    # -- connecting -----------------------------------------------------------------------------

    async def _connect(self) -> None:
        endpoint = self._foreign or await self._own_endpoint()
        self._use_buffer()
        try:
            connecting = endpoint.connect(self._channel_factory())
            if self._foreign is None:
                # Our endpoint keeps to the deadline on its own, and then names the addresses.
                await connecting
            else:
                await self._in_time(connecting, "connect")
            await self._opened
        except BaseException as error:
            self._give_up()
            # This error is the result, whichever way the stages end.
            self._opened.addErrback(lambda _: None)
            if self._cancelled:
                # Some endpoints fail with their own errors when they are cancelled.
                raise CancelledError from None
            if isinstance(error, (NetprocError, CancelledError)):
                raise
            raise network_error(error, FAILED) from error

    def _give_up(self) -> None:
        # If the endpoint does not stop, `_connected` aborts its connection.
        self._over = True
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.abort()
            self._fail(ProcessError(errno.ECONNABORTED, f"{FAILED}: given up"))
        else:
            super()._give_up()

    async def _own_endpoint(self) -> IStreamClientEndpoint:
        spec = self._spec
        addresses = await self._addresses()
        # What `contact` of a nowait client shows while it connects (N123).
        self._process._contact.remote = addresses[0]
        return ClientEndpoint(
            reactor=self._reactor,
            addresses=addresses,
            options=spec.options,
            timeout=self._remaining(),
            kind=spec.kind,
        )

    def _before_open(self, process: NetworkProcess) -> None:
        """Called before the sentinel is called with "open"."""

    # -- the channel ----------------------------------------------------------------------------

    def _connected(self, channel: StreamChannel) -> None:
        """Lead CHANNEL, which is connected, through the stages."""
        if self._over:
            channel.abort()
            return
        self._opening = opening = Opening(
            self._stages(channel),
            self._reactor,
            self._spec.limits,
            opened=self._open,
            refused=self._refused,
        )
        opening.go_on(channel)

    def _stages(self, channel: StreamChannel) -> list[Stage]:
        return self._first_stages(channel, self._spec.limits)

    def _refused(self, error: NetprocError) -> None:
        """The stages have refused the connection because of ERROR."""
        self._opening = None
        self._fail(error)

    def _fail(self, error: NetprocError) -> None:
        if not self._opened.called:
            self._opened.errback(error)

    def _open(self, channel: Channel, unread: bytes) -> None:
        self._opening = None
        process = self._process
        event = process._lifecycle.connected(channel, self._cause, unread)
        process._lifecycle.pause_input()
        self._before_open(process)
        if not self._spec.nowait:
            process.table.enter(process)
        process._call_sentinel(event)
        if not self._opened.called:
            self._opened.callback(None)
