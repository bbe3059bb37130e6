"""Say something to a server and print what it answers: client.py HOST PORT WORD …"""

import sys

from twisted.internet.task import react

from netproc import NetworkProcess, ProcessError, make_network_process


def show(process: NetworkProcess, text: str) -> None:
    print(text, end="", flush=True)


async def main(reactor: object, host: str, port: str, *words: str) -> None:
    try:
        client = await make_network_process(
            name="client",
            host=host,
            service=port,
            filter=show,
        )
    except ProcessError as error:
        sys.exit(f"client: {error}")
    client.send(" ".join(words) + "\n")
    client.send_eof()
    await client.closed


react(main, sys.argv[1:])
