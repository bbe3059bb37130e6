"""Compares echo servers: plain Twisted, netproc, asyncio, uvloop.  `run.py --help` lists the options.

Chooses what is measured; `measure.py` does it, workload by workload, and `report.py` prints it.
README.rst says how to read the result.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import NoReturn

from measure import Plan, measure
from programs import HERE, BenchmarkError, Cpus, Load, build_load, choose_cpus
from report import machine, summaries, table, write_json
from servers import SERVERS
from workloads import WORKLOADS, Workload

#: Descriptors that a server and the load need beside those of connections.
SPARE_DESCRIPTORS = 100

QUICK_ROUNDS = 2
QUICK_SECONDS = 0.2
QUICK_CONNECTIONS = 1000
WARM_UP = 0.2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare echo servers with plain Twisted.")
    parser.add_argument("--rounds", type=rounds, help="samples of each server (default: 5)")
    parser.add_argument("--seconds", type=seconds, help="length of a sample (default: 1)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[workload.name for workload in WORKLOADS],
        help="this workload; more than once for more of them (default: all)",
    )
    parser.add_argument(
        "--servers", type=servers, metavar="NAME,…", help=f"of {', '.join(SERVERS)} (default: all)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS} s, {QUICK_CONNECTIONS:,} connections at most: "
        "does it work?",
    )
    return parser.parse_args(arguments)


def rounds(word: str) -> int:
    return int(between(int(word), 1, 100))


def seconds(word: str) -> float:
    return between(float(word), 0.05, 60)


def between(number: float, least: float, most: float) -> float:
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{number:g} is not from {least:g} to {most:g}")
    return number


def servers(words: str) -> list[str]:
    names = list(dict.fromkeys(words.split(",")))
    for name in names:
        if name not in SERVERS:
            raise argparse.ArgumentTypeError(f"there is no server {name!r}")
    return names


def plan_for(options: argparse.Namespace) -> Plan:
    return Plan(
        servers=options.servers or installed_servers(),
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else 5),
        seconds=options.seconds or (QUICK_SECONDS if options.quick else 1.0),
        warm_up=WARM_UP,
    )


def installed_servers() -> list[str]:
    """All servers, but uvloop only where it is installed."""
    names = list(SERVERS)
    if find_spec("uvloop") is None:
        print("uvloop is not installed and is left out")
        names.remove("uvloop")
    return names


def workloads_for(options: argparse.Namespace) -> list[Workload]:
    """The chosen rows, with no more connections than there can be descriptors."""
    most = raise_descriptor_limit() - SPARE_DESCRIPTORS
    if options.quick:
        most = min(most, QUICK_CONNECTIONS)
    return [w.with_at_most(most) for w in WORKLOADS if not options.only or w.name in options.only]


def raise_descriptor_limit() -> int:
    """Let this program and those it starts have as many descriptors as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def run(plan: Plan, workloads: Iterable[Workload]) -> None:
    cpus = choose_cpus()
    about = machine()
    print(heading(plan, cpus, about), flush=True)
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        load = Load(build_load(directory), cpus)
        for workload in workloads:
            samples = measure(workload, plan, load, cpus)
            rows = summaries(workload, samples)
            print("\n" + table(workload, rows), flush=True)
            results[workload.name] = {
                "workload": asdict(workload),
                "summaries": rows,
                "samples": {name: [asdict(s) for s in taken] for name, taken in samples.items()},
            }
    content = {"machine": about, "cpus": asdict(cpus), "plan": asdict(plan), "results": results}
    print(f"\nwritten to {write_json(HERE / 'results', content)}")


def heading(plan: Plan, cpus: Cpus, about: Mapping[str, object]) -> str:
    where = f"servers on CPU {cpus.server}, load on CPU {cpus.load}"
    if cpus.shared:
        where = "servers and load share the only CPU, so rates say little; compare the CPU times"
    facts = ", ".join(f"{key} {value}" for key, value in about.items() if value is not None)
    return f"{facts}\n{plan.rounds} rounds of {plan.seconds:g} s; {where}"


def terminated(*_: object) -> NoReturn:
    """Let a SIGTERM end what was started, as control-C does."""
    raise KeyboardInterrupt


def main() -> None:
    options = parse(sys.argv[1:])
    if sys.platform != "linux":
        sys.exit("run.py: needs Linux")
    signal.signal(signal.SIGTERM, terminated)
    try:
        run(plan_for(options), workloads_for(options))
    except BenchmarkError as error:
        sys.exit(f"run.py: {error}")
    except KeyboardInterrupt:
        sys.exit("run.py: interrupted")


if __name__ == "__main__":
    main()
