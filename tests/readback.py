"""Reading a page back: its numbers, its queries, its sentences, and what the marts say of each number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
from lxml import html

# what may stand in a sentence without being a marked number: the interval's name, and numbered headings
EXCEPTIONS = ("95%", "1.", "2.", "3.")
NOT_READ = "script|style|template|data|time|code|pre|abbr|svg|title|option"
SCALES = {
    "": 1.0, "%": 0.01, "个百分点": 0.01, "pp": 0.01, "万": 1e4, "亿": 1e8, "k": 1e3, "m": 1e6, "bn": 1e9,
    "天": 1.0, "days": 1.0, "小时": 60.0, "h": 60.0, "分钟": 1.0, "min": 1.0, "秒": 1.0, "s": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A number of a page: what it says to the eye, what it holds, and where that is said to be from."""

    text: str
    value: str
    sql: str
    row: int
    column: str
    metric: str
    mart: str
    unit: str
    kpi: str | None
    store: str | None
    statement: str | None
    picture: str | None


def parsed(page: str) -> Any:
    return html.document_fromstring(page)


def numbers(page: str) -> list[Number]:
    """Every marked number, also of stores and languages that wait in templates."""
    return list(_numbers(parsed(page)))


def _numbers(root: Any) -> Iterator[Number]:
    for element in root.iter("data"):
        around = [element, *element.iterancestors("table")]

        def given(name: str, around: list[Any] = around) -> str | None:
            return next((e.get(name) for e in around if e.get(name) is not None), None)

        yield Number(
            text=element.text_content(),
            value=element.get("value"),
            sql=given("data-sql") or "",
            row=int(element.get("data-row") or 0),
            column=element.get("data-column") or "",
            metric=given("data-metric") or "",
            mart=element.get("data-mart") or "",
            unit=element.get("data-unit") or "",
            kpi=element.get("data-kpi"),
            store=given("data-store"),
            statement=element.get("data-statement"),
            picture=given("data-picture"),
        )


def queries(page: str) -> dict[str, str]:
    """The queries that the page shows, by the id of their place."""
    root = parsed(page)
    found = {
        e.get("id"): e.find("pre").text_content()
        for e in root.iter("section")
        if e.find("pre") is not None
    }
    assert all(found), "a query without a place"
    return found


def plain(value: Any) -> str:
    """A value of the mart as `value=` must say it; written apart from what is tested."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def untrue(page: str, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Numbers that are not what the query shown for them gives when it is run."""
    shown, answers, wrong = queries(page), {}, []
    for number in numbers(page):
        if number.sql not in shown:
            wrong.append(f"{number}: no query {number.sql!r}")
            continue
        if number.sql not in answers:
            answers[number.sql] = connection.execute(shown[number.sql]).to_arrow_table().to_pylist()
        rows = answers[number.sql]
        held = rows[number.row].get(number.column) if number.row < len(rows) else None
        if held is None or plain(held) != number.value:
            wrong.append(f"{number}: the query gives {held!r}")
    return wrong


def untraced(
    page: str, connection: duckdb.DuckDBPyConnection, as_of: date, definitions: dict[str, set[str]]
) -> list[str]:
    """Numbers that their mart does not hold under their metric id, looked up without the page's SQL.

    `definitions` are the metric ids of the columns of each mart, by the models' YAML.
    """
    scores = _rows(connection, "select * from marts.mart_scorecard where as_of_date = ?", as_of)
    statements = _rows(connection, "select * from marts.mart_report where as_of_date = ?", as_of)
    treatments = _rows(connection, "select * from core.treatment_matrix")
    wrong, shown = [], queries(page)
    for number in numbers(page):
        if not number.metric:
            wrong.append(f"{number}: no metric")
        elif number.picture:
            read = set(re.findall(r"(?:marts|core)\.(\w+)", shown[number.sql]))
            known = {i for mart in read for i in definitions.get(mart, ())}
            if not set(number.metric.split()) <= known:
                wrong.append(f"{number}: {read} define {sorted(known)}")
        elif number.mart == "mart_scorecard" and number.kpi:
            if not any(
                r["metric_id"] == number.metric
                and r["kpi"] == number.kpi
                and r["store_code"] == number.store
                and plain(r[number.column]) == number.value
                for r in scores
            ):
                wrong.append(f"{number}: not in mart_scorecard")
        elif number.mart == "treatment_matrix":
            if not any(plain(r[number.column]) == number.value for r in treatments):
                wrong.append(f"{number}: not in treatment_matrix")
        elif number.mart == "mart_scorecard" and number.column.endswith("attainment"):
            if not any(
                r["store_code"] == number.store and plain(r[number.column]) == number.value
                for r in scores
            ):
                wrong.append(f"{number}: not in mart_scorecard")
        elif number.mart == "mart_scorecard":
            if str(_count(scores, number)) != number.value:
                wrong.append(f"{number}: {_count(scores, number)} in mart_scorecard")
        elif number.mart == "mart_report":
            if not any(
                (r["metric_id"] == number.metric or number.metric == "A1")
                and r["statement_code"] == number.statement
                and plain(r[number.column]) == number.value
                for r in statements
            ):
                wrong.append(f"{number}: not in mart_report")
        elif number.metric not in definitions.get(number.mart, ()):
            wrong.append(f"{number}: {number.mart} does not define {number.metric}")
    return wrong


