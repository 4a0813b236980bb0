"""Feed contracts: what a source promises, read from `expectations/feeds/<feed>.yml`.

A contract is the only description of a feed: extraction types by it, the gate derives its row
rules from it, the load builds its tables from it. A mistake in one is reported with file, line
and field, before any data is touched.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from kehu.errors import ContractError

GROUPS = ("masters", "transactions", "surveys", "complaints")

SINCE = re.compile(r"(?<![:\w]):since\b")

# repairs of a column's text that a contract can declare → the types for which each is defined
NORMALISE: dict[str, tuple[str, ...]] = {
    "nfkc": ("varchar", "int", "decimal", "date", "timestamp", "flag"),
    "strip_quotes": ("varchar", "int", "decimal", "date", "timestamp", "flag"),
    "null_tokens": ("varchar", "int", "decimal", "date", "timestamp", "flag"),
    "currency": ("decimal",),
    "excel_serial": ("date", "timestamp"),
    "unknown_date": ("date",),
    "phone": ("varchar",),
    "pad": ("varchar",),
    "digits": ("varchar",),
    "lost_zeros": ("varchar",),
}

_TYPE = re.compile(r"(?P<base>varchar|decimal|int|date|timestamp|flag)(\((?P<args>[\d, ]+)\))?")


class Misnamed(ValueError):
    """A mistake that shows only when fields are held against each other; says where it stands."""

    def __init__(self, location: tuple[int | str, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


def _is_a_name(value: str) -> str:
    if not value.isidentifier() or value.startswith("_"):
        raise ValueError(
            f"{value!r} can not name a table or a column; use letters, digits and _, a letter first"
        )
    return value


Name = Annotated[str, AfterValidator(_is_a_name)]


class Column(BaseModel):
    """One column of a feed.

    `type` is varchar(n), int, decimal(p,s), date, timestamp or flag ({0|1}). `aliases` are other
    headers by which sources call it. `null_values` are texts that mean "no value". `values` says in
    the contract's words what the source says in its own (销售: SALE). `normalise` names repairs of the
    text, in their order (see expectations/README.md). `length` fixes the number of characters. `utc`
    marks a timestamp that the source writes in UTC. `pii` keeps the column out of everything but `pii.*`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    type: str
    description: str
    zh: str = ""
    required: bool = False
    aliases: list[str] = []
    allowed: list[str] = []
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    null_values: list[str] = []
    values: dict[str, str] = {}
    normalise: list[str] = []
    length: int | None = Field(default=None, ge=1)
    pii: bool = False
    utc: bool = False

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        match = _TYPE.fullmatch(value.strip())
        if match is None:
            raise ValueError(
                f"unknown type {value!r}; use varchar(n), int, decimal(p,s), date, timestamp or flag"
            )
        count = {"varchar": 1, "decimal": 2}.get(match["base"], 0)
        given = [int(a) for a in (match["args"] or "").split(",") if a.strip()]
        if len(given) != count:
            raise ValueError(f"type {value!r}: {match['base']} takes {count} number(s)")
        if match["base"] == "varchar" and not given[0]:
            raise ValueError(f"type {value!r}: takes at least one character")
        if match["base"] == "decimal" and not (1 <= given[0] <= 38 and given[1] <= given[0]):
            raise ValueError(
                f"type {value!r}: decimal(p,s) has 1 to 38 digits, s of them behind the point"
            )
        return value.strip().replace(" ", "")

    @field_validator("pattern")
    @classmethod
    def _valid_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(
                    f"pattern {value!r} is not a regular expression: {error}"
                ) from None
        return value

    @field_validator("normalise")
    @classmethod
    def _known_repairs(cls, value: list[str]) -> list[str]:
        unknown = [name for name in value if name not in NORMALISE]
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; use {', '.join(NORMALISE)}")
        if len(set(value)) < len(value):
            raise ValueError("names a repair twice")
        if "nfkc" in value[1:]:
            raise ValueError("nfkc comes first: the other repairs look for its plain characters")
        return value

    @model_validator(mode="after")
    def _rules_fit_type(self) -> Column:
        if self.base not in ("int", "decimal"):
            for field in ("min", "max"):
                if getattr(self, field) is not None:
                    raise Misnamed(
                        (field,), f"{field} holds for int and decimal, not for {self.base}"
                    )
        if self.base != "varchar":
            for field in ("allowed", "pattern", "length"):
                if getattr(self, field):
                    raise Misnamed((field,), f"{field} holds for varchar, not for {self.base}")
        if self.utc and self.base != "timestamp":
            raise Misnamed(("utc",), f"utc holds for timestamp, not for {self.base}")
        for i, name in enumerate(self.normalise):
            if self.base not in NORMALISE[name]:
                kinds = ", ".join(NORMALISE[name])
                raise Misnamed(("normalise", i), f"{name} holds for {kinds}, not for {self.base}")
        if "pad" in self.normalise and self.length is None:
            raise Misnamed(("normalise",), "pad needs the number of characters: length")
        meant = ["0", "1"] if self.base == "flag" else self.allowed
        for text, value in self.values.items():
            if value not in meant:
                raise Misnamed(
                    ("values", text), f"{value!r} is not one of the allowed: {', '.join(meant)}"
                )
        return self

    @property
    def base(self) -> str:
        """The type without its arguments."""
        return self.type.split("(")[0]

    @property
    def args(self) -> tuple[int, ...]:
        """Length of a varchar; precision and scale of a decimal."""
        inner = self.type.partition("(")[2].rstrip(")")
        return tuple(int(a) for a in inner.split(",")) if inner else ()

    @property
    def sql_type(self) -> str:
        """The DuckDB type of the typed value."""
        return {
            "varchar": "VARCHAR",
            "int": "INTEGER",
            "flag": "INTEGER",
            "date": "DATE",
            "timestamp": "TIMESTAMP",
        }.get(self.base) or self.type.upper()


