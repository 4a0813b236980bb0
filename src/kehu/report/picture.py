"""What a picture is made of: numbers asked of the marts, words in two languages, a drawing for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import altair as alt
import duckdb

from kehu.extract.typing import literal
from kehu.report.figures import LANGUAGES as LANGUAGES
from kehu.report.figures import Language as Language
from kehu.report.figures import Row as Row

Words = dict[str, str]
Chart = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart | alt.FacetChart
Kind = Literal["text", "count", "share", "money", "number", "points", "date", "month", "flag"]

COMPANY = "ALL"


def both(en: str, zh: str) -> Words:
    """One text in both languages."""
    return {"en": en, "zh": zh}


@dataclass(frozen=True)
class Column:
    """A column of the data beneath a picture: its heading, how it is written, names of its codes."""

    name: str
    heading: Words
    kind: Kind = "text"
    codes: Mapping[str, Words] = field(default_factory=dict)


SMALL_SAMPLE = Column("is_small_sample", both("Small sample", "样本不足"), "flag")


@dataclass(frozen=True)
class Picture:
    """A drawing in each language with the numbers it shows and the SQL that asked for them.

    `svg` holds whole, self-contained documents: title, whose numbers, date, notes and the mark of
    simulated data are inside; text is text, ids are unique on a page. `missing` says why there is
    nothing to draw, and `svg` is empty then. `store_code` is whose numbers these are: ALL also where
    a store was asked for and the mart knows no stores.
    """

    id: str
    metric_ids: tuple[str, ...]
    title: Words
    caption: Words
    svg: Words
    data: list[Row]
    sql: str
    is_simulated: bool
    missing: Words | None
    columns: tuple[Column, ...]
    store_code: str

    def table(self, language: Language) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of the data in words, for a table beneath the picture."""
        return (
            [column.heading[language] for column in self.columns],
            [
                [written(row[column.name], column, language) for column in self.columns]
                for row in self.data
            ],
        )


@dataclass(frozen=True)
class Draft:
    """A picture before it is drawn.

    `chart` gives the drawing in a language, without a title; `notes` stand below it,
    inside the picture.
    """

    metric_ids: tuple[str, ...]
    title: Words
    columns: tuple[Column, ...]
    rows: list[Row]
    sql: str
    caption: Words = field(default_factory=lambda: both("", ""))
    notes: tuple[Words, ...] = ()
    is_simulated: bool = False
    missing: Words | None = None
    chart: Callable[[Language], Chart] | None = None
    has_store: bool = True

    def drawn(
        self, caption: Words, chart: Callable[[Language], Chart], notes: Iterable[Words] = ()
    ) -> Draft:
        return replace(self, caption=caption, chart=chart, notes=tuple(notes))

    def without(self, reason: Words) -> Draft:
        return replace(self, missing=reason)


@dataclass(frozen=True)
class View:
    """A publication as of a date, for one store or all."""

    connection: duckdb.DuckDBPyConnection
    as_of: date
    store_code: str = COMPANY

    def ask(self, sql: str, **values: str | int) -> tuple[list[Row], str]:
        """Rows of a query, and the query as it ran: `{as_of}` and `{store}` are the date and the store."""
        given = {name: literal(v) if isinstance(v, str) else v for name, v in values.items()}
        text = sql.strip().format(
            as_of=f"date '{self.as_of.isoformat()}'", store=literal(self.store_code), **given
        )
        cursor = self.connection.cursor()
        try:
            rows: list[Row] = cursor.execute(text).to_arrow_table().to_pylist()
        finally:
            cursor.close()
        return rows, text

    @cached_property
    def parameters(self) -> Row:
        """The row of core.dim_as_of: parameters that hold on the date; empty where the date has none."""
        rows, _ = self.ask("select * from core.dim_as_of where as_of_date = {as_of}")
        return rows[0] if rows else {}

    @cached_property
    def simulated_feeds(self) -> frozenset[str]:
        """Feeds of which a file declared itself simulated."""
        rows, _ = self.ask("select distinct feed from marts.mart_load where is_simulated")
        return frozenset(row["feed"] for row in rows)

    @cached_property
    def store_names(self) -> dict[str, str]:
        """Name of each store by its code, the code where it has none."""
        rows, _ = self.ask("select store_code, store_name from core.dim_store")
        return {row["store_code"]: row["store_name"] or row["store_code"] for row in rows}

    def is_simulated(self, rows: Iterable[Row], *feeds: str) -> bool:
        """Whether one of the rows says so of itself, or a file of one of the feeds did."""
        said = any(row.get("is_simulated") for row in rows)
        return said or not self.simulated_feeds.isdisjoint(feeds)

    def whose(self, language: Language, store_code: str | None = None) -> str:
        """The store's name with its code, or the whole company."""
        code = self.store_code if store_code is None else store_code
        if code == COMPANY:
            return {"en": "Whole company", "zh": "全公司"}[language]
        name = self.store_names.get(code, code)
        return name if name == code else f"{name} ({code})"


def written(value: Any, column: Column, language: Language) -> str:
    """A value as a reader of the language writes it."""
    if value is None:
        return {"en": "n/a", "zh": "—"}[language]
    match column.kind:
        case "flag":
            return {"en": ("no", "yes"), "zh": ("否", "是")}[language][bool(value)]
        case "count":
            return count(value)
        case "share":
            return share(value, 1)
        case "money":
            return f"{value:,.2f}"
        case "number":
            return f"{value:,.2f}"
        case "points":
            return points(value)
        case "date":
            return day(value, language)
        case "month":
            return month(value, language)
    names = column.codes.get(str(value))
    return names[language] if names else str(value)


def count(value: int | float | Decimal) -> str:
    return f"{value:,.0f}"


def share(value: float | Decimal, digits: int = 0) -> str:
    """A share in percent."""
    return f"{value:.{digits}%}"


def points(value: float | Decimal) -> str:
    """Points with their sign; no minus before a zero."""
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def day(value: date, language: Language) -> str:
    if language == "en":
        return value.isoformat()
    return f"{value.year}年{value.month}月{value.day}日"


def month(value: date, language: Language) -> str:
    return f"{value:%Y-%m}" if language == "en" else f"{value.year}年{value.month}月"
