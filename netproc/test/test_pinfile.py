"""streams/pinfile.py."""

from __future__ import annotations

import os
import stat
import threading

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import SecurityError
from netproc.core.trust import Record
from netproc.streams import pinfile
from netproc.streams.pinfile import PinFile, PinMemory, PinStore
from netproc.test.support.base import PATIENCE

ONE = Record({"sha256:aa": frozenset()})
TWO = Record({"sha256:bb": frozenset({"expired"})})
NONE = Record()


class StoreTests(SynchronousTestCase):
    def stores(self) -> tuple[PinStore, PinStore]:
        return PinMemory(), PinFile(self.mktemp())

    def test_swap(self) -> None:
        for store in self.stores():
            self.assertEqual(NONE, store.read("h:1"))
            self.assertTrue(store.swap("h:1", NONE, ONE))
            self.assertEqual((ONE, NONE), (store.read("h:1"), store.read("h:2")))
            self.assertTrue(store.swap("h:2", NONE, TWO))
            self.assertEqual((ONE, TWO), (store.read("h:1"), store.read("h:2")))

    def test_swap_of_what_is_another_by_now(self) -> None:
        for store in self.stores():
            store.swap("h:1", NONE, ONE)
            self.assertFalse(store.swap("h:1", NONE, TWO))
            self.assertEqual(ONE, store.read("h:1"))

    def test_forgetting(self) -> None:
        for store in self.stores():
            store.swap("h:1", NONE, ONE)
            self.assertTrue(store.swap("h:1", ONE, NONE))
            self.assertEqual(NONE, store.read("h:1"))
            self.assertTrue(store.swap("h:1", NONE, NONE))


class PinFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "pins")
        self.file = PinFile(self.path)

    def refused(self, problem: str) -> None:
        error = self.assertRaises(SecurityError, self.file.read, "h:1")
        self.assertIn(problem, str(error))
        self.assertIn(self.path, str(error))
        error = self.assertRaises(SecurityError, self.file.swap, "h:1", NONE, ONE)
        self.assertIn(problem, str(error))

    def test_it_is_for_its_owner(self) -> None:
        mask = os.umask(0)
        self.addCleanup(os.umask, mask)
        self.file.swap("h:1", NONE, ONE)
        self.assertEqual({"pins", "pins.lock"}, set(os.listdir(self.directory)))
        for name in os.listdir(self.directory):
            mode = os.stat(os.path.join(self.directory, name)).st_mode
            self.assertEqual(0o600, stat.S_IMODE(mode), name)

    def test_reading_makes_no_file(self) -> None:
        self.assertEqual(NONE, self.file.read("h:1"))
        self.assertEqual([], os.listdir(self.directory))

    def test_another_object_reads_it(self) -> None:
        self.file.swap("h:1", NONE, ONE)
        self.assertEqual(ONE, PinFile(self.path).read("h:1"))

    def test_a_link_stays_one(self) -> None:
        link = os.path.join(self.directory, "link")
        os.symlink("pins", link)
        PinFile(link).swap("h:1", NONE, ONE)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(ONE, self.file.read("h:1"))

    def test_it_is_replaced_as_a_whole(self) -> None:
        self.file.swap("h:1", NONE, ONE)
        with open(self.path, "rb") as before:
            self.file.swap("h:1", ONE, TWO)
            self.assertIn(b"sha256:aa", before.read())
        self.assertEqual(TWO, self.file.read("h:1"))

    def test_a_corrupt_file_is_refused_and_kept(self) -> None:
        for data in (b"", b"{", b"[]", b"\0" * 100, b"[" * 100_000):
            with open(self.path, "wb") as file:
                file.write(data)
            os.chmod(self.path, 0o600)
            self.refused("is corrupt: ")
            with open(self.path, "rb") as file:
                self.assertEqual(data, file.read())

    def test_a_file_that_is_too_large_is_refused(self) -> None:
        self.file.swap("h:1", NONE, ONE)
        self.patch(pinfile, "LARGEST", 10)
        self.refused("it is too large")

    def test_a_file_that_others_can_write_is_refused(self) -> None:
        self.file.swap("h:1", NONE, ONE)
        for mode in (0o620, 0o602):
            os.chmod(self.path, mode)
            self.refused("others can write")
        os.chmod(self.path, 0o644)
        self.assertEqual(ONE, self.file.read("h:1"))

    def test_a_file_of_somebody_else_is_refused(self) -> None:
        self.file.swap("h:1", NONE, ONE)
        user = os.stat(self.path).st_uid
        if user == 0:
            os.chown(self.path, 12345, -1)
        else:
            self.patch(os, "geteuid", lambda: user + 1)
        self.refused("others can write")

    def test_a_place_that_cannot_be_read(self) -> None:
        os.mkdir(self.path)
        self.refused("Is a directory")

    def test_a_place_that_cannot_be_written(self) -> None:
        file = PinFile(os.path.join(self.directory, "none", "pins"))
        self.assertEqual(NONE, file.read("h:1"))
        error = self.assertRaises(SecurityError, file.swap, "h:1", NONE, ONE)
        self.assertIn("cannot write", str(error))

    def test_a_failure_leaves_what_was(self) -> None:
        self.file.swap("h:1", NONE, ONE)

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        error = self.assertRaises(SecurityError, self.file.swap, "h:1", ONE, TWO)
        self.assertIn("No space left on device", str(error))
        self.assertEqual(ONE, self.file.read("h:1"))
        self.assertEqual({"pins", "pins.lock"}, set(os.listdir(self.directory)))

    def test_threads_lose_nothing(self) -> None:
        def remember(number: int) -> None:
            PinFile(self.path).swap(f"h:{number}", NONE, ONE)

        threads = [threading.Thread(target=remember, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual([ONE] * 20, [self.file.read(f"h:{number}") for number in range(20)])
