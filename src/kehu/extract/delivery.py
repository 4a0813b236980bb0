"""Deliveries: what lies in the landing folder, its manifest, and its copy in the archive."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kehu.errors import FileRefused, KehuError, MachineFault
from kehu.extract.landing import Landed, Landing
from kehu.feeds import Contract
from kehu.files import replace_durably, write_atomically
from kehu.settings import Settings

MANIFEST_SUFFIX = ".manifest.json"
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "workbook",
    ".xlsm": "workbook",
    ".xls": "workbook",
    ".zip": "zip",
}
COLLECTED = "collected/"  # what `kehu.collect` brought from a database, instead of a landed file
_MANIFEST_READERS = 16  # a bucket takes some 20 ms to answer, however small the file
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload")


class Manifest(BaseModel):
    """What the source says of its own file; see `feeds.md`, Delivery. Every field is optional."""

    model_config = ConfigDict(extra="ignore")

    feed: str | None = None
    rows: int | None = Field(default=None, ge=0, lt=2**62)
    control_sum: Decimal | None = Field(default=None, max_digits=36, decimal_places=8)
    sha256: str | None = None
    batch_no: int | None = Field(default=None, ge=0, lt=2**31)  # of store-days without rows
    generated_at: datetime | None = None
    store_days: list[tuple[str, date]] = []
    simulated: bool = False

    @field_validator("store_days", mode="before")
    @classmethod
    def _pairs_or_objects(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [
                (v.get("store_code"), v.get("business_date")) if isinstance(v, dict) else v
                for v in value
            ]
        return value


class Delivery(BaseModel):
    """One file that arrived: where its bytes are, what stands beside it, when it was first seen."""

    feed: str
    path: str  # as the operator knows it: relative to the landing folder
    source: Path  # where the bytes are read from: landing or archive
    size: int
    mtime_ns: int
    arrived_at: datetime
    manifest_text: str | None = None
    in_landing: bool = False  # `source` is a path of the landing place, which may be a bucket
    member: str | None = None  # of a ZIP archive: its stamp, and which of its files, as "3/7"

    @property
    def stamp(self) -> str:
        """Changes when the file or its manifest changes; cheaper than reading the bytes."""
        if self.member is not None:
            return self.member
        text = self.manifest_text or ""
        return f"{self.size}:{self.mtime_ns}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Waiver(BaseModel):
    """A critical check that an operator lets one batch pass, with who, when and why."""

    check: str
    who: str
    at: datetime
    reason: str


class Correction(BaseModel):
    """What an operator decided about some quarantined rows of a batch, with who, when and why.

    The last decision on a line holds. `rules` names the rule that each line broke. `cells` holds, for
    released lines, the columns that the operator wrote: a text by line, None where the source's stays.
    """

    action: Literal["RELEASED", "DISCARDED", "UNDONE"]
    who: str
    at: datetime
    reason: str
    lines: list[int]
    rules: list[str]
    cells: dict[str, list[str | None]] = {}


class Archived(BaseModel):
    """The archive's card for one batch, kept beside the bytes so that a rebuild needs nothing else."""

    batch_id: str
    sha256: str
    delivery: Delivery
    waivers: list[Waiver] = []
    corrections: list[Correction] = []


class Left(NamedTuple):
    """A file that is not taken in, and why."""

    path: str
    reason: str


class Look(NamedTuple):
    """What lies in the landing place: deliveries, oldest first, and what is left there."""

    deliveries: list[Delivery]
    left: list[Left]


def scan(
    settings: Settings, contracts: Mapping[str, Contract], feeds: list[str], now: datetime
) -> list[Delivery]:
    """All finished files of the feeds, oldest first."""
    return [d for d in look(settings, contracts, now).deliveries if d.feed in feeds]


