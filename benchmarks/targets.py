"""The table of targets: what netproc wants to be, beside what was measured.

`report.py` prints them.  They are no tests: a machine may be busy, and another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from figures import compare, difference
from measure import Sample
from peers import BASELINE, LIMIT

#: By workload and peer.
Samples = Mapping[str, Mapping[str, list[Sample]]]

KIB = 1024


@dataclass(frozen=True)
class Kind:
    """A way to measure; how the figure is told."""

    form: str
    at_most: bool = False


#: How many times the rate of another.
RATE = Kind("{:.2f} times")
#: Which share of another's CPU time.
CPU = Kind("{:.2f} of its CPU time", at_most=True)
#: How much more CPU time an operation takes than another's.  The difference is small and a disturbance only ever
#: adds, so the least of the rounds are compared.
MORE = Kind("{:.2f} µs more CPU time", at_most=True)
P99 = Kind("p99 {:.1f} ms", at_most=True)
MEMORY = Kind("{:.2f} KiB", at_most=True)


@dataclass(frozen=True)
class Target:
    """What PEER wants to be in a workload, beside another peer or alone."""

    workload: str
    peer: str
    kind: Kind
    bound: float
    over: str = ""

    def value(self, samples: Samples) -> float | None:
        """What was measured, if it was."""
        of_workload = samples.get(self.workload, {})
        own, others = of_workload.get(self.peer, []), of_workload.get(self.over, [])
        if not own:
            return None
        match self.kind:
            case kind if kind is RATE:
                return compare(own, others, "figure")
            case kind if kind is CPU:
                return compare(own, others, "cpu")
            case kind if kind is MORE:
                return least_cpu(own) - least_cpu(others) if others else None
            case kind if kind is P99:
                return median_of(own, "p99") / 1000
            case _:
                return median_of(own, "figure") / KIB

    def met_by(self, value: float) -> bool:
        """Is VALUE good enough?"""
        return value <= self.bound if self.kind.at_most else value >= self.bound


TARGETS = (
    # The whole process on the reactor that Twisted chooses.
    Target("pp50", "netproc-text", RATE, 1.35, BASELINE),
    Target("bulk1", "netproc", RATE, 1.9, BASELINE),
    Target("pp50", "netproc-text", MORE, 0.5, "transport"),
    # The same on netproc's reactor.
    Target("pp50", "fast-text", RATE, 1.6, BASELINE),
    Target("pp50", "fast-text", RATE, 0.75, LIMIT),
    Target("pp50", "fast", RATE, 1.75, BASELINE),
    Target("pieces50", "fast", RATE, 1.7, BASELINE),
    Target("pieces50", "fast", RATE, 2.3, "uvloop"),
    Target("pieces50", "fast", RATE, 2.3, "asyncio"),
    Target("bulk1", "fast", RATE, 2.0, BASELINE),
    Target("bulk8", "fast", RATE, 2.0, BASELINE),
    Target("bulk8", "fast", RATE, 0.9, LIMIT),
    Target("churn", "fast", RATE, 1.2, BASELINE),
    Target("unix50", "fast", RATE, 2.2, BASELINE),
    # These can pass descriptors.
    Target("unix50", "fast-twisted", RATE, 2.2, BASELINE),
    Target("udp50", "fast", RATE, 1.0, BASELINE),
    Target("tls50", "fast", RATE, 2.0, BASELINE),
    Target("tls-churn1", "fast", RATE, 1.7, BASELINE),
    Target("tls-churn1", "fast", P99, 10),
    Target("tls-churn16", "fast", RATE, 1.15, BASELINE),
    Target("pp1", "fast", RATE, 0.9, BASELINE),
    Target("pp1", "fast", CPU, 0.75, BASELINE),
    Target("pp1", "fast-spin", RATE, 1.7, LIMIT),
    Target("pp50", "fast-text", MORE, 0.5, "fast-transport"),
    Target("memory", "fast-text", MEMORY, 1.3),
)

#: Milliseconds by which no p99 of netproc's exceeds that of C: 16 handshakes at a time wait for each
#: other there too, and so does everybody on a busy machine.
STALL = 20.0


def stalls(samples: Samples) -> Iterator[tuple[str, str, float]]:
    """Workload, peer and p99 in ms beyond that of C, where netproc made its clients wait."""
    for workload, of_workload in samples.items():
        for peer, taken in of_workload.items():
            if peer.startswith(("netproc", "fast")):
                more = difference(taken, of_workload.get(LIMIT, []), "p99")
                if more is not None and more / 1000 > STALL:
                    yield workload, peer, more / 1000


def least_cpu(samples: list[Sample]) -> float:
    """The least CPU time of an operation."""
    return min(sample.cpu for sample in samples if sample.cpu is not None)


def median_of(samples: list[Sample], key: str) -> float:
    """The median of KEY, which all samples have."""
    middle: float = median(getattr(sample, key) for sample in samples)
    return middle
