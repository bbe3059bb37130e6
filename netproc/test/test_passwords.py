"""commands/passwords.py."""

from __future__ import annotations

import getpass
import os

from twisted.trial.unittest import SynchronousTestCase

from netproc.commands.passwords import LONGEST, read_password


class PasswordTests(SynchronousTestCase):
    def file(self, content: bytes) -> str:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        return path

    def problem(self, source: str) -> str:
        return str(self.assertRaises(ValueError, read_password, source, "key.pem"))

    def test_the_first_line_of_a_file(self) -> None:
        for content, password in (
            (b"secret", b"secret"),
            (b"sec ret\r\nmore\n", b"sec ret"),
            (b"\xff\x00\n", b"\xff\x00"),
            (b"", b""),
            (b"x" * LONGEST, b"x" * LONGEST),
        ):
            self.assertEqual(password, read_password(f"file:{self.file(content)}", "key.pem"))

    def test_a_variable(self) -> None:
        self.patch(os, "environb", {b"KEY_PASSWORD": b"secret\xff"})
        self.assertEqual(b"secret\xff", read_password("env:KEY_PASSWORD", "key.pem"))
        self.assertEqual("the environment variable 'NO' is not set", self.problem("env:NO"))

    def test_the_terminal(self) -> None:
        asked: list[str] = []
        self.patch(getpass, "getpass", lambda prompt: asked.append(prompt) or "secret")
        self.patch(os, "ctermid", lambda: os.devnull)
        self.assertEqual(b"secret", read_password("prompt", "key.pem"))
        self.assertEqual(["Password of key.pem: "], asked)

        def interrupted(prompt: str) -> str:
            raise KeyboardInterrupt

        self.patch(getpass, "getpass", interrupted)
        self.assertIn("use file:PATH", self.problem("prompt"))

    def test_a_password_itself_is_refused_and_not_shown(self) -> None:
        for source in ("secret", "pass:secret", "", "file:", "env:"):
            problem = self.problem(source)
            self.assertIn("file:PATH, env:NAME or prompt", problem)
            self.assertNotIn("secret", problem)

    def test_files_that_have_none(self) -> None:
        self.assertEqual("/nowhere: No such file or directory", self.problem("file:/nowhere"))
        path = self.file(b"x" * (LONGEST + 1))
        self.assertEqual(
            f"{path}: the first line is longer than 1024 bytes", self.problem(f"file:{path}")
        )
        self.assertIn("longer than", self.problem("file:/dev/zero"))
