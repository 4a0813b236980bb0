"""Pictures of complaints: how high they climb, and on which days a reason is out of the ordinary."""

from __future__ import annotations

from datetime import timedelta

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
    both,
    count,
    day,
    share,
)
from kehu.report.words import LEVELS

FUNNEL = """
with complaints as (
    select complaint.*
    from marts.mart_complaint as complaint
    inner join core.dim_as_of as as_of on complaint.as_of_date = as_of.as_of_date
    where
        complaint.as_of_date = {as_of}
        and complaint.is_valid
        and complaint.received_on > complaint.as_of_date - as_of.window_days
        and complaint.entry_level is not null
        and {store} in ('ALL', complaint.store_code)
),

levels as (
    select unnest(range(1, 6)) as level
)

select
    cast(levels.level as integer) as level,
    count(*) as n_handled,
    count(*) filter (where complaints.entry_level = levels.level) as n_entered,
    count(*) filter (where complaints.entry_level < levels.level) as n_escalated,
    count(*) filter (where complaints.max_level > levels.level) as n_went_on,
    cast(
        count(*) filter (where complaints.max_level > levels.level) / count(*) as decimal(9, 6)
    ) as went_on_rate,
    (select count(*) from complaints) as n_complaints,
    (select count(*) from complaints where count_escalated > 0) as n_any_escalated,
    (select count(*) from complaints where is_skip_level) as n_skip_level,
    count(*) < max(as_of.min_n_complaint) as is_small_sample,
    bool_or(complaints.is_simulated) as is_simulated
from levels
inner join complaints
    on complaints.entry_level <= levels.level and complaints.max_level >= levels.level
cross join core.dim_as_of as as_of
where as_of.as_of_date = {as_of}
group by levels.level
order by levels.level
"""


