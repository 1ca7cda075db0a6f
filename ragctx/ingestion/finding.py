"""Which files the paths on a command line name, and which part of the disk they speak of."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragctx.arguments import require_kind
from ragctx.errors import InputError
from ragctx.file_formats import SUFFIXES, text_format_of

NOT_ENTERED = ("node_modules", "site-packages", "__pycache__")
"""Folders of packages, whose texts are about these. Files in them count if they are named."""


def find_files(
    paths: str | Path | Iterable[str | Path], *, known: Iterable[str] = ()
) -> list[Path]:
    """The files that `paths` (files, folders, glob patterns) name, sorted, each once.

    A folder means every file below it whose name ends in one of `SUFFIXES`. Of those that are no
    PDFs, files and folders are left out whose name begins with a dot, what is in `NOT_ENTERED`, and
    what Word keeps while a document is open. A file that is named counts whatever its name.

    Args:
        paths: what to look for.
        known: absolute paths of files that may be gone. What names one of them, or a folder above
            one, need not name any other file.

    Raises:
        InputError: a path names nothing, a folder cannot be read, or no folder holds such a file.
    """
    found: dict[Path, None] = {}
    paths, known = as_paths(paths), tuple(known)
    for path in paths:
        matches = [Path(path)] if Path(path).exists() else _globbed(str(path))
        if not matches and not any(map(Reach.of(path).holds, known)):
            raise InputError(f"{str(path)!r} does not exist; name a file, a folder or a pattern")
        for match in matches:
            if match.is_dir() and not os.access(match, os.R_OK | os.X_OK):
                raise InputError(f"the folder {str(match)!r} cannot be read; check its permissions")
            files = _files_below(match) if match.is_dir() else [match]
            found.update((Path(os.path.abspath(file)), None) for file in files)
    if not found and not any(map(Reach.of(paths).holds, known)):
        names = ", ".join(repr(str(path)) for path in paths)
        endings = ", ".join(SUFFIXES)
        raise InputError(f"no document ({endings}) in {names}; name a folder that holds some")
    return list(found)


def find_pdfs(paths: str | Path | Iterable[str | Path], *, known: Iterable[str] = ()) -> list[Path]:
    """The former name of `find_files`. Using it gives a DeprecationWarning."""
    warnings.warn("find_pdfs is now find_files", DeprecationWarning, stacklevel=2)
    return find_files(paths, known=known)


def as_paths(paths: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """One path or several, as a list. Raises InputError for anything else."""
    if isinstance(paths, str | Path):
        return [paths]
    require_kind("paths", paths, Iterable, "give the path of a file or a folder, or a list of them")
    listed = list(paths)
    for path in listed:
        require_kind(
            "one of paths", path, (str, os.PathLike), "give the path of a file or a folder"
        )
    return listed


@dataclass(frozen=True, slots=True)
class Reach:
    """The part of the disk that some paths speak of: of a pattern, what is before its wildcards.

    >>> reach = Reach.of(["/manuals/**/*.pdf"])
    >>> reach.holds("/manuals/old/pump.pdf"), reach.holds("/manuals.pdf")
    (True, False)
    """

    paths: tuple[str, ...]  # as they were named
    roots: tuple[str, ...]  # absolute

    @classmethod
    def of(cls, paths: str | Path | Iterable[str | Path]) -> Reach:
        """The reach of paths as `find_files` takes them."""
        paths = as_paths(paths)
        roots = (os.path.abspath(_fixed_part(Path(path))) for path in paths)
        return cls(tuple(map(str, paths)), tuple(roots))

    def holds(self, path: str) -> bool:
        """Whether an absolute path is one of them or is below one."""
        return any(path == root or path.startswith(os.path.join(root, "")) for root in self.roots)


def is_gone(path: str | Path) -> bool:
    """Whether there certainly is no file at a path; False where it cannot be looked up."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _fixed_part(path: Path) -> Path:
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return path
    fixed = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if glob.has_magic(part) and not os.path.lexists(fixed / part):
            break
        fixed /= part
    return fixed


def _globbed(pattern: str) -> list[Path]:
    """What a pattern matches, sorted. A part of it that exists as written is not a pattern."""
    path = Path(pattern)
    return sorted(set(_matches(path.anchor, path.relative_to(path.anchor).parts)))


def _matches(base: str, parts: Sequence[str]) -> Iterator[Path]:
    """Paths below the folder `base` ("": the working directory) that match the parts."""
    if not parts:
        yield Path(base)
        return
    first, left = os.path.join(base, parts[0]), parts[1:]
    if os.path.lexists(first):
        yield from _matches(first, left)
        return
    pattern = os.path.join(glob.escape(base), parts[0])
    if parts[0] == "**" and left:
        pattern = os.path.join(pattern, "")  # folders only, and `base` itself
    for match in glob.glob(pattern, recursive=True):
        if not left or os.path.isdir(match):
            yield from _matches(match, left)
    if parts[0] == "**" and left and not base:
        yield from _matches(base, left)


def _files_below(folder: Path) -> Sequence[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in files if _counts(path, folder) and path.is_file())


def _counts(path: Path, folder: Path) -> bool:
    if text_format_of(path.name) is None:
        return True
    parts = path.relative_to(folder).parts
    is_apart = any(part.startswith(".") or part in NOT_ENTERED for part in parts)
    return not is_apart and not path.name.startswith("~$")
