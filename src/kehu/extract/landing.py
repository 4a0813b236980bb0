"""The landing place: a local folder, or a bucket; listed and read in one way."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import pyarrow.fs as pafs

from kehu.errors import KehuError
from kehu.settings import Settings

CONNECT_SECONDS, REQUEST_SECONDS, ATTEMPTS = 10, 60, 3
CHUNK = 1 << 20


class StillWritten(KehuError):
    """A file changed while it was read; it is left for the next look."""


@dataclass(frozen=True)
class Landed:
    """One file as it lies there."""

    path: str  # relative to the landing place
    source: str  # as the file system knows it
    size: int
    mtime_ns: int


class Landing:
    """Where sources drop files. `name` is how the operator calls it."""

    def __init__(self, filesystem: pafs.FileSystem, root: str, name: str) -> None:
        self._filesystem, self._root, self.name = filesystem, root, name

    @classmethod
    def of(cls, settings: Settings) -> Landing:
        """The landing place of an installation; credentials of a bucket come from AWS_*."""
        if settings.landing_bucket is None:
            return cls.local(settings.landing)
        endpoint = settings.landing_endpoint
        try:
            filesystem = pafs.S3FileSystem(
                endpoint_override=endpoint,
                connect_timeout=CONNECT_SECONDS,
                request_timeout=REQUEST_SECONDS,
                retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            )
        except (OSError, ValueError) as error:
            raise KehuError(f"s3://{settings.landing_bucket}: {_told(error)}") from None
        return cls(filesystem, settings.landing_bucket, f"s3://{settings.landing_bucket}")

    @classmethod
    def local(cls, folder: Path) -> Landing:
        """A local folder; one that does not exist holds nothing."""
        return cls(pafs.LocalFileSystem(), str(folder), str(folder))

    @property
    def _is_local(self) -> bool:
        return isinstance(self._filesystem, pafs.LocalFileSystem)

    def files(self) -> tuple[list[Landed], list[tuple[str, str]]]:
        """All files at any depth, and those whose names can not be handled, with the reason.

        Raises KehuError where the place can not be listed: no files and no answer are not the same.
        """
        try:
            return self._walked() if self._is_local else (self._listed(), [])
        except OSError as error:
            raise KehuError(
                f"{self.name}: the landing place can not be listed: {_told(error)}; nothing was "
                "taken in, the next run will look again"
            ) from None

    def _walked(self) -> tuple[list[Landed], list[tuple[str, str]]]:
        # not by pyarrow: one name that is not UTF-8 (GBK, from a till's FTP) fails its whole listing
        found, unreadable = [], []
        root = Path(self._root)
        for folder, _, names in os.walk(root, onerror=_raised) if root.exists() else ():
            for name in names:
                path = Path(folder) / name
                try:
                    relative = path.relative_to(root).as_posix()
                    relative.encode()
                    state = path.stat()
                except UnicodeEncodeError:
                    shown = os.fsencode(relative).decode("gb18030", "replace")
                    unreadable.append((shown, "its name is not UTF-8 on this machine; rename it"))
                except FileNotFoundError:
                    continue  # moved away between listing and looking, or a link to nowhere
                else:
                    if not S_ISREG(state.st_mode):  # to open a pipe is to wait for its other end
                        unreadable.append((relative, "it is no ordinary file"))
                        continue
                    found.append(Landed(relative, str(path), state.st_size, state.st_mtime_ns))
        return found, unreadable

    def _listed(self) -> list[Landed]:
        bucket = self._root.partition("/")[0]
        if self._filesystem.get_file_info(bucket).type == pafs.FileType.NotFound:
            raise FileNotFoundError(f"there is no bucket {bucket!r}, or it may not be seen")
        selector = pafs.FileSelector(self._root, recursive=True, allow_not_found=True)
        return [
            Landed(info.path[len(self._root) + 1 :], info.path, info.size, info.mtime_ns)
            for info in self._filesystem.get_file_info(selector)
            if info.type == pafs.FileType.File
        ]

    def state(self, source: str) -> tuple[int, int] | None:
        """Size and time of a file now; None where it is gone."""
        info = self._filesystem.get_file_info(source)
        return None if info.type == pafs.FileType.NotFound else (info.size, info.mtime_ns)

    def text(self, source: str) -> str | None:
        """A small file's text, '(not UTF-8)' where it is none, None where it is gone."""
        try:
            with self._filesystem.open_input_stream(source, compression=None) as stream:
                return bytes(stream.read()).decode("utf-8-sig")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            return "(not UTF-8)"
        except OSError as error:
            raise self._unread(source, error) from None

    def fetch(self, source: str, seen: tuple[int, int], path: str, target: Path) -> str:
        """Copy a file's bytes to `target`, durably; returns their sha256.

        `seen` are the size and time with which it was found, `path` is its name for the operator.
        Raises StillWritten where it is another before or after reading, FileNotFoundError where it
        is gone, KehuError where it can not be read.
        """
        self._must_be(source, seen, path)
        digest = hashlib.sha256()
        try:
            stream = self._filesystem.open_input_stream(source, compression=None)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._unread(path, error) from None
        with stream, target.open("wb") as copy:
            while chunk := self._chunk(stream, path):
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        self._must_be(source, seen, path)
        return digest.hexdigest()

    def _chunk(self, stream: Any, path: str) -> bytes:
        try:
            return bytes(stream.read(CHUNK))
        except OSError as error:
            raise self._unread(path, error) from None

    def _must_be(self, source: str, seen: tuple[int, int], path: str) -> None:
        try:
            state = self.state(source)
        except OSError as error:
            raise self._unread(path, error) from None
        if state is None:
            raise FileNotFoundError(path)
        if state != seen:
            raise StillWritten(
                f"{path}: is still being written ({seen[0]:,} bytes when it was found, "
                f"{state[0]:,} now); left for the next run"
            )

    def _unread(self, path: str, error: OSError) -> KehuError:
        return KehuError(
            f"{path}: can not be read from {self.name}: {_told(error)}; nothing of it was taken in, "
            "the next run will read it again"
        )


def _raised(error: OSError) -> None:
    raise error


def _told(error: Exception) -> str:
    """The gist of an error of a file system."""
    return str(error).partition(" Detail: ")[0].partition("; Details:")[0].strip()
