"""Small publications: every type, every kind of table, and a number that each publication changes.

`generation` stands in `household_size` of all rows of dim_customer, in `visits` of two marts and in
dim_as_of, so that a reader who sees two publications at once sees two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from kehu import publish
from kehu.settings import Settings

TYPES = """
    true as is_yes, 1::tinyint as tiny, -2::smallint as small, 3::integer as plain,
    4000000000::bigint as big, 200::utinyint as u_tiny, 60000::usmallint as u_small,
    4000000000::uinteger as u_plain, 18000000000000000000::ubigint as u_big,
    1234567890123456789012345678901234567::hugeint as huge, 0.5::float as single,
    0.1::double as twice, 'nan'::double as nowhere, 1234567890123456.78::decimal(18,2) as money,
    -0.000001::decimal(9,6) as share, '中文 "quoted" \\ \t,' as words, date '9999-12-31' as last_day,
    date '0001-01-01' as first_day, timestamp '2024-02-29 23:59:59.123456' as at,
    timestamptz '2024-02-29 23:59:59+08' as at_zone, time '12:34:56.789' as clock,
    interval '1 month 2 days 3 seconds' as span, 'ab'::blob as bytes, [1, null, 3] as numbers,
    ['a', '中', null] as texts, [1.50::decimal(18,2)] as prices, [[1, 2], [3]] as lists,
    {'a': 1, 'b': '中'} as both, map {'k': 1} as pairs, 'A'::enum('A', 'B') as letter,
    uuid '6fe1d4a0-0000-4000-8000-000000000001' as identity, null::decimal(18,2) as nothing
"""


@dataclass
class Home:
    """A home that publishes; `generation` counts its publications."""

    path: Path
    rows: int
    generation: int = 0

    @property
    def settings(self) -> Settings:
        return Settings(home=self.path)

    @property
    def published(self) -> Path:
        return self.path / "published" / "kehu.duckdb"

    def publish(self, as_of: date = date(2024, 2, 29)) -> str:
        """Build the next generation and publish it; the name of the publication."""
        self.generation += 1
        self.path.mkdir(parents=True, exist_ok=True)
        self.settings.marts.unlink(missing_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"attach '{self.settings.marts}' as kehu (storage_version 'v1.2.0')")
            connection.execute("use kehu")
            for statement in statements(self.generation, as_of, self.rows):
                connection.execute(statement)
        manifest: dict[str, Any] = publish.publish(
            self.settings, as_of, f"run-{self.generation}", [], {"by_stage": []}
        )
        return str(manifest["publication"])


def make_home(path: Path, rows: int = 300) -> Home:
    """A home with nothing published; marts of customers have `rows` rows for each of two dates."""
    return Home(path, rows)


def statements(generation: int, as_of: date, rows: int) -> list[str]:
    """The tables of one publication: real names where Kehu looks at them, few columns."""
    dates = (
        f"(values (date '2024-01-31', false), (date '{as_of}', true)) as d(as_of_date, is_latest)"
    )
    customers = f"range(1, {rows + 1}) as c(i)"
    return [
        "create schema core",
        "create schema marts",
        # customers, one of them with the reserved names
        f"""create table core.dim_customer as
            select 'M' || i as customer_id, case when i % 3 = 0 then null else 'F' end as gender,
                {generation}::integer as household_size from {customers}""",
        "alter table core.dim_customer alter customer_id set not null",
        f"""create table core.dim_as_of as select as_of_date, is_latest,
            {generation}::integer as count_generation from {dates}""",
        "alter table core.dim_as_of alter as_of_date set not null",
        """create table core.bridge_customer_identity as
            select 'K1' as card_no, 'M1' as customer_id, false as is_shared_phone""",
        "create table core.param as select 'currency' as name, 'CNY' as value",
        f"""create table core.fct_sales_line as select 1.00::decimal(18,2) as net_amount,
            'M' || i as customer_id from {customers}""",
        "create table core.fct_receipt as select 1.00::decimal(18,2) as valid_net_amount",
        "create table core.fct_survey_answer as select 1 as answer_key",
        "create table core.fct_complaint as select 'T1' as complaint_no",
        f"""create table core.fct_customer_month as
            select date '{as_of}' as as_of_date, 'd{generation}' as input_digest""",
        f"""create table marts.mart_customer_value as
            select 'M' || i as customer_id, as_of_date, is_latest, {generation}::integer as visits,
                (i * 1.05)::decimal(18,2) as net_sales, case when i % 5 = 0 then null else i / 7.0 end
                as score from {customers}, {dates}""",
        "alter table marts.mart_customer_value alter customer_id set not null",
        "alter table marts.mart_customer_value alter as_of_date set not null",
        f"""create table marts.mart_churn as
            select 'M' || i as customer_id, as_of_date, is_latest, {generation}::integer as visits,
                'ACTIVE' as churn_status from {customers}, {dates}""",
        "alter table marts.mart_churn alter customer_id set not null",
        "alter table marts.mart_churn alter as_of_date set not null",
        # its key may be NULL, it has no row, it has no date
        f"""create table marts.mart_churn_reason as select as_of_date, 'MONTH' as period,
            'S1' as store_code, 'SURVEY' as reason_source, null::varchar as reason_code from {dates}""",
        """create table marts.mart_kano(as_of_date date not null, survey_id varchar not null,
            wave_start_on date not null, attribute varchar not null, n integer)""",
        "create table marts.mart_load as select 'b1' as batch_id, 1::bigint as count_rows_in",
        f"create table marts.mart_types as select {TYPES} union all select "
        + ", ".join(["null"] * TYPES.count(" as ")),
    ]
