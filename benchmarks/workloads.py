"""The table of workloads: what is measured, one row each.

`run.py` chooses rows, `measure.py` hands them to the load generator, `report.py` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Bytes of one connection that may not be back yet.
WINDOW = 1 << 20


@dataclass(frozen=True)
class Unit:
    """What is counted, and how a table calls it."""

    #: The heading of the figure that is compared.
    figure: str
    #: The heading of the CPU time of one operation, empty where there is none.
    cpu: str = ""
    less_is_better: bool = False


ECHOES = Unit("echo/s", "CPU µs/echo")
MEGABYTES = Unit("MB/s", "CPU µs/MB")
CONNECTIONS = Unit("conn/s", "CPU µs/conn")
#: The CPU time is mostly that of another connection.
PINGS = Unit("ping/s")
MEMORY = Unit("bytes/conn", less_is_better=True)


@dataclass(frozen=True)
class Workload:
    """One thing to measure."""

    name: str
    title: str
    #: A mode of `load/load.c`.
    mode: str
    #: What servers call the service that is used.
    service: str
    connections: int
    unit: Unit
    #: Bytes of a message; of one piece for bulk.
    size: int = 64
    #: What the load counts, per operation.
    counts: int = 1
    window: int = WINDOW
    #: Connections beside these that have nothing to do.
    idle: int = 0
    #: Text with characters of one to three bytes, not ASCII.
    mixed: bool = False

    @property
    def heading(self) -> str:
        """The title with the number of connections."""
        counted = f"{self.connections:,} connection{'s' * (self.connections != 1)}"
        return f"{self.title}, {counted}"

    @property
    def needs_fresh_server(self) -> bool:
        """Does what was served before change the figure?"""
        return self.mode == "idle"

    def with_at_most(self, connections: int) -> Workload:
        """The same with no more than CONNECTIONS, the idle ones with them."""
        busy = min(self.connections, connections)
        return replace(self, connections=busy, idle=min(self.idle, connections - busy))


def _bulk(
    name: str,
    title: str,
    connections: int = 1,
    *,
    mode: str = "bulk",
    service: str = "tcp",
    mixed: bool = False,
) -> Workload:
    return Workload(
        name, title, mode, service, connections, MEGABYTES, 65536, 1_000_000, mixed=mixed
    )


WORKLOADS = (
    Workload("pp1", "echo of 64 bytes", "pingpong", "tcp", 1, ECHOES),
    Workload("pp50", "echo of 64 bytes", "pingpong", "tcp", 50, ECHOES),
    Workload("pp50-mixed", "echo, not ASCII", "pingpong", "tcp", 50, ECHOES, mixed=True),
    Workload("pieces50", "echo in four pieces", "pingpong", "pieces", 50, ECHOES),
    Workload("deep", "echo, 16 under way", "bulk", "tcp", 8, ECHOES, counts=64, window=1024),
    Workload("unix50", "echo, UNIX sockets", "pingpong", "unix", 50, ECHOES),
    Workload("udp50", "echo, UDP", "pingpong", "udp", 50, ECHOES),
    _bulk("bulk1", "bulk echo"),
    _bulk("bulk8", "bulk echo", 8),
    _bulk("bulk1-mixed", "bulk echo, not ASCII", mixed=True),
    _bulk("sink", "bulk one way", mode="sink", service="sink"),
    _bulk("sink-mixed", "bulk one way, not ASCII", mode="sink", service="sink", mixed=True),
    Workload("churn", "connect, echo, close", "churn", "tcp", 16, CONNECTIONS),
    Workload("tls50", "echo, TLS", "pingpong", "tls", 50, ECHOES),
    _bulk("tls-bulk", "bulk echo, TLS", service="tls"),
    Workload("tls-churn1", "connect, handshake, echo, close", "churn", "tls", 1, CONNECTIONS),
    Workload("tls-churn16", "connect, handshake, echo, close", "churn", "tls", 16, CONNECTIONS),
    Workload("beside", "pings in turn beside one in bulk", "beside", "tcp", 1001, PINGS),
    Workload("idle", "echo beside 10,000 idle ones", "pingpong", "tcp", 50, ECHOES, idle=10_000),
    Workload("memory", "memory of an idle connection", "idle", "tcp", 10_000, MEMORY),
)
