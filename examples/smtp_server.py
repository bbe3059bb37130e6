"""A mail server that offers STARTTLS and throws away all mail.  Do not run it on the internet: it
accepts mail from everyone.  It needs dev-key.pem and dev-cert.pem: python -m netproc dev-cert
"""

from twisted.internet.task import react

from netproc import NetworkProcess, lines, make_network_process

TLS = {"keylist": [("dev-key.pem", "dev-cert.pem")]}
REPLIES = {
    "HELO": "250 localhost",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "RSET": "250 OK",
    "NOOP": "250 OK",
    "DATA": "354 End it with a dot",
    "QUIT": "221 Bye",
}


def greet(process: NetworkProcess, event: str) -> None:
    if event.startswith("open"):
        process.send("220 localhost ESMTP\r\n")


def answer(process: NetworkProcess, line: str) -> None:
    if process.plist.get("in a message"):
        if line == ".":
            process.plist["in a message"] = False
            process.send("250 Thrown away\r\n")
        return
    verb = line[:8].upper().partition(" ")[0]
    encrypted = process.peer_status() is not None
    if verb == "EHLO":
        process.send("250 localhost\r\n" if encrypted else "250-localhost\r\n250 STARTTLS\r\n")
    elif verb == "STARTTLS" and not encrypted:
        process.send("220 Go ahead\r\n")
        process.start_tls(TLS).addErrback(lambda failure: None)  # process.reason has the error
    else:
        process.send(REPLIES.get(verb, "502 What?") + "\r\n")
        process.plist["in a message"] = verb == "DATA"
    if verb == "QUIT":
        process.delete()


async def main(reactor: object) -> None:
    server = await make_network_process(
        name="smtp",
        server=True,
        host="local",
        service=7025,
        filter=lines(answer, max_length=1000, delimiter="\r\n"),
        sentinel=greet,
        coding="latin-1-unix",
    )
    await server.closed


react(main)
