"""A disk that is full, as often as a test wants: a small tmpfs, or a limit on the size of files.

The tmpfs is the real thing and needs the right to mount. The limit (RLIMIT_FSIZE of the process)
works everywhere: the kernel refuses to let any file grow beyond it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults.harness import Installation

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Disk:
    """Where an installation lives. `full` leaves it some bytes, or a size that no file may exceed."""

    house: Installation
    is_mounted: bool

    @contextmanager
    def full(self, leave: int) -> Iterator[None]:
        filler = self.house.root / "filler"
        if not self.is_mounted:
            self.house.environment["FAULTS_LARGEST_FILE"] = str(leave)
            try:
                yield
            finally:
                del self.house.environment["FAULTS_LARGEST_FILE"]
            return
        free = shutil.disk_usage(self.house.root).free
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(PAGE, (free - leave) // PAGE * PAGE))
        try:
            yield
        finally:
            filler.unlink()


def can_mount(folder: Path) -> bool:
    """Whether this machine lets us mount a tmpfs."""
    folder.mkdir(parents=True, exist_ok=True)
    return _mount(folder, 1) and _unmount(folder)


@contextmanager
def disk_of(house: Installation, megabytes: int, *, mounted: bool) -> Iterator[Disk]:
    """Put an installation that is still empty onto a disk of this size, where it can be mounted."""
    house.root.mkdir(parents=True, exist_ok=True)
    is_mounted = mounted and _mount(house.root, megabytes)
    try:
        yield Disk(house, is_mounted)
    finally:
        if is_mounted:
            _unmount(house.root)


def _mount(folder: Path, megabytes: int) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return _done(command)


def _unmount(folder: Path) -> bool:
    return _done(["umount", "--lazy", str(folder)])


def _done(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
