"""Files of a node, by SFTP: read where they are, written where nobody takes one in part for a whole one."""

import asyncio
import getpass
import hashlib
import os
import posixpath
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import PurePosixPath
from typing import cast

import asyncssh
from asyncssh.constants import FXF_CREAT, FXF_WRITE

from mt5crs.fleet import shell
from mt5crs.fleet.failure import NodeError
from mt5crs.fleet.inventory import Node
from mt5crs.fleet.waiting import LOST, lost, soon

Read = Callable[[int, int], Awaitable[bytes]]
"""Returns so many bytes from that place on, fewer at the end."""
PIECE = 4 << 20
"""Bytes that are read and written at once."""
READ_ONLY = 1
"""The flag of a file system that cannot be written to (`statvfs@openssh.com`)."""


class Files:
    """The files of a node.

    Args:
        node: The node.
        sftp: The way to them.

    Attributes:
        node: The node.
    """

    def __init__(self, node: Node, sftp: asyncssh.SFTPClient) -> None:
        self.node = node
        self._sftp = sftp

    @asynccontextmanager
    async def reading(self, path: str) -> AsyncGenerator[tuple[int, Read], None]:
        """Open a file of this node; yield its size, and what reads pieces of it."""
        doing = f"reading {path}"

        def failure(error: Exception) -> NodeError:
            if isinstance(error, asyncssh.SFTPError):
                return NodeError(self.node.name, f"{path} cannot be read: {error.reason or error}")
            return lost(self.node, doing, error)

        try:
            file = await soon(self._sftp.open(shell.by_sftp(self.node, path), "rb"))
        except LOST as error:
            raise failure(error) from error

        async def read(size: int, offset: int) -> bytes:
            try:
                return await soon(cast("Awaitable[bytes]", file.read(size, offset))) if size else b""
            except LOST as error:
                raise failure(error) from error

        try:
            try:
                size = int((await soon(file.stat())).size or 0)
            except LOST as error:
                raise failure(error) from error
            yield size, read
        finally:
            with suppress(*LOST):
                await soon(file.close())

    async def exists(self, path: str) -> bool:
        """Return whether a file is there."""
        try:
            return bool(await soon(self._sftp.exists(shell.by_sftp(self.node, path))))
        except LOST as error:
            raise lost(self.node, "sending", error) from error

    async def take_in(self, part: str, whole: str) -> bool:
        """Give a file that is on the disk there, and what it should be, its name.

        Returns:
            Whether it was there still: who sends the same at the same time may have been first.
        """
        try:
            await self._rename(shell.by_sftp(self.node, part), shell.by_sftp(self.node, whole))
        except asyncssh.SFTPNoSuchFile:
            return False
        except asyncssh.SFTPError as error:
            raise await self._refused(whole, 0, error) from error
        except LOST as error:
            raise lost(self.node, "sending", error) from error
        return True

    async def write(self, part: str, size: int, read: Read) -> str:
        """Write what is missing of a file.

        It is never emptied and each piece has its place, so that others may write the same at the same time.

        Returns:
            The digest of what is on the disk there now; "" where we do not know that.
        """
        where = shell.by_sftp(self.node, part)
        known = hashlib.sha256()
        try:
            begun = max(await self._size(where), 0)
            if begun > size:
                await soon(self._sftp.remove(where))
                begun = 0
            free = await self._free(self.node.path)
            if free is not None and free < size - begun:
                raise self._no_room(part, free)
            flags = FXF_WRITE | FXF_CREAT
            file = await soon(self._sftp.open(where, flags, encoding=None))
            try:
                offset = begun
                piece = await read(min(PIECE, size - offset), offset)
                while piece:
                    begins, offset = offset, offset + len(piece)
                    following = asyncio.ensure_future(read(min(PIECE, size - offset), offset))
                    try:
                        known.update(piece)
                        await soon(file.write(piece, begins))
                        piece = await following
                    finally:
                        following.cancel()
                flushed = not begun and await _flushed(file)
            finally:
                await soon(file.close())
        except asyncssh.SFTPError as error:
            raise await self._refused(part, size, error) from error
        except LOST as error:
            raise lost(self.node, "sending", error) from error
        return known.hexdigest() if flushed else ""

    async def have(self, path: str, content: bytes) -> None:
        """Have a file there as a whole or not at all; one of its size is that file."""
        where = shell.by_sftp(self.node, path)
        try:
            if await self._size(where) != len(content):
                await soon(self._upload(where, content))
        except asyncssh.SFTPError as error:
            raise await self._refused(posixpath.dirname(path), len(content), error) from error
        except LOST as error:
            raise lost(self.node, "sending the program", error) from error

    async def is_damaged(self, path: str, content: bytes) -> bool:
        """Say whether a file there is another than it should be, as after a power cut; then it is removed."""
        where = shell.by_sftp(self.node, path)
        try:
            file = await soon(self._sftp.open(where, "rb"))
            try:
                found = await soon(cast("Awaitable[bytes]", file.read(len(content) + 1)))
            finally:
                await soon(file.close())
            if found != content:
                await soon(self._sftp.remove(where))
        except LOST:
            return False
        return found != content

    async def _upload(self, where: str, content: bytes) -> None:
        draft = f"{where}.{os.urandom(4).hex()}"
        async with self._sftp.open(draft, "wb") as file:
            await file.write(content)
            await _flushed(file)  # where its sshd cannot, a power cut may undo it
        await self._rename(draft, where)

    async def _size(self, where: str) -> int:
        """Return the size of a file there, -1 of one that is not."""
        if not await soon(self._sftp.exists(where)):
            return -1
        return int((await soon(self._sftp.stat(where))).size or 0)

    async def _rename(self, draft: str, path: str) -> None:
        try:
            await soon(self._sftp.posix_rename(draft, path))
        except asyncssh.SFTPOpUnsupported:
            if await soon(self._sftp.exists(path)):
                await soon(self._sftp.remove(path))
            await soon(self._sftp.rename(draft, path))

    async def make(self, folder: str) -> None:
        """Make a folder of ours, and what is above it, for us alone."""
        missing = [PurePosixPath(shell.by_sftp(self.node, folder))]
        try:
            while not await soon(self._sftp.exists(str(missing[-1]))):
                missing.append(missing[-1].parent)
            for each in reversed(missing[:-1]):
                await soon(self._sftp.mkdir(str(each), asyncssh.SFTPAttrs(permissions=0o700)))
        except asyncssh.SFTPError as error:
            if not await self._is_folder(folder):  # nobody made it meanwhile
                raise await self._refused(folder, 1, error) from error
        except LOST as error:
            raise lost(self.node, "making its folder", error) from error

    async def _refused(self, path: str, size: int, error: asyncssh.SFTPError) -> NodeError:
        """Return what it means that a file or folder could not be made, which SFTP hardly says."""
        name, where = self.node.name, self.node.path
        user = self.node.user or getpass.getuser()
        for above in (where, f"{where}/.fleet", path):
            if path.startswith(above) and await self._is_file(above):
                hint = "move it away there, or name another folder with path = ... in the inventory"
                return NodeError(name, f"{above} is a file, no folder", hint=hint, kind="path")
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            what = f"{user} may not write to {path}"
            return NodeError(name, what, hint=shell.owned(self.node, user), kind="permission")
        if await self._is_read_only(path):
            what, hint = shell.unwritable(self.node, "read-only", user)
            return NodeError(name, what, hint=hint, kind="read-only")
        free = await self._free(where)
        if free is not None and free < max(size, 1 << 16):
            return self._no_room(path, free)
        what = f"{path} cannot be written, and its SFTP server says no more than: {error.reason or error}"
        return NodeError(name, what, hint=f"try there, as {user}: touch {path}", kind="sftp")

    def _no_room(self, path: str, free: int) -> NodeError:
        what = f"there is no room for {path}: {free / 1e6:,.1f} MB are free"
        return NodeError(self.node.name, what, hint=f"make room at {self.node.path} there", kind="no-space")

    async def _is_file(self, path: str) -> bool:
        try:
            found = await soon(self._sftp.isfile(shell.by_sftp(self.node, path)))
            return found and not path.endswith(".part")
        except LOST:
            return False

    async def _is_folder(self, path: str) -> bool:
        try:
            return await soon(self._sftp.isdir(shell.by_sftp(self.node, path)))
        except LOST:
            return False

    async def _is_read_only(self, path: str) -> bool:
        """Return whether the file system is read-only where a path is, or would be."""
        where = PurePosixPath(shell.by_sftp(self.node, path))
        for each in (where, *where.parents):
            try:
                return bool((await soon(self._sftp.statvfs(str(each)))).flags & READ_ONLY)
            except asyncssh.SFTPNoSuchFile:  # noqa: PERF203 - then it is made in the one above
                continue
            except LOST:
                break
        return False

    async def _free(self, path: str) -> int | None:
        try:
            about = await soon(self._sftp.statvfs(shell.by_sftp(self.node, path)))
        except LOST:
            return None
        return int(about.bavail * about.frsize)


async def _flushed(file: asyncssh.SFTPClientFile) -> bool:
    """Have a file on the disk; return whether its sshd can do that."""
    try:
        await soon(file.fsync())
    except asyncssh.SFTPError:
        return False
    return True
