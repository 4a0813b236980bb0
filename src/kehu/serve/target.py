"""Targets: where a publication is copied to, and the listing of what was written there."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kehu.database import POSTGRESQL, Database, database_at, find_database
from kehu.errors import KehuError, SourceFailed, TargetFailed
from kehu.files import write_atomically
from kehu.settings import Settings

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# what is given as a folder must look like one: a URL with a slip in it would be one too
FOLDER = re.compile(r"(/|\./|\.\./|~)[^@:]*")
HIDDEN = "(not shown, it may hold a password)"
PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,20}|")


@dataclass(frozen=True)
class Options:
    """How a copy is made; the settings say it, and the command line may say otherwise."""

    with_facts: bool
    role: str
    prefix: str
    wait: float
    force: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """As the settings have it."""
        return cls(
            settings.publish_facts,
            settings.publish_role,
            settings.publish_prefix,
            settings.publish_wait,
        )


@dataclass(frozen=True)
class Target:
    """A place by its name as it may be shown: without a password."""

    name: str
    kind: str  # postgresql or folder
    database: Database | None = None
    path: str = ""

    @property
    def slug(self) -> str:
        """A file name of its own."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[:60]
        return f"{plain}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"


class Listing(BaseModel):
    """What stands in a target, and what was told when it was last written to."""

    target: str
    kind: str
    publication: str = ""
    as_of_date: str = ""
    written_at: datetime | None = None
    seconds: float = 0
    waited: float = 0  # of these, for readers
    schemas: list[str] = []
    role: str = ""
    with_facts: bool = False
    tables: dict[str, int] = {}
    size: int = 0
    was_there: bool = False
    notes: list[str] = []
    error: str = ""
    failed_at: datetime | None = None

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


def read_target(text: str) -> Target:
    """What `--to` and KEHU_PUBLISH_TO name: a URL, the name of a connection, a folder.

    KehuError where it is none of them. Neither it nor a target shows what may be a password: a URL
    with a slip in it is no folder, and is not repeated.
    """
    text = text.strip()
    if not text:
        raise KehuError("a target is a connection, a postgresql:// URL or a ./folder")
    if "://" in text:
        scheme = _scheme(text)
        if scheme.partition("+")[0] not in POSTGRESQL:
            raise KehuError(
                f"{scheme}://: Kehu publishes to PostgreSQL (postgresql://…) or to a folder (./export)"
            )
        try:
            database = _postgresql(database_at(text), scheme)
        except SourceFailed as error:
            raise TargetFailed(f"{error}") from None
        if "@" in (database.url.host or ""):  # of a password, the rest of which would be shown
            raise TargetFailed(
                "the address: there is more than one @ in it; in user and password it is written "
                "as %40"
            )
        return Target(_shown(database), "postgresql", database)
    if WORD.fullmatch(text):
        try:
            return Target(text, "postgresql", _postgresql(find_database(text), text))
        except SourceFailed as error:
            hint = f"; a folder is written with a slash: ./{text}"
            raise TargetFailed(f"{error}{hint}") from None
    if not FOLDER.fullmatch(text):
        raise KehuError(
            f"{told_name(text)}: is no target. A connection is named with letters, digits and _, an "
            "address begins with postgresql://, and a folder with /, ./, ../ or ~, and has no @ and "
            "no : in it"
        )
    try:
        folder = Path(text).expanduser().resolve()
    except RuntimeError:
        raise KehuError(f"{text}: there is no such home directory; write the whole path") from None
    return Target(str(folder), "folder", path=str(folder))


def told_name(text: str) -> str:
    """A target that is not understood, by a name that may be shown."""
    if "://" in text:
        return f"{_scheme(text)}://"
    return HIDDEN if re.search("[@:]", text) else text


def _scheme(text: str) -> str:
    scheme = text.partition("://")[0].lower()
    return scheme if SCHEME.fullmatch(scheme) else "…"


def _postgresql(database: Database, given: str) -> Database:
    if database.url.drivername.partition("+")[0] not in POSTGRESQL:
        raise KehuError(
            f"{given}: Kehu publishes to PostgreSQL or to a folder, not to "
            f"{database.url.drivername.partition('+')[0]}"
        )
    return database


def _shown(database: Database) -> str:
    url = database.url
    place = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port else ""
    login = f"{url.username}@" if url.username else ""
    return f"postgresql://{login}{place}{port}/{url.database or ''}"


def configured(settings: Settings) -> list[str]:
    """The targets of the settings as they are written there; they may hold a password."""
    texts: list[str] = []
    for text in settings.publish_to.get_secret_value().split(","):
        begun = [i for i, each in enumerate(texts) if "://" in each and "@" not in each]
        if "@" in text and "://" not in text and begun:  # the comma was part of a password
            texts[begun[-1] :] = [",".join([*texts[begun[-1] :], text])]
        else:
            texts.append(text)
    return [text.strip() for text in texts if text.strip()]


def _folder(settings: Settings) -> Path:
    return settings.home / "targets"


def keep(settings: Settings, target: Target, listing: Listing, publication: Path | None) -> None:
    """Write down what stands in the target, and beside the publication that it is a copy of."""
    text = json.dumps(listing.model_dump(mode="json"), ensure_ascii=False, indent=1)
    write_atomically(_folder(settings) / f"{target.slug}.json", text)
    if publication is not None and publication.is_dir():  # not cleared away in the meantime
        write_atomically(publication / "targets" / f"{target.slug}.json", text)


def kept(settings: Settings, target: Target) -> Listing | None:
    """What was last written down of a target."""
    return _read(_folder(settings) / f"{target.slug}.json")


def all_kept(settings: Settings) -> list[Listing]:
    """What was last written down of each target."""
    found = [_read(path) for path in sorted(_folder(settings).glob("*.json"))]
    return [listing for listing in found if listing is not None]


def _read(path: Path) -> Listing | None:
    try:
        return Listing.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


def summary(listing: Listing) -> dict[str, Any]:
    """The facts of a listing for the journal."""
    return {
        "publication": listing.publication,
        "tables": len(listing.tables),
        "rows": listing.rows,
        "waited": listing.waited,
        "was_there": listing.was_there,
    }
