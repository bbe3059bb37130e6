"""What figures depend on: the machine, and the versions of what is compared.

`run.py` prints it, `report.py` writes it down.
"""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from OpenSSL import SSL

PACKAGES = ("netproc", "twisted", "pyopenssl", "uvloop")
#: How programs say which they are.
PROGRAMS = {"emacs": "--version", "socat": "-V"}


def machine() -> dict[str, object]:
    """The facts by their names; None for what is not installed."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M %z"),
        "processor": _processor(),
        "CPUs": os.cpu_count(),
        "kernel": platform.release(),
        "load average": round(os.getloadavg()[0], 2),
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "OpenSSL of pyOpenSSL": SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode(),
        "OpenSSL of Python": ssl.OPENSSL_VERSION,
        **{name: _says(name, option) for name, option in PROGRAMS.items()},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _says(program: str, option: str) -> str | None:
    """The version number in what PROGRAM says of itself."""
    try:
        done = subprocess.run(
            [program, option], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return next((word for word in words if word[:1].isdigit() and "." in word), None)
