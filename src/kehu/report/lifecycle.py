"""Pictures of lifecycles: how long customers stay, by cohort and as a curve."""

from __future__ import annotations

import altair as alt

from kehu.report import sheet
from kehu.report.picture import (
    SMALL_SAMPLE,
    Chart,
    Column,
    Draft,
    Language,
    View,
    both,
    count,
    month,
    share,
)
from kehu.report.value import SALES_FEEDS

COHORT = """
with origin as (
    select coalesce(
        max(relationship_origin) filter (where relationship_origin = 'OBSERVED'),
        max(relationship_origin) filter (where relationship_origin = 'LEFT_TRUNCATED')
    ) as relationship_origin
    from marts.mart_cohort
    where as_of_date = {as_of} and not is_partial and age_month > 0
)

select
    cohort.relationship_origin,
    cohort.cohort_month,
    cohort.age_month,
    cohort.size,
    cohort.retained_bounded,
    cohort.bounded_rate,
    cohort.bounded_rate_lo,
    cohort.bounded_rate_hi,
    cohort.is_small_sample,
    cast(sum(cohort.size) filter (where cohort.age_month = 1) over () as integer) as n_customers
from marts.mart_cohort as cohort
inner join origin on cohort.relationship_origin = origin.relationship_origin
where
    cohort.as_of_date = {as_of}
    and not cohort.is_partial
    and cohort.age_month between 1 and 12
    and cohort.cohort_month > {as_of} - interval 13 months
order by cohort.cohort_month, cohort.age_month
"""


