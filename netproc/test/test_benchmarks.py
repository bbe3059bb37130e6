"""The benchmarks run and print a figure for everything; these tests do not judge the figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from netproc.test.support.programs import ROOT, environment

BENCHMARKS = os.path.join(ROOT, "benchmarks")
LIMIT = 120


#: The contestants that are tried: a server written in C, and netproc's processes.
PEERS = "c", "netproc-text"


class SmokeTests(SynchronousTestCase):
    def setUp(self) -> None:
        if not os.path.isdir(BENCHMARKS) or sys.platform != "linux":
            raise SkipTest("this runs from a checkout only, on Linux")
        if shutil.which(os.environ.get("CC", "cc")) is None:
            raise SkipTest("there is no C compiler (Debian: apt-get install gcc libc6-dev)")
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def test_every_workload_has_a_figure_for_every_server(self) -> None:
        output = os.path.join(self.directory, "result")
        program = os.path.join(BENCHMARKS, "run.py")
        brief = ["--quick", "--seconds", "0.05", "--peers", ",".join(PEERS), "--output", output]
        done = subprocess.run(
            [sys.executable, program, *brief],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        with open(os.path.join(output, "result.json"), encoding="utf-8") as file:
            result: dict[str, Any] = json.load(file)
        self.assertGreater(len(result["workloads"]), 10)
        for workload in result["workloads"]:
            self.assertIn(workload, done.stdout)
            figures = {peer: row["figure"] for peer, row in result["summaries"][workload].items()}
            self.assertEqual(set(PEERS), set(figures), workload)
            self.assertGreater(min(figures.values()), 0, figures)
            with open(os.path.join(output, f"{workload}.svg"), encoding="utf-8") as file:
                self.assertEqual(len(PEERS), file.read().count("<rect"))
