"""Pictures of value: who the customers are, and how much of it lies with how few."""

from __future__ import annotations

from dataclasses import replace

import altair as alt

from kehu.report import figures, sheet
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
    share,
)
from kehu.report.words import TIERS, VALUE_BASES

FEW = 5  # fewer customers than these are not shown as a group of their own
SALES_FEEDS = ("sales_line", "member", "member_card")

PYRAMID = """
with buyers as (
    select cast(count(*) as integer) as n_buyers
    from marts.mart_customer_value as value
    inner join core.dim_store as store on value.home_store_key = store.store_key
    where
        value.as_of_date = {as_of}
        and value.count_visits_365d > 0
        and value.excluded_reason is null
        and {store} in ('ALL', store.store_code)
)

select
    tier,
    tier_order,
    n_customers,
    pct_customers,
    value_basis,
    value_total,
    pct_value,
    count_value_missing,
    is_small_sample,
    cast(sum(n_customers) over () as integer) as n_all,
    n_buyers
from marts.mart_segment_structure
cross join buyers
where
    as_of_date = {as_of}
    and store_code = {store}
    and scheme = 'PYR_1_19_30_50'
    and ranking_scope = 'COMPANY'
order by tier_order
"""


def pyramid(view: View) -> Draft:
    """Tiers of customers by value: how many they are, and how much of the value is theirs (S2)."""
    rows, sql = view.ask(PYRAMID)
    basis = VALUE_BASES.get(rows[0]["value_basis"] if rows else "SALES", VALUE_BASES["SALES"])
    draft = Draft(
        metric_ids=("S2", "S1", "V4"),
        title=both("Customer pyramid", "客户金字塔"),
        columns=(
            Column("tier", both("Tier", "层级"), codes=TIERS),
            Column("n_customers", both("Customers", "客户数"), "count"),
            Column("pct_customers", both("Share of customers", "客户占比"), "share"),
            Column("value_total", both("Value", "价值合计"), "money"),
            Column("pct_value", both("Share of value", "价值占比"), "share"),
            SMALL_SAMPLE,
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated((), *SALES_FEEDS),
    )
    if not rows or all(row["pct_value"] is None for row in rows):
        return draft.without(nobody(view))
    top = rows[0]
    told = share(top["pct_value"], 1)
    caption = both(
        f"{count(top['n_all'])} customers whose value is known, of {count(top['n_buyers'])} who came. "
        f"The top {share(top['pct_customers'], 1)} "
        f"({count(top['n_customers'])}) have {told} of {basis['en']}.",
        f"价值可计算的客户 {count(top['n_all'])} 人（到店 {count(top['n_buyers'])} 人）。"
        f"前 {share(top['pct_customers'], 1)}（{count(top['n_customers'])} 人）占{basis['zh']}的 {told}。",
    )
    if view.store_code != COMPANY:
        caption = both(
            caption["en"] + " Tiers are places among all customers of the company.",
            caption["zh"] + "层级按全公司客户排名。",
        )

    def chart(language: Language) -> Chart:
        values = [
            {
                "tier": TIERS.get(row["tier"], both(row["tier"], row["tier"]))[language]
                + ("*" if row["is_small_sample"] else ""),
                "place": row["tier_order"],
                "customers": float(row["pct_customers"]),
                "value": float(row["pct_value"] or 0),
                "customers_text": f"{count(row['n_customers'])} ({share(row['pct_customers'])})",
                "value_text": "" if row["pct_value"] is None else share(row["pct_value"]),
            }
            for row in rows
        ]
        top_share = max(max(v["customers"], v["value"]) for v in values)
        low = min(0.0, *(v["value"] for v in values))
        base = sheet.over(values).properties(width=150, height=190)
        y = alt.Y("tier:N", sort=alt.SortField("place"), title=None)
        no_axis = y.axis(None)
        names = y.axis(labelPadding=8, ticks=False, domain=False, labelFontWeight="bold")
        left_title, right_title = {
            "en": ("customers", f"share of {basis['en']}"),
            "zh": ("客户数与占比", f"{basis['zh']}占比"),
        }[language]
        span = top_share * 1.15
        left_x = alt.X("customers:Q", title=left_title).axis(None)
        left_x = left_x.scale(domain=[0, span * 1.55], reverse=True)
        right_x = (
            alt.X("value:Q", title=right_title).axis(None).scale(domain=[low * 1.3, span * 1.3])
        )
        return alt.hconcat(
            alt.layer(
                base.mark_bar(color=sheet.LINE, height={"band": 0.82}).encode(left_x, no_axis),
                base.mark_text(align="right", dx=-5).encode(
                    left_x, no_axis, text="customers_text:N"
                ),
            ).properties(title=panel_title(left_title)),
            alt.layer(
                base.mark_bar(color=sheet.BLUE, height={"band": 0.82}).encode(right_x, names),
                base.mark_text(align="left", dx=5).encode(right_x, names, text="value_text:N"),
            ).properties(title=panel_title(right_title)),
        )

    notes = (small_sample(view),)
    return draft.drawn(caption, chart, notes if any(r["is_small_sample"] for r in rows) else ())


def panel_title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, fontSize=sheet.TEXT, fontWeight="normal", color=sheet.INK)


