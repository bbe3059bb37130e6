"""Files that change while a server runs: keys, certificates, and directories of names."""

from __future__ import annotations

import os

from twisted.logger import capturedLogs

from netproc.core.errors import ProcessArgumentError
from netproc.net.tls import credentials
from netproc.net.tls.contexts import security
from netproc.net.tls.parameters import TLSParameters
from netproc.test.support.certificates import Pair, handshake
from netproc.test.support.contexts import GOOD, OTHER, ROOT, ContextCase


class ChangeTests(ContextCase):
    """Certificates are renewed while a server runs."""

    def setUp(self) -> None:
        self.key, self.certificate = self.file(GOOD[0]), self.file(GOOD[1])
        self.parameters = TLSParameters(keylist=[(self.key, self.certificate)])
        self.security = security(self.parameters, is_server=True)

    def write(self, name: str, data: bytes) -> None:
        with open(name + ".new", "wb") as file:
            file.write(data)
        os.replace(name + ".new", name)

    def test_a_changed_file_is_read_again(self) -> None:
        old = self.security.engine(None)
        self.write(self.key, OTHER[0])
        self.write(self.certificate, OTHER[1])
        self.agree(self.client("other.example"), self.security.engine(None))
        # A connection that was made before keeps its certificate.
        self.agree(self.client("good.example"), old)

    def test_nothing_changes_nothing(self) -> None:
        one, other = self.security.engine(None), self.security.engine(None)
        self.assertIs(one.connection.get_context(), other.connection.get_context())
        self.assertIs(self.security, security(self.parameters, is_server=True))

    def test_half_of_a_change(self) -> None:
        self.write(self.key, OTHER[0])
        self.agree(self.client("good.example"), self.security.engine(None))
        self.agree(self.client("good.example"), self.security.engine(None))
        # Making a new process fails.
        error = self.assertRaises(ProcessArgumentError, security, self.parameters, is_server=True)
        self.assertIn("do not belong together", error.problem)
        self.write(self.certificate, OTHER[1])
        self.agree(self.client("other.example"), self.security.engine(None))

    def test_files_that_have_gone(self) -> None:
        os.remove(self.certificate)
        with capturedLogs() as events:
            for _ in range(3):
                self.agree(self.client("good.example"), self.security.engine(None))
        self.assertEqual(1, len(events))
        self.assertIn(self.certificate, events[0]["problem"])

    def test_new_rights_are_a_change(self) -> None:
        before = self.security.engine(None)
        os.chmod(self.key, 0o640)
        after = self.security.engine(None)
        self.assertIsNot(before.connection.get_context(), after.connection.get_context())


class DirectoryTests(ContextCase):
    """A directory of files NAME.pem, which change while the server runs."""

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.write("other.example", OTHER)
        self.security = security(self.parameters, is_server=True)

    @property
    def parameters(self) -> dict[str, object]:
        return {"keylist": [GOOD], "sni": self.directory}

    def write(self, name: str, pair: Pair) -> None:
        path = os.path.join(self.directory, f"{name}.pem")
        with open(path + ".new", "wb") as file:
            file.write(b"".join(pair))
        os.replace(path + ".new", path)

    def shown_to(self, name: str) -> object:
        """The common name of the certificate that a client gets when it asks for NAME."""
        client = self.client(name, verify_error=["trustfiles"])
        self.agree(client, self.security.engine(None))
        certificate = client.peer_status()["certificate"]
        assert isinstance(certificate, dict)
        return certificate["subject"].rpartition("=")[2]

    def test_a_name_comes_changes_and_goes(self) -> None:
        self.assertEqual("good", self.shown_to("new.example"))
        self.write("new.example", ROOT.issue("new.example", common="new"))
        self.assertEqual("new", self.shown_to("new.example"))
        self.write("new.example", ROOT.issue("new.example", common="newer"))
        self.assertEqual("newer", self.shown_to("new.example"))
        os.remove(os.path.join(self.directory, "new.example.pem"))
        self.assertEqual("good", self.shown_to("new.example"))

    def test_the_directory_goes(self) -> None:
        os.rename(self.directory, self.directory + ".gone")
        self.assertEqual("other", self.shown_to("other.example"))

    def test_a_file_becomes_useless(self) -> None:
        self.write("other.example", (b"junk", b""))
        self.write("new.example", (b"junk", b""))
        with capturedLogs() as events:
            for _ in range(2):
                self.assertEqual("other", self.shown_to("other.example"))
                self.assertEqual("good", self.shown_to("new.example"))
        self.assertEqual(2, len(events))
        # Making a new process fails.
        error = self.assertRaises(ProcessArgumentError, security, self.parameters, is_server=True)
        self.assertIn("new.example.pem", error.problem)

    def test_a_connection_looks_at_the_files_of_its_name(self) -> None:
        """It looks at no other files, however many names there are."""
        for number in range(50):
            self.write(f"{number}.example", OTHER)
        self.security = security(self.parameters, is_server=True)
        self.write("7.example", OTHER)
        looked: list[object] = []
        made: list[object] = []
        for module, name, calls in (
            (os, "stat", looked),
            (os, "listdir", looked),
            (credentials, "use_pair", made),
        ):
            real = getattr(module, name)
            self.patch(module, name, lambda *a, c=calls, r=real, **k: c.append(a) or r(*a, **k))
        self.security.engine(None)
        self.assertEqual(([], []), (looked, made))
        for name in ("7.example", "8.example", "nobody.example"):
            looked.clear()
            engine = self.security.engine(None)
            handshake(self.client(name, verify_error=None).connection, engine.connection)
            self.assertLessEqual(len([a for a in looked if self.directory in str(a)]), 3)
        self.assertEqual(1, len(made))
