"""Pictures of what customers say: recommendation by store, satisfaction beside behaviour."""

from __future__ import annotations

import json
from typing import Any

import altair as alt

from kehu.report import sheet
from kehu.report.picture import (
    COMPANY,
    Chart,
    Column,
    Draft,
    Language,
    View,
    both,
    count,
    day,
    points,
)

NPS = """
with wave as (
    select survey_id, touchpoint, wave_start_on
    from marts.mart_satisfaction
    where
        as_of_date = {as_of}
        and metric = 'NPS'
        and segment = 'ALL'
        and weighting = 'UNWEIGHTED'
        and store_code = 'ALL'
    order by is_wave_complete desc, wave_start_on desc, n desc, survey_id, touchpoint
    limit 1
),

ranked as (
    select
        nps.*,
        store.store_name,
        row_number() over (
            partition by nps.store_code in ('ALL', {store}) order by nps.n desc, nps.store_code
        ) as place,
        count(*) filter (where nps.store_code <> 'ALL') over () as count_stores
    from marts.mart_satisfaction as nps
    inner join wave
        on
            nps.survey_id = wave.survey_id
            and nps.touchpoint = wave.touchpoint
            and nps.wave_start_on = wave.wave_start_on
    left join core.dim_store as store on nps.store_code = store.store_code
    where
        nps.as_of_date = {as_of}
        and nps.metric = 'NPS'
        and nps.segment = 'ALL'
        and nps.weighting = 'UNWEIGHTED'
)

select
    store_code,
    coalesce(store_name, store_code) as store_name,
    n,
    count_promoters,
    count_passives,
    count_detractors,
    value as nps,
    lo,
    hi,
    is_small_sample,
    is_simulated,
    survey_id,
    wave_start_on,
    wave_end_on,
    is_wave_complete,
    count_stores
from ranked
where place <= {most}
order by store_code <> 'ALL', nps desc, store_code
"""
MOST_STORES = 15


def nps_by_store(view: View) -> Draft:
    """Net promoter score of each store in the latest finished wave, with its interval (T2)."""
    rows, sql = view.ask(NPS, most=MOST_STORES)
    draft = Draft(
        metric_ids=("T2",),
        title=both("Net promoter score by store", "各门店净推荐值（NPS）"),
        columns=(
            Column("store_code", both("Store", "门店编码")),
            Column("store_name", both("Name", "门店名称")),
            Column("n", both("Answers", "样本量"), "count"),
            Column("count_promoters", both("Promoters", "推荐者数"), "count"),
            Column("count_passives", both("Passives", "中立者数"), "count"),
            Column("count_detractors", both("Detractors", "贬损者数"), "count"),
            Column("nps", both("NPS", "净推荐值"), "points"),
            Column("lo", both("Lower bound", "置信下限"), "points"),
            Column("hi", both("Upper bound", "置信上限"), "points"),
            Column("is_small_sample", both("Small sample", "样本不足"), "flag"),
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated(rows),
    )
    if not rows:
        return draft.without(
            both(
                "Nobody has answered a question on recommendation up to this date.",
                "截至该日期，没有关于推荐意愿的答卷。",
            )
        )
    one = rows[0]
    caption = both(
        f"Wave {day(one['wave_start_on'], 'en')} to {day(one['wave_end_on'], 'en')} of survey "
        f"{one['survey_id']}, n = {count(one['n'])} answers. Company {points(one['nps'])} "
        f"({points(one['lo'])} to {points(one['hi'])}). Lines are 95 % intervals: where they overlap "
        "much, the order of two stores says little.",
        f"问卷 {one['survey_id']}，{day(one['wave_start_on'], 'zh')}至{day(one['wave_end_on'], 'zh')}，"
        f"n = {count(one['n'])} 份答卷。全公司 {points(one['nps'])}（{points(one['lo'])} 至 "
        f"{points(one['hi'])}）。横线为 95% 置信区间：区间大幅重叠时，名次没有意义。",
    )

    def chart(language: Language) -> Chart:
        values = [
            {
                "name": view.whose(language, COMPANY)
                if row["store_code"] == COMPANY
                else row["store_name"],
                "code": row["store_code"],
                "place": place,
                "nps": float(row["nps"]),
                "lo": float(row["lo"]),
                "hi": float(row["hi"]),
                "n": f"n={count(row['n'])}",
                "kind": kind_of(row["store_code"], view.store_code),
                "small": bool(row["is_small_sample"]),
            }
            for place, row in enumerate(rows)
        ]
        labels = {v["code"]: v["name"] for v in values}
        base = sheet.over(values).properties(width=215, height=max(120, 24 * len(values)))
        y = alt.Y("code:N", sort=alt.SortField("place"), title=None).axis(
            ticks=False,
            domain=False,
            labelLimit=150,
            labelExpr=f"{_json(labels)}[datum.value]",
            labelFontWeight={
                "condition": {
                    "test": f"datum.value == 'ALL' || datum.value == {_json(view.store_code)}",
                    "value": "bold",
                },
                "value": "normal",
            },
        )
        x_title = {"en": "NPS, −100 to 100", "zh": "净推荐值（−100 至 100）"}[language]
        axis = alt.Axis(values=[-100, -50, 0, 50, 100], title=x_title)
        scale = alt.Scale(domain=[-100, 100])
        x = alt.X("nps:Q", axis=axis, scale=scale)
        lo = alt.X("lo:Q", axis=axis, scale=scale)
        kinds = ["company", "asked", "other"]
        colours = alt.Scale(domain=kinds, range=[sheet.INK, sheet.ORANGE, sheet.BLUE])
        shapes = alt.Scale(domain=kinds, range=["diamond", "square", "circle"])
        colour = alt.Color("kind:N", legend=None, scale=colours)
        shape = alt.Shape("kind:N", legend=None, scale=shapes)
        zero = sheet.over([{"x": 0}]).mark_rule(color=sheet.LINE).encode(x="x:Q")
        dash = alt.condition("datum.small", alt.value([4, 3]), alt.value([1, 0]))
        return alt.layer(
            zero,
            base.mark_rule(strokeWidth=2).encode(lo, y, x2="hi:Q", color=colour, strokeDash=dash),
            base.transform_filter("!datum.small")
            .mark_point(filled=True, size=90, opacity=1)
            .encode(x, y, color=colour, shape=shape),
            base.transform_filter("datum.small")
            .mark_point(filled=True, fill=sheet.PAPER, size=80, opacity=1, strokeWidth=2)
            .encode(x, y, stroke=alt.Stroke("kind:N", legend=None, scale=colours), shape=shape),
            base.mark_text(align="left", x=222).encode(y, text="n:N"),
        )

    notes = []
    if any(row["is_small_sample"] for row in rows):
        n = view.parameters["min_n"]
        notes.append(
            both(
                f"Hollow mark, dashed line: fewer than {n} answers, a small sample.",
                f"空心标记与虚线：答卷少于 {n} 份，样本不足。",
            )
        )
    if one["count_stores"] > MOST_STORES:
        notes.append(
            both(
                f"The {MOST_STORES} stores with the most answers, of {count(one['count_stores'])}.",
                f"仅列答卷最多的 {MOST_STORES} 家门店，共 {count(one['count_stores'])} 家。",
            )
        )
    return draft.drawn(caption, chart, notes)


def kind_of(code: str, asked: str) -> str:
    """What a row of stores is: the company, the store asked for, or another one."""
    return "company" if code == COMPANY else "asked" if code == asked else "other"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