def look(settings: Settings, contracts: Mapping[str, Contract], now: datetime) -> Look:
    """All finished files by feed, and all others with the reason why they are left.

    A file is of the feed in whose folder it lies and whose `files` patterns, if it has any, match its
    name. One that lies in no folder is of the feed whose patterns match it, if exactly one does. What
    was collected from databases comes the same way, with paths `collected/<feed>/...`. Hidden names
    (`.x`, `~x`) are not spoken of.
    """
    landing = Landing.of(settings)
    files, unreadable = landing.files()
    left = [Left(path, reason) for path, reason in unreadable]
    found = _finished(files, contracts, left)
    collected = Landing.local(settings.collected)
    bare = {name: c.model_copy(update={"files": []}) for name, c in contracts.items()}
    brought = _finished(collected.files()[0], bare, [])
    deliveries = [
        Delivery(
            feed=feed,
            path=prefix + file.path,
            source=Path(file.source),
            size=file.size,
            mtime_ns=file.mtime_ns,
            arrived_at=now,
            manifest_text=text,
            in_landing=place is landing,
        )
        for place, prefix, part in ((landing, "", found), (collected, COLLECTED, brought))
        for (file, feed, _), text in zip(part, _manifests(place, part), strict=True)
    ]
    return Look(sorted(deliveries, key=lambda d: (d.mtime_ns, d.path)), left)


def _finished(
    files: list[Landed], contracts: Mapping[str, Contract], left: list[Left]
) -> list[tuple[Landed, str, bool]]:
    """The files that are of a feed: which, and whether a manifest lies beside. Others go to `left`."""
    paths = {file.path for file in files}
    found = []
    for file in files:
        name = PurePosixPath(file.path).name
        if name.startswith((".", "~")):
            continue
        if name.endswith(MANIFEST_SUFFIX):
            if file.path.removesuffix(MANIFEST_SUFFIX) not in paths:
                left.append(Left(file.path, "the file that it speaks of is not here"))
        elif name.lower().endswith(_UNFINISHED):
            left.append(Left(file.path, "its name says that it is not finished"))
        else:
            feed, reason = _feed_of(file.path, contracts)
            if feed is None:
                left.append(Left(file.path, reason))
            else:
                found.append((file, feed, file.path + MANIFEST_SUFFIX in paths))
    return found


def _manifests(place: Landing, files: list[tuple[Landed, str, bool]]) -> list[str | None]:
    """The text of the manifest beside each file, None where there is none."""

    def text(item: tuple[Landed, str, bool]) -> str | None:
        file, _, has_manifest = item
        return place.text(file.source + MANIFEST_SUFFIX) if has_manifest else None

    with ThreadPoolExecutor(_MANIFEST_READERS) as pool:
        return list(pool.map(text, files))


def _feed_of(path: str, contracts: Mapping[str, Contract]) -> tuple[str | None, str]:
    """The feed of a landed file, or why it has none."""
    folder, _, rest = path.partition("/")
    if not rest:
        owners = [c.feed for c in contracts.values() if _is_named(path, c.files)]
        if len(owners) == 1:
            return owners[0], ""
        if owners:
            return (
                None,
                f"the patterns of {', '.join(owners)} match it: make `files` tell them apart",
            )
        return None, "it lies in no feed's folder, and no contract's `files` match its name"
    if folder not in contracts:
        return None, f"there is no feed {folder!r}; the folder of a feed has its name"
    patterns = contracts[folder].files
    if patterns and not _is_named(rest, patterns):
        return None, f"matches none of the contract's `files`: {', '.join(patterns)}"
    return folder, ""


def _is_named(path: str, patterns: list[str]) -> bool:
    """Whether a pattern matches the name, or the path where the pattern has folders; case aside."""
    name = PurePosixPath(path).name
    return any(
        fnmatch.fnmatchcase((path if "/" in p else name).casefold(), p.casefold()) for p in patterns
    )


def settle(settings: Settings, fresh: list[Delivery]) -> tuple[list[Delivery], list[Left]]:
    """Which of some landed files are whole, as far as that can be told, and which are left.

    A file younger than `settle_seconds` without a manifest that could prove it is looked at again
    when they are over; it is left where it has changed meanwhile. So is one from the future: what a
    wrong clock says is not believed, only that nothing changed.
    """
    edge = time.time_ns() - int(settings.settle_seconds * 1e9)
    young = [d for d in fresh if d.in_landing and d.mtime_ns > edge and not _is_provable(d)]
    if not young:
        return fresh, []
    time.sleep(settings.settle_seconds)
    landing = Landing.of(settings)
    growing = {d.path for d in young if landing.state(d.source.as_posix()) != (d.size, d.mtime_ns)}
    left = [Left(path, "is still being written; left for the next run") for path in sorted(growing)]
    return [d for d in fresh if d.path not in growing], left


