"""Find and load the scenarios and the golden traces in this folder."""

from __future__ import annotations

import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def scenario_names():
    return sorted(name[:-5] for name in os.listdir(os.path.join(HERE, "scenarios")))


def load(name):
    with open(os.path.join(HERE, "scenarios", name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def golden(name):
    with open(os.path.join(HERE, "traces", name + ".jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]
