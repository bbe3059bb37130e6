"""Measures one workload with all servers, in turns; gives samples.

`run.py` hands in a row of `workloads.py`; `programs.py` runs what is needed; `report.py` gets the samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from programs import BenchmarkError, Cpus, Load, Server, running_server
from workloads import Workload

#: Seconds for which idle connections may be held; reading a server's memory takes no time.
HOLD_LIMIT = 30


@dataclass(frozen=True)
class Sample:
    """One measurement of one server; times in microseconds."""

    #: In the unit of the workload.
    figure: float
    cpu: float | None = None
    p50: float | None = None
    p99: float | None = None
    #: The share of the time in which server or load could have run, but others had their CPU.
    waited: float | None = None


#: The samples of each server, one a round.
Samples = dict[str, list[Sample]]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    servers: Sequence[str]
    rounds: int
    seconds: float
    warm_up: float


def measure(workload: Workload, plan: Plan, load: Load, cpus: Cpus) -> Samples:
    """Measure WORKLOAD; raises BenchmarkError if anything goes wrong."""
    samples: Samples = {name: [] for name in plan.servers}
    for number in range(plan.rounds):
        # A B C, C B A, A B C, …: a slow change of the machine meets all alike.
        turns = plan.servers[::-1] if number % 2 else plan.servers
        for name, sample in _round(workload, turns, plan, load, cpus):
            samples[name].append(sample)
    return samples


def _round(
    workload: Workload, turns: Sequence[str], plan: Plan, load: Load, cpus: Cpus
) -> Iterator[tuple[str, Sample]]:
    """One sample of each server, in TURNS.

    The servers are new, because how memory happens to lie makes one process slower than the next.
    """
    if workload.mode == "idle":
        for name in turns:
            yield name, _memory(workload, name, load, cpus)
        return
    with ExitStack() as stack:
        servers = [stack.enter_context(running_server(name, cpus)) for name in turns]
        for server in servers:
            yield server.name, _rate(workload, server, plan, load)


def _rate(workload: Workload, server: Server, plan: Plan, load: Load) -> Sample:
    options = [
        "-p",
        str(server.pid),
        "-w",
        str(plan.warm_up),
        *(["-u"] if workload.non_ascii else []),
    ]
    try:
        result = load.run(
            [*options, *_course(workload, server, plan.seconds)], plan.warm_up + plan.seconds
        )
    except BenchmarkError as error:
        raise _about(server, error) from None
    operations = result["count"] / workload.unit.counts
    return Sample(
        figure=operations / result["seconds"],
        cpu=result["server_cpu"] / operations * 1e6,
        p50=result["p50"] * 1e6 if "p50" in result else None,
        p99=result["p99"] * 1e6 if "p99" in result else None,
        waited=max(result["server_wait"], result["load_wait"]) / result["seconds"],
    )


def _memory(workload: Workload, name: str, load: Load, cpus: Cpus) -> Sample:
    with running_server(name, cpus) as server:
        before = server.resident_bytes()
        try:
            with load.holding(_course(workload, server, HOLD_LIMIT)):
                after = server.resident_bytes()
        except BenchmarkError as error:
            raise _about(server, error) from None
    return Sample(figure=(after - before) / workload.connections)


def _course(workload: Workload, server: Server, seconds: float) -> list[str]:
    """The arguments of the load generator that are no options."""
    numbers = workload.connections, workload.size, seconds
    return [workload.mode, server.address, *map(str, numbers)]


def _about(server: Server, error: BenchmarkError) -> BenchmarkError:
    """ERROR of a load, with the server and what it has to say to that."""
    complaint = server.complaint()
    return BenchmarkError(f"server {server.name}: {error}" + (complaint and f" ({complaint})"))
