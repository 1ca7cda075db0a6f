"""Where ragctx keeps files it can make again; how a file is hashed, named, and written whole.

Others may write to a folder of caches or indexes. What they put where a file of ragctx's own is
expected is not followed, waited for or written to unless it is a regular file.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ragctx.errors import InputError

DEFAULT_INDEX = Path("indexes/default")
"""The index used unless another is named, relative to the working directory."""
_BLOCK_BYTES = 2**20  # read at a time; any size gives the same hash


def cache_dir() -> Path:
    """The folder for caches: $RAGCTX_CACHE_DIR, else $XDG_CACHE_HOME/ragctx, else ~/.cache/ragctx.

    It need not exist. A relative $XDG_CACHE_HOME counts as unset, as the XDG base directory
    specification asks.

    Raises:
        InputError: none of these is set, and the system knows no home folder of this user.
    """
    own = os.environ.get("RAGCTX_CACHE_DIR")
    if own:
        return expanded(own).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if not shared.is_absolute():
        shared = Path("~/.cache")
    try:
        return shared.expanduser() / "ragctx"
    except RuntimeError:
        raise InputError(
            "this user has no home folder, so there is no place for caches; set RAGCTX_CACHE_DIR "
            "to a folder that only this user can write to"
        ) from None


def expanded(path: str | Path) -> Path:
    """The path with "~" and "~name" replaced by the home folder.

    Raises:
        InputError: there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{str(path)!r} begins with a home folder that this system does not know; write the "
            "path in full"
        ) from None


def encoding_of(head: bytes) -> str:
    r"""How a text is encoded that begins with these bytes: UTF-8, UTF-16 or UTF-32.

    A byte-order mark tells, or the zero bytes beside a first letter that is ASCII.

    >>> encoding_of(b"When"), encoding_of(b"\xff\xfeW\x00"), encoding_of(b"W\x00h\x00")
    ('utf-8', 'utf-16', 'utf-16-le')
    """
    return json.detect_encoding(head[:4])


def decoded(data: bytes) -> str:
    """A text file's bytes as text, its byte-order mark removed; see `encoding_of`.

    Raises:
        UnicodeDecodeError: it has another encoding; a ValueError.
    """
    return data.decode(encoding_of(data))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as stream:
        return sha256_of_stream(stream)


def sha256_of_stream(stream: BinaryIO, size: int | None = None) -> str:
    """The SHA-256 of a stream's next `size` bytes, or of all that is left; 64 hexadecimal digits.

    A stream that ends early is hashed as far as it goes.
    """
    import hashlib  # loads OpenSSL, which `ragctx --help` need not wait for

    digest = hashlib.sha256()
    left = size
    while left is None or left > 0:
        block = stream.read(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
        if not block:
            break
        digest.update(block)
        if left is not None:
            left -= len(block)
    return digest.hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: the block writes to the path it gets, beside `path`.

    When the block ends well, that file takes the place of `path` in one step; when it raises, the
    file is removed. Threads and processes may do so at the same time; the last one wins. A process
    that is killed leaves the file `unfinished_files` finds.
    """
    unfinished = unfinished_beside(path)
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def unfinished_beside(path: Path) -> Path:
    """A new and empty file, to be written and then moved to `path`.

    Raises:
        OSError: the folder is missing or cannot be written to.
    """
    # A name that nobody can guess, so that nobody can put a link there before.
    whose = f"{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(8)}"
    unfinished = path.with_name(f".{path.name}.{whose}.part")
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode_in(path.parent)))
    return unfinished


def unfinished_files(path: Path) -> list[Path]:
    """What `replacing(path)` left unfinished in processes that were killed, or is writing now."""
    return sorted(path.parent.glob(f".{path.name}.*.part"))


def write_whole(path: Path, content: bytes | str) -> Path:
    """Write bytes, or text as UTF-8 with "\\n" line ends, whole or not at all; returns `path`.

    Raises:
        OSError: the folder is missing or cannot be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path) as unfinished:
        unfinished.write_bytes(data)
    return path


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of the regular file at `path`; `flags` as for `os.open`.

    Raises:
        OSError: it cannot be opened, or is a symbolic link, a pipe, a device or a folder.
    """
    own = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | own, _mode_in(path.parent))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a pipe, to be written
            raise _not_regular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing, for this user alone; returns `path`.

    One that is there already is closed to others as well, if it is this user's.

    Raises:
        OSError: it cannot be made, or there is something else at `path`, such as a link.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        # `exist_ok` looks once more, when another process may have removed it again.
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    mode = path.lstat().st_mode
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(path))
    if mode & 0o077:
        with suppress(OSError):  # somebody else's, or on a disk that is read-only or has no modes
            path.chmod(0o700)
    return path


def _mode_in(folder: Path) -> int:
    """The permissions of a new file: it is no more open than its folder, whatever the umask."""
    return stat.S_IMODE(folder.stat().st_mode) & 0o666


def require_regular(path: Path) -> None:
    """Raise OSError if there is something at `path` that is no regular file; nothing is fine."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise _not_regular(path)


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", str(path))
