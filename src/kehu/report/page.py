"""The page index.html of a publication: how we are doing, what is wrong, what to do, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kehu.files import write_atomically
from kehu.report.figures import LANGUAGES, Answer, Language
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
CAUSES = ("TARGET_BREACHED", "CHANGED_FOR_THE_WORSE", "STORE_TARGET_BREACHED")


@dataclass(frozen=True)
class Tile:
    """One of the ten numbers for one store; no row where the scorecard has none for it."""

    kpi: str
    status: str
    answer: Answer


@dataclass(frozen=True)
class View:
    """What the page shows of the company or of one store."""

    is_company: bool
    verdict: Answer
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
    views = {ALL: _view(publication, ALL, publication.pictures())}
    for store in stores:
        views[store.code] = _view(publication, store.code, publication.pictures(store.code))
    tellers = {language: Teller(publication, language) for language in LANGUAGES}
    queries: list[Answer] = [publication.loads, publication.checks, publication.freshness]
    queries += [publication.shown_stores(at_most), publication.count_stores()]
    for view in views.values():
        queries += [view.verdict, *(tile.answer for tile in view.tiles if tile.answer.rows)]
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


def _view(publication: Publication, store: str, pictures: list[Picture]) -> View:
    tiles = []
    for row in publication.statements("SUMMARY").rows:
        answer = publication.kpi(row["kpi"], store)
        status = answer.one["status"] if answer.rows else "NOT_MEASURABLE"
        tiles.append(Tile(row["kpi"], status, answer))
    company = problems(publication)
    return View(
        store == ALL,
        publication.verdict(store),
        company if store == ALL else _of_store(publication, company, store),
        tiles,
        pictures,
    )


def _of_store(publication: Publication, company: list[Problem], store: str) -> list[Problem]:
    """The problems that the store has itself, by its own figures, with what is advised for them."""
    found = []
    for problem in company:
        said = [a.one for a in (problem.answer, *problem.where)]
        own = []
        for kpi in dict.fromkeys(s["kpi"] for s in said if s["statement_code"] in CAUSES):
            score = publication.kpi(kpi, store, "TARGET_BREACHED")
            if score.rows and score.one["status"] == "BREACHED":
                own.append(score)
            elif score.rows and score.one["change_code"] == "WORSE":
                own.append(publication.kpi(kpi, store, "CHANGED_FOR_THE_WORSE"))
        if own:
            found.append(Problem(problem.number, own[0], own[1:], problem.advice))
    return found
