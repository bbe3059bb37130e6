"""Medians and ratios of samples: a table on standard output, and everything as JSON.

`run.py` hands in the samples of `measure.py`.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from measure import Sample, Samples
from servers import BASELINE
from workloads import Workload

#: The figures of one server by the names of `Sample`, and "least", "greatest", "ratio", "cpu_ratio".
Row = dict[str, float]

PACKAGES = ("netproc", "twisted", "uvloop")


def summaries(workload: Workload, samples: Samples) -> dict[str, Row]:
    """For each server the medians, the least and the greatest figure, and the ratios."""
    rows = {name: _medians(of_server) for name, of_server in samples.items()}
    base = rows.get(BASELINE)
    if base is not None:
        for row in rows.values():
            row.update(_ratios(workload, row, base))
    return rows


def _medians(samples: Sequence[Sample]) -> Row:
    columns: dict[str, list[float]] = {}
    for sample in samples:
        for key, value in asdict(sample).items():
            if value is not None:
                columns.setdefault(key, []).append(value)
    figures = columns["figure"]
    medians = {key: median(values) for key, values in columns.items()}
    return {**medians, "least": min(figures), "greatest": max(figures)}


def _ratios(workload: Workload, row: Row, base: Row) -> Row:
    """How many times better ROW is than BASE: more for the same time, or less for the same work."""
    better = row["figure"] / base["figure"]
    ratios = {"ratio": 1 / better if workload.unit.less_is_better else better}
    if "cpu" in row:
        ratios["cpu_ratio"] = base["cpu"] / row["cpu"]
    return ratios


def table(workload: Workload, rows: Mapping[str, Row]) -> str:
    """The table of one workload; columns without a figure are left out."""
    columns = [["", *rows]]
    for heading, key, form in (
        (workload.unit.figure, "figure", "{:,.0f}"),
        ("×", "ratio", "{:.2f}"),
        ("least", "least", "{:,.0f}"),
        ("greatest", "greatest", "{:,.0f}"),
        (workload.unit.cpu, "cpu", "{:.2f}"),
        ("× by CPU", "cpu_ratio", "{:.2f}"),
        ("p50 µs", "p50", "{:,.0f}"),
        ("p99 µs", "p99", "{:,.0f}"),
        ("waited", "waited", "{:.0%}"),
    ):
        if all(key in row for row in rows.values()):
            columns.append([heading, *(form.format(row[key]) for row in rows.values())])
    return "\n".join([f"{workload.name}: {workload.heading}", *_lines(columns)])


def _lines(columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: its first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in columns]
    for cells in zip(*columns, strict=True):
        first, *others = zip(cells, widths, strict=True)
        yield "  ".join(["", first[0].ljust(first[1]), *(c.rjust(w) for c, w in others)])


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "load average": round(os.getloadavg()[0], 2),
        **{name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write_json(directory: Path, content: Mapping[str, object]) -> Path:
    """Write CONTENT to a new file in DIRECTORY, named by the time."""
    directory.mkdir(exist_ok=True)
    path = directory / time.strftime("%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path
