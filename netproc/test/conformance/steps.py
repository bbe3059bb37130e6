"""The steps of scenarios: what each does with netproc, and what it writes into the trace.

`runner.py` inherits this and calls `do_OP` for each step; a step that takes time is a coroutine.
"""

from __future__ import annotations

import os
import re
import socket
import time

from twisted.internet.defer import Deferred

from netproc.test.conformance.notation import ScenarioError, escape, short
from netproc.test.conformance.peerlink import peer_data, what_was_read
from netproc.test.conformance.values import Values

MAKE_TIMEOUT = 6.0


class Steps(Values):
    """One method for each step."""

    async def finish(self, thing, timeout=MAKE_TIMEOUT):
        """Return the result of THING, which may be a Deferred."""
        if isinstance(thing, Deferred):
            return await thing.addTimeout(timeout, self.reactor)
        return thing

    def made(self, handle, proc):
        if proc is None:
            return {"value": None}
        self.handles[handle] = proc
        self.note_ports()
        return {"name": escape(proc.name), "status": proc.status}

    async def do_make(self, step):
        args = self.args(step.get("args"))
        return self.made(step["as"], await self.finish(self.np.make(args)))

    async def do_open(self, step):
        keywords = self.args(step.get("kw"))
        function, command = keywords.get("starttls_function"), keywords.get("capability_command")
        if function:
            keywords["starttls_function"] = self.starttls_function(step["as"], *function)
        if isinstance(command, list):
            # ["call", TEXT] is a function of the greeting.
            keywords["capability_command"] = self.capability_command(step["as"], command[1])
        arguments = [self.value(value) for value in step["args"]]
        found = await self.finish(self.np.open(arguments, keywords))
        process, properties = found if isinstance(found, tuple) else (found, None)
        out = {"value": None} if process is None else self.made(step["as"], process)
        if properties is not None:
            out["props"] = self.enc_plist(self.np.properties(properties))
        return out

    def starttls_function(self, handle, offer, command):
        """Return a function that records its argument, and returns COMMAND if OFFER is in it."""

        def function(capabilities):
            shown = escape(capabilities)
            self.record(event="starttls-function", proc=handle, message=shown)
            return command if re.search(offer, capabilities) else None

        return function

    def capability_command(self, handle, reply):
        """Return a function that records the greeting."""

        def function(greeting):
            shown = None if greeting is None else escape(greeting)
            self.record(event="capability-command", proc=handle, message=shown)
            return reply

        return function

    async def do_accept(self, step):
        proc = self.proc(step["proc"]) if step.get("proc") else None
        start = time.monotonic()
        result = await self.finish(self.np.accept_output(proc, step["timeout"]))
        took = time.monotonic() - start
        self.note_ports()
        out = {"value": True if result else None}
        if step.get("timed"):
            out["early"] = took < 0.9 * step["timeout"]
        return out

    def do_send(self, step):
        self.np.send(self.proc(step["proc"]), self.value(step["data"]))
        return {}

    def do_eof(self, step):
        self.np.eof(self.proc(step["proc"]))
        return {}

    def do_stop(self, step):
        self.np.stop(self.proc(step["proc"]))
        return {}

    def do_continue(self, step):
        self.np.resume(self.proc(step["proc"]))
        return {}

    def do_delete(self, step):
        self.np.delete(self.proc(step["proc"]))
        return {}

    def do_set(self, step):
        proc, what = self.proc(step["proc"]), step["what"]
        value = self.value(step["value"], what)
        if what == "put":
            self.np.put(proc, step["key"], value)
        else:
            self.np.set(proc, what, value)
        if what == "datagram-address":
            # The only setter in Emacs that returns whether it has set anything.
            return {"value": self.property(proc, what, step)}
        return {}

    def do_get(self, step):
        proc, what = self.proc(step["proc"]), step["what"]
        return {"value": self.property(proc, what, step)}

    def property(self, proc, what, step):
        if what == "buffer":
            return self.enc_buffer(proc.buffer)
        if what == "text":
            return None if proc.buffer is None else short(escape(proc.buffer.text))
        if what == "listed":
            return True if any(p is proc for p in self.np.process_list()) else None
        if what in ("filter", "sentinel"):
            return self.enc_callback(getattr(proc, what))
        if what == "plist":
            return self.enc_plist(proc.plist)
        if what == "prop":
            return self.enc(proc.plist.get(step["key"]))
        if what == "coding":
            return [self.enc(name) for name in proc.coding]
        if what == "command":
            return self.enc(self.np.command(proc))
        if what == "query":
            return proc.query_on_exit or None
        return self.enc(getattr(proc, what.replace("-", "_")))

    def do_contact(self, step):
        proc, key = self.proc(step["proc"]), step.get("key")
        value = proc.contact(key)
        if key is True or key == "plist":
            return {"value": self.enc_plist(value or {})}
        return {"value": self.enc(value)}

    def do_buffer(self, step):
        do = step["do"]
        if do == "exists":
            return {"value": True if self.np.get_buffer(step["buffer"]) is not None else None}
        if "of" in step:
            buf = self.proc(step["of"]).buffer
        else:
            buf = self.np.get_buffer_create(step["buffer"])
        if do == "text":
            return {"value": short(escape(buf.text))}
        if do == "point":
            return {"value": buf.point}
        if do == "insert":
            at = step.get("at")
            position = 1 if at == "start" else at if isinstance(at, int) else len(buf) + 1
            buf.insert(position, self.value(step["text"]))
        elif do == "goto":
            buf.point = step["at"]
        elif do == "readonly":
            buf.read_only = True
        elif do == "unibyte":
            buf.multibyte = False
        elif do in ("erase", "kill"):
            getattr(buf, do)()
        elif do != "create":
            raise ScenarioError(f"bad buffer op {do}")
        return {}

    def do_peer(self, step):
        command = {}
        for key, value in step.items():
            if key in ("chunks", "data", "on_connect"):
                command[key] = peer_data(value, self.value)
            elif key == "dialog":
                command[key] = [[expect, peer_data(r, self.value)] for expect, r in value]
            elif key == "abstract":
                command[key] = self.run_id + value
            elif key != "op":
                command[key] = self.value(value) if isinstance(value, dict) else value
        reply = self.peer.ask(command)
        if reply.get("port") is not None:
            self.peer_ports[step["as"]] = reply["port"]
            self.ports.name(reply["port"], 0, step["as"])
        for name, port in self.peer.ask({"do": "names"}).get("names", {}).items():
            self.ports.name(port, 1 if name.endswith(".remote") else 3 if "/" in name else 0, name)
        if "error" in reply:
            return {"peer-error": reply["error"]}
        return what_was_read(reply) if step["do"] == "read" else {}

    def do_format(self, step):
        return {
            "value": self.np.format_address(self.value(step["address"]), bool(step["omit_port"]))
        }

    async def do_lookup(self, step):
        family = self.value(step.get("family"))
        return {"value": self.enc(await self.np.lookup(step["name"], family) or None)}

    def do_interfaces(self, step):
        if "name" not in step:
            # The IPv4 addresses of the loopback interface.
            entries = self.np.interface_list()
            return {"value": self.enc([a for n, a in entries if n == "lo" and len(a) == 5])}
        found = self.np.interface_info(step["name"])
        if found is None:
            return {"value": None}
        value = getattr(found, step["what"])
        return {"value": self.enc(sorted(value) if step["what"] == "flags" else value)}

    def do_option(self, step):
        extra = (step["no_error"],) if "no_error" in step else ()
        proc, value = self.proc(step["proc"]), self.value(step["value"])
        return {"value": self.enc(self.np.set_option(proc, step["name"], value, *extra))}

    def do_list(self, step):
        return {"value": [self.handle(p) for p in self.np.process_list()]}

    def do_find(self, step):
        found = self.np.get_process(self.value(step["name"]))
        return {"value": None if found is None else self.handle(found)}

    def do_find_buffer_process(self, step):
        found = self.np.buffer_process(step["buffer"])
        return {"value": None if found is None else self.handle(found)}

    def do_freeport(self, step):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.freeports[step["as"]] = port
        self.ports.name(port, 0, step["as"])
        return {}

    def do_exists(self, step):
        return {"value": True if os.path.exists(self.value(step["path"])) else None}

    def do_unlink(self, step):
        os.unlink(self.value(step["path"]))
        return {}

    def do_touch(self, step):
        open(self.value(step["path"]), "w").close()
        return {}
