"""An echo server with TLS.

It needs dev-key.pem and dev-cert.pem, which python -m netproc dev-cert makes.
"""

from twisted.internet.task import react

from netproc import NetworkProcess, make_network_process

TLS = {"keylist": [("dev-key.pem", "dev-cert.pem")]}


def echo(process: NetworkProcess, text: str) -> None:
    process.send(text)


async def main(reactor: object) -> None:
    server = await make_network_process(
        name="echo", server=True, host="local", service=7443, filter=echo, tls_parameters=TLS
    )
    await server.closed


react(main)
