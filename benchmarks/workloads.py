"""The table of workloads: what is measured, one row each.

`run.py` chooses rows, `measure.py` hands them to the load generator, `report.py` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Unit:
    """What is counted, and how a table calls it."""

    #: The heading of the figure that is compared.
    figure: str
    #: The heading of the CPU time of one operation, empty where there is none.
    cpu: str = ""
    #: What the load generator counts, per operation.
    counts: int = 1
    less_is_better: bool = False


ECHOES = Unit("echo/s", "CPU µs/echo")
MEGABYTES = Unit("MB/s", "CPU µs/MB", counts=1_000_000)
CONNECTIONS = Unit("conn/s", "CPU µs/conn")
MEMORY = Unit("bytes/conn", less_is_better=True)


@dataclass(frozen=True)
class Workload:
    """One thing to measure."""

    name: str
    title: str
    #: A mode of `load.c`.
    mode: str
    connections: int
    unit: Unit
    #: Bytes of a message; of one piece for bulk.
    size: int = 64
    #: Text with characters of one to three bytes, not ASCII.
    non_ascii: bool = False

    @property
    def heading(self) -> str:
        """The title with the number of connections."""
        return f"{self.title}, {self.connections:,} connection{'s' * (self.connections != 1)}"

    def with_at_most(self, connections: int) -> Workload:
        """The same with no more than CONNECTIONS."""
        return replace(self, connections=min(self.connections, connections))


WORKLOADS = (
    Workload("pp1", "echo of 64 bytes", "pingpong", 1, ECHOES),
    Workload("pp50", "echo of 64 bytes", "pingpong", 50, ECHOES),
    Workload("bulk1", "bulk echo", "bulk", 1, MEGABYTES, size=65536),
    Workload("bulk8", "bulk echo", "bulk", 8, MEGABYTES, size=65536),
    Workload(
        "bulk1-text", "bulk echo, not ASCII", "bulk", 1, MEGABYTES, size=65536, non_ascii=True
    ),
    Workload("churn", "connect, echo of 64 bytes, close", "churn", 16, CONNECTIONS),
    Workload("memory", "memory of an idle connection", "idle", 10_000, MEMORY),
)
