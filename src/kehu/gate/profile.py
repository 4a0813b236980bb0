"""The profile of a store-day: what its lines look like taken together, to compare with its past.

One pass over the lines makes it, at the gate over what was delivered and at the load over what became
current. `ops.store_day_profile` keeps the past, `reference/volume.parquet` brings it to the gate.
"""

from __future__ import annotations

import duckdb

# what is kept of a store-day beside its number of lines
MEASURES = {
    "count_receipts": "bigint",
    "net_amount": "decimal(38,2)",
    "count_card_lines": "bigint",
    "count_return_lines": "bigint",
    "count_twin_receipts": "bigint",
}


def profile_of(rows: str, by: str = "") -> str:
    """A query of one row per store-day (and per column of `by`, "_batch_id, ") of the SQL `rows`.

    Receipts are twins where time, products, quantities and amounts are the same and the number is
    not: a file that was written twice under continued numbers is full of them.
    """
    return f"""
        with receipt as (
            select {by} store_code, business_date, till_no, receipt_no, count(*) as count_lines,
                sum(net_amount) as net_amount, count(card_no) as count_card_lines,
                count(*) filter (where receipt_type = 'RETURN') as count_return_lines,
                min(sold_at) as sold_at, sum(hash(sku_code, qty, net_amount)::hugeint) as content
            from {rows} group by all
        ),
        alike as (
            select {by} store_code, business_date, sold_at, content, count(*) as count_receipts,
                sum(count_lines) as count_lines, sum(net_amount) as net_amount,
                sum(count_card_lines) as count_card_lines,
                sum(count_return_lines) as count_return_lines
            from receipt group by all
        )
        select {by} store_code, business_date, sum(count_lines)::bigint as count_lines,
            sum(count_receipts)::bigint as count_receipts,
            sum(net_amount)::decimal(38, 2) as net_amount,
            sum(count_card_lines)::bigint as count_card_lines,
            sum(count_return_lines)::bigint as count_return_lines,
            coalesce(sum(count_receipts) filter (where count_receipts > 1), 0)::bigint
                as count_twin_receipts
        from alike group by all"""


