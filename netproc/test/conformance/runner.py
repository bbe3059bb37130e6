"""Run one scenario in netproc, step by step as `run_emacs.el` does.

`test_scenarios.py` and `__main__.py` hand in scenarios.  The result is the trace, a list of records, which
`compare.py` compares with Emacs's trace.  Several runs may share a reactor, because each has its own table.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher

from netproc.test.conformance.adapter import NetprocAdapter
from netproc.test.conformance.notation import CallbackError, ScenarioError, escape
from netproc.test.conformance.peerlink import PeerLink
from netproc.test.conformance.ports import Ports
from netproc.test.conformance.steps import Steps

#: A "run" step ends after this many seconds in which nothing has happened.
QUIET = float(os.environ.get("CK_QUIET", "0.04"))
#: A "run" step ends after this many seconds in any case.
MAX = 2.5

#: Steps in callbacks that are recorded only if they fail.
QUIET_OPS = {"send", "eof", "stop", "continue", "delete", "set", "buffer", "peer", "run", "accept"}


class Runner(Steps):
    """One run of a scenario."""

    def __init__(self, scenario, reactor):
        self.scenario = scenario
        self.reactor = reactor
        self.np = NetprocAdapter()
        self.tmp = tempfile.mkdtemp(prefix="ck-")
        self.run_id = f"ck-{os.path.basename(self.tmp)}-"
        self.peer = PeerLink(self.tmp)
        self.ports = Ports(self.tmp, self.run_id)
        self.events = []
        self.activity = 0
        self.step = -1
        self.handles = {}  # handle -> process, oldest first
        self.bound = {}  # "self" / "client" inside a callback
        self.accepted = {}  # server handle -> how many
        self.callbacks = {}  # id(function) -> name
        self.keep = []  # keeps the functions alive
        self.counts = {}
        self.freeports = {}
        self.peer_ports = {}
        self.background = []  # what callbacks have begun

    async def run(self):
        """The trace."""
        globalLogPublisher.addObserver(self._observe_log)
        try:
            await self._run_steps()
            events = list(self.events)
        finally:
            globalLogPublisher.removeObserver(self._observe_log)
            self.peer.stop()
            await self._end_processes()
            shutil.rmtree(self.tmp)
        if not self.scenario.get("exact"):
            events = self.coalesce(events)
        return [self.ports.normal_record(event) for event in events]

    async def _run_steps(self):
        for number, step in enumerate(self.scenario["steps"]):
            try:
                await self.top(number, step)
            except ScenarioError as exc:
                # Usually a process that should have been made was not.
                self.record(op=step["op"], error={"category": "scenario", "message": str(exc)})
                return

    async def _end_processes(self):
        """Delete all processes of this run, and wait until they have closed."""
        closed = [process.closed for process in self.known_processes()]
        for process in self.np.process_list():
            process.delete()
        for waiting in closed:
            await waiting.addTimeout(5, self.reactor)

    def known_processes(self):
        """All processes of this run."""
        self.scan()
        return list(self.handles.values())

    # -- recording ----------------------------------------------------------
    def record(self, **kv):
        self.activity += 1
        self.events.append(dict(step=self.step, **kv))

    def count(self, *key, n=1):
        self.counts[key] = self.counts.get(key, 0) + n

    def _observe_log(self, event):
        """Record an exception that netproc reports because a callback has raised it."""
        failure = event.get("log_failure")
        if failure is None:
            return
        exc = failure.value
        if isinstance(exc, CallbackError):
            self.record(event="callback-error", proc=exc.handle, message=str(exc))
        else:
            message = f"{type(exc).__name__}: {exc}"
            self.record(event="callback-error", proc="?", message=message)

    def error(self, exc):
        category, number = self.np.category(exc)
        out = {"condition": type(exc).__name__, "message": escape(str(exc)), "category": category}
        if category == "network" and number:
            out["errno"] = number
        return out

    # -- handles ------------------------------------------------------------
    def server_of(self, proc):
        best, length = None, -1
        for handle, server in self.handles.items():
            if not server.contact("server"):
                continue
            if proc.name.startswith(server.name + " <") and len(server.name) > length:
                best, length = handle, len(server.name)
        return best

    def known(self, proc):
        return next((handle for handle, p in self.handles.items() if p is proc), None)

    def adopt(self, proc):
        """Give PROC a handle if it is an accepted connection."""
        server = self.server_of(proc)
        if server is None:
            return None
        self.accepted[server] = n = self.accepted.get(server, 0) + 1
        handle = f"{server}/{n}"
        self.handles[handle] = proc
        return handle

    def scan(self):
        for proc in reversed(self.np.process_list()):
            if self.known(proc) is None:
                self.adopt(proc)

    def handle(self, proc):
        found = self.known(proc)
        if found is None:
            self.scan()
            found = self.known(proc) or self.adopt(proc)
        return found or "?" + proc.name

    def proc(self, handle):
        if handle in self.bound:
            return self.bound[handle]
        if handle not in self.handles:
            self.scan()
        if handle not in self.handles:
            raise ScenarioError(f"no process {handle}")
        return self.handles[handle]

    # -- ports --------------------------------------------------------------
    def note_ports(self):
        self.scan()
        for handle, proc in self.handles.items():
            local, remote = proc.contact("local"), proc.contact("remote")
            server = proc.contact("server")
            accepted = "/" in handle
            if server:
                self.ports.name(proc.contact("service"), 0, handle)
            datagram_client = proc.contact("type") == "datagram" and not server
            if isinstance(local, tuple) and len(local) in (5, 9) and not accepted:
                if not datagram_client:
                    self.ports.name(local[-1], 0, handle)
            if isinstance(remote, tuple) and len(remote) in (5, 9):
                self.ports.name(remote[-1], 1 if accepted else 2, handle + ".remote")

    def port(self, name):
        if name in self.freeports:
            return self.freeports[name]
        if name in self.peer_ports:
            return self.peer_ports[name]
        proc = self.proc(name)
        if proc.contact("server"):
            return proc.contact("service")
        return proc.contact("local")[-1]

    # -- callbacks ----------------------------------------------------------
    def callback(self, spec, kind):
        name = spec.get("id") or spec["cb"]
        trace = spec.get("trace", True)
        steps = list(spec.get("do", [])) + self.callback_words(spec["cb"])
        on = spec.get("on")
        calls = 0

        def function(proc, *rest):
            nonlocal calls
            calls += 1
            handle = self.handle(proc)
            text = rest[-1]
            client = rest[0] if kind == "log" else None
            self.note_ports()
            self.count(kind, handle)
            if kind == "filter":
                self.count("text", handle, n=len(text))
            if trace:
                self.record_call(kind, handle, name, proc, client, text)
            plain = text.decode("latin-1") if isinstance(text, (bytes, bytearray)) else text
            if (
                on is None
                or (isinstance(on, str) and re.search(on, plain))
                or (not isinstance(on, str) and on == calls)
            ):
                for step in steps:
                    self.nested(step, handle, proc, client, text)

        self.callbacks[id(function)] = name
        self.keep.append(function)
        return function

    def callback_words(self, words):
        """Return the steps for the words of a callback."""
        steps = []
        for word in words.split("+"):
            m = re.fullmatch(r"(delete|stop|continue|eof)-self", word)
            if word == "echo":
                steps.append({"op": "echo"})
            elif word == "raise-error":
                steps.append({"op": "raise", "message": "boom"})
            elif m:
                steps.append({"op": m.group(1), "proc": "self"})
            elif word and word != "trace":
                raise ScenarioError(f"unknown callback word {word}")
        return steps

    def record_call(self, kind, handle, name, proc, client, text):
        if kind == "filter":
            field = "bytes" if isinstance(text, (bytes, bytearray)) else "text"
            self.record(event="filter", proc=handle, cb=name, **{field: escape(text)})
        elif kind == "sentinel":
            self.record(
                event="sentinel", proc=handle, cb=name, message=escape(text), status=proc.status
            )
        elif kind == "log":
            shown = {"proc": self.handle(client)} if client is not None else None
            self.record(event="log", proc=handle, cb=name, client=shown, message=escape(text))

    def nested(self, step, handle, proc, client, text):
        """Do a step inside a callback."""
        op = step["op"]
        if op == "raise":
            raise CallbackError(step["message"], handle)
        if op == "echo":
            self.np.send(proc, text)
            return
        stream = step.get("as", handle) if op in ("make", "open") else handle

        def done(result):
            if op not in QUIET_OPS or "error" in result:
                self.record(event="nested", proc=stream, op=op, **result)

        before = self.bound
        self.bound = {"self": proc, "client": client}
        try:
            result = self.do(step)
        except (ScenarioError, CallbackError):
            raise
        except Exception as exc:
            done({"error": self.error(exc)})
            return
        finally:
            self.bound = before
        if isinstance(result, dict):
            done(result)
        else:
            d = ensureDeferred(result)
            d.addCallbacks(done, lambda f: done({"error": self.error(f.value)}))
            self.background.append(d)

    # -- the event loop -----------------------------------------------------
    def until_ok(self, conditions):
        return all(self.condition(what, handle, *n) for what, handle, *n in conditions)

    def condition(self, what, handle, n=None):
        if what in ("text", "filter", "sentinel", "log"):
            return self.counts.get((what, handle), 0) >= n
        if what == "status":
            return handle in self.handles and self.proc(handle).status == n
        if what == "accepted":
            self.scan()
            return self.accepted.get(handle, 0) >= n
        if what == "buffer":
            buf = self.np.get_buffer(handle)
            return buf is not None and len(buf) >= n
        stat = self.peer.ask({"do": "stat", "as": handle})
        if what == "peer":
            return stat["total"] >= n
        if what == "peer-eof":
            return stat["eof"]
        if what == "peer-accepted":
            return stat["accepted"] >= n
        raise ScenarioError(f"bad condition {what}")

    def connecting(self):
        return any(p.status == "connect" for p in self.handles.values())

    def fingerprint(self):
        """Return a value that changes when something has happened without an event."""
        buffers = (getattr(p, "buffer", None) for p in self.handles.values())
        total = sum(len(b) for b in buffers if b is not None and b.live)
        return self.activity, total, len(self.handles)

    async def run_loop(self, step):
        quiet = step.get("quiet", QUIET)
        limit, least, until = step.get("max", MAX), step.get("min", 0), step.get("until")
        start = last = time.monotonic()
        seen = peer_seen = None
        while True:
            await deferLater(self.reactor, 0.005, lambda: None)
            self.note_ports()
            if self.fingerprint() != seen:
                last, seen = time.monotonic(), self.fingerprint()
            if self.peer.running:
                res = self.peer.ask({"do": "busy"})
                if res["busy"] or res["activity"] != peer_seen:
                    last, peer_seen = time.monotonic(), res["activity"]
            now = time.monotonic()
            if now - start > limit:
                late = (until or self.connecting()) and not step.get("max_ok")
                return {"timeout": True} if late else {}
            if now - last > quiet and now - start > least and not self.connecting():
                if until is None or self.until_ok(until):
                    return {}

    # -- steps --------------------------------------------------------------
    def do(self, step):
        """Do STEP; return a dict for the trace, or a coroutine of one."""
        op = step["op"]
        if op == "run":
            return self.run_loop(step)
        method = getattr(self, "do_" + op.replace("-", "_"), None)
        if method is None:
            raise ScenarioError(f"bad op {op}")
        return method(step)

    async def top(self, number, step):
        """Do a step of the scenario and record its result."""
        self.step = number
        try:
            result = self.do(step)
            if not isinstance(result, dict):
                result = await result
        except ScenarioError:
            raise
        except Exception as exc:
            result = {"error": self.error(exc)}
        self.note_ports()
        if step["op"] == "freeport":
            return
        record = {"op": step["op"]}
        if "as" in step:
            record["as"] = step["as"]
        if step.get("proc"):
            record["target"] = step["proc"]
        for key in ("what", "key", "do", "name"):
            if step.get(key) and not isinstance(step[key], dict):
                record[key] = step[key]
        self.record(**record, **result)

    # -- chunks ---------------------------------------------------------------
    def coalesce(self, events):
        """Return EVENTS with consecutive filter calls of a process joined, up to the next "run"."""
        epochs, n = [], 0
        for step in self.scenario["steps"]:
            epochs.append(n)
            n += step["op"] in ("run", "accept")
        last, out = {}, []
        for event in events:
            handle = event.get("proc")
            previous = last.get(handle) if handle else None
            field = "text" if "text" in event else "bytes"
            if (
                previous is not None
                and event.get("event") == previous.get("event") == "filter"
                and event["cb"] == previous["cb"]
                and field in previous
                and epochs[event["step"]] == epochs[previous["step"]]
            ):
                previous[field] += event[field]
                continue
            if handle:
                last[handle] = event
            out.append(event)
        return out