def small_sample(view: View) -> Words:
    n = view.parameters["min_n"]
    return both(f"* Fewer than {n} customers: a small sample.", f"* 客户少于 {n} 人，样本不足。")


def nobody(view: View) -> Words:
    """Why a mart of customers has no row."""
    if view.store_code == COMPANY:
        return both("No customer has a value on this date.", "该日期没有可计算价值的客户。")
    return both(
        "This store has no numbers of its own: too few buyers (they are counted under OTHER), or none.",
        "该门店没有单独的数字：客户数低于最小样本量（并入“其他”），或没有客户。",
    )


WHALE = """
with ranked as (
    select
        value.value_basis,
        row_number() over (order by value.value_365d desc, value.customer_id) as place,
        count(*) over () as n_customers,
        sum(value.value_365d) over (
            order by value.value_365d desc, value.customer_id rows unbounded preceding
        ) as cumulative_value,
        sum(value.value_365d) over () as value_total
    from marts.mart_customer_value as value
    inner join core.dim_store as store on value.home_store_key = store.store_key
    where
        value.as_of_date = {as_of}
        and value.value_rank is not null
        and {store} in ('ALL', store.store_code)
),

-- each step takes in at least {few} customers: a picture shows groups, not persons
steps as (
    select unnest(range(step, 101, step)) as percent
    from (
        select
            case
                when max(n_customers) >= {few} * 50 then 2
                when max(n_customers) >= {few} * 20 then 5
                when max(n_customers) >= {few} * 10 then 10
                else 20
            end as step
        from ranked
    )
)

select
    concentration.value_basis,
    cast(steps.percent / 100 as decimal(9, 6)) as share_of_customers,
    cast(ranked.place as integer) as customers,
    ranked.cumulative_value,
    cast(ranked.cumulative_value / ranked.value_total as decimal(18, 6)) as share_of_value,
    concentration.n_customers,
    concentration.value_total,
    concentration.gini,
    concentration.claimed_top_20_share,
    concentration.pct_profitable,
    concentration.whale_peak_ratio,
    concentration.n_customers - concentration.count_profitable as count_losing,
    concentration.value_destroyed,
    concentration.is_small_sample
from marts.mart_concentration as concentration
cross join steps
inner join ranked on ranked.place = cast(ceil(ranked.n_customers * steps.percent / 100) as bigint)
where
    concentration.as_of_date = {as_of}
    and concentration.store_code = {store}
    and concentration.value_total > 0
order by steps.percent
"""


