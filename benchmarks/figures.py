"""Medians of samples, and how peers compare.

`measure.py` gives the samples; `targets.py` and `report.py` use the figures.  Two peers are compared round by round, and the
median of these ratios is taken: a machine that is slower for some minutes is so for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median

from measure import Sample
from peers import BASELINE, LIMIT
from workloads import Workload

#: The figures of one peer by the names of `Sample`, and "least", "greatest", "ratio", "cpu_ratio", "limit_ratio".
Row = dict[str, float]


def rows(workload: Workload, samples: Mapping[str, Sequence[Sample]]) -> dict[str, Row]:
    """For each peer the medians, the least and the greatest figure, and how many times better it is."""
    found = {name: _medians(of_peer) for name, of_peer in samples.items()}
    for name, row in found.items():
        for heading, key, over in (
            ("ratio", "figure", BASELINE),
            ("cpu_ratio", "cpu", BASELINE),
            ("limit_ratio", "figure", LIMIT),
        ):
            ratio = compare(samples[name], samples.get(over, ()), key)
            if ratio:
                less_is_better = key == "cpu" or workload.unit.less_is_better
                row[heading] = 1 / ratio if less_is_better else ratio
    return found


def _medians(samples: Sequence[Sample]) -> Row:
    columns: dict[str, list[float]] = {}
    for sample in samples:
        for key, value in asdict(sample).items():
            if value is not None:
                columns.setdefault(key, []).append(value)
    figures = columns["figure"]
    medians = {key: median(values) for key, values in columns.items()}
    return {**medians, "least": min(figures), "greatest": max(figures)}


def compare(samples: Sequence[Sample], others: Sequence[Sample], key: str) -> float | None:
    """The median over the rounds of KEY of SAMPLES divided by that of OTHERS, if there is one."""
    pairs = _pairs(samples, others, key)
    return median(one / other for one, other in pairs if other) if pairs else None


def difference(samples: Sequence[Sample], others: Sequence[Sample], key: str) -> float | None:
    """The same, subtracted."""
    pairs = _pairs(samples, others, key)
    return median(one - other for one, other in pairs) if pairs else None


def _pairs(
    samples: Sequence[Sample], others: Sequence[Sample], key: str
) -> list[tuple[float, float]]:
    """KEY of both, round by round; who failed has fewer rounds."""
    both = (
        (getattr(one, key), getattr(other, key))
        for one, other in zip(samples, others, strict=False)
    )
    return [(one, other) for one, other in both if one is not None and other is not None]