def _is_provable(delivery: Delivery) -> bool:
    """Whether a manifest states rows or sha256, so that a part of the file would be refused."""
    try:
        manifest = Manifest.model_validate_json(delivery.manifest_text or "")
    except ValidationError:
        return False
    return manifest.rows is not None or manifest.sha256 is not None


def read_manifest(delivery: Delivery, contract: Contract, timezone: str) -> Manifest | None:
    """The manifest beside a file, or None; FileRefused where it is not understood."""
    if delivery.manifest_text is None:
        return None
    where = f"{delivery.path}{MANIFEST_SUFFIX}"
    try:
        manifest = Manifest.model_validate_json(delivery.manifest_text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"]) or "(file)"
        raise FileRefused(
            "manifest",
            f"{where}: field {field}: {first['msg']}; correct the manifest or take it away",
        ) from None
    if manifest.feed is not None and manifest.feed != contract.feed:
        raise FileRefused(
            "manifest",
            f"{where}: is for feed {manifest.feed!r}, but the file lies under {contract.feed!r}",
        )
    if manifest.generated_at is not None and manifest.generated_at.tzinfo is not None:
        local = manifest.generated_at.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
        manifest = manifest.model_copy(update={"generated_at": local})
    return manifest


def check_sha256(manifest: Manifest, sha256: str, path: str) -> None:
    """FileRefused where the bytes are not those that the manifest speaks of."""
    if manifest.sha256 and manifest.sha256.lower() != sha256:
        raise FileRefused(
            "sha256",
            f"{path}: its sha256 is {sha256}, the manifest says {manifest.sha256}; the file was cut "
            "or changed on its way: send it again",
        )


def store_days_from_name(contract: Contract, path: str) -> list[tuple[str, date]]:
    """Store-days that the contract's file-name pattern declares (groups `store` and `date`)."""
    if not contract.store_days_from_name or path.startswith(COLLECTED):
        return []
    match = re.search(contract.store_days_from_name, Path(path).name)
    if not match:
        return []
    try:
        return [(match["store"], date.fromisoformat(match["date"]))]
    except ValueError:
        raise FileRefused(
            "store_days", f"{path}: its name says {match['date']!r}, which is not a date"
        ) from None


def file_format(path: str) -> tuple[str, str | None]:
    """(format, compression) by the name's ending; FileRefused for an ending that is not known."""
    name = path.lower()
    compression = "gzip" if name.endswith(".gz") else None
    ending = Path(name.removesuffix(".gz")).suffix
    if ending not in FORMATS:
        raise FileRefused(
            "format",
            f"{path}: files that end in {ending or '(nothing)'!r} are not read; "
            f"deliver {', '.join(sorted(set(FORMATS)))}, plain or .gz",
        )
    return FORMATS[ending], compression


def batch_id(feed: str, sha256: str, store_days: list[tuple[str, date]]) -> str:
    """Identity of a batch: feed + sha256 of the bytes + declared store-days."""
    declared = json.dumps(sorted((s, d.isoformat()) for s, d in store_days))
    return f"{feed}-{hashlib.sha256(f'{feed}|{sha256}|{declared}'.encode()).hexdigest()[:16]}"


def receive(settings: Settings, delivery: Delivery) -> tuple[str, Path]:
    """Copy the raw bytes to the archive's entrance; returns their sha256 and where they are.

    Raises StillWritten where the file changes meanwhile, FileNotFoundError where it is gone, and
    KehuError where it can not be read to its end.
    """
    incoming = settings.archive / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    temporary = incoming / f"{os.getpid()}-{hashlib.sha1(delivery.path.encode()).hexdigest()[:12]}"
    source = delivery.source
    try:
        if delivery.in_landing:
            seen = (delivery.size, delivery.mtime_ns)
            landing = Landing.of(settings)
            return landing.fetch(source.as_posix(), seen, delivery.path, temporary), temporary
        digest = hashlib.sha256()
        with source.open("rb") as stream, temporary.open("wb") as target:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        return digest.hexdigest(), temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def archive(settings: Settings, delivery: Delivery) -> tuple[str, Path]:
    """Copy the raw bytes under their sha256, once; bytes are never edited.

    Returns the sha256 and the path of the archived bytes.
    """
    sha256, temporary = receive(settings, delivery)
    folder = settings.archive / delivery.feed / sha256[:2]
    folder.mkdir(parents=True, exist_ok=True)
    source = delivery.source
    if source.is_relative_to(settings.archive) and not source.name.startswith(f"{sha256}."):
        temporary.unlink()
        raise MachineFault(
            f"{source}: is damaged, its bytes are not those of {delivery.path} that arrived; put it "
            "back from a backup, or have the file sent again"
        )
    kept = next((p for p in folder.glob(f"{sha256}.*") if p.suffix != ".json"), None)
    if kept is None or kept.stat().st_size != temporary.stat().st_size:  # cut: mended by this copy
        kept = kept or folder / f"{sha256}{_ending(delivery.path)}"
        replace_durably(temporary, kept)
    else:
        temporary.unlink()
    return sha256, kept


def _ending(path: str) -> str:
    """The ending under which bytes are archived: that of a format that is read, else `.raw`."""
    try:
        _, compression = file_format(path)
    except FileRefused:
        return ".raw"
    name = path.lower()
    return Path(name.removesuffix(".gz")).suffix + (".gz" if compression else "")


def settle_card(
    identity: str, sha256: str, kept: Path, delivery: Delivery, *, is_settled: bool
) -> Archived:
    """Write the card of a batch beside its bytes, and return it; it keeps its first arrival.

    A rebuild knows nothing but the card. So what is in the warehouse already (`is_settled`) keeps the
    manifest that it was loaded with, and a copy without a manifest takes none away.
    """
    card_path = kept.with_name(f"{identity}.json")
    arrived_at = delivery.arrived_at
    waivers: list[Waiver] = []
    corrections: list[Correction] = []
    if card_path.exists():
        known = read_card(card_path)
        arrived_at = min(arrived_at, known.delivery.arrived_at)
        waivers, corrections = known.waivers, known.corrections
        is_copy = known.delivery.path != delivery.path
        has_less = delivery.manifest_text is None and known.delivery.manifest_text is not None
        if is_settled or (is_copy and has_less):
            delivery = known.delivery
    card = Archived(
        batch_id=identity,
        sha256=sha256,
        delivery=delivery.model_copy(
            update={"source": kept, "arrived_at": arrived_at, "in_landing": False}
        ),
        waivers=waivers,
        corrections=corrections,
    )
    write_card(card)
    return card


def read_card(path: Path) -> Archived:
    """The archive's card of one batch; MachineFault where it is not whole."""
    try:
        return Archived.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise MachineFault(f"{path}: is damaged; put it back from a backup") from None


def card_of(settings: Settings, batch: str) -> Archived:
    """The card of one batch; KehuError where no such batch ever arrived."""
    found = find_card(settings, batch)
    if found is None:
        raise KehuError(f"no batch {batch!r} in the archive; `kehu status --batches` lists them")
    return read_card(found)


def find_card(settings: Settings, batch: str) -> Path | None:
    """Where the card of a batch lies, None where no such batch ever arrived."""
    return next(settings.archive.glob(f"*/??/{glob.escape(batch)}.json"), None)


def write_card(card: Archived) -> None:
    """Write the card beside the bytes that it describes."""
    write_atomically(
        card.delivery.source.with_name(f"{card.batch_id}.json"), card.model_dump_json(indent=1)
    )


def cards(settings: Settings) -> list[Archived]:
    """All archived batches, in the order in which they arrived."""
    found = [read_card(path) for path in settings.archive.glob("*/??/*-*.json")]
    return sorted(
        found, key=lambda c: (c.delivery.arrived_at, c.delivery.mtime_ns, c.delivery.path)
    )
