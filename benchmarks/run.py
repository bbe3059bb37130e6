"""Compares servers: netproc, plain Twisted, asyncio, uvloop, C, Emacs, socat.  `run.py --help` lists the options.

Chooses what is measured; `build.py` prepares it, `measure.py` does it, and `report.py` tells it.
README.rst says how to read the result.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

from build import build_programs, make_certificate
from machine import machine
from measure import Measured, Plan, measure
from peers import PEERS, Peer
from programs import HERE, BenchmarkError, Place, choose_place
from report import tables, write
from workloads import WORKLOADS, Workload

#: Descriptors that a server and the load need beside those of connections.
SPARE_DESCRIPTORS = 100


@dataclass(frozen=True)
class Amount:
    """How much is measured when nothing else is said."""

    rounds: int
    seconds: float
    warm_up: float
    takes: int
    connections: int


FULL = Amount(rounds=5, seconds=0.8, warm_up=0.2, takes=2, connections=1_000_000)
QUICK = Amount(rounds=1, seconds=0.2, warm_up=0.05, takes=1, connections=1000)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare servers with plain Twisted.")
    names = {
        "--only": [workload.name for workload in WORKLOADS],
        "--peers": [peer.name for peer in PEERS],
    }
    for option, known in names.items():
        parser.add_argument(
            option,
            type=partial(choice, known),
            metavar="NAME,…",
            help=f"of {', '.join(known)} (default: all)",
        )
    parser.add_argument("--rounds", type=rounds, help=f"default: {FULL.rounds}")
    parser.add_argument("--seconds", type=seconds, help=f"of a sample; default: {FULL.seconds}")
    parser.add_argument(
        "--output", type=new, metavar="DIRECTORY", help="a new one; default: results/TIME"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK.rounds} round of {QUICK.seconds} s, {QUICK.connections:,} connections at most: "
        "does it work?",
    )
    return parser.parse_args(arguments)


def choice(known: Sequence[str], words: str) -> list[str]:
    names = words.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no {name!r}")
    return names


def new(word: str) -> Path:
    """A directory for results, which must not be there: an hour later would be too late to say so."""
    path = Path(word)
    if path.exists():
        raise argparse.ArgumentTypeError(f"{word} exists")
    return path


def rounds(word: str) -> int:
    return int(between(int(word), 1, 100))


def seconds(word: str) -> float:
    return between(float(word), 0.05, 60)


def between(number: float, least: float, most: float) -> float:
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{number:g} is not from {least:g} to {most:g}")
    return number


def plan_for(options: argparse.Namespace) -> Plan:
    amount = QUICK if options.quick else FULL
    most = min(raise_descriptor_limit() - SPARE_DESCRIPTORS, amount.connections)
    return Plan(
        workloads=[
            w.with_at_most(most) for w in WORKLOADS if not options.only or w.name in options.only
        ],
        peers=list(peers_for(options)),
        rounds=options.rounds or amount.rounds,
        seconds=options.seconds or amount.seconds,
        warm_up=amount.warm_up,
        takes=amount.takes,
    )


def peers_for(options: argparse.Namespace) -> Iterator[Peer]:
    """The chosen rows, but only those whose server is installed."""
    for peer in PEERS:
        if options.peers and peer.name not in options.peers:
            continue
        if peer.installed:
            yield peer
        else:
            print(f"{peer.name} is left out: there is no {peer.needs}")


def raise_descriptor_limit() -> int:
    """Let this program and those it starts have as many descriptors as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass
class Progress:
    """Says where the measurement is, and how long it takes from here."""

    plan: Plan
    began: float = field(default_factory=time.monotonic)
    done: int = 0

    def __call__(self, number: int, workload: Workload) -> None:
        """WORKLOAD begins in round NUMBER."""
        total = self.plan.rounds * len(self.plan.workloads)
        rest = ""
        if self.done:
            passed = time.monotonic() - self.began
            rest = f", {passed * (total / self.done - 1) / 60:.1f} minutes to go"
        self.done += 1
        print(f"round {number + 1} of {self.plan.rounds}: {workload.name}{rest}", flush=True)


def run(plan: Plan, output: Path) -> bool:
    """Measure, print and write; did all go well?"""
    measured = Measured()
    about = machine()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if not build_programs(directory):
            print("TLS is left out: no OpenSSL for C programs")
            plan = without_tls(plan)
        make_certificate(directory)
        place = choose_place(directory)
        print(heading(plan, place, about), flush=True)
        try:
            measure(plan, place, measured, Progress(plan))
        except KeyboardInterrupt:
            measured.failures.append("interrupted")
    for text in tables(plan.workloads, measured.samples):
        print("\n" + text)
    write(output, about, plan, measured)
    print(f"\nwritten to {output}")
    for failure in measured.failures:
        print(f"run.py: {failure}", file=sys.stderr)
    return not measured.failures


def without_tls(plan: Plan) -> Plan:
    workloads = [workload for workload in plan.workloads if workload.service != "tls"]
    return Plan(workloads, plan.peers, plan.rounds, plan.seconds, plan.warm_up, plan.takes)


def heading(plan: Plan, place: Place, about: dict[str, object]) -> str:
    where = f"servers on CPU {place.server_cpu}, load on CPU {place.load_cpu}"
    if place.shared:
        where = "servers and load share the only CPU, so rates say little; compare the CPU times"
    facts = "\n".join(f"{key}: {value}" for key, value in about.items() if value is not None)
    return f"{facts}\nrounds: {plan.rounds} of {plan.seconds:g} s; {where}"


def terminated(*_: object) -> NoReturn:
    """Let a SIGTERM end what was started, as control-C does."""
    raise KeyboardInterrupt


def main() -> None:
    options = parse(sys.argv[1:])
    if sys.platform != "linux":
        sys.exit("run.py: needs Linux")
    signal.signal(signal.SIGTERM, terminated)
    output = options.output or HERE / "results" / time.strftime("%Y%m%d-%H%M%S")
    try:
        well = run(plan_for(options), output)
    except BenchmarkError as error:
        sys.exit(f"run.py: {error}")
    except KeyboardInterrupt:
        sys.exit("run.py: interrupted")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
