"""A command's standard input and output instead of a connection.

`streams/openstream.py` connects with a ChildEndpoint.  Twisted runs the command.  This module turns the pipes of the
command into a transport, and the channel of `net/foreign.py` works over it.

When the command has ended, the channel first delivers all output that is in the pipes at that time, and then ends.  The
pipes may stay open for much longer, because a background process that the command has started can keep them, such as
ssh's ControlMaster.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fcntl import ioctl
from termios import FIONREAD

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ProcessExitedAlready
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.process import Process, ProcessReader
from twisted.internet.protocol import ProcessProtocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ..core.errors import CommandError, ProcessError, from_os_error
from ..core.status import exited_words, signal_words
from .foreign import ForeignChannel
from .interfaces import INetprocReactor


@implementer(IAddress)
class _NoAddress:
    """The address of a pipe, which has none."""


@implementer(IStreamClientEndpoint)
class ChildEndpoint:
    """Runs COMMAND, a program and its arguments, with the environment of this program."""

    def __init__(self, reactor: INetprocReactor, command: Sequence[str]) -> None:
        self._reactor = reactor
        self._command = command

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Return a Deferred that fires with the protocol when the command runs.

        It fails with ProcessError if the command cannot be started.
        """
        channel = protocolFactory.buildProtocol(_NoAddress())
        assert isinstance(channel, ForeignChannel)
        try:
            child = _Child(channel, self._reactor)
            self._reactor.spawnProcess(child, self._command[0], self._command, env=None)
        except OSError as error:
            return fail(from_os_error(error, "cannot run a command", self._command[0]))
        return succeed(channel)


class _Child(ProcessProtocol):
    """Reports the output and the end of the command to CHANNEL.

    Standard error is treated like standard output, as in Emacs.
    """

    transport: Process

    def __init__(self, channel: ForeignChannel, reactor: INetprocReactor) -> None:
        self._channel = channel
        self._reactor = reactor
        self._made: _ChildTransport | None = None

    def connectionMade(self) -> None:
        self._made = _ChildTransport(self.transport)
        # The command ends with this program, even if it does not read its standard input.
        self._trigger = self._reactor.addSystemEventTrigger("after", "shutdown", self._made.kill)
        self._channel.makeConnection(self._made)

    def outReceived(self, data: bytes) -> None:
        self._channel.dataReceived(data)

    errReceived = outReceived

    def inConnectionLost(self) -> None:
        if self._made is None:
            return
        if not self._made.shut_wanted:
            problem = "the command has closed its standard input"
            self._channel.receiver.output_lost(ProcessError(errno.EPIPE, problem))
        self._channel.writeConnectionLost()

    def processExited(self, reason: Failure) -> None:
        # Twisted may call this while it starts the command.  The caller of `connect` has to receive the channel first.
        self._reactor.callLater(0, self._end, Failure(_ending(reason.value)))

    def _end(self, reason: Failure) -> None:
        """Deliver all output of the command, and end the channel for REASON."""
        channel, made = self._channel, self._made
        assert made is not None
        with suppress(ValueError):  # the reactor has just run it
            self._reactor.removeSystemEventTrigger(self._trigger)
        for data in made.held_output():
            channel.dataReceived(data)
        del self._channel
        self._made = None
        made.close()
        channel.connectionLost(reason)


def _ending(reason: object) -> Exception:
    """Return the exception for REASON, the end of a command: ConnectionDone if its exit status is 0."""
    number = getattr(reason, "signal", None)
    if number is not None:
        return CommandError(signal_words(number), number, by_signal=True)
    code = getattr(reason, "exitCode", 0)
    return CommandError(exited_words(code), code) if code else ConnectionDone()


class _ChildTransport:
    """The transport over the pipes of PROCESS."""

    disconnecting = False

    def __init__(self, process: Process) -> None:
        self._process = process
        #: Whether we have closed the standard input of the command.
        self.shut_wanted = False

    def getHost(self) -> IAddress:
        return _NoAddress()

    def getPeer(self) -> IAddress:
        return _NoAddress()

    def write(self, data: bytes) -> None:
        self._process.writeToChild(0, data)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self._process.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._process.unregisterProducer()

    def pauseProducing(self) -> None:
        self._process.pauseProducing()

    def resumeProducing(self) -> None:
        self._process.resumeProducing()

    def loseWriteConnection(self) -> None:
        """Close the standard input of the command after the queued output."""
        self.shut_wanted = True
        self._process.closeStdin()

    def loseConnection(self) -> None:
        """Kill the command, which has had time to end on its own, and close our ends of the pipes."""
        self.kill()
        self._process.loseConnection()

    abortConnection = loseConnection

    def kill(self) -> None:
        """Kill the command."""
        with suppress(ProcessExitedAlready):
            self._process.signalProcess(signal.SIGKILL)

    def held_output(self) -> Iterator[bytes]:
        """Yield the output that is in the pipes now, and no more, since a background process may go on writing."""
        for pipe in self._process.pipes.values():
            if isinstance(pipe, ProcessReader):
                size = int.from_bytes(ioctl(pipe.fileno(), FIONREAD, bytes(4)), sys.byteorder)
                if size:
                    yield os.read(pipe.fileno(), size)

    def close(self) -> None:
        """Close our ends of the pipes."""
        for pipe in [*self._process.pipes.values()]:
            pipe.connectionLost(connectionDone)
