"""socat, which makes a process for each connection."""

from __future__ import annotations

import os
import socket
import time

from common import BACKLOG, HOST, announce, end_with_parent


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server((HOST, 0)) as found:
        port: int = found.getsockname()[1]
    return port


def announce_when_ready(port: int) -> None:
    """Say where the service is as soon as it is there."""
    for _ in range(500):
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            announce({"tcp": port})
            break
    os._exit(0)


if __name__ == "__main__":
    end_with_parent()
    port = free_port()
    if os.fork() == 0:
        announce_when_ready(port)
    listen = f"TCP-LISTEN:{port},bind={HOST},reuseaddr,backlog={BACKLOG},fork"
    os.execvp("socat", ["socat", listen, "PIPE"])
