"""Puts a result where the documentation shows it: `publish.py RESULT`, the directory that `run.py` wrote.

Copies `result.json` and the charts that `docs/explanation/performance.rst` shows, and writes the tables that it includes.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Sample
from programs import HERE
from report import columns, target_table
from workloads import WORKLOADS

DESTINATION = HERE.parent / "docs" / "explanation" / "benchmark"
CHARTS = ("pp50", "pp50-cpu", "pieces50", "bulk8", "churn", "tls50", "tls-churn1", "memory")
#: What of the machine is told, in a sentence each.
FACTS = ("time", "processor", "CPUs", "kernel", "load average")


def publish(result: Path) -> None:
    """Replace what is published by RESULT."""
    content = json.loads((result / "result.json").read_text())
    shutil.rmtree(DESTINATION, ignore_errors=True)
    DESTINATION.mkdir(parents=True)
    for name in ["result.json", *(f"{chart}.svg" for chart in CHARTS)]:
        shutil.copy(result / name, DESTINATION)
    (DESTINATION / "machine.txt").write_text("\n".join(_machine(content)) + "\n")
    (DESTINATION / "tables.txt").write_text("\n".join(_tables(content)) + "\n")


def _machine(content: Mapping[str, Any]) -> Iterator[str]:
    """Where and with what it was measured."""
    about = content["machine"]
    yield f"* {', '.join(f'{fact} {about[fact]}' for fact in FACTS)}"
    versions = [f"{k} {v}" for k, v in about.items() if k not in FACTS and v is not None]
    yield f"* {', '.join(versions)}"
    yield f"* medians of {content['rounds']} rounds, samples of {content['seconds']:g} s"


def _tables(content: Mapping[str, Any]) -> Iterator[str]:
    samples = {
        workload: {peer: [Sample(**sample) for sample in taken] for peer, taken in peers.items()}
        for workload, peers in content["samples"].items()
    }
    yield from _list_table("Targets, and what was measured", target_table(samples))
    for workload in WORKLOADS:
        if workload.name in samples:
            found = content["summaries"][workload.name]
            title = f"``{workload.name}``: {workload.heading}"
            yield from _list_table(title, columns(workload, found))


def _list_table(title: str, table: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f".. list-table:: {title}"
    yield "   :header-rows: 1"
    yield "   :class: figures"
    yield ""
    for line in zip(*table, strict=True):
        for number, cell in enumerate(line):
            yield f"   {'*' if number == 0 else ' '} - {cell}".rstrip()
    yield ""


if __name__ == "__main__":
    publish(Path(sys.argv[1]))
