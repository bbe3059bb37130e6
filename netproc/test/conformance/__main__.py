"""python -m netproc.test.conformance [--emacs] [-v] [NAME-PREFIX …]: scenarios outside trial.

Compares netproc's traces with the golden ones.  With --emacs it compares them with new traces of the installed
Emacs, and with --golden it compares the golden traces with those.  It prints one line for each scenario.  The exit
status is 1 if a scenario has a difference that is not listed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import string
import subprocess
import sys
import tempfile

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from netproc.test.conformance import differences
from netproc.test.conformance.compare import differences as compare
from netproc.test.conformance.files import HERE, golden, load, scenario_names
from netproc.test.conformance.runner import Runner

TIMEOUT = 30


def emacs_trace(name):
    """Return a new trace of the installed Emacs."""
    # Without digits, which could look like a port in a trace.
    letters = "".join(random.choices(string.ascii_lowercase, k=10))
    tmp = os.path.join(tempfile.gettempdir(), f"ckc-{letters}")
    os.mkdir(tmp, 0o700)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "EMACS"))}
    env |= {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TMPDIR": tmp, "CK_PYTHON": sys.executable}
    env["SHELL"] = "/bin/bash"
    scenario = os.path.join(HERE, "scenarios", name + ".json")
    command = ["emacs", "-Q", "--batch", "-l", os.path.join(HERE, "run_emacs.el"), scenario]
    try:
        # SIGPIPE stays ignored, because a batch Emacs would die of it, and an interactive one does not.
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            restore_signals=False,
            check=True,
        )
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return [json.loads(line) for line in done.stdout.decode("utf-8").splitlines() if line]


async def check(name, options, reactor):
    """Run one scenario; return the verdict and its texts."""
    scenario = load(name)
    want = emacs_trace(name) if options.emacs or options.golden else golden(name)
    got = golden(name) if options.golden else await Runner(scenario, reactor).run()
    allowed = {} if options.golden else differences.DIFFERENCES.get(name, {})
    unlisted, listed = hold(scenario, want, got, allowed)
    if unlisted and options.emacs and not hold(scenario, golden(name), got, allowed)[0]:
        # netproc did what Emacs did when it was recorded, so Emacs differs from itself.  Emacs runs again, because a
        # scenario can depend on the moment at which Emacs looks at a socket.
        print(f"{name}: Emacs differs from its record, once more: {unlisted[0]}", flush=True)
        unlisted, listed = hold(scenario, emacs_trace(name), got, allowed)
    return ("failed", unlisted) if unlisted else ("ok", listed)


def hold(scenario, want, got, allowed):
    """Compare the trace GOT with WANT; return the texts of unlisted differences, and the numbers of listed ones."""
    found = compare(scenario, want, got)
    unlisted = [f"step {step}: {text}" for step, text in found if step not in allowed]
    return unlisted, sorted({allowed[step] for step, _ in found if step in allowed})


async def main(reactor):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*", default=[""])
    parser.add_argument("--emacs", action="store_true")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    tally = {"ok": 0, "failed": 0}
    failures = []
    for name in scenario_names():
        if name.startswith(tuple(options.names)):
            verdict, texts = await check(name, options, reactor)
            tally[verdict] += 1
            if verdict == "failed":
                failures.append(f"{name}: {texts[0]}")
            shown = "; ".join(texts if options.v else texts[:1])
            print(f"{name:36} {verdict} {shown}".rstrip(), flush=True)
    print(*failures, "{ok} passed, {failed} failed".format(**tally), sep="\n")
    if tally["failed"] or not tally["ok"]:
        raise SystemExit(1)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
