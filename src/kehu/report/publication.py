"""A publication as report and page read it: by SQL from its own marts, at its own date.

Nothing is computed here that a mart holds. Each query is kept with the rows it gave, so that it can be
shown beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import duckdb

from kehu.errors import KehuError
from kehu.extract.typing import literal
from kehu.publish import ANOTHER_NAME
from kehu.report.figures import Answer, Row
from kehu.report.pictures import Picture, draw_all

ALL = "ALL"
SCORECARD = "marts.mart_scorecard"
REPORT = "marts.mart_report"
SECTIONS = ("SUMMARY", "SITUATION", "PROBLEM", "ADVICE")


@dataclass(frozen=True)
class Store:
    """A store that the page offers; `n` customers with a rank, by whom it was chosen."""

    code: str
    name: str
    n: int


class Publication:
    """One publication folder, opened for reading."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.folder = folder
        self.connection = connection
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        self.as_of = date.fromisoformat(self.manifest["as_of_date"])
        self._pictures: dict[str, list[Picture]] = {}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """KehuError where there is no publication in the folder."""
        if not (folder / "manifest.json").exists() or not (folder / ANOTHER_NAME).exists():
            raise KehuError(f"{folder} holds no publication; `kehu night --as-of DATE` publishes")
        with duckdb.connect(str(folder / ANOTHER_NAME), read_only=True) as connection:
            yield cls(folder, connection)

    @property
    def identity(self) -> str:
        return str(self.manifest["publication"])

    @property
    def is_all_simulated(self) -> bool:
        """Sales are simulated, and with them every number that rests on customers."""
        return "sales_line" in self.manifest["simulated_feeds"]

    def ask(self, identity: str, sql: str, mart: str = "") -> Answer:
        """Run a query and keep it with its rows."""
        rows: list[Row] = self.connection.execute(sql).to_arrow_table().to_pylist()
        return Answer(identity, sql, rows, mart)

    @cached_property
    def _day(self) -> str:
        return f"date '{self.as_of.isoformat()}'"

    @cached_property
    def names(self) -> Row:
        """Company, currency and parameters, as they held at the date."""
        return self.ask(
            "names",
            "select company_name, currency, min_n, min_n_complaint, silent_window_days\n"
            f"from core.dim_as_of\nwhere as_of_date = {self._day}",
        ).one

    def scorecard(self, store: str = ALL) -> Answer:
        """Every KPI of a store, in the order of the perspectives."""
        return self.ask(
            f"sql-scorecard-{store}",
            f"select *\nfrom {SCORECARD}\n"
            f"where as_of_date = {self._day} and store_code = {literal(store)}\n"
            "order by kpi_order",
            "mart_scorecard",
        )

    def kpi(self, kpi: str, store: str = ALL, said_as: str = "KPI") -> Answer:
        """One KPI of the scorecard, as a query of its own; `said_as` is how it is put into words."""
        return self.ask(
            f"sql-kpi-{kpi}-{said_as}-{store}",
            f"select {literal(said_as)} as statement_code,\n    {', '.join(_SCORES)}\n"
            f"from {SCORECARD}\nwhere as_of_date = {self._day} and store_code = {literal(store)}\n"
            f"    and kpi = {literal(kpi)}",
            "mart_scorecard",
        )

    def verdict(self, store: str = ALL) -> Answer:
        """How many KPIs of a store stand where, against their targets."""
        return self.ask(
            f"sql-verdict-{store}",
            "select\n    "
            + ",\n    ".join(
                f"count(*) filter (where status = '{status}') as {status.lower()}"
                for status in ("MET", "BELOW_TARGET", "BREACHED", "NO_TARGET", "NOT_MEASURABLE")
            )
            + ",\n    count(*) filter (where status in ('MET', 'BELOW_TARGET', 'BREACHED')) as with_target"
            ",\n    count(*) filter (where target is not null and floor is not null) as given"
            ",\n    count(*) as all_kpis,\n    max(as_of_date) as as_of_date,\n    'K1' as metric_id\n"
            f"from {SCORECARD}\n"
            f"where as_of_date = {self._day} and store_code = {literal(store)}",
            "mart_scorecard",
        )

    def perspectives(self, store: str = ALL) -> Answer:
        """Attainment of the scorecard and of each of its perspectives."""
        return self.ask(
            f"sql-perspectives-{store}",
            "select store_code, perspective,\n"
            "    max(perspective_attainment) as perspective_attainment,\n"
            "    max(scorecard_attainment) as scorecard_attainment,\n"
            "    max(as_of_date) as as_of_date, 'K1' as metric_id\n"
            f"from {SCORECARD}\nwhere as_of_date = {self._day} and store_code = {literal(store)}\n"
            "group by store_code, perspective\norder by min(kpi_order)",
            "mart_scorecard",
        )

    @cached_property
    def value_basis(self) -> str | None:
        """What the value of a customer is: PROFIT, MARGIN or SALES; None where nobody has one."""
        rows = self.ask(
            "basis",
            "select value_basis\nfrom marts.mart_concentration\n"
            f"where as_of_date = {self._day} and store_code = 'ALL'",
        ).rows
        return rows[0]["value_basis"] if rows else None

    @cached_property
    def measured_by_store(self) -> frozenset[str]:
        """KPIs that some store has on some date."""
        rows = self.ask(
            "by-store", f"select distinct kpi from {SCORECARD} where store_code <> 'ALL'"
        )
        return frozenset(row["kpi"] for row in rows.rows)

    def wrong(self, store: str) -> list[Row]:
        """KPIs of a store that count and are beyond their limit or significantly worse, gravest first."""
        return self.ask(
            f"wrong-{store}",
            "select s.kpi, s.status, k.theme\n"
            f"from {SCORECARD} as s\ninner join core.kpi as k using (kpi)\n"
            f"where s.as_of_date = {self._day} and s.store_code = {literal(store)}\n"
            "    and s.weight_given > 0 and (s.status = 'BREACHED' or s.change_code = 'WORSE')\n"
            "order by s.status = 'BREACHED' desc, s.weight_given desc, s.kpi_order",
        ).rows

    def treatments(self, kpi: str, store: str) -> list[Answer]:
        """What is advised for a KPI of a store, each with the KPI that shows success.

        Its figures are the store's, and the company's where the store has none.
        """
        scope = literal(self.manifest.get("param_scope", "default"))
        sql = (
            "select 'TREATMENT' as statement_code, t.strategy_code, t.action_en, t.action_zh,\n"
            "    t.channel, t.max_cost, t.owner, t.due_days, t.success_kpi,\n    "
            + ", ".join(f"s.{name}" for name in _SCORES if name != "owner")
            + f"\nfrom core.treatment_matrix as t\ninner join {SCORECARD} as s\n"
            f"    on s.kpi = t.success_kpi and s.as_of_date = {self._day}\n"
            f"    and s.store_code in ('ALL', {literal(store)})\n"
            f"where t.kpi = {literal(kpi)} and t.segment = 'ALL' and t.scope in ('default', {scope})\n"
            f"    and {self._day} >= t.valid_from and {self._day} < t.valid_to\n"
            "qualify rank() over (order by t.scope = 'default') = 1\n"
            "    and row_number() over (\n"
            "        partition by t.strategy_code order by t.valid_from desc, s.store_code = 'ALL'\n"
            "    ) = 1\norder by t.due_days, t.strategy_code"
        )
        return [
            self.ask(
                f"sql-treatment-{kpi}-{row['strategy_code']}-{store}",
                f"select * from (\n{sql}\n) where strategy_code = {literal(row['strategy_code'])}",
                "mart_scorecard",
            )
            for row in self.ask("treatments", sql).rows
        ]

    def statements(self, section: str) -> Answer:
        """Every statement of a section of the report, in its order."""
        return self.ask(
            f"sql-{section.lower()}",
            f"select *\nfrom {REPORT}\nwhere as_of_date = {self._day} and section = '{section}'\n"
            "order by rank",
            "mart_report",
        )

    def statement(self, row: Row) -> Answer:
        """One statement, as a query of its own."""
        return self.ask(
            f"sql-{row['section'].lower()}-{row['rank']}",
            f"select *\nfrom {REPORT}\n"
            f"where as_of_date = {self._day} and section = '{row['section']}'"
            f" and rank = {row['rank']}",
            "mart_report",
        )

    @cached_property
    def loads(self) -> Answer:
        """What the last night took in, by feed and what became of the files."""
        return self.ask(
            "sql-loads",
            "select feed, status, count(*) as count_files,\n"
            "    sum(count_rows_in)::bigint as count_rows_in,\n"
            "    sum(count_accepted)::bigint as count_accepted,\n"
            "    sum(count_quarantined)::bigint as count_quarantined,\n"
            "    sum(count_refused)::bigint as count_refused,\n"
            "    bool_or(is_simulated) as is_simulated, 'Q1' as metric_id\n"
            f"from marts.mart_load\nwhere judged_for_on = {self._day}\n"
            "group by feed, status\norder by feed, status",
            "mart_load",
        )

    @cached_property
    def checks(self) -> Answer:
        """What the last night checked, by kind of rule."""
        return self.ask(
            "sql-checks",
            "select rule_kind, severity, count(*) as count_rules,\n"
            "    count(*) filter (where is_passed) as count_passed,\n"
            "    count(*) filter (where not is_passed) as count_not_passed,\n"
            "    sum(count_failed)::bigint as count_failed, 'Q1' as metric_id\n"
            f"from marts.mart_data_quality\nwhere checked_on = {self._day}\n"
            "group by rule_kind, severity\norder by rule_kind, severity",
            "mart_data_quality",
        )

    @cached_property
    def freshness(self) -> Answer:
        """Which feeds are late: stores and days by feed."""
        return self.ask(
            "sql-freshness",
            "select feed, count(*) as count_stores,\n"
            "    count(*) filter (where count_missing > 0) as count_late,\n"
            "    sum(count_missing)::bigint as count_missing,\n"
            "    max(last_data_on) as last_data_on, 'Q1' as metric_id\n"
            f"from marts.mart_freshness\nwhere as_of_date = {self._day}\n"
            "group by feed\norder by feed",
            "mart_freshness",
        )

    def shown_stores(self, at_most: int) -> Answer:
        """The stores with most customers; those with too few for any rate are never offered."""
        return self.ask(
            "sql-stores",
            "select c.store_code, coalesce(s.store_name, c.store_code) as store_name,\n"
            "    c.n_customers, count(*) over () as count_shown, 'S3' as metric_id\n"
            "from (\n"
            f"    select * from marts.mart_concentration\n    where as_of_date = {self._day}\n"
            "        and store_code not in ('ALL', 'OTHER') and not is_small_sample\n"
            f"    order by n_customers desc, store_code limit {at_most}\n) as c\n"
            "left join core.dim_store as s using (store_code)\n"
            "order by c.n_customers desc, c.store_code",
            "mart_concentration",
        )

    def count_stores(self) -> Answer:
        """How many stores deliver sales, whether the page offers them or not."""
        return self.ask(
            "sql-count-stores",
            "select count(*) as count_stores, 'Q1' as metric_id\nfrom marts.mart_freshness\n"
            f"where as_of_date = {self._day} and feed = 'sales_line' and store_code <> 'ALL'",
            "mart_freshness",
        )

    def stores(self, at_most: int) -> list[Store]:
        """The stores that the page offers."""
        rows = self.shown_stores(at_most).rows if at_most else []
        return [Store(r["store_code"], r["store_name"], r["n_customers"]) for r in rows]

    def pictures(self, store: str = ALL) -> list[Picture]:
        """The pictures of the company, or of a store those that say something of it; see `draw`."""
        if store not in self._pictures:
            drawn = draw_all(self.connection, self.as_of, store)
            self._pictures[store] = [p for p in drawn if p.store_code == store]
        return self._pictures[store]

    def hold(self, pictures: dict[str, list[Picture]]) -> None:
        """Pictures that were drawn before."""
        self._pictures |= pictures


_SCORES = (
    "as_of_date",
    "store_code",
    "kpi",
    "metric_id",
    "measured_on",
    "window_code",
    "actual",
    "unit",
    "lo",
    "hi",
    "n",
    "target",
    "floor",
    "previous",
    "delta",
    "attainment",
    "weight",
    "status",
    "missing_reason",
    "change_code",
    "is_simulated",
)
