"""Stream processes over TCP."""

from __future__ import annotations

from netproc.test.support.contract import StreamContract
from netproc.test.support.fixtures import TcpFixture


class TcpContractTests(TcpFixture, StreamContract):
    """The contract over TCP."""
