"""The files of UNIX servers (P14, H13, D10)."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from netproc import NetworkProcess, ProcessError, make_network_process
from netproc.core.address import SocketAddress
from netproc.net import socketfile
from netproc.test.support.base import NetprocTestCase


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


class SocketFileTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        # Short, because a socket's name has at most 107 bytes.
        self.path = f"sock{abs(hash(self.id())) % 10**9}"
        self.addCleanup(lambda: os.path.lexists(self.path) and os.unlink(self.path))

    async def listen(self, **keywords: Any) -> NetworkProcess:
        return await self.make(name="s", server=True, local=self.path, filter=True, **keywords)

    async def in_use(self) -> None:
        made = make_network_process(name="s", server=True, local=self.path)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual((errno.EADDRINUSE, self.path), (error.errno, error.address))

    async def test_the_mode_is_0600(self) -> None:
        await self.listen()
        self.assertEqual(0o600, mode_of(self.path))

    async def test_another_mode_whatever_the_umask(self) -> None:
        for umask in (0o000, 0o022, 0o077):
            before = os.umask(umask)
            try:
                server = await self.listen(mode=0o666)
                self.assertEqual((0o666, umask), (mode_of(self.path), os.umask(umask)))
            finally:
                os.umask(before)
            server.delete()

    async def test_there_is_no_wider_moment(self) -> None:
        modes = []
        bind, lstat = socket.socket.bind, os.lstat

        class Socket(socket.socket):
            def bind(self, address: Any) -> None:
                bind(self, address)
                modes.append(stat.S_IMODE(lstat(address).st_mode))

        self.patch(socket, "socket", Socket)
        before = os.umask(0)
        try:
            await self.listen()
        finally:
            os.umask(before)
        self.assertEqual([0o600], modes)

    async def test_the_mode_of_what_takes_its_place_is_not_changed(self) -> None:
        """For example, another program puts a link to another file there as soon as the socket is bound."""
        precious = self.path + "p"
        with open(precious, "w"):
            self.addCleanup(os.unlink, precious)
        os.chmod(precious, 0o600)
        bind = socket.socket.bind

        class Socket(socket.socket):
            def bind(self, address: Any) -> None:
                bind(self, address)
                os.unlink(address)
                os.symlink(precious, address)

        self.patch(socket, "socket", Socket)
        await self.listen(mode=0o666)
        self.assertEqual(0o600, mode_of(precious))

    async def test_it_is_removed(self) -> None:
        server = await self.listen()
        server.delete()
        self.assertFalse(os.path.lexists(self.path))

    async def test_it_is_not_removed_if_it_is_another(self) -> None:
        server = await self.listen()
        os.unlink(self.path)
        with open(self.path, "w") as other:
            other.write("mine")
        server.delete()
        with open(self.path) as other:
            self.assertEqual("mine", other.read())

    async def test_it_may_be_gone_already(self) -> None:
        server = await self.listen()
        os.unlink(self.path)
        server.delete()

    async def test_a_directory_that_lets_nothing_be_removed(self) -> None:
        server = await self.listen()

        def unlink(path: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        self.patch(socketfile.os, "unlink", unlink)
        server.delete()
        self.assertEqual("closed", server.status)
        self.flushWarnings()

    async def test_a_stale_one_is_replaced(self) -> None:
        self.stale()
        await self.listen()
        self.assertEqual(0o600, mode_of(self.path))
        await self.connects()

    async def test_a_live_one_is_in_use(self) -> None:
        live = socket.socket(socket.AF_UNIX)
        self.addCleanup(live.close)
        live.bind(self.path)
        live.listen()
        await self.in_use()
        self.assertTrue(stat.S_ISSOCK(os.lstat(self.path).st_mode))

    async def test_one_with_a_full_backlog_is_in_use(self) -> None:
        live = socket.socket(socket.AF_UNIX)
        self.addCleanup(live.close)
        live.bind(self.path)
        live.listen(0)
        with socket.socket(socket.AF_UNIX) as filler:
            filler.connect(self.path)
            await self.in_use()

    async def test_one_of_another_kind_is_in_use(self) -> None:
        live = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(live.close)
        live.bind(self.path)
        await self.in_use()

    async def test_files_directories_and_links_are_never_touched(self) -> None:
        with open(self.path, "w") as file:
            file.write("precious")
        await self.in_use()
        with open(self.path) as file:
            self.assertEqual("precious", file.read())
        os.unlink(self.path)

        os.mkdir(self.path)
        await self.in_use()
        os.rmdir(self.path)

        stale = socket.socket(socket.AF_UNIX)
        target = self.path + "t"
        stale.bind(target)
        stale.close()
        self.addCleanup(os.unlink, target)
        os.symlink(target, self.path)
        await self.in_use()
        self.assertTrue(os.path.islink(self.path))

    async def test_a_stale_one_of_another_user_is_not_touched(self) -> None:
        self.stale()
        owner = os.lstat(self.path).st_uid
        self.patch(socketfile.os, "geteuid", lambda: owner + 1)
        await self.in_use()

    async def test_a_directory_that_is_not_there(self) -> None:
        made = make_network_process(name="s", server=True, local="/nosuchdirectory/sock")
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(errno.ENOENT, error.errno)

    async def test_a_lock_on_the_directory_hinders_nobody(self) -> None:
        """A program that can read a directory can lock it, and some systems advise to do so."""
        directory = os.open(".", os.O_RDONLY)
        self.addCleanup(os.close, directory)
        for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
            fcntl.flock(directory, kind)
            server = await self.listen()
            server.delete()

    def stale(self) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(self.path)

    async def test_one_that_does_not_listen_yet_is_in_use(self) -> None:
        starting = socket.socket(socket.AF_UNIX)
        self.addCleanup(starting.close)
        starting.bind(self.path)
        await self.in_use()
        starting.listen()
        await self.in_use()
        starting.settimeout(0)
        self.assertRaises(BlockingIOError, starting.accept)

    def other_first(self, name: str) -> socket.socket:
        """Make a server that replaces the stale file, just before the function NAME of `os` is called for it."""
        self.stale()
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        real = getattr(os, name)

        def late(*paths: Any) -> Any:
            setattr(os, name, real)
            os.unlink(self.path)
            other.bind(self.path)
            other.listen()
            return real(*paths)

        self.patch(os, name, late)
        return other

    async def test_one_that_starts_at_the_same_time_keeps_its_place(self) -> None:
        for name in ("lstat", "rename"):
            with self.other_first(name):
                await self.in_use()
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(self.path)
            self.assertEqual(
                [], [name for name in os.listdir() if name.startswith(self.path + ".")]
            )
            os.unlink(self.path)

    async def test_a_stale_one_that_another_has_just_removed(self) -> None:
        self.stale()
        rename = os.rename

        def late(*paths: Any) -> None:
            os.unlink(self.path)
            rename(*paths)

        self.patch(os, "rename", late)
        await self.listen()

    def beside(self) -> list[str]:
        return [name for name in os.listdir() if name.startswith(self.path + ".")]

    def bound(self) -> socket.socket:
        """Make a server at the path by netproc's own rules."""
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        address = SocketAddress(socket.AF_UNIX, self.path.encode())
        self.assertIsNotNone(socketfile.bind(sock, address, 5, None))
        return sock

    def at_step(
        self, owner: Any, name: str, step: Callable[[], object], late: bool = False
    ) -> None:
        """Run STEP once, just before the next call of the function NAME of OWNER, or with LATE just after it."""
        real = getattr(owner, name)

        def stepping(*arguments: Any, **keywords: Any) -> Any:
            setattr(owner, name, real)
            if late:
                result = real(*arguments, **keywords)
                step()
                return result
            step()
            return real(*arguments, **keywords)

        self.patch(owner, name, stepping)

    async def connects(self) -> None:
        """Check that a client reaches netproc's server at the path; then delete both."""
        await self.make(name="c", remote=self.path)
        await self.until(lambda: len(self.ledger.events) == 3)
        for process in self.ledger.events:
            process.delete()
        self.assertEqual([], self.beside())

    def serves(self) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
        self.assertEqual([], self.beside())

    async def test_a_slow_one_never_moves_the_file_of_a_faster_one(self) -> None:
        """The fast server replaces the stale file after the slow one has found it stale."""
        for late in (False, True):
            self.stale()
            moved: list[Any] = []
            rename = os.rename

            def record(*paths: Any, moved: list[Any] = moved, rename: Any = rename) -> None:
                moved.append(paths)
                rename(*paths)

            self.patch(socketfile.os, "rename", record)
            self.at_step(socketfile, "_is_dead", self.bound, late=late)
            await self.in_use()
            self.serves()
            self.assertEqual(1, len(moved))
            os.unlink(self.path)

    async def test_while_one_replaces_the_file_the_others_are_told_that_it_is_in_use(self) -> None:
        self.stale()
        self.at_step(os, "rename", lambda: self.assertRaises(ProcessError, self.bound))
        await self.listen()
        await self.connects()

    async def test_one_that_binds_as_soon_as_the_stale_one_is_gone_has_the_place(self) -> None:
        self.stale()
        self.at_step(os, "rename", self.bound, late=True)
        await self.in_use()
        self.serves()

    async def test_what_a_program_that_died_has_left_does_not_hinder(self) -> None:
        self.stale()
        found = os.lstat(self.path)
        with open(f"{self.path}.{found.st_ino:x}-{found.st_mtime_ns:x}", "w"):
            await self.listen()
        self.assertEqual([], self.beside())

    async def test_a_lock_that_cannot_be_had_does_not_hinder(self) -> None:
        """Another user has put a file there, or the file system has no locks."""

        def refuse(*arguments: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        self.stale()
        found = os.lstat(self.path)
        name = f"{self.path}.{found.st_ino:x}-{found.st_mtime_ns:x}"
        os.symlink("/nosuchfile", name)
        server = await self.listen()
        server.delete()
        os.unlink(name)

        self.stale()
        self.patch(socketfile.fcntl, "flock", refuse)
        await self.listen()
        self.assertEqual([], self.beside())

    async def test_another_users_lock_file_is_left_alone(self) -> None:
        self.stale()
        fstat = os.fstat

        def of_another(file: int) -> Any:
            found = fstat(file)
            return os.stat_result((*found[:4], found.st_uid + 1, *found[5:]))

        self.patch(socketfile.os, "fstat", of_another)
        await self.listen()
        (left,) = self.beside()
        os.unlink(left)

    async def test_one_whose_file_is_aside_for_a_moment_serves(self) -> None:
        aside = self.path + ".aside"
        self.at_step(socketfile, "SocketFile", lambda: os.rename(self.path, aside))
        await self.listen()
        os.rename(aside, self.path)
        await self.connects()

    async def test_putting_back_never_replaces_a_third_file(self) -> None:
        """Programs that do not use our lock replace the file just before it is moved aside, and just after."""
        self.other_first("rename")
        third = socket.socket(socket.AF_UNIX)
        self.addCleanup(third.close)

        def take() -> None:
            third.bind(self.path)
            third.listen()

        self.at_step(os, "link", take)
        await self.in_use()
        third.settimeout(0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            third.accept()[0].close()
        (left,) = self.beside()
        os.unlink(left)

    async def test_a_directory_moved_aside_is_put_back(self) -> None:
        self.stale()

        def replace() -> None:
            os.unlink(self.path)
            os.mkdir(self.path)

        self.at_step(os, "rename", replace)
        await self.in_use()
        self.assertEqual([], self.beside())
        os.rmdir(self.path)

    async def test_what_fails_behind_the_bind_leaves_no_file(self) -> None:
        class Socket(socket.socket):
            def listen(self, backlog: int = 0) -> None:
                raise OSError(errno.EADDRINUSE, "Address already in use")

        self.patch(socket, "socket", Socket)
        made = make_network_process(name="s", server=True, local=self.path)
        await self.assertFailure(made, ProcessError)
        self.assertFalse(os.path.lexists(self.path))

    async def test_abstract_names_have_no_file(self) -> None:
        name = "\0" + self.path
        server = await self.make(name="s", server=True, local=name, filter=True)
        self.assertEqual(name, server.contact("local"))
        client = await self.make(name="c", family="local", service=name)
        self.assertEqual(name, client.contact("remote"))
        made = make_network_process(name="s", server=True, local=name)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual((errno.EADDRINUSE, "@" + self.path), (error.errno, error.address))
        client.delete()
        await self.until(lambda: len(self.ledger.events) == 3)
        for process in self.ledger.events:
            process.delete()
