"""Deliveries: what lies in the landing folder, its manifest, and its copy in the archive."""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kehu.errors import FileRefused, KehuError
from kehu.feeds import Contract
from kehu.files import write_atomically
from kehu.settings import Settings

MANIFEST_SUFFIX = ".manifest.json"
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
COLLECTED = "collected/"  # what `kehu.collect` brought from a database, instead of a landed file
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

    @property
    def stamp(self) -> str:
        """Changes when the file or its manifest changes; cheaper than reading the bytes."""
        text = self.manifest_text or ""
        return f"{self.size}:{self.mtime_ns}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Waiver(BaseModel):
    """A critical check that an operator lets one batch pass, with who, when and why."""

    check: str
    who: str
    at: datetime
    reason: str


class Archived(BaseModel):
    """The archive's card for one batch, kept beside the bytes so that a rebuild needs nothing else."""

    batch_id: str
    sha256: str
    delivery: Delivery
    waivers: list[Waiver] = []


def scan(settings: Settings, feeds: list[str], now: datetime) -> list[Delivery]:
    """All finished files under `landing/<feed>/`, oldest first; hidden and unfinished names are left.

    What was collected from databases comes the same way, with paths `collected/<feed>/...`.
    """
    found: list[tuple[int, str, str, Path, int]] = []
    roots = [(feed, settings.landing, "") for feed in feeds]
    roots += [(feed, settings.collected, COLLECTED) for feed in feeds]
    for feed, base, prefix in roots:
        for folder, _, names in os.walk(base / feed):
            for name in names:
                path = Path(folder) / name
                if (
                    name.startswith((".", "~"))
                    or name.endswith(_UNFINISHED)
                    or name.endswith(MANIFEST_SUFFIX)
                ):
                    continue
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # moved away between listing and looking
                relative = prefix + path.relative_to(base).as_posix()
                found.append((stat.st_mtime_ns, relative, feed, path, stat.st_size))
    found.sort()
    return [
        Delivery(
            feed=feed,
            path=relative,
            source=path,
            size=size,
            mtime_ns=mtime_ns,
            arrived_at=now,
            manifest_text=_manifest_text(path),
        )
        for mtime_ns, relative, feed, path, size in found
    ]


def _manifest_text(path: Path) -> str | None:
    try:
        return path.with_name(path.name + MANIFEST_SUFFIX).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return "(not UTF-8)"


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


def archive(settings: Settings, delivery: Delivery) -> tuple[str, Path]:
    """Copy the raw bytes under their sha256, once; bytes are never edited.

    Returns the sha256 and the path of the archived bytes.
    """
    suffixes = "".join(Path(delivery.path.lower()).suffixes[-2:])
    digest = hashlib.sha256()
    incoming = settings.archive / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    temporary = incoming / f"{os.getpid()}-{hashlib.sha1(delivery.path.encode()).hexdigest()[:12]}"
    with delivery.source.open("rb") as source, temporary.open("wb") as target:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    sha256 = digest.hexdigest()
    folder = settings.archive / delivery.feed / sha256[:2]
    folder.mkdir(parents=True, exist_ok=True)
    kept = next((p for p in folder.glob(f"{sha256}.*") if p.suffix != ".json"), None)
    if kept is None:
        kept = folder / f"{sha256}{suffixes}"
        os.replace(temporary, kept)
    else:
        temporary.unlink()
    return sha256, kept


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
    if card_path.exists():
        known = read_card(card_path)
        arrived_at = min(arrived_at, known.delivery.arrived_at)
        waivers = known.waivers
        is_copy = known.delivery.path != delivery.path
        has_less = delivery.manifest_text is None and known.delivery.manifest_text is not None
        if is_settled or (is_copy and has_less):
            delivery = known.delivery
    card = Archived(
        batch_id=identity,
        sha256=sha256,
        delivery=delivery.model_copy(update={"source": kept, "arrived_at": arrived_at}),
        waivers=waivers,
    )
    write_card(card)
    return card


def read_card(path: Path) -> Archived:
    """The archive's card of one batch."""
    return Archived.model_validate_json(path.read_text(encoding="utf-8"))


def card_of(settings: Settings, batch: str) -> Archived:
    """The card of one batch; KehuError where no such batch ever arrived."""
    found = next(settings.archive.glob(f"*/??/{batch}.json"), None)
    if found is None:
        raise KehuError(f"no batch {batch!r} in the archive; `kehu status --batches` lists them")
    return read_card(found)


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
