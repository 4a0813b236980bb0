"""The CRM report 客户关系管理调查报告: what is, what is wrong, what to do, each number with its query."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from kehu.files import write_atomically
from kehu.report.figures import LANGUAGES, Answer, Language
from kehu.report.pictures import Picture
from kehu.report.publication import ALL, Publication
from kehu.report.report_template import TEMPLATE
from kehu.report.style import COMMON, REPORT
from kehu.report.teller import LOCALE, Teller, sql_id

FILE = "report.html"


@dataclass(frozen=True)
class Tile:
    """One of the ten numbers: its statement, and its row of the scorecard."""

    kpi: str
    status: str
    answer: Answer
    score: Answer


@dataclass(frozen=True)
class Problem:
    """A problem of mart_report: what is wrong, where it is worst, and the advice that points to it."""

    number: int
    answer: Answer
    where: list[Answer]
    advice: list[Answer]


def write(publication: Publication) -> Path:
    """Write report.html into the folder of the publication; returns the file."""
    path = publication.folder / FILE
    write_atomically(path, render(publication))
    return path


def render(publication: Publication, first: Language = "zh", *, for_print: bool = False) -> str:
    """The report as HTML with one of the languages shown first; for print without what folds out."""
    verdict, perspectives = publication.verdict(), publication.perspectives()
    scorecard = publication.scorecard()
    kept = tiles(publication)
    situation = [publication.statement(row) for row in publication.statements("SITUATION").rows]
    found = problems(publication)
    drawn = publication.pictures()
    queries = [
        verdict,
        perspectives,
        scorecard,
        *(tile.answer for tile in kept),
        *(tile.score for tile in kept),
        *situation,
        *(p.answer for p in found),
        *(where for p in found for where in p.where),
        *(advice for p in found for advice in p.advice),
        *(Answer(sql_id(picture), picture.sql, picture.data) for picture in drawn if picture.sql),
    ]
    measured = [i for i, s in enumerate(scorecard.rows) if s["actual"] is not None]
    values: dict[str, Any] = {
        "publication": publication,
        "languages": LANGUAGES,
        "first": first,
        "for_print": for_print,
        "locale": LOCALE,
        "tellers": {language: Teller(publication, language) for language in LANGUAGES},
        "style": Markup(COMMON + REPORT),
        "verdict": verdict,
        "perspectives": perspectives,
        "tiles": kept,
        "situation": _by_topic(situation, drawn),
        "problems": found,
        "pictures": drawn,
        "scorecard": scorecard,
        "measured": [
            (name, list(rows))
            for name, rows in groupby(measured, lambda i: scorecard.rows[i]["perspective"])
        ],
        "unmeasured": [i for i, s in enumerate(scorecard.rows) if s["actual"] is None],
        "queries": list({answer.id: answer for answer in queries}.values()),
        "is_simulated": any(s["is_simulated"] for s in scorecard.rows),
        "sql_id": sql_id,
    }
    return environment().from_string(TEMPLATE).render(values)


# under which topic of the situation a picture stands
PLACES = {
    "VALUE": ("pyramid", "whale_curve", "rfm_heat_map"),
    "STRUCTURE": ("migration_flow",),
    "CHURN": ("cohort_triangle", "survival_curve"),
    "CUSTOMER": ("nps_by_store",),
    "LOYALTY": ("apostle_map",),
    "SERVICE": ("complaint_funnel", "complaint_reasons_control"),
}


def _by_topic(
    situation: list[Answer], drawn: list[Picture]
) -> list[tuple[str, list[Answer], list[Picture]]]:
    """Topics with their statements and pictures; a picture of no topic stands last."""
    topics = dict.fromkeys([*(a.one["topic"] for a in situation), *PLACES])
    known = {name for names in PLACES.values() for name in names}
    found = [
        (
            topic,
            [a for a in situation if a.one["topic"] == topic],
            [p for p in drawn if p.id in PLACES.get(topic, ())],
        )
        for topic in topics
    ]
    return [*found, ("VALUE", [], [p for p in drawn if p.id not in known])]


def environment() -> jinja2.Environment:
    """Jinja as both pages want it: everything escaped, nothing undefined."""
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def tiles(publication: Publication) -> list[Tile]:
    """The ten numbers of the summary, in their order."""
    found = []
    for row in publication.statements("SUMMARY").rows:
        score = publication.kpi(row["kpi"], row["store_code"] or ALL)
        status = score.one["status"] if score.rows else "NO_TARGET"
        found.append(Tile(row["kpi"], status, publication.statement(row), score))
    return found


def problems(publication: Publication) -> list[Problem]:
    """The problems in their order, each with its advice."""
    wrong = publication.statements("PROBLEM").rows
    advice = publication.statements("ADVICE").rows
    found = []
    for number, rows in groupby(wrong, lambda row: row["problem_no"]):
        first, *more = [publication.statement(row) for row in rows]
        given = [publication.statement(row) for row in advice if row["problem_no"] == number]
        found.append(Problem(number, first, more, given))
    return found