def cohort_triangle(view: View) -> Draft:
    """Share of each month's new customers who came in the months after (L4).

    Where every customer is older than the data, cohorts are by the first month in the data, and the
    picture says so.
    """
    rows, sql = view.ask(COHORT)
    is_observed = bool(rows) and rows[0]["relationship_origin"] == "OBSERVED"
    draft = Draft(
        metric_ids=("L4",),
        title=both("Cohort retention by month", "同期群留存三角（按月）"),
        columns=(
            Column("cohort_month", both("Cohort", "同期群月份"), "month"),
            Column("age_month", both("Months since", "群龄月数"), "count"),
            Column("size", both("Customers", "群规模"), "count"),
            Column("retained_bounded", both("Came in the month", "当月到店客户数"), "count"),
            Column("bounded_rate", both("Retention", "当月留存率"), "share"),
            Column("bounded_rate_lo", both("Lower bound", "当月留存率下限"), "share"),
            Column("bounded_rate_hi", both("Upper bound", "当月留存率上限"), "share"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated((), *SALES_FEEDS),
        has_store=False,
    )
    if not rows:
        return draft.without(
            both(
                "No cohort is a whole month old on this date.", "截至该日期，没有满一个月的同期群。"
            )
        )
    first = rows[0]
    caption = both(
        f"n = {count(first['n_customers'])} customers in cohorts by month of the first visit. Of those of "
        f"{month(first['cohort_month'], 'en')} ({count(first['size'])}), {share(first['bounded_rate'], 1)} "
        f"came in the next month. Unfinished months are left out.",
        f"n = {count(first['n_customers'])} 位客户，按首次到店月份分群。"
        f"{month(first['cohort_month'], 'zh')}的 "
        f"{count(first['size'])} 位客户中，次月到店 {share(first['bounded_rate'], 1)}。未满的月份不计。",
    )

    def chart(language: Language) -> Chart:
        x_title, y_title, shade_title = {
            "en": ("months since the first visit", "cohort (customers)", "% who came in the month"),
            "zh": ("首次到店后的月数", "同期群（客户数）", "当月到店客户占比（%）"),
        }[language]
        values = [
            {
                "cohort": f"{row['cohort_month']:%Y-%m} ({count(row['size'])})",
                "age": row["age_month"],
                "rate": float(row["bounded_rate"]),
                "text": f"({row['bounded_rate'] * 100:.0f})"
                if row["is_small_sample"]
                else f"{row['bounded_rate'] * 100:.0f}",
            }
            for row in rows
        ]
        cohorts = list(dict.fromkeys(v["cohort"] for v in values))
        base = sheet.over(values).properties(width=300, height=24 * max(3, len(cohorts)))
        x = alt.X("age:O", title=x_title).axis(
            labelAngle=0, ticks=False, domain=False, orient="top", titlePadding=4
        )
        y = alt.Y("cohort:N", title=y_title, sort=cohorts).axis(ticks=False, domain=False)
        shade = (
            alt.Color("rate:Q")
            .scale(type="threshold", domain=[0.2, 0.4, 0.6, 0.8], range=list(sheet.SHADES))
            .legend(orient="bottom", title=shade_title, format=".0%")
        )
        return alt.layer(
            base.mark_rect(stroke=sheet.LINE).encode(
                x,
                y,
                shade.legend(
                    format=".0%", symbolType="square", orient="bottom", columns=5, title=shade_title
                ),
            ),
            base.mark_text(fontSize=sheet.NOTE).encode(
                x, y, text="text:N", fill=sheet.on_shade("datum.rate >= 0.6")
            ),
        )

    notes = []
    if not is_observed:
        notes.append(
            both(
                "Every customer was enrolled before the data begin: the cohort is the first month in the "
                "data, not the beginning of the relationship.",
                "所有客户均在数据起始前入会：同期群为数据中的首个到店月份，并非关系的起点。",
            )
        )
    if any(row["is_small_sample"] for row in rows):
        n = view.parameters["min_n"]
        notes.append(
            both(
                f"In brackets: fewer than {n} customers, a small sample.",
                f"括号内：同期群少于 {n} 人，样本不足。",
            )
        )
    return draft.drawn(caption, chart, notes)


SURVIVAL = """
with curve as (
    select *
    from marts.mart_survival
    where as_of_date = {as_of} and stratum_type = 'ALL' and stratum = 'ALL'
),

span as (
    select
        least(
            {days}, coalesce(max(t_days) filter (where not is_small_sample), max(t_days))
        ) as until_days
    from curve
),

steps as (
    select unnest(range(0, until_days + 1, 7)) as day_no
    from span
)

select
    cast(steps.day_no as integer) as day_no,
    curve.at_risk,
    curve.survival,
    curve.survival_lo,
    curve.survival_hi,
    curve.is_small_sample,
    curve.median_days,
    curve.count_customers,
    curve.count_events,
    curve.count_returned
from steps
asof inner join curve on steps.day_no >= curve.t_days
order by steps.day_no
"""
SURVIVAL_DAYS = 730  # what is drawn: later, few are left to see


def survival_curve(view: View) -> Draft:
    """Share of customers not lost by the days since their beginning, with the interval (L5)."""
    rows, sql = view.ask(SURVIVAL, days=SURVIVAL_DAYS)
    draft = Draft(
        metric_ids=("L5",),
        title=both("Survival of customers", "客户生存曲线（Kaplan-Meier）"),
        columns=(
            Column("day_no", both("Days", "关系天数"), "count"),
            Column("at_risk", both("At risk", "风险集人数"), "count"),
            Column("survival", both("Survival", "生存率"), "share"),
            Column("survival_lo", both("Lower bound", "生存率下限"), "share"),
            Column("survival_hi", both("Upper bound", "生存率上限"), "share"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated((), *SALES_FEEDS),
        has_store=False,
    )
    if len(rows) < 2:
        return draft.without(
            both("No customer has been observed for a week.", "没有观察满一周的客户。")
        )
    one, last = rows[0], rows[-1]
    if one["median_days"] is None:
        half = both("The curve does not reach 50 %.", "曲线未降至 50%。")
    else:
        half = both(
            f"Half are lost after {count(one['median_days'])} days.",
            f"中位生存天数 {count(one['median_days'])} 天。",
        )
    caption = both(
        f"n = {count(one['count_customers'])} customers, {count(one['count_events'])} lost at least once, of "
        f"whom {count(one['count_returned'])} came back. {half['en']} After {count(last['day_no'])} days "
        f"{share(last['survival'], 1)} are left (95 % interval {share(last['survival_lo'] or 0, 1)} to "
        f"{share(last['survival_hi'] or 0, 1)}).",
        f"n = {count(one['count_customers'])} 位客户，其中 {count(one['count_events'])} 位曾流失，"
        f"{count(one['count_returned'])} 位流失后回归。{half['zh']}第 {count(last['day_no'])} 天生存率 "
        f"{share(last['survival'], 1)}（95% 置信区间 {share(last['survival_lo'] or 0, 1)} 至 "
        f"{share(last['survival_hi'] or 0, 1)}）。",
    )

    def chart(language: Language) -> Chart:
        x_title, y_title, risk, median = {
            "en": ("days since the beginning", "share not lost", "at risk", "median"),
            "zh": ("关系天数", "生存率（未流失占比）", "风险集人数", "中位数"),
        }[language]
        values = [
            {
                "t": row["day_no"],
                "s": float(row["survival"]),
                "lo": None if row["survival_lo"] is None else float(row["survival_lo"]),
                "hi": None if row["survival_hi"] is None else float(row["survival_hi"]),
            }
            for row in rows
        ]
        scale = alt.Scale(domain=[0, last["day_no"]], nice=False)
        x = alt.X("t:Q", scale=scale, axis=alt.Axis(tickCount=5, labelFlush=True, title=x_title))
        share_axis = alt.Axis(format=".0%", title=y_title)
        y = alt.Y("s:Q", axis=share_axis, scale=alt.Scale(domain=[0, 1]))
        low = alt.Y("lo:Q", axis=share_axis)
        base = sheet.over(values)
        layers = [
            base.mark_area(interpolate="step-after", color=sheet.BLUE, opacity=0.25).encode(
                x, low, y2="hi:Q"
            ),
            base.mark_line(interpolate="step-after", color=sheet.BLUE, strokeWidth=2.5).encode(
                x, y
            ),
            sheet.over([{"s": 0.5}])
            .mark_rule(strokeDash=[5, 4], color=sheet.LINE, strokeWidth=1.5)
            .encode(y),
        ]
        if one["median_days"] is not None and one["median_days"] <= last["day_no"]:
            at = sheet.over(
                [{"t": one["median_days"], "s": 0.5, "text": f"{median} {one['median_days']}"}]
            )
            layers.append(
                at.mark_point(size=90, filled=True, color=sheet.ORANGE, opacity=1).encode(x, y)
            )
            layers.append(sheet.label(at, x, y, alt.Text("text:N"), align="left", dx=8, dy=-12))
        every = max(1, len(rows) // 5)
        picked = [
            {"t": row["day_no"], "text": count(row["at_risk"])} for row in rows[every // 2 :: every]
        ]
        table = alt.layer(
            sheet.over(picked)
            .mark_text(fontSize=sheet.NOTE)
            .encode(alt.X("t:Q", scale=scale, axis=None), text="text:N"),
            sheet.over([{"text": risk}])
            .mark_text(fontSize=sheet.NOTE, color=sheet.QUIET, align="right", x=-8)
            .encode(text="text:N"),
        )
        return alt.vconcat(
            alt.LayerChart(layer=layers).properties(width=340, height=230),
            table.properties(width=340, height=16),
        )

    notes = [both("Band: 95 % interval (Greenwood).", "色带：95% 置信区间（Greenwood）。")]
    if any(row["is_small_sample"] for row in rows):
        notes.append(
            both(
                f"Fewer than {view.parameters['min_n']} customers at risk in places: a small sample.",
                f"部分时段风险集人数少于 {view.parameters['min_n']}，样本不足。",
            )
        )
    return draft.drawn(caption, chart, notes)
