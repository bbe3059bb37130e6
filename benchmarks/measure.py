"""Measures all workloads with all peers, in rounds; gives samples.

`run.py` hands in rows of `workloads.py` and `peers.py`; `programs.py` runs what is needed; `figures.py` gets the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from peers import Peer
from programs import BenchmarkError, Load, NoServerError, Place, Server, Servers
from workloads import Workload

#: Seconds for which idle connections may be held; reading a server's memory takes no time.
HOLD_LIMIT = 30
#: A sample during which others had our CPUs for a greater share of the time is taken again.
NOISE = 0.06


@dataclass(frozen=True)
class Sample:
    """One measurement of one server; times in microseconds."""

    #: In the unit of the workload.
    figure: float
    cpu: float | None = None
    p50: float | None = None
    p99: float | None = None
    #: The share of the time in which server or load could have run, but others had their CPU.
    waited: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What is measured, and how much of it."""

    workloads: Sequence[Workload]
    peers: Sequence[Peer]
    rounds: int
    seconds: float
    warm_up: float
    #: How many times a sample is taken at most, if others disturb.
    takes: int = 2


@dataclass
class Measured:
    """What came of it."""

    #: By workload and peer, one sample a round, beginning with the first.
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    #: One line each.  What failed is not tried again.
    failures: list[str] = field(default_factory=list)
    #: Peers that are out, and pairs of workload and peer.
    out: set[str | tuple[str, str]] = field(default_factory=set)


#: Is told the round and the workload that begin.
Progress = Callable[[int, Workload], None]


def measure(plan: Plan, place: Place, measured: Measured, progress: Progress) -> None:
    """Fill MEASURED; after an interrupt it has the rounds, and the workloads of the last one, that are done."""
    load = Load(place)
    for number in range(plan.rounds):
        # A B C, C B A, A B C, …: a slow change of the machine meets all alike.
        turns = plan.peers[::-1] if number % 2 else plan.peers
        # New servers each round, because how memory happens to lie makes one process slower than the next.
        with Servers(place) as servers:
            for workload in plan.workloads:
                progress(number, workload)
                taken = dict(_visit(plan, workload, turns, servers, load, measured))
                for name, sample in taken.items():
                    measured.samples.setdefault(workload.name, {}).setdefault(name, []).append(
                        sample
                    )


def _visit(
    plan: Plan,
    workload: Workload,
    turns: Sequence[Peer],
    servers: Servers,
    load: Load,
    measured: Measured,
) -> Iterator[tuple[str, Sample]]:
    """One sample of each peer that takes part in WORKLOAD."""
    for peer in turns:
        pair = workload.name, peer.name
        if measured.out & {peer.name, pair} or (peer.only and workload.name not in peer.only):
            continue
        try:
            if workload.needs_fresh_server:
                servers.end(peer)
            server = servers.get(peer)
            if workload.service in server.addresses:
                yield peer.name, _sample(plan, workload, server, load)
        except NoServerError as error:
            measured.out.add(peer.name)
            measured.failures.append(str(error))
        except BenchmarkError as error:
            measured.out.add(pair)
            measured.failures.append(f"{workload.name}, {peer.name}: {error}")
            servers.end(peer)


def _sample(plan: Plan, workload: Workload, server: Server, load: Load) -> Sample:
    try:
        if workload.mode == "idle":
            return _memory(workload, server, load)
        return _least_disturbed(plan, workload, server, load)
    except BenchmarkError as error:
        complaint = server.complaint()
        raise BenchmarkError(f"{error}" + (complaint and f" ({complaint})")) from None


def _memory(workload: Workload, server: Server, load: Load) -> Sample:
    before = server.resident_bytes()
    with load.holding(_course(workload, server, HOLD_LIMIT)):
        after = server.resident_bytes()
    return Sample(figure=(after - before) / workload.connections)


def _least_disturbed(plan: Plan, workload: Workload, server: Server, load: Load) -> Sample:
    samples: list[Sample] = []
    while len(samples) < plan.takes and not any(sample.waited <= NOISE for sample in samples):
        samples.append(_rate(plan, workload, server, load))
    return min(samples, key=lambda sample: sample.waited)


def _rate(plan: Plan, workload: Workload, server: Server, load: Load) -> Sample:
    options = ["-p", server.pid, "-w", plan.warm_up, "-f", workload.window, "-i", workload.idle]
    text = ["-u"] if workload.mixed else []
    course = _course(workload, server, plan.seconds)
    result = load.run([*map(str, options), *text, *course], plan.warm_up + plan.seconds)
    counted = workload.unit.cpu and not server.peer.forks
    operations = result["count"] / workload.counts
    return Sample(
        figure=operations / result["seconds"],
        cpu=result["server_cpu"] / operations * 1e6 if counted else None,
        p50=result["p50"] * 1e6 if "p50" in result else None,
        p99=result["p99"] * 1e6 if "p99" in result else None,
        waited=max(result["server_wait"], result["load_wait"]) / result["seconds"],
    )


def _course(workload: Workload, server: Server, seconds: float) -> list[str]:
    """The arguments of the load generator that are no options."""
    numbers = workload.connections, workload.size, seconds
    return [workload.mode, server.addresses[workload.service], *map(str, numbers)]
