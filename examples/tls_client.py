"""Say hello to tls_echo_server.py and print what it answers.  It needs dev-cert.pem."""

from twisted.internet.task import react

from netproc import NetworkProcess, make_network_process

TLS = {"trustfiles": ["dev-cert.pem"]}


def show(process: NetworkProcess, text: str) -> None:
    print(text, end="", flush=True)


async def main(reactor: object) -> None:
    client = await make_network_process(
        name="client", host="localhost", service=7443, filter=show, tls_parameters=TLS
    )
    client.send("hello\n")
    client.send_eof()
    await client.closed


react(main)
