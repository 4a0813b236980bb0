"""What the machine refuses: no space, no permission, no memory, a damaged file; told to an operator.

The systems below raise OSError or one of DuckDB's errors, which say what failed and not what to do.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from kehu.errors import MachineFault
from kehu.settings import Settings

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
_SAYS_NO_SPACE = re.compile(r"No space left|Disk quota exceeded|File too large", re.I)
_SAYS_NO_PERMISSION = re.compile(
    r"Permission denied|Operation not permitted|Read-only file system", re.I
)
_SAYS_DAMAGED = re.compile(
    r"Corrupt (database|WAL) file|not a valid DuckDB database|replaying WAL|magic bytes|"
    r"Could not read enough bytes|database has been invalidated",
    re.I,
)
# what DuckDB raises for the machine's sake; its other errors are mistakes in a statement
_OF_THE_MACHINE = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.OutOfMemoryException,
    duckdb.SerializationException,
)
_PATH = re.compile(r"""["'](/[^"']+)["']""")


def told(error: BaseException, settings: Settings) -> MachineFault | None:
    """The error in words for an operator, None where it is not the machine that refused."""
    if isinstance(error, OSError) and error.errno != errno.EPIPE:
        text = error.strerror or str(error)
        path = error.filename if isinstance(error.filename, str) else _path_in(str(error))
        if error.errno in _NO_SPACE:
            return no_space(path, settings)
        if error.errno in _NO_PERMISSION:
            return _no_permission(path, text)
        return in_text(text, settings, path) or MachineFault(
            f"{path or 'a file'}: {text}; mend that, then run again"
        )
    if isinstance(error, duckdb.Error):
        text = str(error)
        found = in_text(text, settings)
        if found is None and isinstance(error, duckdb.OutOfMemoryException):
            found = MachineFault(
                f"DuckDB has not enough memory ({_first_line(text)}); raise KEHU_MEMORY_LIMIT, now "
                f"{settings.memory_limit}, or make room for its spilled data in {settings.home / 'tmp'}"
            )
        if found is None and isinstance(error, _OF_THE_MACHINE):
            found = MachineFault(f"DuckDB: {_first_line(text)}; run again")
        return found
    return None


def no_space(path: str | None, settings: Settings) -> MachineFault:
    """What to say where a disk is full; `path` is what could not be written, if that is known."""
    folder = Path(path).parent if path else settings.home
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return MachineFault(
        f"no space left for {path or settings.home}: {_size(usage.free)} of {_size(usage.total)} free "
        f"where {folder} lies. Make room, or take another folder by KEHU_HOME; what was published "
        "stays, and running again goes on from there"
    )


def is_of_the_disk(error: BaseException) -> bool:
    """Whether something failed for want of space or permission, and not for what it read."""
    text = str(error)
    return bool(_SAYS_NO_SPACE.search(text) or _SAYS_NO_PERMISSION.search(text))


def _no_permission(path: str | None, text: str) -> MachineFault:
    return MachineFault(
        f"{path or 'a file'}: {text[:1].lower()}{text[1:]} for user {os.geteuid()}; "
        "give it the right to read and write there, then run again"
    )


def in_text(text: str, settings: Settings, path: str | None = None) -> MachineFault | None:
    """A fault that a message speaks of, such as one of dbt; None where it speaks of none."""
    path = path or _path_in(text)
    if _SAYS_NO_SPACE.search(text):
        return no_space(path, settings)
    if found := _SAYS_NO_PERMISSION.search(text):
        return _no_permission(path, found[0])
    if found := _SAYS_DAMAGED.search(text):
        line = next(line for line in text.splitlines() if found[0] in line)
        return damaged(path, line.strip(), settings)
    return None


def damaged(path: str | None, reason: str, settings: Settings) -> MachineFault:
    """What to say of a file that Kehu wrote and that is not whole any more."""
    remedy = "`kehu rebuild` makes everything else again from the archive"
    if path and Path(path).is_relative_to(settings.batches):
        remedy = "run again: it is made anew from the archive"
    elif path and Path(path).is_relative_to(settings.archive):
        remedy = "put it back from a backup: nothing else can make it again"
    return MachineFault(
        f"{path or f'a file in {settings.home}'} is damaged ({reason}). What was published stays; "
        f"{remedy}"
    )


def _path_in(text: str) -> str | None:
    found = _PATH.search(text)
    return found[1] if found else None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.1f} MB"


@contextmanager
def faults_told(settings: Settings | None = None) -> Iterator[None]:
    """Raise what the machine refuses as MachineFault; all else passes as it is."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        fault = told(error, settings or Settings())
        if fault is None:
            raise
        raise fault from error
