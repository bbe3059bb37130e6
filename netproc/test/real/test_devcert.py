"""`python -m netproc dev-cert` as a user runs it, and the two commands that it prints."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import subprocess

from cryptography import x509

from netproc import TLSParameters, filters, process_list
from netproc.commands.devcert import (
    CERTIFICATE_FILE,
    DAYS,
    KEY_FILE,
    SUBJECT,
    find_twistd,
    how_to_try,
)
from netproc.test.support.certificates import DAY, NOW
from netproc.test.support.checkout import checkout
from netproc.test.support.peers import in_thread
from netproc.test.support.programs import (
    Program,
    ProgramTestCase,
    environment,
    require,
)


class DevcertTests(ProgramTestCase):
    async def made(self) -> Program:
        """Run the command and return it; it ends with status 0, and the files are in its directory."""
        command = self.python("-m", "netproc", "dev-cert")
        self.assertEqual((0, ""), (await self.ends(command), command.errors))
        return command

    async def refused(self, *arguments: str) -> str:
        command = self.python("-m", "netproc", "dev-cert", *arguments)
        self.assertEqual(os.EX_CANTCREAT, await self.ends(command))
        self.assertEqual("", command.text())
        return command.errors

    async def test_the_key_is_for_its_owner_only(self) -> None:
        mask = os.umask(0)
        try:
            directory = (await self.made()).directory
        finally:
            os.umask(mask)
        mode = os.stat(os.path.join(directory, KEY_FILE)).st_mode
        self.assertEqual(0o600, stat.S_IMODE(mode))

    async def test_the_certificate_says_what_it_is(self) -> None:
        directory = (await self.made()).directory
        with open(os.path.join(directory, CERTIFICATE_FILE), "rb") as file:
            made = x509.load_pem_x509_certificate(file.read())
        self.assertEqual(f"CN={SUBJECT.replace(',', chr(92) + ',')}", made.subject.rfc4514_string())
        self.assertEqual(made.subject, made.issuer)
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(["localhost"], names.get_values_for_type(x509.DNSName))
        addresses = names.get_values_for_type(x509.IPAddress)
        self.assertEqual(["127.0.0.1", "::1"], [str(address) for address in addresses])
        self.assertFalse(made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        self.assertLess(made.not_valid_before_utc, made.not_valid_after_utc - DAYS * DAY)
        self.assertLess(made.not_valid_after_utc, NOW + (DAYS + 1) * DAY)

    async def test_a_client_trusts_it_by_each_of_its_names(self) -> None:
        directory = (await self.made()).directory
        key, certificate = (os.path.join(directory, n) for n in (KEY_FILE, CERTIFICATE_FILE))
        server = await self.make(
            name="s",
            server=True,
            host="local",
            service=True,
            filter=filters.discard,
            tls_parameters=TLSParameters(keylist=[(key, certificate)]),
        )
        for name in ("localhost", "127.0.0.1", "::1"):
            client = await self.make(
                name="c",
                host="local",
                service=server.contact("service"),
                tls_parameters=TLSParameters(
                    trustfiles=[certificate], system_trust=False, hostname=name
                ),
            )
            status = client.peer_status()
            assert status is not None
            self.assertEqual(("self-signed",), tuple(status["warnings"]))
            client.delete()
        await self.until(lambda: process_list() == [server], "the server does not hear of the end")

    async def test_files_that_are_there_stay(self) -> None:
        """No file is replaced, and no half of a pair is written beside an existing half."""
        directory = os.path.abspath((await self.made()).directory)
        for taken, gone in ((KEY_FILE, CERTIFICATE_FILE), (CERTIFICATE_FILE, KEY_FILE)):
            path = os.path.join(directory, taken)
            with open(path, "w", encoding="ascii") as file:
                file.write("mine")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, gone))
            problem = await self.refused(directory)
            self.assertEqual(f"netproc: {path}: File exists; nothing was written\n", problem)
            with open(path, encoding="ascii") as file:
                self.assertEqual("mine", file.read())
            self.assertFalse(os.path.exists(os.path.join(directory, gone)))

    async def test_a_directory_that_is_not_there(self) -> None:
        self.assertEqual(
            f"netproc: nothere/{KEY_FILE}: No such file or directory; nothing was written\n",
            await self.refused("nothere"),
        )

    async def test_what_it_says_to_try(self) -> None:
        openssl = require("openssl")
        command = await self.made()
        port = str(self.reserve_port())
        head, serve, ask = command.text().replace("7443", port).splitlines()
        self.assertRegex(head, rf"\A{KEY_FILE} and {CERTIFICATE_FILE} are for localhost until 2")
        twistd, *options = shlex.split(serve)
        server = Program([twistd, "--pidfile=", *options], command.directory)
        self.addCleanup(server.stop)
        await self.printed(server, "listens on")
        client = subprocess.Popen(
            [openssl, *shlex.split(ask)[1:]],
            cwd=command.directory,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        assert client.stdin is not None and client.stdout is not None
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.stdin.close)
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        self.assertEqual(b"hello\n", await in_thread(client.stdout.readline))
        await self.printed(server, "closed|open")

    def test_how_twistd_is_called(self) -> None:
        """The bare name is shown only if it finds the twistd of the same environment."""
        directory = os.path.abspath(self.mktemp())
        own = os.path.join(directory, "twistd")
        python = os.path.join(directory, "python")
        self.assertEqual("twistd", find_twistd(python))
        os.mkdir(directory)
        with open(own, "wb"):
            os.chmod(own, 0o755)
        self.assertEqual(os.path.relpath(own), find_twistd(python))
        self.patch(os, "getcwd", lambda: os.path.join(directory, "elsewhere"))
        self.assertEqual(own, find_twistd(python))
        self.patch(os, "environ", {**os.environ, "PATH": directory})
        self.assertEqual("twistd", find_twistd(python))

    def test_the_pages_show_the_same(self) -> None:
        for page in ("README.rst", "docs/tutorial/tls.rst"):
            with open(os.path.join(checkout(), page), encoding="utf-8") as file:
                text = file.read()
            for line in how_to_try(KEY_FILE, CERTIFICATE_FILE).splitlines():
                self.assertIn(line, text, page)

    async def test_help_and_wrong_arguments(self) -> None:
        helped = self.python("-m", "netproc", "dev-cert", "--help")
        self.assertEqual(0, await self.ends(helped))
        self.assertIn(CERTIFICATE_FILE, helped.text())
        wrong = self.python("-m", "netproc", "dev-cert", "one", "two")
        self.assertEqual(os.EX_USAGE, await self.ends(wrong))
        self.assertEqual("netproc: dev-cert takes at most one argument: DIRECTORY\n", wrong.errors)
        self.assertEqual([], [n for n in os.listdir(wrong.directory) if n.endswith(".pem")])