class Source(BaseModel):
    """A database that gives a feed: the rows of `query`, collected before each night.

    `connection` names KEHU_CONNECTION_<NAME>. With a `watermark` the query is asked only for what is
    new: `:since` is the highest value of that column that is loaded, less `look_back_days`; `start`
    the first time. `batch_rows` are held in memory at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    connection: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    query: str
    watermark: str | None = None
    look_back_days: int = Field(default=3, ge=0)
    start: date = date(1900, 1, 1)
    batch_rows: int = Field(default=10_000, ge=1, le=1_000_000)

    @field_validator("query")
    @classmethod
    def _one_select(cls, value: str) -> str:
        query = value.strip().rstrip(";").rstrip()
        if not query:
            raise ValueError("is empty")
        return query

    @model_validator(mode="after")
    def _asks_for_what_is_new(self) -> Source:
        asks = SINCE.search(self.query) is not None
        if self.watermark and not asks:
            raise Misnamed(
                ("query",),
                f"does not ask for what is new: add `where {self.watermark} >= :since`, or take the "
                "watermark away to collect all rows each night",
            )
        if asks and not self.watermark:
            raise Misnamed(
                ("query",), ":since needs a watermark, the column that it is compared with"
            )
        if re.search(r"(?<![<>=])>\s*:since\b", self.query):
            raise Misnamed(
                ("query",), "write >= :since; with > rows of the very same time would be lost"
            )
        for field in ("look_back_days", "start"):
            if not self.watermark and field in self.model_fields_set:
                raise Misnamed((field,), f"{field} says nothing without a watermark")
        return self


class RowCheck(BaseModel):
    """A rule over one row: `sql` is true where the row is right; NULL counts as right."""

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    id: str
    column: str
    sql: str
    description: str


class GroupCheck(BaseModel):
    """A rule over the rows that share `by`: `sql` aggregates, and is true where the group is right.

    All rows of a wrong group are quarantined: which of them is wrong can not be known. A group
    that already lost a row to another rule is not judged, it is flagged incomplete.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    id: str
    column: str
    by: list[str]
    sql: str
    description: str


