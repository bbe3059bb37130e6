"""An echo server.  Try it with "nc -N 127.0.0.1 7007"."""

from twisted.internet.task import react

from netproc import NetworkProcess, make_network_process


def echo(process: NetworkProcess, text: str) -> None:
    process.send(text)


async def main(reactor: object) -> None:
    server = await make_network_process(
        name="echo", server=True, host="local", service=7007, filter=echo
    )
    await server.closed


react(main)