def whale_curve(view: View) -> Draft:
    """Value of the best customers together, from the first to the last (S3).

    With profit or margin it rises above 100 % and falls where customers lose; sales show no loss, so
    on the sales basis it is drawn as what it is, a curve of concentration.
    """
    rows, sql = view.ask(WHALE, few=FEW)
    is_sales = bool(rows) and rows[0]["value_basis"] == "SALES"
    basis = VALUE_BASES.get(rows[0]["value_basis"] if rows else "SALES", VALUE_BASES["SALES"])
    draft = Draft(
        metric_ids=("S3", "V4"),
        title=both(
            "Concentration of sales (no cost known: not a whale curve)",
            "销售额集中度曲线（成本未知，并非鲸鱼曲线）",
        )
        if is_sales
        else both(f"Whale curve: cumulative {basis['en']}", f"鲸鱼曲线：累计{basis['zh']}"),
        columns=(
            Column(
                "share_of_customers", both("Best customers, share", "客户占比（由高到低）"), "share"
            ),
            Column("customers", both("Customers", "客户数"), "count"),
            Column("cumulative_value", both("Cumulative value", "累计价值"), "money"),
            Column("share_of_value", both("Share of value", "价值占比"), "share"),
        ),
        rows=rows,
        sql=sql,
        is_simulated=view.is_simulated((), *SALES_FEEDS),
    )
    if not rows:
        return draft.without(nobody(view))
    one = rows[0]
    if one["is_small_sample"]:
        n = view.parameters["min_n"]
        return replace(draft, rows=[]).without(
            both(
                f"Fewer than {n} customers: a curve would show single persons.",
                f"客户少于 {n} 人，样本不足：曲线会暴露个人。",
            )
        )
    fifth = next(row for row in rows if float(row["share_of_customers"]) == 0.2)
    claimed = one["claimed_top_20_share"]
    currency = str(view.parameters.get("currency", "CNY"))
    # the curve is of what is left after losses; the share of positive value stands in the scorecard
    net = both(f"net {basis['en']}", f"净{basis['zh']}") if one["count_losing"] else basis
    caption = both(
        f"n = {count(one['n_customers'])} customers with known {basis['en']}. The best 20 % have "
        f"{share(fifth['share_of_value'], 1)} of {net['en']} (the rule of thumb says "
        f"{share(claimed)}). Gini {one['gini'] or 0:.2f}.",
        f"n = {count(one['n_customers'])} 位{basis['zh']}可计算的客户。前 20% 客户占{net['zh']}的 "
        f"{share(fifth['share_of_value'], 1)}（“二八定律”为 {share(claimed)}）。"
        f"基尼系数 {one['gini'] or 0:.2f}。",
    )
    if is_sales:
        caption = both(
            caption["en"] + " Sales show no losses.", caption["zh"] + "销售额口径看不出亏损。"
        )
    elif one["whale_peak_ratio"] is not None:
        lost = one["count_losing"]
        told: dict[Language, str] = {
            language: figures.written(one["value_destroyed"], "money", language, currency=currency)
            for language in figures.LANGUAGES
        }
        caption = both(
            f"{caption['en']} Losing customers: {count(lost)}, who together lose {told['en']}.",
            f"{caption['zh']}亏损客户 {count(lost)} 位，合计亏损 {told['zh']}。",
        )

    def chart(language: Language) -> Chart:
        points: list[Row] = [{"x": 0.0, "y": 0.0}]
        points += [
            {"x": float(row["share_of_customers"]), "y": float(row["share_of_value"])}
            for row in rows
        ]
        x_title, y_title, equal, claim, best = {
            "en": (
                "best customers, share of all",
                f"share of all {net['en']}",
                "all alike",
                f"rule of thumb: {share(claimed)}",
                f"best 20 %: {share(fifth['share_of_value'])}",
            ),
            "zh": (
                "客户占比（由高到低累计）",
                f"{net['zh']}累计占比",
                "完全平均",
                f"二八定律：{share(claimed)}",
                f"前20%：{share(fifth['share_of_value'])}",
            ),
        }[language]
        x = alt.X("x:Q", title=x_title).axis(format=".0%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
        high = max(1.0, *(p["y"] for p in points)) * 1.05
        y = alt.Y("y:Q", title=y_title).axis(format=".0%").scale(domain=[0, high], nice=False)
        line = sheet.over(points)
        at = [{"x": 0.2, "y": float(fifth["share_of_value"]), "text": best}]
        said = [{"x": 0.2, "y": float(claimed), "text": claim}]
        is_below = fifth["share_of_value"] < claimed
        text = alt.Text("text:N")

        layers = [
            line.mark_area(color=sheet.BLUE, opacity=0.12).encode(x, y),
            sheet.over([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
            .mark_line(color=sheet.LINE, strokeDash=[5, 4], strokeWidth=1.5)
            .encode(x, y),
            line.mark_line(color=sheet.BLUE, strokeWidth=3).encode(x, y),
            sheet.label(
                sheet.over([{"x": 0.66, "y": 0.56, "text": equal}]),
                x,
                y,
                text,
                align="left",
                dx=8,
                dy=10,
            ),
            sheet.over(said)
            .mark_point(shape="cross", size=110, filled=True, color=sheet.ORANGE, opacity=1)
            .encode(x, y),
            sheet.label(sheet.over(said), x, y, text, dx=20, dy=-16 if is_below else 18),
            sheet.over(at)
            .mark_point(size=110, filled=True, color=sheet.BLUE, opacity=1)
            .encode(x, y),
            sheet.label(
                sheet.over(at),
                x,
                y,
                text,
                align="left",
                dx=10,
                dy=14 if is_below else -10,
                fontWeight="bold",
            ),
        ]
        return alt.layer(*layers).properties(width=350, height=260)

    return draft.drawn(caption, chart)