class RowRepair(BaseModel):
    """A repair that looks at a whole row: where `when` is true, each column of `set` gets its value.

    The values see the row as it was before the repair. Each changed value is flagged `column:id`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    id: str
    when: str
    set: dict[str, str] = Field(min_length=1)
    description: str


class Lookup(BaseModel):
    """A rule over a row and the row of another feed that shares `by`, in any of its versions.

    `sql` names the row's columns as `this.column` and those of the other as `ref.column`; it is true
    where the row is right. NULL counts as right, and so does a row without a counterpart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    id: str
    column: str
    feed: str
    by: list[str] = Field(min_length=1)
    sql: str
    description: str


class Contract(BaseModel):
    """The contract of one feed. See `expectations/README.md` for the fields in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)  # read once, shared by all

    feed: Name
    group: Literal["masters", "transactions", "surveys", "complaints"]
    grain: str
    zh: str = ""
    key: list[str] = Field(min_length=1)
    replace: Literal["store_day", "version", "event"]
    version: str | None = None
    drift: Literal["evolve", "freeze", "discard_column"] = "evolve"
    reject_limit: float = Field(default=0.05, ge=0, le=1)
    control_sum: str | None = None
    incomplete_group: list[str] = []
    volume_date: str | None = None
    encoding: str | None = None
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    sheet: str | int | None = None
    files: list[str] = []
    store_days_from_name: str | None = None
    source: Source | None = None
    columns: dict[Name, Column] = Field(min_length=1)
    checks: list[RowCheck] = []
    group_checks: list[GroupCheck] = []
    lookups: list[Lookup] = []
    repairs: list[RowRepair] = []

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        try:
            "a".encode(value or "utf-8")
        except (LookupError, UnicodeError):  # base64 is a codec, but of no text
            raise ValueError(
                f"unknown encoding {value!r}; use utf-8, gb18030, utf-16 ..."
            ) from None
        return value

    @field_validator("store_days_from_name")
    @classmethod
    def _names_store_and_date(cls, value: str | None) -> str | None:
        try:
            groups = re.compile(value or "(?P<store>)(?P<date>)").groupindex
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        if not {"store", "date"} <= set(groups):
            raise ValueError("the pattern needs the groups (?P<store>...) and (?P<date>...)")
        return value

    @model_validator(mode="after")
    def _names_exist(self) -> Contract:
        named: list[tuple[tuple[int | str, ...], str]] = []
        named += [(("key", i), k) for i, k in enumerate(self.key)]
        for field in ("version", "control_sum", "volume_date"):
            if getattr(self, field):
                named.append(((field,), getattr(self, field)))
        named += [(("incomplete_group", i), c) for i, c in enumerate(self.incomplete_group)]
        named += [(("checks", i, "column"), c.column) for i, c in enumerate(self.checks)]
        for i, group in enumerate(self.group_checks):
            named.append((("group_checks", i, "column"), group.column))
            named += [(("group_checks", i, "by", j), c) for j, c in enumerate(group.by)]
        for i, lookup in enumerate(self.lookups):
            named.append((("lookups", i, "column"), lookup.column))
            named += [(("lookups", i, "by", j), c) for j, c in enumerate(lookup.by)]
        for i, repair in enumerate(self.repairs):
            named += [(("repairs", i, "set", c), c) for c in repair.set]
        for location, wanted in named:
            if wanted not in self.columns:
                raise Misnamed(location, f"names the column {wanted!r}, which is not in columns")
        if self.replace == "store_day" and not {"store_code", "business_date"} <= set(self.columns):
            raise Misnamed(("replace",), "store_day needs the columns store_code and business_date")
        self._watermark_fits()
        for name in self.key:
            if not self.columns[name].required:
                raise Misnamed(("columns", name), f"key column {name!r} must be required: true")
        seen: dict[str, str] = {}
        for name, column in self.columns.items():
            for i, header in enumerate([name, *column.aliases]):
                owner = seen.setdefault(normalise_header(header), name)
                if owner != name:
                    alias: tuple[int | str, ...] = ("aliases", i - 1) if i else ()
                    raise Misnamed(
                        ("columns", name, *alias),
                        f"header {header!r} is an alias of both {owner!r} and {name!r}",
                    )
        ids: set[str] = set()
        numbered = [("checks", i, c.id) for i, c in enumerate(self.checks)]
        numbered += [("group_checks", i, c.id) for i, c in enumerate(self.group_checks)]
        numbered += [("lookups", i, c.id) for i, c in enumerate(self.lookups)]
        for field, i, identity in numbered:
            if identity in ids:
                raise Misnamed((field, i, "id"), f"{identity!r} is the id of two checks")
            ids.add(identity)
        self._sql_binds()
        return self

    def _watermark_fits(self) -> None:
        """What is collected by halves would push out what is whole."""
        watermark = self.source.watermark if self.source else None
        if watermark is None:
            return
        at = ("source", "watermark")
        if watermark not in self.columns:
            raise Misnamed(at, f"names the column {watermark!r}, which is not in columns")
        base = self.columns[watermark].base
        if base not in ("date", "timestamp"):
            raise Misnamed(at, f"must be a date or a timestamp; {watermark!r} is {base}")
        if self.replace == "store_day" and watermark != "business_date":
            raise Misnamed(
                at,
                "must be business_date where store-days replace each other: only `business_date >= "
                ":since` gives whole store-days, and half of one would push out the whole one",
            )

    def _sql_binds(self) -> None:
        """Patterns and checks must be what DuckDB can run; a mistake would stop a night at the gate."""
        with duckdb.connect() as connection:
            for name, column in self.columns.items():
                try:
                    connection.execute("select regexp_full_match('', ?)", [column.pattern or ""])
                except duckdb.Error as error:
                    raise Misnamed(
                        ("columns", name, "pattern"), f"DuckDB can not use it: {error}"
                    ) from None
            typed = ", ".join(f'null::{c.sql_type} as "{n}"' for n, c in self.columns.items())
            connection.execute(f"create table empty as select {typed} where false")
            queries: list[tuple[tuple[int | str, ...], str]] = [
                (("checks", i, "sql"), f"select true and ({check.sql}) from empty")
                for i, check in enumerate(self.checks)
            ]
            for i, group in enumerate(self.group_checks):
                by = ", ".join(f'"{c}"' for c in group.by)
                queries.append(
                    (
                        ("group_checks", i, "sql"),
                        f"select {by} from empty group by {by} having {group.sql}",
                    )
                )
            for i, repair in enumerate(self.repairs):
                queries.append(
                    (("repairs", i, "when"), f"select true and ({repair.when}) from empty")
                )
                for name, value in repair.set.items():
                    cast = f"select ({value})::{self.columns[name].sql_type} from empty"
                    queries.append((("repairs", i, "set", name), cast))
            for location, query in queries:
                try:
                    connection.execute(query)
                except duckdb.Error as error:
                    first = str(error).splitlines()[0]
                    raise Misnamed(location, f"DuckDB can not run it: {first}") from None

    @cached_property
    def headers(self) -> dict[str, str]:
        """Normalised header → column name, aliases included."""
        return {
            normalise_header(header): name
            for name, column in self.columns.items()
            for header in [name, *column.aliases]
        }

    @cached_property
    def row_repairs(self) -> list[RowRepair]:
        """The repairs over a row, with those that `unknown_date` implies.

        `{day}` stands for the day of the delivery: a form that fills in today says nothing.
        """
        implied = [
            RowRepair(
                id="unknown_date",
                when=f"\"{name}\" in (date '1900-01-01', date '1970-01-01', date '{{day}}')",
                set={name: "null"},
                description="1900-01-01, 1970-01-01 and the day of the delivery are no date",
            )
            for name, column in self.columns.items()
            if "unknown_date" in column.normalise
        ]
        return implied + self.repairs

    @property
    def pii_columns(self) -> list[str]:
        return [name for name, column in self.columns.items() if column.pii]

    @property
    def plain_columns(self) -> list[str]:
        return [name for name, column in self.columns.items() if not column.pii]

    @cached_property
    def digest(self) -> str:
        """Changes when the contract changes, so that stale typed batches are made again."""
        return hashlib.sha256(self.model_dump_json(exclude={"source"}).encode()).hexdigest()[:16]


def normalise_header(header: str) -> str:
    """Fold what exports vary in a header: width, case, spaces, byte-order mark, underscores."""
    folded = unicodedata.normalize("NFKC", header).strip("\ufeff \t\"'").casefold()
    return re.sub(r"[\s_\-]+", "_", folded)


def read_contract(path: Path) -> Contract:
    """Read and validate one contract; ContractError names file, line and field."""
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ContractError(f"{path}: can not be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ContractError(f"{path}:{line}: is not UTF-8; save it as UTF-8") from None


@lru_cache(maxsize=64)  # every step of a night reads the contracts, and they seldom change
def _parsed(path: Path, text: str) -> Contract:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        twice = [f"{path}:{line}: field {name}: stands twice" for line, name in _twice(node)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ContractError(f"{path}:{line}: not valid YAML: {error.reason}") from None
    except RecursionError:
        raise ContractError(f"{path}:1: not a contract: its fields are nested too deep") from None
    if not isinstance(data, dict):
        raise ContractError(f"{path}:1: a contract is a mapping with feed, key, columns ...")
    if twice:
        raise ContractError("\n".join(twice))
    try:
        contract = Contract.model_validate(data)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            cause = problem.get("ctx", {}).get("error")
            inner = cause.location if isinstance(cause, Misnamed) else ()
            location = (*(p for p in problem["loc"] if p != "[key]"), *inner)
            problems.append(
                f"{path}:{_line_of(node, location)}: field {'.'.join(map(str, location))}: "
                f"{problem['msg'].removeprefix('Value error, ')}"
            )
        raise ContractError("\n".join(problems)) from None
    if contract.feed != path.stem:
        raise ContractError(
            f"{path}:{_line_of(node, ('feed',))}: field feed: is {contract.feed!r}, "
            f"but the file is named {path.stem!r}; they must agree"
        )
    return contract


def read_contracts(folder: Path) -> dict[str, Contract]:
    """All contracts of a folder by feed name; every mistake of every file is reported at once."""
    contracts: dict[str, Contract] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.yml")):
        try:
            contracts[path.stem] = read_contract(path)
        except ContractError as error:
            problems.append(str(error))
    problems += [] if problems else _lookups_bind(contracts, folder)
    if problems:
        raise ContractError("\n".join(problems))
    if not contracts:
        raise ContractError(f"{folder}: holds no contracts (*.yml); is KEHU_PROJECT right?")
    return contracts


def _lookups_bind(contracts: dict[str, Contract], folder: Path) -> list[str]:
    """Mistakes of lookups, which show only when two contracts are held against each other."""
    problems = []
    for contract in contracts.values():
        for lookup in contract.lookups:
            other = contracts.get(lookup.feed)
            where = f"{folder / contract.feed}.yml: lookup {lookup.id}"
            if other is None:
                problems.append(f"{where}: no contract for the feed {lookup.feed!r}")
                continue
            missing = [name for name in lookup.by if name not in other.columns]
            if missing:
                problems.append(f"{where}: {lookup.feed} has no column {', '.join(missing)}")
                continue
            sides = [
                ", ".join(f'null::{c.sql_type} as "{n}"' for n, c in side.columns.items())
                for side in (contract, other)
            ]
            matched = " and ".join(f'this."{n}" = ref."{n}"' for n in lookup.by)
            with duckdb.connect() as connection:
                try:
                    connection.execute(
                        f"select true and ({lookup.sql}) from (select {sides[0]}) as this "
                        f"join (select {sides[1]}) as ref on {matched}"
                    )
                except duckdb.Error as error:
                    told = str(error).splitlines()[0]
                    problems.append(f"{where}: DuckDB can not run it: {told}")
    return problems


def _twice(node: Any, within: str = "") -> Iterator[tuple[int, str]]:
    """Fields that stand twice in one mapping; YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = f"{within}{key.value}"
            if name in seen:
                yield key.start_mark.line + 1, name
            seen.add(name)
            yield from _twice(value, f"{name}.")
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _twice(value, f"{within}{i}.")


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of `location` that stands in the document, 1-based."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
