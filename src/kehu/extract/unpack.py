"""ZIP archives: each file in one is a delivery of its own.

An archive is unpacked as a whole or refused as a whole, and never by its word alone: what its files
really hold is counted while they are read.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kehu.errors import FileRefused
from kehu.extract import delivery as deliveries
from kehu.extract.delivery import MANIFEST_SUFFIX, Delivery, Manifest
from kehu.feeds import Contract
from kehu.settings import Settings

MOST_FILES = 10_000
# deflate comes to 1,032 at most; repetitive exports to some 100
MOST_RATIO, FROM_BYTES = 300, 64 << 20
DAMAGED_ZIP = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, NotImplementedError,
    IndexError, OverflowError,
)  # fmt: skip
_ENCRYPTED, _IS_UTF8 = 0x1, 0x800


@contextmanager
def unpacked(
    settings: Settings, contract: Contract, delivery: Delivery
) -> Iterator[list[tuple[Delivery, FileRefused | None]]]:
    """What is to be extracted of one landed file: itself, or the files in it where it is an archive.

    An archive that is refused is given as itself, with the refusal. What was unpacked is gone when
    the context ends.
    """
    if not delivery.path.lower().endswith(".zip"):
        yield [(delivery, None)]
        return
    spill = settings.home / "tmp"
    spill.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="zip-", dir=spill))
    try:
        sha256, received = deliveries.receive(settings, delivery)
        received = received.replace(folder / "archive.zip")
        parts: list[tuple[Delivery, FileRefused | None]]
        try:
            members = _members(settings, contract, delivery, sha256, received, folder)
            parts = [(member, None) for member in members]
        except FileRefused as refusal:
            whole = delivery.model_copy(update={"source": received, "in_landing": False})
            parts = [(whole, refusal)]
        yield parts
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _members(
    settings: Settings,
    contract: Contract,
    delivery: Delivery,
    sha256: str,
    received: Path,
    folder: Path,
) -> list[Delivery]:
    beside = deliveries.read_manifest(delivery, contract, settings.timezone)
    if beside is not None:
        deliveries.check_sha256(beside, sha256, delivery.path)
    try:
        with zipfile.ZipFile(received) as archive:
            named = _named(archive, delivery.path)
            check_size(archive, settings.unpacked_gigabytes, delivery.path)
            files = {
                name: info
                for name, info in named.items()
                if not PurePosixPath(name).name.startswith((".", "~"))
                and not name.startswith("__MACOSX/")
            }
            manifests = {n: info for n, info in files.items() if n.endswith(MANIFEST_SUFFIX)}
            data = {n: info for n, info in files.items() if n not in manifests}
            if not data:
                raise _refused(delivery.path, "holds no files")
            texts = {n: _text(archive.read(info)) for n, info in manifests.items()}
            lone = sorted(n for n in texts if n.removesuffix(MANIFEST_SUFFIX) not in data)
            if lone:
                raise _refused(delivery.path, f"holds {lone[0]!r}, but not the file it speaks of")
            members = []
            for number, (name, info) in enumerate(sorted(data.items()), start=1):
                target = folder / str(number)
                with archive.open(info) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                text = texts.get(name + MANIFEST_SUFFIX)
                if text is None and beside is not None:
                    text = _of_member(beside, delivery, len(data))
                members.append(
                    delivery.model_copy(
                        update={
                            "path": f"{delivery.path}/{name}",
                            "source": target,
                            "size": target.stat().st_size,
                            "manifest_text": text,
                            "in_landing": False,
                            "member": f"{delivery.stamp} {number}/{len(data)}",
                        }
                    )
                )
            return members
    except (*DAMAGED_ZIP, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # the machine's fault; a place before the file's beginning is the archive's
        raise FileRefused(
            "unreadable",
            f"{delivery.path}: is not a whole ZIP archive: {error}; send the file again",
        ) from None


def _named(archive: zipfile.ZipFile, path: str) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their decoded names; FileRefused for what may not be in one."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_FILES:
        raise _refused(path, f"holds {len(infos):,} files, more than {MOST_FILES:,}")
    named: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _decoded(info).replace("\\", "/")
        if name.endswith("/"):
            continue  # a folder, as some tools of Windows write it
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
            raise _refused(path, f"holds {name!r}, a name that leads out of the archive")
        if not name.isprintable():
            raise _refused(path, f"holds {name!r}, a name that can not be shown")
        if info.flag_bits & _ENCRYPTED:
            raise _refused(path, f"{name!r} is encrypted; send it without a password")
        if name.lower().endswith(".zip"):
            raise _refused(path, f"holds the archive {name!r}; send it as a file of its own")
        if name in named:
            raise _refused(path, f"holds two files that are called {name!r}")
        named[name] = info
    return named


def _decoded(info: zipfile.ZipInfo) -> str:
    """The name of a file, which tools of Chinese Windows write in GBK and do not say so."""
    if info.flag_bits & _IS_UTF8:
        return info.filename
    raw = info.orig_filename.partition("\0")[0].encode("cp437")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def check_size(archive: zipfile.ZipFile, gigabytes: float, path: str) -> None:
    """FileRefused where an archive would unpack to more than it may; its directory is believed only
    as an upper limit: reading stops there.
    """
    infos = archive.infolist()
    unpacked, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
    if unpacked > gigabytes * 1e9:
        raise _refused(
            path,
            f"would unpack to {unpacked / 1e9:,.1f} GB; the limit is "
            f"{gigabytes:g} (KEHU_UNPACKED_GIGABYTES)",
        )
    if unpacked > FROM_BYTES and unpacked > MOST_RATIO * packed:
        raise _refused(
            path,
            f"would unpack to {unpacked // max(packed, 1):,} times its size; a ZIP bomb, or an "
            "export to be sent without packing it",
        )


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "(not UTF-8)"


def _of_member(beside: Manifest, delivery: Delivery, members: int) -> str:
    """What the manifest beside an archive says of a file in it that has none of its own."""
    said = json.loads(delivery.manifest_text or "{}", parse_float=str)
    said.pop("sha256", None)  # of the archive, and verified
    if members > 1:
        counted = [
            f
            for f in ("rows", "control_sum", "batch_no", "store_days")
            if said.get(f) not in (None, [])
        ]
        if counted:
            raise FileRefused(
                "manifest",
                f"{delivery.path}{MANIFEST_SUFFIX}: states {', '.join(counted)}, but the archive "
                f"holds {members} files; put a manifest for each of them into the archive",
            )
    return json.dumps(said, ensure_ascii=False)


def _refused(path: str, told: str) -> FileRefused:
    return FileRefused("zip", f"{path}: {told}")
