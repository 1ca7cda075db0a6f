"""The errors ragctx raises, all of one family.

    RagctxError
    ├── InputError (a ValueError)
    ├── DocumentError
    │   └── PdfError
    ├── StoreError
    │   ├── IndexMissingError
    │   ├── IndexLockedError
    │   ├── IndexMismatchError
    │   └── IndexDamagedError
    ├── BudgetError
    ├── TemplateError
    ├── TokenizerError
    ├── ModelError
    ├── ClusterError
    └── MissingExtraError (an ImportError)

An *error* is something the caller must handle, so it is raised; its message names the fact, the
offending value and the remedy. What went wrong inside one file of many is not an error but a row
of the ledger (`ingest_ledger.IngestRow`). ragctx never prints and never configures logging; the
command line turns any `RagctxError` into one line on standard error and exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


class RagctxError(Exception):
    """The root of the family: everything that ragctx raises on purpose."""


class InputError(RagctxError, ValueError):
    """An argument is out of range, empty, or not one of the valid names (the CLI exits with 2)."""


class DocumentError(RagctxError):
    """A file gave no document. `status` is a `records.PdfStatus`, e.g. "encrypted" or "corrupt"."""

    def __init__(self, message: str, *, status: str) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        """Another process makes it of its arguments, of which one is named."""
        return partial(type(self), status=self.status), self.args


class PdfError(DocumentError):
    """A PDF gave no document."""


class StoreError(RagctxError):
    """An index on disk is missing, locked, damaged, or was made by another embedder or version."""


class IndexMissingError(StoreError):
    """There is no index at the given path."""


class IndexLockedError(StoreError):
    """Another process is writing to the index."""


class IndexMismatchError(StoreError):
    """The index was written with another embedder, dimension or format version."""


class IndexDamagedError(StoreError):
    """The index is damaged: a checksum is wrong, or SQLite cannot read its database."""


class BudgetError(RagctxError):
    """The prompt cannot fit; the message has the missing tokens and the setting to change.

    `over_tokens` are those that a prompt which was built takes too many; 0 where none was built.
    """

    def __init__(self, message: str, *, over_tokens: int = 0) -> None:
        super().__init__(message)
        self.over_tokens = over_tokens


class TemplateError(RagctxError):
    """A prompt template cannot be read or lacks a slot it needs."""


class TokenizerError(RagctxError):
    """A tokenizer cannot be loaded, or does not decode its tokens to the text it encoded."""


class ModelError(RagctxError):
    """A generator or embedder cannot be loaded, or its files are damaged."""


class ClusterError(RagctxError):
    """A cluster cannot be reached, or its machines cannot do the work that they are given."""


class MissingExtraError(RagctxError, ImportError):
    """An optional dependency is missing; the message names the extra to install."""


def missing_extra(needed_by: str, package: str, install: str = "") -> MissingExtraError:
    """The error for an optional dependency that is not installed.

    Args:
        needed_by: what does not work without it, for the message.
        package: the distribution that is missing.
        install: what to give to `pip install`, as typed in a shell; `package` if left out.

    >>> print(missing_extra("ragctx.adapters.haystack", "haystack-ai", "'ragctx[haystack]'"))
    ragctx.adapters.haystack needs haystack-ai. Install it: pip install 'ragctx[haystack]'
    """
    return MissingExtraError(
        f"{needed_by} needs {package}. Install it: pip install {install or package}"
    )


@contextmanager
def require_extra(needed_by: str, package: str, install: str = "") -> Iterator[None]:
    """Import an optional dependency in the block; see `missing_extra` for the arguments.

    Raises:
        MissingExtraError: an import in the block failed.
    """
    try:
        yield
    except ImportError as error:
        raise missing_extra(needed_by, package, install) from error
