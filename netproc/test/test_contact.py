"""core/contact.py."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.address import parse_address
from netproc.core.contact import Contact

HERE = parse_address((127, 0, 0, 1, 7), "local")
THERE = parse_address((127, 0, 0, 1, 40000), "remote")


class ContactTests(SynchronousTestCase):
    def test_what_was_given(self) -> None:
        contact = Contact({"name": "c", "host": "local", "service": 7})
        self.assertEqual(("local", 7), contact.host_and_service())
        self.assertEqual([None, "c"], [contact.get("filter"), contact.get("name")])

    def test_addresses(self) -> None:
        contact = Contact({"name": "c"}, HERE, THERE)
        self.assertEqual(
            {"name": "c", "local": (127, 0, 0, 1, 7), "remote": (127, 0, 0, 1, 40000)},
            contact.everything(),
        )

    def test_changes_are_not_seen_by_connections(self) -> None:
        server = Contact({"name": "s", "server": True}, HERE)
        connection = server.for_connection(HERE, THERE)
        server.set("keepalive", True)
        self.assertEqual((True, None), (server.get("keepalive"), connection.get("keepalive")))

    def test_connection_shows_its_peer(self) -> None:
        server = Contact({"name": "s", "server": 5, "host": "local", "service": 7}, HERE)
        connection = server.for_connection(HERE, THERE)
        self.assertEqual(("127.0.0.1", 40000), connection.host_and_service())
        self.assertEqual((None, "s"), (connection.get("server"), connection.get("name")))

    def test_connection_of_a_unix_server(self) -> None:
        server = Contact({"name": "s", "service": "/x"}, parse_address("/x", "local"))
        connection = server.for_connection(server.local, parse_address("/y", "remote"))
        self.assertEqual((True, "/x"), connection.host_and_service())

    def test_connection_from_nowhere_known(self) -> None:
        connection = Contact({"name": "s"}).for_connection(None, None)
        self.assertEqual({"name": "s", "server": None, "host": None}, connection.everything())
