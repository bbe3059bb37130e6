"""Scripted servers for open_network_stream."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

import trustme

from netproc import TLSParameters, open_network_stream
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.peers import in_thread, line

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("localhost")
Script = Callable[[socket.socket, list[bytes]], None]
CAPABILITIES = b"* CAPABILITY IMAP4rev1 STARTTLS\r\nnp1 OK done\r\n"
SECURE = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nnp1 OK done\r\n"


def secure(sock: socket.socket, certificate: trustme.LeafCert = CERTIFICATE) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context.wrap_socket(sock, server_side=True)


class OpenStreamCase(NetprocTestCase):
    """A test case with streams to servers that accept one client each."""

    def parameters(self) -> TLSParameters:
        path = os.path.abspath(self.mktemp())
        AUTHORITY.cert_pem.write_to_path(path)
        return TLSParameters(trustfiles=(path,))

    def open(self, script: Script, **keywords: Any) -> Any:
        """Return a stream to a server that runs SCRIPT for its one client, and the Deferred of SCRIPT's result."""
        listener = keywords.pop("listener", None) or socket.create_server(("127.0.0.1", 0))
        listener.settimeout(PATIENCE)

        def serve() -> list[bytes]:
            heard: list[bytes] = []
            with listener:
                connected, _ = listener.accept()
            with connected:
                connected.settimeout(PATIENCE)
                try:
                    script(connected, heard)
                except (OSError, ssl.SSLError):
                    # The client has closed.
                    pass
            return heard

        served = in_thread(serve)
        port = listener.getsockname()[1]
        keywords = {"tls_parameters": self.parameters(), "protocol": "imap", **keywords}
        buffer, host = keywords.pop("buffer", None), keywords.pop("host", "localhost")
        return open_network_stream("s", buffer, host, port, **keywords), served

    async def opened(self, script: Script, **keywords: Any) -> Any:
        opening, served = self.open(script, **keywords)
        found = await opening
        process = found[0] if isinstance(found, tuple) else found
        if process is not None:
            self.addCleanup(process.delete)
        return found, served

    @staticmethod
    def imap(sock: socket.socket, heard: list[bytes]) -> None:
        sock.sendall(b"* OK ready\r\n")
        heard.append(line(sock))
        sock.sendall(CAPABILITIES)
        heard.append(line(sock))
        sock.sendall(b"np2 OK begin\r\n")
        tls = secure(sock)
        heard.append(line(tls))
        tls.sendall(SECURE)
        heard.append(line(tls))
        tls.sendall(b"bye\r\n")
        tls.unwrap()
