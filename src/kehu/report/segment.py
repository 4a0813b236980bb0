"""Pictures of segments: where customers stand by recency, frequency and money, and who moved."""

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
    Row,
    View,
    Words,
    both,
    count,
    day,
)
from kehu.report.value import FEW, SALES_FEEDS, nobody
from kehu.report.words import TIERS

RFM = """
with scores as (
    select unnest(range(1, 6)) as score
),

customers as (
    select
        value.r_score,
        value.f_score,
        value.m_score,
        value.excluded_reason
    from marts.mart_customer_value as value
    inner join core.dim_store as store on value.home_store_key = store.store_key
    where
        value.as_of_date = {as_of}
        and {store} in ('ALL', store.store_code)
)

select
    r.score as r_score,
    f.score as f_score,
    count(customers.r_score) as n_customers,
    case
        when count(customers.r_score) >= {few} then cast(avg(customers.m_score) as decimal(9, 4))
    end as mean_m_score,
    case
        when count(customers.r_score) >= {few} then cast(round(avg(customers.m_score)) as integer)
    end as m_class,
    count(customers.r_score) < max(as_of.min_n) as is_small_sample,
    sum(count(customers.r_score)) over () as count_scored,
    (select count(excluded_reason) from customers) as count_excluded
from scores as r
cross join scores as f
left join customers on r.score = customers.r_score and f.score = customers.f_score
cross join core.dim_as_of as as_of
where as_of.as_of_date = {as_of}
group by r.score, f.score
order by r.score desc, f.score
"""