def _count(scores: list[dict[str, Any]], number: Number) -> int:
    """How many KPIs of a store stand so, counted by hand."""
    store = number.sql.removeprefix("sql-verdict-")
    mine = [r["status"] for r in scores if r["store_code"] == store]
    judged = ("MET", "BELOW_TARGET", "BREACHED")
    if number.column == "with_target":
        return sum(status in judged for status in mine)
    if number.column == "all_kpis":
        return len(mine)
    return mine.count(number.column.upper())


def _rows(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        connection.execute(query, list(values)).to_arrow_table().to_pylist()
    )
    return rows


def forms(value: Any) -> set[str]:
    """How a value may be written in a caption: rounded, as a share or its rest, in thousands, its parts."""
    if value is None or isinstance(value, bool):
        return set()
    if not isinstance(value, int | float | Decimal):
        parts = re.findall(r"\d+(?:\.\d+)?", str(value))
        return {*parts, *(str(int(float(part))) for part in parts)}
    size = abs(float(value))
    sizes = (
        size,
        100 * size,
        abs(1 - size),
        100 * abs(1 - size),
        *(size / s for s in (1e3, 1e4, 1e6, 1e8)),
    )
    return {f"{one:.{digits}f}" for one in sizes for digits in range(4)}


# what captions say of their method: 95 % intervals, the median, 365 and 91 days, the rule of 80 to 20
SAID = {"95", "50", "365", "91", "80", "20"}


def uncaptioned(page: str, connection: duckdb.DuckDBPyConnection, as_of: date) -> list[str]:
    """Numbers in the captions of pictures that are not in what the picture's query gives."""
    shown, known, wrong = queries(page), {}, []
    for caption in parsed(page).iter("figcaption"):
        sql, text = str(caption.get("data-sql")), str(caption.find("span").text)
        if sql not in known:
            rows = connection.execute(shown[sql]).to_arrow_table().to_pylist()
            known[sql] = {form for row in rows for value in row.values() for form in forms(value)}
            known[sql] |= SAID | forms(as_of)
        found = (
            n.replace(",", "")
            for n in re.findall(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?", text)
        )
        wrong += [f"{sql}: {n} in {text!r}" for n in found if n not in known[sql]]
    return wrong


def misread(page: str) -> list[str]:
    """Numbers whose text, read as a person reads it, is not their value within its last digit."""
    wrong = []
    for number in numbers(page):
        text = number.text.replace("−", "-").replace("+", "").replace(",", "")
        text = re.sub(r"^[A-Z]{3} ", "", text)
        text = (
            re.sub(r"( ?[A-Z]{3}|元|美元|欧元|港元)$", "", text).strip()
            if number.unit.upper().startswith("MONEY")
            else text
        )
        found = re.fullmatch(r"(-?)\s*([A-Z]{3} )?(-?\d+(?:\.(\d+))?) ?(\D*)", text.strip())
        if found is None:
            wrong.append(f"{number}: {text!r} is no number")
            continue
        scale = SCALES.get(found[5].strip())
        if scale is None:
            wrong.append(f"{number}: what is {found[5]!r}?")
            continue
        if number.unit == "HOURS":
            scale /= 60
        elif number.unit == "MINUTES" and found[5].strip() in ("天", "days"):
            scale = 1440.0
        last = scale * 10.0 ** -len(found[4] or "")
        said = Decimal(found[1] + found[3]) * Decimal(str(scale))
        if abs(float(said) - float(number.value)) > 0.51 * last:
            wrong.append(f"{number}: says {said}")
    return wrong


def loose(page: str) -> list[str]:
    """Sentences with a digit outside a marked number, a date, an id, or a name that the company gave."""
    root = parsed(page)
    for element in root.xpath(f"//*[{' or '.join(f'self::{t}' for t in NOT_READ.split('|'))}]"):
        if element.tag != "template":
            _cut(element)
    for element in root.xpath(
        "//*[@data-seed] | //figcaption | //table[@data-picture] | //p[@class='missing']"
    ):
        _cut(element)
    found = []
    for text in root.find("body").itertext():
        for exception in EXCEPTIONS:
            text = text.replace(exception, "")
        if re.search(r"\d", text):
            found.append(text.strip())
    return found


def _cut(element: Any) -> None:
    """Take an element out and leave the text behind it."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        return
    if before is not None:
        before.tail = (before.tail or "") + (element.tail or "")
    else:
        parent.text = (parent.text or "") + (element.tail or "")
    parent.remove(element)