def complaint_funnel(view: View) -> Draft:
    """Valid complaints of the window by the levels that they passed (P7)."""
    rows, sql = view.ask(FUNNEL)
    draft = Draft(
        metric_ids=("P7",),
        title=both("Complaint ladder: how high complaints climb", "投诉升级阶梯"),
        columns=(
            Column("level", both("Level", "级别"), codes=LEVELS),
            Column("n_handled", both("Complaints", "投诉数"), "count"),
            Column("n_entered", both("Made here first", "首诉于此"), "count"),
            Column("n_escalated", both("Escalated to here", "由下级升级"), "count"),
            Column("n_went_on", both("Went on up", "继续升级"), "count"),
            Column("went_on_rate", both("Share that went on", "继续升级占比"), "share"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated(rows),
    )
    if not rows:
        return draft.without(no_complaint(view))
    one = rows[0]
    caption = both(
        f"n = {count(one['n_complaints'])} valid complaints received in the {view.parameters['window_days']} "
        f"days up to the date; {count(one['n_any_escalated'])} were escalated, "
        f"{count(one['n_skip_level'])} over the head of a level.",
        f"n = {count(one['n_complaints'])} 件有效投诉"
        f"（截至该日期 {view.parameters['window_days']} 天内受理）；"
        f"升级 {count(one['n_any_escalated'])} 件，其中越级 {count(one['n_skip_level'])} 件。",
    )

    def chart(language: Language) -> Chart:
        parts = {
            "en": {"n_escalated": "escalated to here", "n_entered": "made here first"},
            "zh": {"n_escalated": "由下级升级", "n_entered": "首诉于此"},
        }[language]
        went_on = {"en": "{} went on up", "zh": "{} 继续升级"}[language]
        widest = max(row["n_handled"] for row in rows)
        values: list[Row] = []
        texts: list[Row] = []
        for row in rows:
            left = -row["n_handled"] / 2
            name = LEVELS[str(row["level"])][language] + ("*" if row["is_small_sample"] else "")
            for part in parts:
                values.append(
                    {"level": name, "part": part, "left": left, "right": left + row[part]}
                )
                left += row[part]
            texts.append(
                {
                    "level": name,
                    "right": widest * 0.53,
                    "n": count(row["n_handled"]),
                    "on": went_on.format(share(row["went_on_rate"])) if row["n_went_on"] else "",
                }
            )
        y = alt.Y("level:N", sort=[t["level"] for t in texts], title=None).axis(
            ticks=False, domain=False, labelPadding=6
        )
        x = alt.X("left:Q", axis=None).scale(domain=[-widest * 0.52, widest * 1.05], nice=False)
        right = alt.X("right:Q", axis=None)
        colour = (
            alt.Color("part:N")
            .scale(domain=list(parts), range=[sheet.BLUE, sheet.PALE])
            .legend(
                orient="bottom",
                title=None,
                direction="horizontal",
                symbolType="square",
                labelExpr=f"{sheet.json_text(parts)}[datum.value]",
            )
        )
        bars = sheet.over(values).mark_bar(stroke=sheet.LINE, height={"band": 0.78})
        base = sheet.over(texts)
        return alt.layer(
            bars.encode(x, y, x2="right:Q", color=colour),
            base.mark_text(align="left", dy=-8, fontWeight="bold").encode(right, y, text="n:N"),
            base.mark_text(align="left", dy=8, fontSize=sheet.NOTE, color=sheet.QUIET).encode(
                right, y, text="on:N"
            ),
        ).properties(width=285, height=46 * len(rows))

    n = view.parameters["min_n_complaint"]
    small = both(f"* Fewer than {n} complaints: a small sample.", f"* 投诉少于 {n} 件，样本不足。")
    return draft.drawn(caption, chart, [small] if any(r["is_small_sample"] for r in rows) else ())


CONTROL = """
with days as (
    select *
    from marts.mart_complaint_day
    where
        as_of_date <= {as_of}
        and received_on > {as_of} - {span}
        and received_on <= {as_of}
        and store_code = {store}
    -- a day stands once for each date whose period holds it: what was said last
    qualify row_number() over (partition by reason_code, received_on order by as_of_date desc) = 1
),

reasons as (
    select
        reason_code,
        sum(count_complaints) as n_complaints,
        row_number() over (
            order by reason_code = 'ALL' desc, sum(count_complaints) desc, reason_code
        ) as place
    from days
    group by reason_code
    having sum(count_complaints) > 0
),

expected as (
    select distinct
        days.expected_count,
        as_of.alert_min_count,
        as_of.alert_tail_max
    from days
    inner join core.dim_as_of as as_of on days.as_of_date = as_of.as_of_date
    where days.expected_count is not null
),

-- the smallest count that alerts: at least alert_min_count, and P(X >= count) below alert_tail_max
limits as (
    select
        expected_count,
        alert_min_count,
        alert_tail_max,
        list_min(list_filter(
            range(alert_min_count, alert_min_count + cast(10 * expected_count as bigint) + 30),
            lambda x: 1 - list_sum(list_transform(
                range(0, x), lambda k: exp(-expected_count + k * ln(expected_count) - lgamma(k + 1))
            )) < alert_tail_max
        )) as alert_from
    from expected
)

select
    days.reason_code,
    reason.name_en,
    reason.name_zh,
    days.received_on,
    days.count_complaints,
    days.expected_count,
    cast(limits.alert_from as integer) as alert_from,
    days.is_alert,
    days.is_simulated,
    cast(reasons.n_complaints as integer) as n_complaints,
    cast(reasons.place as integer) as place,
    count(*) filter (where days.is_alert) over () as n_alerts
from days
inner join reasons on days.reason_code = reasons.reason_code
inner join core.dim_as_of as as_of on days.as_of_date = as_of.as_of_date
left join limits
    on
        days.expected_count = limits.expected_count
        and as_of.alert_min_count = limits.alert_min_count
        and as_of.alert_tail_max = limits.alert_tail_max
left join core.dim_reason as reason on days.reason_code = reason.reason_code
where reasons.place <= {most}
order by reasons.place, days.received_on
"""
CONTROL_DAYS = 91
MOST_REASONS = 5  # all reasons together, and the four most frequent


def complaint_reasons_control(view: View) -> Draft:
    """Complaints a day, all and by frequent reason, with what was expected and the limit of alerts (P13)."""
    rows, sql = view.ask(CONTROL, span=CONTROL_DAYS, most=MOST_REASONS)
    reasons = {
        row["reason_code"]: both(
            row["name_en"] or row["reason_code"], row["name_zh"] or row["reason_code"]
        )
        for row in rows
    } | {COMPANY: both("All reasons", "全部原因")}
    draft = Draft(
        metric_ids=("P13", "P17"),
        title=both("Control chart of complaint reasons", "投诉原因控制图"),
        columns=(
            Column("reason_code", both("Reason", "原因"), codes=reasons),
            Column("received_on", both("Day", "受理日期"), "date"),
            Column("count_complaints", both("Complaints", "有效投诉数"), "count"),
            Column("expected_count", both("Expected λ", "期望投诉数"), "number"),
            Column("alert_from", both("Alerts from", "预警界限"), "count"),
            Column("is_alert", both("Alert", "预警"), "flag"),
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated(rows),
    )
    if not rows:
        return draft.without(no_complaint(view))
    alerts = [row for row in rows if row["is_alert"]]
    total = rows[0]["n_complaints"]
    named = both(
        "; ".join(
            f"{reasons[r['reason_code']]['en']} on {day(r['received_on'], 'en')}"
            for r in alerts[:3]
        ),
        "；".join(
            f"{day(r['received_on'], 'zh')}{reasons[r['reason_code']]['zh']}" for r in alerts[:3]
        ),
    )
    caption = both(
        f"n = {count(total)} valid complaints in {CONTROL_DAYS} days. "
        + (f"Alerts: {count(rows[0]['n_alerts'])} ({named['en']})." if alerts else "No day alerts.")
        + " A day alerts where its count is improbable by the mean of the same weekdays before.",
        f"{CONTROL_DAYS} 天内有效投诉 n = {count(total)} 件。"
        + (f"预警 {count(rows[0]['n_alerts'])} 次（{named['zh']}）。" if alerts else "无预警。")
        + "当日数量相对此前同星期均值极不可能时预警。",
    )

    def chart(language: Language) -> Chart:
        bar, expected, limit, alert = "bar", "expected", "limit", "alert"
        panels = {}
        for row in rows:
            code = row["reason_code"]
            panels[code] = f"{reasons[code][language]}: {count(row['n_complaints'])}"
        values = [
            {
                "series": name,
                "panel": panels[row["reason_code"]],
                "day": row["received_on"].isoformat(),
                "n": float(row[column]),
            }
            for name, column, of in (
                (bar, "count_complaints", rows),
                (expected, "expected_count", rows),
                (limit, "alert_from", rows),
                (alert, "count_complaints", alerts),
            )
            for row in of
            if row[column] is not None
        ]

        first = view.as_of - timedelta(days=CONTROL_DAYS - 1)
        x = (
            alt.X("day:T", title=None)
            .scale(
                type="utc",
                domain=[first.isoformat(), view.as_of.isoformat()],
                nice=False,
                padding=3,
            )
            .axis(
                grid=False,
                tickCount=4,
                labelFlush=True,
                format={"en": "%d %b", "zh": "%-m月%-d日"}[language],
            )
        )
        y = alt.Y("n:Q", title=None).axis(tickCount=3, format="d").scale(nice=False, domainMin=0)
        colour = alt.Color("series:N", legend=None).scale(
            domain=[bar, expected, limit, alert],
            range=[sheet.LINE, sheet.INK, sheet.ORANGE, sheet.ORANGE],
        )

        def only(name: str) -> alt.Chart:
            return alt.Chart().transform_filter(alt.datum.series == name)

        marks = (
            only(bar).mark_bar(width=2.6),
            only(expected).mark_line(interpolate="step", strokeWidth=1.2),
            only(limit).mark_line(interpolate="step", strokeWidth=1.2, strokeDash=[4, 3]),
            only(alert).mark_point(
                shape="triangle-down", filled=True, size=90, opacity=1, yOffset=-8
            ),
        )
        panel = alt.Row("panel:N", sort=list(panels.values()), title=None).header(
            labelOrient="top", labelAnchor="start", labelPadding=2
        )
        days = alt.layer(
            *(mark.encode(x, y, colour) for mark in marks), data=alt.InlineData(values=values)
        ).properties(width=370, height=62)
        facets: alt.FacetChart = days.facet(row=panel).resolve_scale(y="independent")
        return facets

    notes = [
        both(
            "Bars: complaints of the day. Black line: expected λ. Dashed: a day alerts from here. ▼ alert.",
            "柱：当日有效投诉数；黑线：期望投诉数 λ；虚线：预警界限；▼ 预警。",
        )
    ]
    return draft.drawn(caption, chart, notes)


def no_complaint(view: View) -> Row:
    """Why there is no picture of complaints."""
    if view.store_code == COMPANY:
        return both("No complaint is known up to this date.", "截至该日期没有投诉记录。")
    return both(
        "No complaint about this store is known in the period up to this date.",
        "截至该日期的期间内，没有关于该门店的投诉。",
    )