def rfm_heat_map(view: View) -> Draft:
    """Customers by recency and frequency, shaded by how much they spend (V8)."""
    rows, sql = view.ask(RFM, few=FEW)
    draft = Draft(
        metric_ids=("V8",),
        title=both("Recency, frequency and money", "RFM 热力图：最近到店、频率与金额"),
        columns=(
            Column("r_score", both("R score", "R得分")),
            Column("f_score", both("F score", "F得分")),
            Column("n_customers", both("Customers", "客户数"), "count"),
            Column("mean_m_score", both("Mean M score", "M得分均值"), "number"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated((), *SALES_FEEDS),
    )
    if not rows or not rows[0]["count_scored"]:
        return draft.without(nobody(view))
    best, worst = rows[4], rows[-5]
    caption = both(
        f"n = {count(rows[0]['count_scored'])} customers with a visit in the window; "
        f"{count(rows[0]['count_excluded'])} excluded. Scores are fifths, 5 is best; equal values share a "
        f"score. {count(best['n_customers'])} came lately and often (top right), "
        f"{count(worst['n_customers'])} neither (bottom left).",
        f"n = {count(rows[0]['count_scored'])} 位窗口期内到店客户，"
        f"另排除 {count(rows[0]['count_excluded'])} 位。"
        f"得分按五分位，5 分最好，同值同分。近期且频繁到店 {count(best['n_customers'])} 人（右上），"
        f"久未到店且次数少 {count(worst['n_customers'])} 人（左下）。",
    )

    def chart(language: Language) -> Chart:
        f_title, r_title, m_title = {
            "en": (
                "F: visits, 5 = most",
                "R: last visit, 5 = latest",
                "M: mean score, 5 = spends most",
            ),
            "zh": (
                "F 频率得分（5 = 最多）",
                "R 最近到店得分（5 = 最近）",
                "M 金额得分均值（5 = 最高）",
            ),
        }[language]
        values = [
            {
                "r": row["r_score"],
                "f": row["f_score"],
                "m": row["m_class"],
                "text": f"({count(row['n_customers'])})"
                if row["is_small_sample"] and row["n_customers"]
                else count(row["n_customers"]),
            }
            for row in rows
        ]
        base = sheet.over(values).properties(width=330, height=220)
        x = alt.X("f:O", title=f_title).axis(labelAngle=0, ticks=False, domain=False)
        y = alt.Y("r:O", title=r_title, sort="descending").axis(ticks=False, domain=False)
        shade = (
            alt.Color("m:O")
            .scale(domain=[1, 2, 3, 4, 5], range=list(sheet.SHADES))
            .legend(orient="bottom", title=m_title, direction="horizontal", symbolType="square")
        )
        empty = base.transform_filter("datum.m === null")
        return alt.layer(
            empty.mark_rect(fill=sheet.PAPER, stroke=sheet.LINE).encode(x, y),
            base.transform_filter("datum.m !== null")
            .mark_rect(stroke=sheet.LINE)
            .encode(x, y, shade),
            base.mark_text(fontSize=sheet.TEXT + 1).encode(
                x, y, text="text:N", fill=sheet.on_shade(f"datum.m > {sheet.PAPER_FROM}")
            ),
        )

    n = view.parameters["min_n"]
    notes = [
        both("Number in a cell: customers.", "格内数字：客户数。"),
        both(
            f"In brackets: fewer than {n} customers, a small sample; no shade: fewer than {FEW}.",
            f"括号内：少于 {n} 人，样本不足；少于 {FEW} 人不着色。",
        ),
    ]
    return draft.drawn(
        caption, chart, notes if any(r["is_small_sample"] for r in rows) else notes[:1]
    )


MIGRATION = """
with tiers as (
    select distinct tier, tier_order
    from marts.mart_segment_structure
    where as_of_date <= {as_of} and scheme = 'PYR_1_19_30_50'
),

flows as (
    select
        moves.*,
        coalesce(origin.tier_order, 99) as from_order,
        coalesce(goal.tier_order, 99) as to_order
    from marts.mart_segment_migration as moves
    left join tiers as origin on moves.from_tier = origin.tier
    left join tiers as goal on moves.to_tier = goal.tier
    where
        moves.as_of_date = {as_of}
        and moves.comparison = 'MONTH'
        and moves.store_code = {store}
        and moves.scheme = 'PYR_1_19_30_50'
        and moves.ranking_scope = 'COMPANY'
)

select
    previous_date,
    from_tier,
    to_tier,
    n,
    case
        when is_entry then 'ENTRY'
        when is_exit then 'EXIT'
        when is_upgrade then 'UP'
        when is_downgrade then 'DOWN'
        else 'STAY'
    end as direction,
    pct_of_from,
    cast(sum(n) over (partition by direction) as integer) as n_direction,
    from_order,
    to_order,
    cast(sum(n) over (partition by from_order) as integer) as n_from,
    cast(sum(n) over (partition by to_order) as integer) as n_to,
    cast(sum(n) over (order by from_order, to_order) - n as integer) as from_start,
    cast(sum(n) over (order by to_order, from_order) - n as integer) as to_start,
    dense_rank() over (order by from_order) as from_place,
    dense_rank() over (order by to_order) as to_place,
    is_small_sample
from flows
order by from_order, to_order
"""

DIRECTIONS: dict[str, tuple[Words, str]] = {
    "STAY": (both("stayed", "不变"), sheet.PALE),
    "UP": (both("moved up", "升级"), sheet.BLUE),
    "DOWN": (both("moved down", "降级"), sheet.ORANGE),
    "ENTRY": (both("new", "新进入"), sheet.GREEN),
    "EXIT": (both("left", "流出"), sheet.INK),
}


def migration_flow(view: View) -> Draft:
    """Who moved between tiers since the month-end before, who came and who left (S4)."""
    rows, sql = view.ask(MIGRATION)
    draft = Draft(
        metric_ids=("S4", "S2"),
        title=both("Migration between tiers", "客户层级迁移"),
        columns=(
            Column("from_tier", both("From tier", "原层级"), codes=TIERS),
            Column("to_tier", both("To tier", "现层级"), codes=TIERS),
            Column("n", both("Customers", "客户数"), "count"),
            Column("pct_of_from", both("Share of tier left", "占原层级比例"), "share"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated((), *SALES_FEEDS),
    )
    if not rows:
        if view.store_code != COMPANY:
            return draft.without(nobody(view))
        return draft.without(
            both(
                "There is no month-end before this date to compare with.",
                "该日期之前没有可比较的月末。",
            )
        )
    totals = {row["direction"]: row["n_direction"] for row in rows}
    since = rows[0]["previous_date"]
    told = {
        language: ", ".join(
            f"{count(totals[code])} {name[language]}"
            if language == "en"
            else f"{name[language]} {count(totals[code])} 人"
            for code, (name, _) in DIRECTIONS.items()
            if code in totals
        )
        for language in ("en", "zh")
    }
    caption = both(
        f"From {day(since, 'en')} to {day(view.as_of, 'en')}, customers: {told['en']}.",
        f"{day(since, 'zh')}至{day(view.as_of, 'zh')}：{told['zh'].replace(', ', '，')}。",
    )

    def chart(language: Language) -> Chart:
        everybody = sum(row["n"] for row in rows)
        gap = 0.04 * everybody
        flows: list[Row] = []
        nodes: dict[tuple[int, str], Row] = {}
        for number, row in enumerate(rows):
            ends = (
                (
                    0,
                    row["from_start"] + gap * (row["from_place"] - 1),
                    row["from_tier"],
                    row["n_from"],
                ),
                (1, row["to_start"] + gap * (row["to_place"] - 1), row["to_tier"], row["n_to"]),
            )
            for side, start, tier, size in ends:
                top, low = float(start), float(start) + row["n"]
                flows += [
                    {"flow": number, "direction": row["direction"], "x": x, "top": top, "low": low}
                    for x in ((0, 0.12) if side == 0 else (0.88, 1))
                ]
                node = nodes.setdefault(
                    (side, tier),
                    {
                        "x": side,
                        "top": top,
                        "low": low,
                        "text": f"{TIERS[tier][language]} {count(size)}",
                    },
                )
                node["low"] = max(node["low"], low)
                node["top"] = min(node["top"], top)
        for node in nodes.values():
            node["mid"] = (node["top"] + node["low"]) / 2
        high = max(node["low"] for node in nodes.values())
        codes = [code for code in DIRECTIONS if code in totals]
        legend = {code: f"{DIRECTIONS[code][0][language]} {count(totals[code])}" for code in codes}
        x = alt.X("x:Q", axis=None).scale(domain=[0, 1])
        y = alt.Y("top:Q", axis=None).scale(domain=[0, high], reverse=True, nice=False)
        colour = (
            alt.Color("direction:N")
            .scale(domain=codes, range=[DIRECTIONS[code][1] for code in codes])
            .legend(
                orient="bottom",
                title=None,
                direction="horizontal",
                columns=3,
                symbolType="square",
                symbolStrokeWidth=1,
                symbolStrokeColor=sheet.LINE,
                symbolOpacity=0.85,
                labelExpr=f"{sheet.json_text(legend)}[datum.value]",
            )
        )
        band = sheet.over(flows).mark_area(
            interpolate="monotone", opacity=0.75, stroke=sheet.LINE, strokeWidth=0.5
        )
        shown = list(nodes.values())
        left, right = [n for n in shown if n["x"] == 0], [n for n in shown if n["x"] == 1]
        mid = alt.Y("mid:Q", axis=None)
        layers: list[alt.Chart] = [band.encode(x, y, y2="low:Q", color=colour, detail="flow:N")]
        for ends_here, align, shift in ((left, "right", -7), (right, "left", 7)):
            base = sheet.over(ends_here)
            layers += [
                base.mark_rule(strokeWidth=6, color=sheet.INK).encode(x, y, y2="low:Q"),
                base.mark_text(align=align, dx=shift).encode(x, mid, text="text:N"),  # type: ignore[arg-type]
            ]
        return alt.LayerChart(layer=layers).properties(width=215, height=300)

    notes = [
        both(
            f"Left {day(since, 'en')}, right {day(view.as_of, 'en')}; customers in each tier.",
            f"左：{day(since, 'zh')}；右：{day(view.as_of, 'zh')}；数字为各层级客户数。",
        )
    ]
    if any(row["is_small_sample"] for row in rows):
        n = view.parameters["min_n"]
        notes.append(
            both(
                f"A tier with fewer than {n} customers is a small sample.",
                f"层级客户少于 {n} 人时样本不足。",
            )
        )
    return draft.drawn(caption, chart, notes)