def keep_profiles(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Add the profiles of the store-days of the SQL `rows` to those that are kept."""
    connection.execute(
        f"""insert into ops.store_day_profile by name
        select * exclude (count_lines) from ({profile_of(rows)})"""
    )


def fill_profiles(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the profiles of a warehouse that was loaded before they were kept."""
    if connection.execute(
        "select 1 from information_schema.tables "
        "where table_schema = 'raw' and table_name = 'sales_line'"
    ).fetchall():
        connection.execute("delete from ops.store_day_profile")
        keep_profiles(connection, "raw.sales_line")


def make_expectations(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables for the suite of sales lines, in the throw-away database of a run.

    `store_day_judged`: each batch's version of a store-day beside the median of the last same days
    (weekdays; a holiday beside the same holiday before) and the spread around it. `day_judged`: the
    same for the day of all stores that sold on it. What is too far off says the suite.

    A spread is that of the past, and at least what chance alone makes of so many receipts: a sum over
    receipts of n lines scatters by the root of n times twice the lines per receipt (compound Poisson,
    lines per receipt and amounts about as scattered as an exponential), a share as a binomial one.
    """
    connection.execute(
        f"create table arrived as select *, true as is_new from ({profile_of('sales_line', '_batch_id, ')})"
    )
    connection.execute(
        """create view store_day_volume as
        -- two versions of a store-day in one run are one store-day
        select business_date, store_code, max(count_lines) as count_rows, true as is_new
        from arrived group by business_date, store_code
        union all
        select business_date, store_code, count_rows, false
        from reference_volume as v anti join arrived using (business_date, store_code)"""
    )
    connection.execute(
        """create table profile as
        with one as (
            select store_code, business_date, count_lines, count_receipts, net_amount,
                count_card_lines, count_return_lines
            from arrived
            qualify row_number() over (
                partition by store_code, business_date order by count_lines desc, _batch_id
            ) = 1
            union all
            select store_code, business_date, count_rows, count_receipts, net_amount,
                count_card_lines, count_return_lines
            from reference_volume as v anti join arrived using (business_date, store_code)
            where count_rows > 0
        )
        select one.*, net_amount::double / nullif(count_lines, 0) as line_value,
            count_lines::double / nullif(count_receipts, 0) as basket,
            count_card_lines::double / nullif(count_lines, 0) as card_share,
            count_return_lines::double / nullif(count_lines, 0) as return_share,
            h.holiday_name is not null as is_holiday,
            coalesce('holiday ' || h.holiday_name, 'weekday ' || isodow(one.business_date)) as day_kind
        from one left join holiday as h on h.date_on = one.business_date"""
    )
    connection.execute(
        """create table compared as
        select d.store_code, d.business_date, p.business_date as past_on, p.count_lines, p.line_value,
            p.basket, p.card_share, p.return_share
        from profile as d
        join profile as p on p.store_code = d.store_code and p.day_kind = d.day_kind
            and p.business_date < d.business_date
            and (d.is_holiday or p.business_date >= d.business_date - (7 * param('volume_days'))::int)
        where d.business_date in (select business_date from arrived)
        qualify row_number() over (
            partition by d.store_code, d.business_date order by p.business_date desc
        ) <= param('volume_days')"""
    )
    spread = "1.4826 * mad({0}) as {0}_mad, median({0}) as {0}_median"
    names = ("count_lines", "line_value", "basket", "card_share", "return_share")
    connection.execute(
        f"""create table usual as
        select store_code, business_date, count(*) as count_days,
            {", ".join(spread.format(name) for name in names)}
        from compared group by store_code, business_date"""
    )
    connection.execute(
        """create view day_judged as
        with past as (
            select business_date, past_on, sum(count_lines) as count_lines,
                avg(basket) as basket
            from compared group by business_date, past_on
        ),
        usual_day as (
            select business_date, count(*) as count_days, median(count_lines) as usual_lines,
                1.4826 * mad(count_lines) as mad_lines, median(basket) as basket
            from past group by business_date
        ),
        day as (
            select business_date, sum(count_lines) as count_lines
            from profile semi join usual using (store_code, business_date) group by business_date
        )
        select business_date, day.count_lines, count_days, usual_lines,
            greatest(mad_lines, sqrt(2 * usual_lines * coalesce(basket, 1)),
                param('volume_spread_min') * usual_lines) as spread_lines
        from day join usual_day using (business_date)"""
    )
    # rain, a holiday nearby, a promotion: what all stores have in common is no fault of one
    connection.execute(
        """create view day_factor as
        select business_date, case when count(*) >= param('volume_min_stores')
            then least(param('volume_day_factor_max'),
                greatest(1 / param('volume_day_factor_max'), median(p.count_lines / u.count_lines_median)))
            else 1 end as day_factor
        from profile as p join usual as u using (store_code, business_date)
        where u.count_days >= param('volume_min_days')
            and u.count_lines_median >= param('volume_min_lines')
        group by business_date"""
    )
    connection.execute(
        """create table store_day_judged as
        select a._batch_id, a.store_code, a.business_date,
            a.store_code || ' ' || a.business_date as store_day, u.count_days,
            a.count_lines, a.count_receipts, a.count_twin_receipts,
            u.count_lines_median * coalesce(f.day_factor, 1) as usual_lines,
            greatest(u.count_lines_mad,
                sqrt(2 * u.count_lines_median * coalesce(u.basket_median, 1)),
                param('volume_spread_min') * u.count_lines_median) as spread_lines,
            a.net_amount::double / nullif(a.count_lines, 0) as line_value,
            u.line_value_median as usual_line_value,
            greatest(u.line_value_mad, 2 * abs(u.line_value_median) / sqrt(a.count_lines),
                param('volume_spread_min') * abs(u.line_value_median)) as spread_line_value,
            a.count_lines::double / nullif(a.count_receipts, 0) as basket,
            u.basket_median as usual_basket,
            greatest(u.basket_mad, u.basket_median / sqrt(a.count_receipts),
                param('volume_spread_min') * u.basket_median) as spread_basket,
            a.count_card_lines::double / nullif(a.count_lines, 0) as card_share,
            u.card_share_median as usual_card_share,
            greatest(u.card_share_mad,
                sqrt(u.card_share_median * (1 - u.card_share_median) / a.count_lines))
                as spread_card_share,
            a.count_return_lines::double / nullif(a.count_lines, 0) as return_share,
            u.return_share_median as usual_return_share,
            greatest(u.return_share_mad,
                sqrt(u.return_share_median * (1 - u.return_share_median) / a.count_lines))
                as spread_return_share,
            a.count_twin_receipts::double / nullif(a.count_receipts, 0) as twin_share
        from arrived as a
        left join usual as u using (store_code, business_date)
        left join day_factor as f using (business_date)"""
    )
