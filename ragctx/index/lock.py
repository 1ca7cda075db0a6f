"""One writer at a time: a lock that the operating system drops however its holder dies.

What counts is a lock on the open file, not that the file exists, so a leftover `ragctx.index.lock`
never blocks anybody. The file's content, the holder's process id, is only for the error message.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragctx.errors import IndexLockedError, StoreError
from ragctx.paths import open_regular

LOCK = "ragctx.index.lock"
_BYTE = 1 << 30  # Windows locks bytes against reading, too: take one far after the process id


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an index folder for the block.

    Raises:
        IndexLockedError: another writer has it; the message names its process.
        StoreError: the folder cannot be written.
    """
    try:
        descriptor = open_regular(folder / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise StoreError(
                f"{folder / LOCK} is not a regular file. Look who put it there, and remove it."
            ) from error
        raise StoreError(
            f"The index {folder} cannot be written ({error.strerror}). "
            "Change the folder's permissions, or choose another with --index."
        ) from error
    try:
        if not take_exclusive(descriptor):
            raise IndexLockedError(
                f"The index {folder} is being written by process {_holder(descriptor)}. "
                "Wait until that is done, or end it; reading is possible meanwhile."
            )
        with suppress(OSError):  # a full disk; it is only for the message
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def _holder(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"


if sys.platform == "win32":
    import msvcrt

    def take_exclusive(descriptor: int) -> bool:
        """Lock an open file against everybody else; False if somebody has locked it."""
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def take_shared(descriptor: int) -> None:
        """Nothing: on Windows a folder with an open file cannot be renamed, and so not removed."""

else:
    import fcntl

    # flock, not lockf: lockf's lock would be lost when this process closes the file elsewhere.

    def take_exclusive(descriptor: int) -> bool:
        """Lock an open file against everybody else; False if somebody has locked it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take_shared(descriptor: int) -> None:
        """Share the lock of an open file; waits while another process removes what it is for."""
        fcntl.flock(descriptor, fcntl.LOCK_SH)
