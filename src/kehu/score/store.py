"""The tables of the scores, in marts.duckdb beside those that dbt builds, and what goes in and out.

Described column by column in models/core/_score_sources.yml. Made empty before anything is scored, so
that the marts can be built on them from the first night on.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from kehu.errors import KehuError

PROBABILITY = "decimal(9, 6)"
FIGURE = "decimal(18, 6)"
MONEY = "decimal(18, 2)"

TABLES: dict[str, dict[str, str]] = {
    "fct_customer_score": {
        "customer_id": "varchar",
        "as_of_date": "date",
        "model": "varchar",
        "x": "integer",
        "t_x_weeks": FIGURE,
        "t_weeks": FIGURE,
        "mean_repeat_value": FIGURE,
        "p_alive_bg_nbd": PROBABILITY,
        "p_alive_mbg_nbd": PROBABILITY,
        "p_alive": PROBABILITY,
        "expected_visits_4w": FIGURE,
        "expected_visits_13w": FIGURE,
        "expected_visits_52w": FIGURE,
        "expected_visits_104w": FIGURE,
        "expected_visits_clv": FIGURE,
        "visits_missing_reason": "varchar",
        "expected_value": FIGURE,
        "expected_value_missing_reason": "varchar",
        "clv": MONEY,
        "clv_basis": "varchar",
        "clv_missing_reason": "varchar",
    },
    "fct_model_run": {
        "as_of_date": "date",
        "model": "varchar",
        "is_used": "boolean",
        "count_customers": "integer",
        "count_groups": "integer",
        "r": FIGURE,
        "alpha": FIGURE,
        "a": FIGURE,
        "b": FIGURE,
        "p": FIGURE,
        "q": FIGURE,
        "gamma": FIGURE,
        "log_likelihood": "decimal(18, 4)",
        "is_converged": "boolean",
        "expected_visits_new_52w": FIGURE,
        "mean_value": FIGURE,
        "correlation_x_value": PROBABILITY,
        "is_correlated": "boolean",
        "margin_rate": PROBABILITY,
        "calibrated_to": "date",
        "holdout_days": "integer",
        "count_holdout_customers": "integer",
        "holdout_mae": FIGURE,
        "heuristic_mae": FIGURE,
        "holdout_sales_mae": FIGURE,
        "heuristic_sales_mae": FIGURE,
        "is_published": "boolean",
        "reason_code": "varchar",
        "score_version": "integer",
        "score_digest": "varchar",
    },
    "fct_customer_churn_score": {
        "customer_id": "varchar",
        "as_of_date": "date",
        "model": "varchar",
        "model_version": "varchar",
        "p_churn": PROBABILITY,
        "driver_1": "varchar",
        "driver_2": "varchar",
        "driver_3": "varchar",
    },
    "fct_model_evaluation": {
        "as_of_date": "date",
        "model": "varchar",
        "train_on": "date",
        "test_on": "date",
        "horizon_days": "integer",
        "count_train": "integer",
        "count_train_left": "integer",
        "count_test": "integer",
        "count_test_left": "integer",
        "auc": PROBABILITY,
        "baseline_auc": PROBABILITY,
        "lift10": PROBABILITY,
        "lift10_max": PROBABILITY,
        "brier": PROBABILITY,
        "ece": PROBABILITY,
        "is_published": "boolean",
        "reason_code": "varchar",
        "model_version": "varchar",
        "coefficients": "varchar",
        "features_left_out": "varchar",
    },
    "fct_model_calibration": {
        "as_of_date": "date",
        "model": "varchar",
        "bin": "integer",
        "count_customers": "integer",
        "count_left": "integer",
        "mean_predicted": PROBABILITY,
        "share_left": PROBABILITY,
    },
}

ARROW = {
    "varchar": pa.string(),
    "date": pa.date32(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
}


def schema(table: str) -> pa.Schema:
    """Of rows on their way into a table; decimals are doubles until `insert` rounds them."""
    return pa.schema(
        [(name, ARROW.get(kind, pa.float64())) for name, kind in TABLES[table].items()]
    )


# Tables of core whose rows carry the digest of what they were computed from.
DIGESTED = ("fct_customer_month", "fct_customer_promotion")
# Tables of core without one: their own rows are digested.
SMALL = ("fct_customer_voice",)


def make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that are missing; one with other columns is of an older version: made anew."""
    connection.execute("create schema if not exists core")
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from information_schema.columns "
        "where table_catalog = current_database() and table_schema = 'core' "
        "order by table_name, ordinal_position"
    ).fetchall():
        found.setdefault(table, {})[column] = str(kind).replace(" ", "").lower()
    for table, columns in TABLES.items():
        wanted = {name: kind.replace(" ", "") for name, kind in columns.items()}
        if found.get(table) == wanted and list(found[table]) == list(wanted):
            continue
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"create or replace table core.{table} ({listed})")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append rows, column by name, rounded to the decimals that the table has."""
    columns = TABLES[table]
    listed = ", ".join(columns)
    casts = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
    connection.register("arriving", rows)
    connection.execute(f"insert into core.{table} ({listed}) select {casts} from arriving")
    connection.unregister("arriving")


def delete(connection: duckdb.DuckDBPyConnection, dates: list[date]) -> None:
    """Take the rows of these dates out of every table."""
    for table in TABLES:
        connection.execute(
            f"delete from core.{table} where list_contains(?::date[], as_of_date)", [dates]
        )


def digests(connection: duckdb.DuckDBPyConnection, logic: str) -> dict[date, str]:
    """For each date of dim_as_of, a digest of all that its scores can depend on.

    That is the input of this date and of the earlier ones, on which models are trained, every
    parameter as it holds on them, and `logic`. KehuError where core is not built.
    """
    try:
        cursor = connection.execute("select * from core.dim_as_of order by as_of_date")
    except duckdb.CatalogException:
        raise KehuError("core is not built yet; `kehu night --as-of DATE` builds it") from None
    names = [str(column[0]) for column in cursor.description or []]
    inputs: dict[date, list[Any]] = {}
    for row in cursor.fetchall():
        values = dict(zip(names, row, strict=True))
        values.pop("is_latest")
        inputs[values["as_of_date"]] = [str(value) for value in values.values()]
    said = "cast(bit_xor(md5_number(cast(whole as varchar))) as varchar)"
    digest_of = dict.fromkeys(DIGESTED, "max(input_digest)") | dict.fromkeys(SMALL, said)
    for table, expression in digest_of.items():
        if not connection.execute(
            "select 1 from information_schema.tables "
            "where table_catalog = current_database() and table_schema = 'core' and table_name = ?",
            [table],
        ).fetchall():
            continue
        for as_of, digest in connection.execute(
            f"select as_of_date, {expression} from core.{table} as whole group by as_of_date"
        ).fetchall():
            inputs.setdefault(as_of, []).append(f"{table}:{digest}")
    so_far = hashlib.md5(logic.encode(), usedforsecurity=False)
    found = {}
    for as_of in sorted(inputs):
        so_far.update("\x1f".join(inputs[as_of]).encode() + b"\x1e")
        found[as_of] = so_far.hexdigest()
    return found


def standing(connection: duckdb.DuckDBPyConnection) -> dict[date, str]:
    """The dates that are scored, with the digest of what they were scored from."""
    return dict(
        connection.execute(
            "select as_of_date, max(score_digest) from core.fct_model_run group by as_of_date"
        ).fetchall()
    )


# One row per scored customer: whole history, calibration (up to $calibrated_to), the last period of
# the length of the hold-out, and the hold-out itself. Days since 1970-01-01, values in cents.
STATISTICS = """
with known as (
    select visit.customer_id, visit.visit_on, cast(visit.net_amount * 100 as bigint) as cents
    from core.fct_visit as visit
    inner join core.fct_customer_month as month
        on visit.customer_id = month.customer_id
    where
        month.as_of_date = $as_of
        and month.excluded_reason is null
        and visit.known_from <= $as_of
        and $as_of < visit.known_to
),

