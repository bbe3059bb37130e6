"""Run sslscan and testssl.sh on a netproc TLS server under twistd: `make scan`.

This is a program.  It prints each finding that is worse than information, except those accepted below with a reason,
and ends with status 1 if there is any.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from xml.etree import ElementTree

from cryptography import x509

from netproc.test.interop.twistd import Twistd, echo_server
from netproc.test.support.programs import environment, require

#: Warnings of testssl.sh, by their names, that say nothing about netproc.
ACCEPTED = {
    "engine_problem": "about the openssl that testssl.sh itself uses",
    "sessionresumption_ticket": "there is no ticket, so that it has none to come back with",
}

_FINE = frozenset({"OK", "INFO", "DEBUG"})
_OLD = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1")

#: The place of a list of revocations, because a certificate without one is a finding.
_REVOCATIONS = x509.CRLDistributionPoints(
    [
        x509.DistributionPoint(
            [x509.UniformResourceIdentifier("http://127.0.0.1/revocations.crl")], None, None, None
        )
    ]
)


def sslscan(server: Twistd) -> Iterator[str]:
    """Yield the problems that sslscan finds."""
    done = subprocess.run(
        [require("sslscan"), "--no-colour", "--xml=-", f"127.0.0.1:{server.port}"],
        capture_output=True,
        check=True,
        timeout=120,
        env=environment(),
    )
    [test] = ElementTree.fromstring(done.stdout).iter("ssltest")
    ciphers = [cipher.attrib for cipher in test.iter("cipher")]
    if not ciphers:
        yield "no ciphers at all: was it TLS?"
    for cipher in ciphers:
        if cipher["strength"] not in ("strong", "acceptable"):
            yield f"{cipher['sslversion']} {cipher['cipher']} is {cipher['strength']}"
        if cipher["sslversion"] in _OLD:
            yield f"{cipher['sslversion']} is offered"
    for name, attribute in (
        ("renegotiation", "supported"),
        ("compression", "supported"),
        ("heartbleed", "vulnerable"),
    ):
        for element in test.iter(name):
            if element.get(attribute) != "0":
                yield f"{name}: {element.attrib}"


def testssl(server: Twistd, directory: str) -> Iterator[str]:
    """Yield the problems that testssl.sh finds."""
    report = os.path.join(directory, "report.json")
    subprocess.run(
        [
            *(require("testssl"), "--quiet", "--color=0", "--warnings=off"),
            *("--nodns=none", f"--add-ca={server.trust}", f"--jsonfile={report}"),
            # Protocols, kinds of ciphers, forward secrecy, preferences, certificate, vulnerabilities.
            *("-p", "-s", "-f", "-P", "-S", "-U", f"127.0.0.1:{server.port}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=600,
        env=environment(),
    )
    with open(report, encoding="utf-8") as file:
        findings = json.load(file)
    if len(findings) < 50:
        yield f"only {len(findings)} findings: did it run?"
    for finding in findings:
        severity, name = finding["severity"], finding["id"]
        is_accepted = severity == "WARN" and name in ACCEPTED
        if severity not in _FINE and not is_accepted:
            yield f"{severity} {name}: {finding['finding']}"


def main() -> int:
    """Run both; return the exit status."""
    with (
        tempfile.TemporaryDirectory(prefix="netproc-") as directory,
        echo_server(more=(_REVOCATIONS,)) as server,
    ):
        found = {"sslscan": [*sslscan(server)], "testssl": [*testssl(server, directory)]}
    for name, reason in ACCEPTED.items():
        print(f"accepted: {name}: {reason}")
    for program, problems in found.items():
        print(f"{program}: {len(problems)} problems")
        for problem in problems:
            print(f"{program}: {problem}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
