"""What was measured, for people and programs: tables, charts and JSON.

`run.py` hands in what `measure.py` measured; `publish.py` reads the JSON again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from chart import Bar, bar_chart
from figures import Row, rows
from measure import Measured, Plan
from peers import BASELINE, PEERS
from targets import RATE, STALL, TARGETS, Samples, stalls
from workloads import WORKLOADS, Workload

TITLES = {peer.name: peer.title for peer in PEERS}
NO_FIGURE = "–"


# -- tables -------------------------------------------------------------------------------------


def tables(workloads: Sequence[Workload], samples: Samples) -> Iterator[str]:
    """The table of each workload that has samples, then that of the targets."""
    for workload in workloads:
        if workload.name in samples:
            yield table(workload, rows(workload, samples[workload.name]))
    yield "\n".join(["targets of netproc:", *aligned(target_table(samples))])


def table(workload: Workload, found: Mapping[str, Row]) -> str:
    """The table of one workload; columns without a figure are left out."""
    return "\n".join([f"{workload.name}: {workload.heading}", *aligned(columns(workload, found))])


def columns(workload: Workload, found: Mapping[str, Row]) -> list[list[str]]:
    """The columns of a table, each with its heading."""
    result = [["", *(TITLES[name] for name in found)]]
    for heading, key, form in (
        (workload.unit.figure, "figure", "{:,.0f}"),
        ("× Twisted", "ratio", "{:.2f}"),
        ("target", "", ""),
        ("× C", "limit_ratio", "{:.2f}"),
        ("least", "least", "{:,.0f}"),
        ("greatest", "greatest", "{:,.0f}"),
        (workload.unit.cpu, "cpu", "{:.2f}"),
        ("× by CPU", "cpu_ratio", "{:.2f}"),
        ("p50 µs", "p50", "{:,.0f}"),
        ("p99 µs", "p99", "{:,.0f}"),
        ("waited", "waited", "{:.0%}"),
    ):
        if key:
            cells = [form.format(row[key]) if key in row else NO_FIGURE for row in found.values()]
        else:
            cells = [_target_over_baseline(workload, name) for name in found]
        if any(cell not in (NO_FIGURE, "") for cell in cells):
            result.append([heading, *cells])
    return result


def _target_over_baseline(workload: Workload, peer: str) -> str:
    for target in TARGETS:
        if (target.workload, target.peer, target.over) == (workload.name, peer, BASELINE):
            if target.kind is RATE:
                return f"≥ {target.bound:g}"
    return ""


def target_table(samples: Samples) -> list[list[str]]:
    """The columns of the table of targets."""
    lines = [["workload", "server", "compared with", "target", "measured", "result"]]
    for target in (target for target in TARGETS if target.workload in samples):
        value = target.value(samples)
        told = target.kind.form.format(value) if value is not None else NO_FIGURE
        bound = ("≤ " if target.kind.at_most else "≥ ") + target.kind.form.format(target.bound)
        met = "" if value is None else "met" if target.met_by(value) else "missed"
        other = TITLES.get(target.over, "")
        lines.append([target.workload, TITLES[target.peer], other, bound, told, met])
    lines += [
        [workload, TITLES[peer], "", f"≤ p99 of C and {STALL:g} ms", f"{p99:.1f} ms more", "missed"]
        for workload, peer, p99 in stalls(samples)
    ]
    return [list(column) for column in zip(*lines, strict=True)]


def aligned(table_columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: columns of words to the left, those of figures to the right."""
    widths = [max(map(len, column)) for column in table_columns]
    left = [not any(cell[:1].isdigit() for cell in column) for column in table_columns]
    for cells in zip(*table_columns, strict=True):
        parts = zip(cells, widths, left, strict=True)
        yield "  ".join(
            ["", *(c.ljust(w) if words else c.rjust(w) for c, w, words in parts)]
        ).rstrip()


# -- charts -------------------------------------------------------------------------------------


def charts(workloads: Sequence[Workload], samples: Samples) -> Iterator[tuple[str, str]]:
    """A name and an SVG document for each workload, and one more for its CPU time."""
    for workload in workloads:
        if workload.name in samples:
            found = rows(workload, samples[workload.name])
            unit = workload.unit
            yield workload.name, _chart(f"{workload.heading}: {unit.figure}", found, "figure")
            if unit.cpu:
                title = f"{workload.heading}: {unit.cpu}"
                timed = {name: row for name, row in found.items() if "cpu" in row}
                yield f"{workload.name}-cpu", _chart(title, timed, "cpu", "{:,.1f}")


def _chart(title: str, found: Mapping[str, Row], key: str, form: str = "{:,.0f}") -> str:
    bars = []
    for name, row in found.items():
        ours = name.startswith(("netproc", "fast", "transport"))
        colour = "base" if name == BASELINE else "ours" if ours else "other"
        least, greatest = (
            (row["least"], row["greatest"]) if key == "figure" else (row[key], row[key])
        )
        bars.append(Bar(TITLES[name], row[key], least, greatest, colour))
    return bar_chart(title, bars, form)


# -- files --------------------------------------------------------------------------------------


def write(directory: Path, about: Mapping[str, object], plan: Plan, measured: Measured) -> None:
    """Write `result.json` and the charts into DIRECTORY, which is made."""
    directory.mkdir(parents=True, exist_ok=True)
    in_order = {w.name: measured.samples[w.name] for w in WORKLOADS if w.name in measured.samples}
    content = {
        "machine": about,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "workloads": {workload.name: asdict(workload) for workload in plan.workloads},
        "summaries": {
            w.name: rows(w, in_order[w.name]) for w in plan.workloads if w.name in in_order
        },
        "samples": {
            name: {peer: [asdict(s) for s in taken] for peer, taken in of_workload.items()}
            for name, of_workload in in_order.items()
        },
        "failures": measured.failures,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (directory / "result.json").write_text(text)
    for name, svg in charts(plan.workloads, in_order):
        (directory / f"{name}.svg").write_text(svg)
