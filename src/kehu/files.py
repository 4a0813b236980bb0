"""Small file operations that must survive a crash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = data.encode() if isinstance(data, str) else data
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    replace_durably(temporary, path)


def same_file(source: Path, target: Path) -> None:
    """Give a file a second name; a copy where the file system knows no hard links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def replace_durably(temporary: Path, path: Path) -> None:
    """Rename within one folder and make the rename itself durable."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
