"""Compare a trace of netproc with one of Emacs, by the rules of README.rst.

`test_scenarios.py` and `__main__.py` hand in the scenario and both traces.
"""

from __future__ import annotations

import json

# Different names of the same coding system.
CODING = {
    "latin-1": "iso-latin-1",
    "iso-8859-1": "iso-latin-1",
    "latin1": "iso-latin-1",
    "no-conversion": "binary",
    "mule-utf-8": "utf-8",
    "ascii": "us-ascii",
    "iso-safe": "us-ascii",
    "utf-16-be": "utf-16be",
    "utf-16-le": "utf-16le",
}


# -- canonical form ---------------------------------------------------------


def coding_name(name):
    if not isinstance(name, str):
        return name
    base, eol = name, ""
    for suffix in ("-unix", "-dos", "-mac"):
        if name.endswith(suffix):
            base, eol = name[: -len(suffix)], suffix
    base = CODING.get(base, base)
    if base == "binary":
        eol = ""
    return base + eol


def canonical_value(v, key=None):
    """Return the same form for all forms of a value that mean the same."""
    if v is False:
        return None
    if isinstance(v, dict):
        if set(v) == {"buffer"}:
            return v["buffer"]
        v = {k: canonical_value(x, k) for k, x in v.items()}
        return {k: x for k, x in v.items() if x not in (None, {})}
    if isinstance(v, list):
        if len(v) == 2 and v[0] == 0 and isinstance(v[1], list) and not any(v[1]):
            return None  # Emacs's form of "no address yet"
        if key == "coding":
            return [coding_name(x) for x in v]
        return [canonical_value(x) for x in v]
    if key == "coding":
        return coding_name(v)
    if key in ("filter", "sentinel") and v == "default":
        return None  # in a contact
    return v


def canonical_error(e):
    return {"category": e.get("category"), "errno": e.get("errno")}


class Trace:
    """The records of a run in a form that can be compared."""

    def __init__(self, records, scenario, equivalents=()):
        steps = scenario["steps"]
        self.epoch_of, n = [], 0
        for s in steps:
            self.epoch_of.append(n)
            if s["op"] in ("run", "accept"):
                n += 1
        self.results = {}  # step -> result
        self.streams = {}  # (epoch, process) -> [(step, event)]
        for r in records:
            r = self.replace(r, equivalents)
            step = r["step"]
            if "op" in r and "event" not in r:
                self.results[step] = self.result(r, steps[step])
                continue
            stream = "*" if scenario.get("ordered") else r.get("proc", "?")
            if r["event"] == "callback-error":
                stream = "errors"
            self.streams.setdefault((self.epoch_of[step], stream), []).append(
                (step, self.event(r, scenario))
            )
        for (_, stream), events in self.streams.items():
            if stream == "errors":
                events.sort(key=lambda e: json.dumps(e[1], sort_keys=True))

    def replace(self, r, pairs):
        text = json.dumps(r)
        for emacs, other in pairs:
            text = text.replace(other, emacs)
        return json.loads(text)

    def result(self, r, step):
        out = {}
        for k, v in r.items():
            if k in ("step", "op", "as", "target", "what", "key", "do", "name") and not (
                k == "name" and step["op"] in ("make", "open")
            ):
                continue
            if k == "error":
                out[k] = canonical_error(v)
            elif k == "value" and r.get("what") == "coding":
                out[k] = canonical_value(v, "coding")
            elif k == "value" and r.get("key") in ("coding", "filter", "sentinel"):
                out[k] = canonical_value(v, r["key"])
            else:
                out[k] = canonical_value(v, k)
        if step.get("unordered") and isinstance(out.get("value"), list):
            out["value"] = sorted(out["value"])
        if isinstance(out.get("value"), dict):
            for k in step.get("ignore", []):
                out["value"].pop(k, None)
        if step.get("ignore") and step.get("key") in step["ignore"]:
            out.pop("value", None)
        return {k: v for k, v in out.items() if v not in (None, {}, [])}

    def event(self, r, scenario):
        out = {k: canonical_value(v, k) for k, v in r.items() if k != "step"}
        if "error" in out:
            out["error"] = canonical_error(r["error"])
        if r["event"] == "callback-error":
            out.pop("proc", None)
        if r["event"] == "filter" and not scenario.get("strict_kind"):
            if "bytes" in out:
                out["text"] = out.pop("bytes")
        return {k: v for k, v in out.items() if v is not None}


def same_result(want, got):
    if want == got:
        return True
    a, b = want.get("error"), got.get("error")
    if not a or not b:
        return False
    if a["category"] == "state":
        return b["category"] in ("state", "argument", "network")
    if a["category"] == "lookup":
        return b["category"] in ("lookup", "network", "state")
    return False


def show(x):
    if x is None:
        return "nothing"
    return json.dumps(x, sort_keys=True, ensure_ascii=False)


def differences(scenario, want, got):
    """Return all differences as pairs of step and text, in the order of the steps."""
    steps = scenario["steps"]
    a, b = Trace(want, scenario), Trace(got, scenario, scenario.get("equivalents", ()))
    out = []
    for n, step in enumerate(steps):
        if step["op"] == "freeport" or step.get("any"):
            continue
        x, y = a.results.get(n), b.results.get(n)
        if x is None and y is None:
            continue
        if y is None:
            out.append((n, f"{step['op']}: expected {show(x)} got no result"))
            break
        if step.get("any_error") and "error" in x and "error" in y:
            continue
        if x is None or not same_result(x, y):
            label = " ".join(
                str(step[k])
                for k in ("op", "proc", "as", "what", "key", "do")
                if step.get(k) and not isinstance(step[k], dict)
            )
            out.append((n, f"{label}: expected {show(x)} got {show(y)}"))
    for key in sorted(set(a.streams) | set(b.streams), key=str):
        xs, ys = a.streams.get(key, []), b.streams.get(key, [])
        for i in range(max(len(xs), len(ys))):
            x = xs[i] if i < len(xs) else (None, None)
            y = ys[i] if i < len(ys) else (None, None)
            if x[1] != y[1] and not (
                x[1] and y[1] and "error" in x[1] and "error" in y[1] and same_result(x[1], y[1])
            ):
                step = min(s for s in (x[0], y[0]) if s is not None)
                out.append((step, f"events of {key[1]}: expected {show(x[1])} got {show(y[1])}"))
                break
    return sorted(out, key=lambda d: d[0])
