"""The options of `python -m netproc open`, and its messages about wrong ones."""

from __future__ import annotations

import os
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from netproc import ProcessArgumentError, open_network_stream
from netproc.commands.open import OpenOptions, complaint
from netproc.core.table import ProcessTable


def read(*arguments: str) -> dict[str, Any]:
    options = OpenOptions()
    options.parseOptions(arguments)
    return options.keywords()


class OptionTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        expected = {
            "host": "h",
            "service": "imap",
            "type": "network",
            "protocol": None,
            "timeout": 30.0,
            "client_name": None,
            "tls_parameters": None,
        }
        self.assertEqual(expected, read("h", "imap"))

    def test_options_before_and_behind_the_place(self) -> None:
        for arguments in (
            ("--type", "tls", "--timeout=5", "h", "7"),
            ("h", "--type=tls", "7", "--timeout", "5"),
        ):
            keywords = read(*arguments)
            self.assertEqual(("h", "7", "tls", 5.0), tuple(keywords[k] for k in (
                "host", "service", "type", "timeout",
            )))  # fmt: skip
        self.assertEqual("--odd", read("--type=tls", "--", "--odd", "7")["host"])

    def test_tls(self) -> None:
        keywords = read(
            "h", "7", "--trust=a", "--trust=b", "--hostname=x", "--priority=NORMAL",
            "--alpn=h2,imap", "--key=k", "--cert=c",
        )  # fmt: skip
        expected = {
            "trustfiles": ("a", "b"),
            "hostname": "x",
            "priority": "NORMAL",
            "alpn": ("h2", "imap"),
            "keylist": (("k", "c"),),
        }
        self.assertEqual(expected, keywords["tls_parameters"])

    def test_the_password_of_a_key(self) -> None:
        self.patch(os, "environb", {b"PASSWORD": b"secret"})
        keywords = read("h", "7", "--key=k", "--cert=c", "--password=env:PASSWORD")
        self.assertEqual(b"secret", keywords["tls_parameters"]["password"])

    def test_what_cannot_be_read(self) -> None:
        for arguments, problem in (
            (["h"], "open takes two arguments: HOST and SERVICE"),
            (["h", "7", "8"], "open takes two arguments: HOST and SERVICE"),
            (["h", "7", "--foo"], "option --foo not recognized"),
            (["h", "7", "--type"], "option --type requires argument"),
            (["h", "7", "--key", "/nope"], "--key, --cert: give both or neither"),
            (["h", "7", "--alpn", "\udcff"], "--alpn: \\udcff is not text in UTF-8"),
            (["h", "7", "--password", "secret"], "--password: this option requires --key"),
            (
                ["h", "7", "--key=k", "--cert=c", "--password=secret"],
                "--password: expected file:PATH, env:NAME or prompt, not the password itself",
            ),
            (["h", "7", "--timeout", "x"], "--timeout: 'x' is not a number of seconds"),
        ):
            error = self.assertRaises(UsageError, read, *arguments)
            self.assertEqual(problem, str(error))

    def test_what_cannot_work(self) -> None:
        for arguments, problem in (
            (["h", "70000"], "SERVICE: port 70000 is not in 0…65535"),
            (["ä", "7"], "HOST: Non-ASCII hostname 'ä'; use its IDNA (xn--) form"),
            (["h", "7", "--type", "x"], "--type: Invalid connection type 'x'"),
            (["h", "7", "--type", "starttls"], "--type: starttls needs "),
            (["h", "7", "--protocol", "x"], "--protocol: 'x' is not one of smtp,"),
            (["h", "7", "--protocol=smtp", "--client-name=a b"], "--client-name: 'a b' is neither"),
            (["h", "7", "--timeout", "-1"], "--timeout: -1.0 is not a positive number"),
            (["h", "7", "--type=tls", "--trust=/nope"], "--trust: /nope: No such file"),
            (["h", "7", "--type=tls", "--key=/nope", "--cert=/c"], "--key: /nope: No such file"),
            (["h", "7", "--type=tls", "--hostname=ä"], "--hostname: non-ASCII name 'ä'"),
            (["h", "7", "--type=tls", "--priority=XX"], "--priority: syntax error at 'XX'"),
            (
                ["h", "7", "--trust=c"],
                "--trust: nothing begins TLS here: give a type or a protocol",
            ),
            (["h", "7", "--type=plain", "--trust=c"], "--trust: the type 'plain' has no TLS"),
            (
                ["h", "7", "--type=plain", "--alpn=h2", "--key=k", "--cert=c", "--hostname=x"],
                "--hostname, --alpn, --key: the type 'plain' has no TLS",
            ),
        ):
            keywords = read(*arguments)
            # As the command does it.
            opening = open_network_stream(
                "o", None, **keywords, return_list=True, table=ProcessTable()
            )
            failure = self.failureResultOf(opening, ProcessArgumentError)
            said = complaint(failure.value, keywords)
            self.assertEqual(problem, said[: len(problem)])
