"""Other projects' programs as peers: nc, socat and Emacs."""

from __future__ import annotations

import os

from netproc import filters
from netproc.test.support.fixtures import MB, Recorder, echo
from netproc.test.support.peers import in_thread
from netproc.test.support.programs import ProgramTestCase, require, run_with_input

LARGE = bytes(range(256)) * (3 * MB // 256)


class HalfCloseTests(ProgramTestCase):
    """Clients that shut their writing side and wait for the reply."""

    async def replies(self, *command: str) -> None:
        for request in (b"hello\n", LARGE):
            reply = await in_thread(run_with_input, command, request)
            self.assertTrue(reply == request, f"{command}: {len(reply)} of {len(request)} bytes")

    async def tcp_port(self) -> str:
        server = await self.make(
            name="s", server=True, service=True, filter=filters.echo, coding="binary"
        )
        return str(server.contact("service"))

    async def unix_path(self) -> str:
        path = os.path.abspath(self.mktemp())
        if len(path) > 100:
            path = f"/tmp/netproc-test-{os.getpid()}-{id(self)}"
        await self.make(name="s", server=True, local=path, filter=filters.echo, coding="binary")
        return path

    async def test_nc_over_tcp(self) -> None:
        await self.replies(require("nc"), "-N", "127.0.0.1", await self.tcp_port())

    async def test_nc_over_unix(self) -> None:
        await self.replies(require("nc"), "-N", "-U", await self.unix_path())

    async def test_socat_over_tcp(self) -> None:
        socat = [require("socat"), "-t10", "-"]
        await self.replies(*socat, f"TCP:127.0.0.1:{await self.tcp_port()}")

    async def test_socat_over_unix(self) -> None:
        await self.replies(require("socat"), "-t10", "-", f"UNIX:{await self.unix_path()}")

    async def test_a_client_of_socat(self) -> None:
        """socat sends a file and half-closes; it writes what our client echoes."""
        directory = self.mktemp()
        os.makedirs(directory)
        with open(os.path.join(directory, "request"), "wb") as file:
            file.write(LARGE)
        port = self.reserve_port()
        socat = self.start(
            require("socat"),
            "-d",
            "-d",
            "-t10",
            f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr",
            f"OPEN:{os.path.abspath(directory)}/request,rdonly!!CREATE:{os.path.abspath(directory)}/reply",
        )
        await self.printed(socat, "listening on", "stderr")
        process = await self.make(name="c", service=port, filter=echo, coding="binary")
        await process.closed
        self.assertEqual(0, await self.ends(socat))
        with open(os.path.join(directory, "reply"), "rb") as file:
            self.assertTrue(file.read() == LARGE)


EMACS_CLIENT = """
(let* ((got "")
       (events nil)
       (p (make-network-process
           :name "c" :host 'local :service %d :coding 'utf-8-unix
           :filter (lambda (_ text) (setq got (concat got text)))
           :sentinel (lambda (_ event) (push event events)))))
  (process-send-string p "h\\u00e9llo")
  (while (< (length got) 5) (accept-process-output p 5))
  (process-send-eof p)
  (while (process-live-p p) (accept-process-output p 5))
  (princ (format "%%S %%S\\n" got events) #'external-debugging-output))
"""

EMACS_SERVER = """
(let ((server (make-network-process
               :name "s" :server t :host 'local :service t :coding 'utf-8-unix
               :filter (lambda (p text)
                         (process-send-string p (upcase text))
                         (when (string-match "bye" text) (delete-process p)))
               :log (lambda (_ _ message) (princ message #'external-debugging-output)))))
  (princ (format "port %d\\n" (process-contact server :service)) #'external-debugging-output)
  (while t (accept-process-output nil 1)))
"""


class EmacsTests(ProgramTestCase):
    """Emacs at either end."""

    def emacs(self, code: str) -> list[str]:
        return [require("emacs"), "-Q", "--batch", "--eval", code]

    async def test_emacs_client_of_a_netproc_server(self) -> None:
        server = await self.make(name="s", server=True, service=True, filter=filters.echo)
        emacs = self.start(*self.emacs(EMACS_CLIENT % server.contact("service")))
        self.assertEqual(0, await self.ends(emacs, 30), emacs.errors)
        self.assertEqual('"héllo" ("connection broken by remote peer\n")\n', emacs.errors)

    async def test_netproc_client_of_an_emacs_server(self) -> None:
        emacs = self.start(*self.emacs(EMACS_SERVER))
        port = int((await self.printed(emacs, r"port (\d+)", "stderr"))[1])
        recorder = Recorder()
        client = await self.make(name="c", service=port, filter=recorder)
        client.send("héllo ")
        await self.until(lambda: recorder.data == "HÉLLO ")
        client.send("bye")
        await client.closed
        self.assertEqual("HÉLLO BYE", recorder.data)
        self.assertEqual(["connection broken by remote peer\n"], self.events(client))
        self.assertIn("accept from 127.0.0.1", emacs.errors)
