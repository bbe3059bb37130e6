"""The peer daemon of a run: `peer.py` as a child process that is controlled through two FIFOs.

`runner.py` sends it the "peer" steps of a scenario; the daemon answers every command at once.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

from netproc.test.conformance.notation import escape, short

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")


class PeerLink:
    """The peer of one run; the first command starts it."""

    def __init__(self, tmp):
        self._commands = os.path.join(tmp, "peer.in")
        self._replies = os.path.join(tmp, "peer.out")
        self._daemon = None

    @property
    def running(self):
        return self._daemon is not None

    def ask(self, command):
        """Send COMMAND and return the answer."""
        if self._daemon is None:
            os.mkfifo(self._commands)
            os.mkfifo(self._replies)
            self._daemon = subprocess.Popen(
                [sys.executable, "-S", PEER, self._commands, self._replies],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        with open(self._commands, "w") as commands:
            commands.write(json.dumps(command) + "\n")
        with open(self._replies) as replies:
            return json.load(replies)

    def stop(self):
        """End the daemon."""
        if self._daemon is not None:
            self.ask({"do": "quit"})
            self._daemon.wait()


def peer_data(value, decode):
    """Return data for the daemon: base64, or an action; DECODE makes a value from a scenario's notation."""
    if isinstance(value, dict) and "act" in value:
        return value
    if isinstance(value, list):
        return [peer_data(x, decode) for x in value]
    if value is None:
        return None
    value = decode(value)
    return base64.b64encode(value.encode("utf-8") if isinstance(value, str) else value).decode()


def what_was_read(reply):
    """Return the answer to "read" in the notation of the trace."""
    if reply.get("missing"):
        return {"missing": True}
    out = {}
    if "accepted" in reply:
        out["accepted"] = reply["accepted"]
    if "data" in reply:
        out["data"] = short(escape(base64.b64decode(reply["data"])))
    if "packets" in reply:
        out["packets"] = [
            [short(escape(base64.b64decode(data))), sender] for data, sender in reply["packets"]
        ]
    if "eof" in reply:
        out["eof"] = bool(reply["eof"])
    if reply.get("reset"):
        out["reset"] = reply["reset"]
    return out
