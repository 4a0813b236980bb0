"""Ten pictures of a publication: read from its marts by SQL, drawn by altair, the same each time.

with duckdb.connect("var/published/kehu.duckdb", read_only=True) as connection:
    for picture in draw_all(connection, date(2017, 12, 31)):
        Path(f"{picture.id}.svg").write_text(picture.svg.get("zh", ""), encoding="utf-8")
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date

import duckdb

from kehu.errors import KehuError
from kehu.report import complaints, lifecycle, segment, sheet, value, voice
from kehu.report.picture import (
    COMPANY,
    LANGUAGES,
    Column,
    Draft,
    Language,
    Picture,
    View,
    Words,
    both,
    day,
)

__all__ = ["LANGUAGES", "PICTURES", "Column", "Language", "Picture", "draw", "draw_all"]

PICTURES: dict[str, Callable[[View], Draft]] = {
    "pyramid": value.pyramid,
    "whale_curve": value.whale_curve,
    "rfm_heat_map": segment.rfm_heat_map,
    "cohort_triangle": lifecycle.cohort_triangle,
    "survival_curve": lifecycle.survival_curve,
    "migration_flow": segment.migration_flow,
    "nps_by_store": voice.nps_by_store,
    "complaint_funnel": complaints.complaint_funnel,
    "complaint_reasons_control": complaints.complaint_reasons_control,
    "apostle_map": voice.apostle_map,
}


def draw_all(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    store_code: str = COMPANY,
    languages: Sequence[Language] = LANGUAGES,
) -> list[Picture]:
    """Every picture as of a date, for the company or one store; see `draw`."""
    view = View(connection, as_of, store_code)
    return [_picture(name, view, languages) for name in PICTURES]


def draw(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    as_of: date,
    store_code: str = COMPANY,
    languages: Sequence[Language] = LANGUAGES,
) -> Picture:
    """One picture by its name, in the languages given.

    `connection` is to a published file. KehuError where the publication has nothing of the date or
    store, where the name is not known, or no font has what is to be shown.
    """
    if name not in PICTURES:
        raise KehuError(f"no picture {name!r}; there are {', '.join(PICTURES)}")
    return _picture(name, View(connection, as_of, store_code), languages)


def _picture(name: str, view: View, languages: Sequence[Language]) -> Picture:
    if not view.parameters:
        raise KehuError(
            f"the publication has nothing as of {view.as_of}: core.dim_as_of lists the month-ends "
            "and the latest date that it has"
        )
    if view.store_code != COMPANY and view.store_code not in view.store_names:
        raise KehuError(f"no store {view.store_code!r} in core.dim_store")
    draft = PICTURES[name](view)
    whose = view.store_code if draft.has_store else COMPANY
    caption = _dated(draft, view)
    drawings: Words = {}
    if draft.missing is None and draft.chart is not None:
        for language in languages:
            drawings[language] = sheet.draw(
                draft.chart(language),
                name=f"{name}-{language}-{_slug(whose)}-{view.as_of:%Y%m%d}",
                language=language,
                title=draft.title[language],
                subtitle=_subtitle(view, whose, language),
                notes=[note[language] for note in draft.notes],
                description=caption[language],
                is_simulated=draft.is_simulated,
            )
    return Picture(
        id=name,
        metric_ids=draft.metric_ids,
        title=draft.title,
        caption=caption,
        svg=drawings,
        data=draft.rows,
        sql=draft.sql,
        is_simulated=draft.is_simulated,
        missing=draft.missing,
        columns=draft.columns,
        store_code=whose,
    )


def _subtitle(view: View, whose: str, language: Language) -> str:
    at = day(view.as_of, language)
    return {
        "en": f"{view.whose('en', whose)}, as of {at}",
        "zh": f"{view.whose('zh', whose)}，截至{at}",
    }[language]


def _dated(draft: Draft, view: View) -> Words:
    """The caption with the date, and whose numbers these are where a store was asked for in vain."""
    if draft.missing is not None:
        return both("", "")
    at = both(f" As of {day(view.as_of, 'en')}.", f"截至{day(view.as_of, 'zh')}。")
    if not draft.has_store and view.store_code != COMPANY:
        at = both(
            at["en"] + " The mart knows no stores: these are the numbers of the whole company.",
            at["zh"] + "该集市不分门店，以上为全公司的数字。",
        )
    return both(draft.caption["en"] + at["en"], draft.caption["zh"] + at["zh"])


def _slug(store_code: str) -> str:
    """A store code as a part of an id: itself where it is plain, else a short hash."""
    if store_code.isascii() and store_code.isalnum():
        return store_code
    return hashlib.sha256(store_code.encode()).hexdigest()[:8]
