"""Pictures of what customers say: recommendation by store, satisfaction beside behaviour."""

from __future__ import annotations

import altair as alt

from kehu.report import sheet
from kehu.report.picture import (
    COMPANY,
    SMALL_SAMPLE,
    Chart,
    Column,
    Draft,
    Language,
    View,
    both,
    count,
    day,
    points,
    share,
)
from kehu.report.words import LOYALTY

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
            SMALL_SAMPLE,
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
            labelExpr=f"{sheet.json_text(labels)}[datum.value]",
            labelFontWeight={
                "condition": {
                    "test": f"datum.value == 'ALL' || datum.value == {sheet.json_text(view.store_code)}",
                    "value": "bold",
                },
                "value": "normal",
            },
        )
        x_title = {"en": "NPS, −100 to 100", "zh": "净推荐值（−100 至 100）"}[language]
        axis = alt.Axis(values=[-100, -50, 0, 50, 100], title=x_title)
        scale = alt.Scale(domain=[-106, 106], nice=False)
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
            base.mark_text(align="left", x=224).encode(y, text="n:N"),
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


APOSTLE = """
select
    store_code,
    loyalty_class,
    count_customers,
    class_share,
    class_share_lo,
    class_share_hi,
    count_known,
    count_population,
    coverage,
    is_small_sample,
    is_simulated
from marts.mart_loyalty_structure
where
    as_of_date = {as_of}
    and store_code = {store}
    and scheme = 'APOSTLE_TYPE'
    and loyalty_class <> 'UNKNOWN'
    and count_known > 0
order by count_customers desc, loyalty_class
"""
# where a class stands on the map: column by behaviour (0 low or medium, 1 high), height by satisfaction
PLACES = {
    "APOSTLE": (1, 5.0),
    "LOYALIST": (1, 4.1),
    "HOSTAGE": (1, 2.0),
    "MERCENARY": (0, 4.5),
    "DEFECTOR": (0, 2.6),
    "TERRORIST": (0, 1.4),
}


def apostle_map(view: View) -> Draft:
    """Types of loyalty by satisfaction and behaviour, as shares of those who were asked (Y4)."""
    rows, sql = view.ask(APOSTLE)
    draft = Draft(
        metric_ids=("Y4", "T8"),
        title=both("Apostle map: satisfaction and behaviour", "传道者图：满意与忠诚"),
        columns=(
            Column("loyalty_class", both("Type", "忠诚类别"), codes=LOYALTY),
            Column("count_customers", both("Customers", "类别客户数"), "count"),
            Column("class_share", both("Share", "占比"), "share"),
            Column("class_share_lo", both("Lower bound", "占比下限"), "share"),
            Column("class_share_hi", both("Upper bound", "占比上限"), "share"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated(rows),
    )
    if not rows:
        return draft.without(
            both(
                "No buyer of the window has answered a question on satisfaction of late.",
                "窗口期内没有客户近期回答过满意度问题。",
            )
        )
    one = rows[0]
    largest = LOYALTY[one["loyalty_class"]]
    caption = both(
        f"n = {count(one['count_known'])} customers who were asked, {share(one['coverage'], 1)} of "
        f"{count(one['count_population'])} buyers; the shares are of those asked. Most frequent: "
        f"{largest['en']}, {share(one['class_share'], 1)} ({share(one['class_share_lo'], 1)} to "
        f"{share(one['class_share_hi'], 1)}).",
        f"n = {count(one['count_known'])} 位有答卷的客户，占到店客户 {count(one['count_population'])} 人的 "
        f"{share(one['coverage'], 1)}；占比以有答卷的客户为基数。最多的是{largest['zh']}："
        f"{share(one['class_share'], 1)}（{share(one['class_share_lo'], 1)} 至 "
        f"{share(one['class_share_hi'], 1)}）。",
    )

    def chart(language: Language) -> Chart:
        y_title, low, high, satisfied, unsatisfied = {
            "en": (
                "satisfaction, 1 to 5",
                "behaviour: low, medium",
                "behaviour: high",
                "satisfied",
                "not satisfied",
            ),
            "zh": ("总体满意度（1–5）", "行为忠诚：低、中", "行为忠诚：高", "满意", "不满意"),
        }[language]
        values = [
            {
                "x": PLACES[row["loyalty_class"]][0],
                "y": PLACES[row["loyalty_class"]][1],
                "share": float(row["class_share"]),
                "name": LOYALTY[row["loyalty_class"]][language]
                + ("*" if row["is_small_sample"] else ""),
                "told": f"{share(row['class_share'])}, n={count(row['count_customers'])}",
                "range": f"{share(row['class_share_lo'])}–{share(row['class_share_hi'])}",
                "column": {0: low, 1: high}[PLACES[row["loyalty_class"]][0]],
                "good": PLACES[row["loyalty_class"]] in (PLACES["APOSTLE"], PLACES["LOYALIST"]),
            }
            for row in rows
        ]
        x = alt.X("x:Q", axis=None).scale(domain=[-0.28, 1.78], nice=False)
        y = alt.Y("y:Q", title=y_title).axis(values=[1, 2, 3, 4, 5], grid=False, format="d")
        y = y.scale(domain=[0.8, 5.75], nice=False)
        base = sheet.over(values)
        heads = sheet.over(
            [{"x": -0.2, "y": 5.6, "text": low}, {"x": 0.82, "y": 5.6, "text": high}]
        )
        sides = sheet.over(
            [
                {"x": -0.26, "y": 3.65, "text": f"↑ {satisfied}"},
                {"x": -0.26, "y": 3.35, "text": f"↓ {unsatisfied}"},
            ]
        )
        return alt.layer(
            sheet.over([{"y": 3.5}]).mark_rule(strokeDash=[5, 4], color=sheet.LINE).encode(y),
            sheet.over([{"x": 0.76}]).mark_rule(strokeDash=[5, 4], color=sheet.LINE).encode(x),
            heads.mark_text(align="left", color=sheet.QUIET).encode(x, y, text="text:N"),
            sides.mark_text(align="left", color=sheet.QUIET, fontSize=sheet.NOTE).encode(
                x, y, text="text:N"
            ),
            base.mark_circle(opacity=0.9, stroke=sheet.INK, strokeWidth=1).encode(
                x,
                y,
                alt.Size("share:Q", legend=None).scale(domain=[0, 1], range=[0, 6000]),
                color=alt.condition("datum.good", alt.value(sheet.BLUE), alt.value(sheet.ORANGE)),
            ),
            base.mark_text(dy=-16, fontWeight="bold", align="left", dx=50).encode(
                x, y, text="name:N"
            ),
            base.mark_text(dy=0, align="left", dx=50).encode(x, y, text="told:N"),
            base.mark_text(
                dy=15, fontSize=sheet.NOTE, color=sheet.QUIET, align="left", dx=50
            ).encode(x, y, text="range:N"),
        ).properties(width=380, height=340)

    notes = [
        both(
            "Area: share of those asked; range: 95 % interval.", "面积为占比；范围为 95% 置信区间。"
        )
    ]
    if any(row["is_small_sample"] for row in rows):
        n = view.parameters["min_n"]
        notes.append(
            both(f"* Fewer than {n} answers: a small sample.", f"* 答卷少于 {n} 份，样本不足。")
        )
    return draft.drawn(caption, chart, notes)
