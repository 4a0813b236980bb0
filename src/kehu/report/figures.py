"""Numbers on paper: each is written by its unit and carries the mart, the metric and the query of it.

A number of a page is a `<data>` element. `value` is what the mart holds, `data-sql` names the element
of the same page that shows the query, `data-row` and `data-column` the cell of its result, `data-metric`
the definition. Tests take every one of them out of the page again and look it up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from markupsafe import Markup, escape

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
Row = dict[str, Any]
Number = int | float | Decimal

NONE = "–"
MINUS = "−"


@dataclass(frozen=True)
class Answer:
    """A query, as it is shown, and the rows that it gave. `mart` is the table that it reads."""

    id: str
    sql: str
    rows: list[Row] = field(repr=False)
    mart: str = ""

    @property
    def one(self) -> Row:
        """The row of a query that gives one."""
        return self.rows[0]


def figure(
    answer: Answer,
    column: str,
    unit: str,
    language: Language,
    *,
    row: int = 0,
    metric: str | None = None,
    signed: bool = False,
    currency: str = "",
    like: Number | None = None,
    mart: str | None = None,
) -> Markup:
    """The number in a cell of an answer, as a marked element; a dash where there is none.

    `mart` names the table of the cell where the query reads several.
    """
    cell = answer.rows[row]
    value = cell[column]
    if value is None:
        return Markup('<span class="none">–</span>')
    known = metric or cell.get("metric_id") or ""
    extra = {
        name: cell[key]
        for name, key in (("kpi", "kpi"), ("store", "store_code"), ("statement", "statement_code"))
        if cell.get(key) is not None
    }
    attributes = {
        "value": plain(value),
        "data-sql": answer.id,
        "data-column": column,
        "data-metric": known,
        "data-mart": mart or answer.mart,
        "data-unit": unit,
        **({"data-row": str(row)} if row else {}),
        **{f"data-{name}": str(found) for name, found in extra.items()},
    }
    listed = " ".join(f'{name}="{escape(text)}"' for name, text in attributes.items())
    said = escape(written(value, unit, language, signed=signed, currency=currency, like=like))
    return Markup(f"<data {listed}>{said}</data>")


def plain(value: Any) -> str:
    """A value as the mart holds it, exactly: what `value=` says."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def written(
    value: Any, unit: str, language: Language, *, signed: bool = False, currency: str = "",
    like: Number | None = None,
) -> str:  # fmt: skip
    """A number as people read it, rounded for the eye only; a duration in the step that suits `like`."""
    kind = UNITS.get(unit, unit)
    number = float(value)
    if kind == "share":
        text = f"{100 * number:.1f}%"
    elif kind == "points":  # percentage points of a share
        text = f"{100 * number:.1f}" + {"zh": " 个百分点", "en": " pp"}[language]
    elif kind == "money":
        text = _money(number, language, currency)
    elif kind == "minutes":
        text = _minutes(number, language, number if like is None else float(like))
    elif kind == "hours":
        text = _minutes(60 * number, language, 60 * float(number if like is None else like))
    elif kind == "score":
        text = f"{number:,.1f}".removesuffix(".0")
    elif kind == "days":
        text = f"{_few(number)}" + {"zh": " 天", "en": " days"}[language]
    elif kind == "seconds":
        text = f"{number:,.1f}" + {"zh": " 秒", "en": " s"}[language]
    elif kind == "count":
        text = f"{number:,.0f}"
    else:  # scores, indices, ratios
        text = _few(number)
    if not re.search("[1-9]", text):  # rounded to nothing
        text = text.replace("-", "")
    elif signed and number > 0:
        text = "+" + text
    return text.replace("-", MINUS)


UNITS = {
    "SHARE": "share",
    "MONEY": "money",
    "MONEY_PER_CUSTOMER": "money",
    "CUSTOMERS": "count",
    "COMPLAINTS": "count",
    "STORES": "count",
    "MINUTES": "minutes",
    "HOURS": "hours",
    "NPS_POINT": "score",
    "PER_10000_RECEIPTS": "score",
}

STEPS: Mapping[Language, tuple[tuple[float, str], ...]] = {
    "zh": ((1e8, "亿"), (1e4, "万")),
    "en": ((1e9, " bn"), (1e6, " m"), (1e3, " k")),
}


CURRENCY_ZH = {"CNY": "元", "USD": "美元", "EUR": "欧元", "HKD": "港元"}


def _money(number: float, language: Language, currency: str) -> str:
    text = f"{number:,.0f}" if abs(number) >= 100 else f"{number:,.2f}"
    for size, word in STEPS[language]:
        if abs(number) >= size:
            text = f"{number / size:,.2f}{word}"
            break
    if language == "zh":
        return text + CURRENCY_ZH.get(currency, f" {currency}" if currency else "")
    return f"{currency} {text}" if currency else text


def _minutes(number: float, language: Language, like: float) -> str:
    for size, words in ((1440.0, (" 天", " days")), (60.0, (" 小时", " h"))):
        if abs(like) >= 2 * size:
            return f"{number / size:.1f}{words[language == 'en']}"
    return f"{_few(number)}{(' 分钟', ' min')[language == 'en']}"


def _few(number: float) -> str:
    if number == int(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:,.1f}" if abs(number) >= 10 else f"{number:.2f}"
