"""The page index.html of a publication: how we are doing, what is wrong, what to do, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kehu.files import write_atomically
from kehu.report.figures import LANGUAGES, Answer, Language, Row
from kehu.report.page_template import SCRIPT, TEMPLATE
from kehu.report.pictures import Picture
from kehu.report.publication import ALL, Publication
from kehu.report.report import Problem, environment, problems
from kehu.report.style import COMMON, PAGE
from kehu.report.teller import LOCALE, Teller, sql_id

FILE = "index.html"
# what may lie beside the page, and what it is called there
BESIDE = (
    ("report.html", "open_report"),
    ("quality.html", "open_quality"),
    ("docs.html", "open_docs"),
)


@dataclass(frozen=True)
class Tile:
    """One of the ten numbers for one store; where the scorecard has no row for it, the reason."""

    kpi: str
    status: str
    answer: Answer
    reason: str = ""


@dataclass(frozen=True)
class View:
    """What the page shows of the company or of one store."""

    is_company: bool
    verdict: Answer
    perspectives: Answer
    problems: list[Problem]
    tiles: list[Tile]
    pictures: list[Picture]


def write(publication: Publication, at_most: int = 7) -> Path:
    """Write index.html into the folder of the publication; returns the file."""
    path = publication.folder / FILE
    write_atomically(path, render(publication, at_most))
    return path


def render(publication: Publication, at_most: int = 7, first: Language = "zh") -> str:
    """The page as HTML, with at most so many stores to choose from; `first` is shown without script."""
    stores = publication.stores(at_most)
    views = {code: _view(publication, code) for code in (ALL, *(store.code for store in stores))}
    tellers = {language: Teller(publication, language) for language in LANGUAGES}
    queries: list[Answer] = [publication.loads, publication.checks, publication.freshness]
    queries += [publication.shown_stores(at_most), publication.count_stores()]
    for view in views.values():
        queries += [
            view.verdict,
            view.perspectives,
            *(tile.answer for tile in view.tiles if tile.answer.rows),
        ]
        for problem in view.problems:
            queries += [problem.answer, *problem.where, *problem.advice]
        queries += [Answer(sql_id(p), p.sql, p.data) for p in view.pictures if p.sql]
    values: dict[str, Any] = {
        "publication": publication,
        "company": publication.names["company_name"],
        "languages": LANGUAGES,
        "first": first,
        "locale": LOCALE,
        "tellers": tellers,
        "style": Markup(COMMON + PAGE),
        "script": Markup(SCRIPT),
        "views": views,
        "stores": stores,
        "names": {store.code: tellers[first].store(store.code) for store in stores},
        "loads": publication.loads,
        "checks": publication.checks,
        "freshness": publication.freshness,
        "links": [(name, label) for name, label in BESIDE if (publication.folder / name).exists()],
        "queries": list({answer.id: answer for answer in queries}.values()),
        "sql_id": sql_id,
        "foot": lambda t: t.offered(publication.shown_stores(at_most), publication.count_stores()),
    }
    return environment().from_string(TEMPLATE).render(values)


def _view(publication: Publication, store: str) -> View:
    return View(
        store == ALL,
        publication.verdict(store),
        publication.perspectives(store),
        problems(publication) if store == ALL else _of_store(publication, store),
        [_tile(publication, row["kpi"], store) for row in publication.statements("SUMMARY").rows],
        publication.pictures(store),
    )


def _tile(publication: Publication, kpi: str, store: str) -> Tile:
    answer = publication.kpi(kpi, store)
    if answer.rows:
        return Tile(kpi, answer.one["status"], answer)
    company = publication.kpi(kpi).one
    if company["actual"] is None and company["missing_reason"] is not None:
        reason = company["missing_reason"]
    elif kpi in publication.measured_by_store:
        reason = "NO_ANSWERS" if company["window_code"] == "WAVE" else "NO_CASE"
    else:
        reason = "NOT_BY_STORE"
    return Tile(kpi, "NOT_MEASURABLE", answer, reason)


def _of_store(publication: Publication, store: str) -> list[Problem]:
    """The problems of a store by its own figures: one for a theme, with what is advised for it."""
    themes: dict[str, list[Row]] = {}
    for row in publication.wrong(store):
        themes.setdefault(row["theme"], []).append(row)
    found = []
    for number, rows in enumerate(themes.values(), start=1):
        lead, *more = (
            publication.kpi(
                row["kpi"],
                store,
                "TARGET_BREACHED" if row["status"] == "BREACHED" else "CHANGED_FOR_THE_WORSE",
            )
            for row in rows
        )
        advice = {
            answer.one["strategy_code"]: answer
            for row in reversed(rows)
            for answer in publication.treatments(row["kpi"], store)
        }
        found.append(Problem(number, lead, more, list(advice.values())))
    return found