numbered as (
    select
        *,
        row_number() over (partition by customer_id order by visit_on) as visit_no,
        visit_on <= $calibrated_to as is_before,
        visit_on <= $calibrated_to and visit_on > $previous_to as is_previous
    from known
)

select
    customer_id,
    count(*) - 1 as x,
    min(visit_on) - date '1970-01-01' as first_day,
    max(visit_on) - date '1970-01-01' as last_day,
    coalesce(sum(cents) filter (visit_no > 1), 0)::bigint as repeat_cents,
    count(*) filter (is_before) - 1 as x_before,
    coalesce(max(visit_on) filter (is_before) - date '1970-01-01', -1) as last_day_before,
    coalesce(sum(cents) filter (visit_no > 1 and is_before), 0)::bigint as repeat_cents_before,
    count(*) filter (is_previous) as visits_previous,
    coalesce(sum(cents) filter (is_previous), 0)::bigint as cents_previous,
    count(*) filter (not is_before) as visits_after,
    coalesce(sum(cents) filter (not is_before), 0)::bigint as cents_after
from numbered
group by customer_id
order by customer_id
"""

FIRST_VISIT = """
select min(visit.visit_on)
from core.fct_visit as visit
inner join core.fct_customer_month as month on visit.customer_id = month.customer_id
where
    month.as_of_date = $as_of
    and month.excluded_reason is null
    and visit.known_from <= $as_of
    and $as_of < visit.known_to
"""

# Margin per unit of sales over the customers whose margin is known; NULL on the sales basis.
COMPANY = """
select
    coalesce(max(value_basis), 'SALES') as value_basis,
    case
        when max(value_basis) <> 'SALES'
            then round(
                sum(margin_365d) filter (margin_365d is not null)::double
                / nullif(sum(net_sales_365d) filter (margin_365d is not null), 0)::double, 6
            )
    end as margin_rate
from core.fct_customer_month
where as_of_date = $as_of and excluded_reason is null
"""
