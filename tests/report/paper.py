"""A publication on paper: tables as the models promise them, rows by hand, every number known.

Two months, two stores and a third one with too little; 300 customers whose values are 1 to 300 but for
six who lose.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml

ROOT = Path(__file__).resolve().parents[2]
AS_OF, BEFORE = date(2024, 2, 29), date(2024, 1, 31)
Rows = list[dict[str, Any]]

TABLES = {
    "core": ["dim_as_of", "dim_store", "dim_reason"],
    "marts": [
        "mart_load",
        "mart_segment_structure",
        "mart_segment_migration",
        "mart_concentration",
        "mart_customer_value",
        "mart_cohort",
        "mart_survival",
        "mart_satisfaction",
        "mart_complaint",
        "mart_complaint_day",
        "mart_loyalty_structure",
    ],
}


def model(name: str) -> dict[str, Any]:
    """What the YAML beside a model says of it."""
    (path,) = (ROOT / "models").rglob(f"{name}.yml")
    models = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["models"]
    found: dict[str, Any] = next(m for m in models if m["name"] == name)
    return found


def make_publication(path: Path) -> Path:
    """Write the publication to `path`."""
    with duckdb.connect(str(path)) as connection:
        for schema, names in TABLES.items():
            connection.execute(f"create schema {schema}")
            for name in names:
                columns = ", ".join(
                    f'"{c["name"]}" {c["data_type"].replace("string", "varchar")}'
                    for c in model(name)["columns"]
                )
                connection.execute(f"create table {schema}.{name} ({columns})")
        for table, rows in rows_of_all().items():
            insert(connection, table, rows)
    return path


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Rows) -> None:
    connection.register("given", pa.Table.from_pylist(rows))
    connection.execute(f"insert into {table} by name select * from given")
    connection.unregister("given")


def rows_of_all() -> dict[str, Rows]:
    return {
        "core.dim_as_of": [
            {"as_of_date": day, "is_latest": day == AS_OF, "currency": "CNY", "min_n": 30}
            | {
                "min_n_complaint": 5,
                "window_days": 365,
                "alert_min_count": 5,
                "alert_tail_max": 0.001,
            }
            for day in (BEFORE, AS_OF)
        ],
        "core.dim_store": [
            {"store_key": key, "store_code": code, "store_name": name}
            for key, code, name in ((1, "S1", "人民路店"), (2, "S2", "新街口店"), (3, "S3", None))
        ],
        "core.dim_reason": [
            {"reason_code": "QUALITY_BAD", "name_en": "Bad quality", "name_zh": "商品质量问题"},
            {"reason_code": "QUEUE", "name_en": "Queue too long", "name_zh": "排队时间过长"},
        ],
        "marts.mart_load": [
            {"feed": feed, "is_simulated": False}
            for feed in ("sales_line", "survey_answer", "complaint")
        ],
        "marts.mart_segment_structure": structure(),
        "marts.mart_segment_migration": migration(),
        "marts.mart_concentration": [
            concentration("ALL", values()),
            concentration("S1", values()[:200]),
        ],
        "marts.mart_customer_value": customers(),
        "marts.mart_cohort": cohorts(),
        "marts.mart_survival": survival(),
        "marts.mart_satisfaction": satisfaction(),
        "marts.mart_complaint": complaints(),
        "marts.mart_complaint_day": complaint_days(),
        "marts.mart_loyalty_structure": loyalty(),
    }


def values() -> list[int]:
    """Value of each customer, the first 200 of store S1, the next 80 of S2, the last 20 of S3."""
    return [-50 if n % 50 == 0 else n for n in range(1, 301)]


def store_of(number: int) -> int:
    return 1 if number <= 200 else 2 if number <= 280 else 3


def customers() -> Rows:
    order = sorted(range(1, 301), key=lambda n: (-values()[n - 1], n))
    rows: Rows = [
        {
            "as_of_date": AS_OF,
            "customer_id": f"M{n:03d}",
            "home_store_key": store_of(n),
            "value_365d": values()[n - 1],
            "value_basis": "MARGIN",
            "count_visits_365d": 1,
            "value_rank": order.index(n) + 1,
            "r_score": 1 + n % 5,
            "f_score": 1 + n // 7 % 5,
            "m_score": 1 + (n - 1) // 60,
            "excluded_reason": None,
        }
        for n in range(1, 301)
    ]
    excluded = rows[0] | {
        "customer_id": "M999",
        "excluded_reason": "STAFF_CARD",
        "value_rank": None,
    }
    return [
        *rows,
        excluded | {"r_score": None, "f_score": None, "m_score": None, "home_store_key": 1},
    ]


def concentration(store: str, of: list[int]) -> dict[str, Any]:
    positive = sum(v for v in of if v > 0)
    return {
        "as_of_date": AS_OF,
        "store_code": store,
        "n_customers": len(of),
        "is_small_sample": len(of) < 30,
        "value_basis": "MARGIN",
        "value_total": sum(of),
        "positive_value": positive,
        "gini": 0.35,
        "claimed_top_20_share": 0.8,
        "count_profitable": sum(v > 0 for v in of),
        "whale_peak_ratio": positive / sum(of),
        "value_destroyed": positive - sum(of),
    }


def structure() -> Rows:
    tiers = (("TOP", 3, 0.03), ("MAJOR", 57, 0.34), ("ORDINARY", 90, 0.38), ("SMALL", 150, 0.25))
    return [
        {
            "as_of_date": day,
            "store_code": store,
            "scheme": scheme,
            "ranking_scope": "COMPANY",
            "tier": tier,
            "tier_order": place,
            "n_customers": n,
            "pct_customers": n / 300,
            "is_small_sample": n < 30,
            "value_basis": "MARGIN",
            "value_total": 43_000 * part,
            "pct_value": part,
            "count_value_missing": 0,
            "is_simulated": True,  # by the complaints of its customers, of which no picture of value tells
        }
        for day in (BEFORE, AS_OF)
        for store in ("ALL", "S1")
        for scheme in ("PYR_1_19_30_50", "PYR_1_4_15_80")
        for place, (tier, n, part) in enumerate(tiers, start=1)
    ]


def migration() -> Rows:
    moves = [
        ("TOP", "TOP", 3, False, False),
        ("MAJOR", "MAJOR", 50, False, False),
        ("MAJOR", "ORDINARY", 4, False, True),
        ("MAJOR", "LOST", 2, None, None),
        ("ORDINARY", "MAJOR", 7, True, False),
        ("ORDINARY", "ORDINARY", 80, False, False),
        ("SMALL", "SMALL", 140, False, False),
        ("SMALL", "ORDINARY", 6, True, False),
        ("SMALL", "LOST", 5, None, None),
        ("NEW", "SMALL", 10, None, None),
    ]
    from_counts = {tier: sum(m[2] for m in moves if m[0] == tier) for tier, *_ in moves}
    return [
        {
            "as_of_date": AS_OF,
            "comparison": comparison,
            "store_code": "ALL",
            "scheme": "PYR_1_19_30_50",
            "ranking_scope": "COMPANY",
            "from_tier": origin,
            "to_tier": goal,
            "previous_date": BEFORE,
            "n": n,
            "is_entry": origin == "NEW",
            "is_exit": goal == "LOST",
            "is_upgrade": up,
            "is_downgrade": down,
            "count_from": from_counts[origin],
            "pct_of_from": n / from_counts[origin],
            "is_small_sample": from_counts[origin] < 30,
        }
        for comparison in ("MONTH", "QUARTER")
        for origin, goal, n, up, down in moves
    ]


def cohorts() -> Rows:
    rows: Rows = []
    for origin, sizes in (("OBSERVED", (40, 50, 20)), ("LEFT_TRUNCATED", (500, 3, 1))):
        for number, size in enumerate(sizes):
            for age in range(0, 3 - number):
                came = size if age == 0 else size // (1 + age)
                rows.append(
                    {
                        "as_of_date": AS_OF,
                        "relationship_origin": origin,
                        "cohort_month": date(2023, 12, 1) if number == 0 else date(2024, number, 1),
                        "age_month": age,
                        "is_partial": False,
                        "size": size,
                        "is_small_sample": size < 30,
                        "retained_bounded": came,
                        "bounded_rate": came / size,
                        "bounded_rate_lo": came / size * 0.8,
                        "bounded_rate_hi": came / size * 1.1,
                    }
                )
    return rows


def survival() -> Rows:
    rows: Rows = []
    for place, (day, at_risk, left) in enumerate(
        (
            (0, 300, 1.0),
            (10, 290, 0.9),
            (20, 200, 0.6),
            (40, 100, 0.45),
            (90, 31, 0.3),
            (120, 9, 0.2),
        )
    ):
        rows.append(
            {
                "as_of_date": AS_OF,
                "stratum_type": "ALL",
                "stratum": "ALL",
                "t_days": day,
                "at_risk": at_risk,
                "events": 0 if place == 0 else 5,
                "is_small_sample": at_risk < 30,
                "survival": left,
                "survival_lo": left - 0.05 * (place > 0),
                "survival_hi": min(1.0, left + 0.05),
                "median_days": 40,
                "count_customers": 300,
                "count_events": 120,
                "count_returned": 30,
            }
        )
    return [*rows, rows[1] | {"stratum_type": "ORIGIN", "stratum": "OBSERVED", "survival": 0.1}]


def satisfaction() -> Rows:
    waves = (
        (date(2023, 12, 1), date(2023, 12, 31), True, ((50, 10, 10),)),
        (
            date(2024, 1, 1),
            date(2024, 1, 31),
            True,
            ((60, 30, 10), (40, 20, 5), (10, 3, 5), (10, 7, 0)),
        ),
        (date(2024, 2, 1), date(2024, 3, 2), False, ((5, 0, 0),)),
    )
    rows: Rows = []
    for first, last, is_complete, answers in waves:
        for store, (promoters, passives, detractors) in zip(
            ("ALL", "S1", "S2", "S3"), answers, strict=False
        ):
            n = promoters + passives + detractors
            nps = 100 * (promoters - detractors) / n
            rows.append(
                {
                    "as_of_date": AS_OF,
                    "survey_id": "VISIT",
                    "wave_start_on": first,
                    "wave_end_on": last,
                    "store_code": store,
                    "segment": "ALL",
                    "metric": "NPS",
                    "touchpoint": "RECOMMENDATION",
                    "weighting": "UNWEIGHTED",
                    "is_wave_complete": is_complete,
                    "n": n,
                    "value": nps,
                    "lo": max(-100, nps - 12),
                    "hi": min(100, nps + 12),
                    "count_promoters": promoters,
                    "count_passives": passives,
                    "count_detractors": detractors,
                    "is_small_sample": n < 30,
                    "is_simulated": False,
                }
            )
    return rows


def complaints() -> Rows:
    """(entry level, highest level, store, how many); a withdrawn one and an old one do not count."""
    kinds = ((1, 1, "S1", 20), (1, 2, "S1", 6), (1, 3, "S2", 4), (2, 2, "S2", 8), (3, 5, "S1", 3))
    rows: Rows = []
    for entry, highest, store, many in kinds:
        for _ in range(many):
            rows.append(
                {
                    "as_of_date": AS_OF,
                    "complaint_no": f"T{len(rows):03d}",
                    "store_code": store,
                    "received_on": AS_OF - timedelta(days=len(rows)),
                    "is_valid": True,
                    "entry_level": entry,
                    "max_level": highest,
                    "count_escalated": int(highest > entry),
                    "is_skip_level": (entry, highest) == (1, 3),
                    "is_simulated": False,
                }
            )
    odd = rows[0] | {"entry_level": 5, "max_level": 5}
    return [
        *rows,
        odd | {"complaint_no": "WITHDRAWN", "is_valid": False},
        odd | {"complaint_no": "OLD", "received_on": AS_OF - timedelta(days=365)},
        odd | {"complaint_no": "THEN", "as_of_date": BEFORE},
    ]


def complaint_days() -> Rows:
    rows: Rows = []
    for ago in range(70):
        day = AS_OF - timedelta(days=ago)
        as_of = AS_OF if day > BEFORE else BEFORE
        n = 9 if ago == 3 else ago % 3
        for reason in ("ALL", "QUALITY_BAD", "QUEUE"):
            many = n if reason != "QUEUE" else ago % 2
            rows.append(
                {
                    "as_of_date": as_of,
                    "store_code": "ALL",
                    "reason_code": reason,
                    "received_on": day,
                    "count_complaints": many,
                    "expected_count": None
                    if ago > 60
                    else 0.5
                    if reason == "QUEUE"
                    else 1.25 + ago % 7,
                    "is_alert": ago == 3 and reason != "QUEUE",
                    "is_simulated": False,
                }
            )
    # the night of the month-end before knew less of its last day
    return [*rows, rows[-1] | {"received_on": AS_OF - timedelta(days=10), "as_of_date": BEFORE}]


def loyalty() -> Rows:
    counts = {
        "APOSTLE": 20,
        "LOYALIST": 50,
        "MERCENARY": 15,
        "HOSTAGE": 10,
        "DEFECTOR": 5,
        "TERRORIST": 0,
    }
    known = sum(counts.values())
    return [
        {
            "as_of_date": AS_OF,
            "store_code": store,
            "scheme": "APOSTLE_TYPE",
            "loyalty_class": kind,
            "count_population": 300,
            "count_known": known if store == "ALL" else 0,
            "count_customers": n,
            "coverage": known / 300,
            "class_share": None if kind == "UNKNOWN" else n / known,
            "class_share_lo": None if kind == "UNKNOWN" else n / known * 0.9,
            "class_share_hi": None if kind == "UNKNOWN" else n / known * 1.1,
            "is_small_sample": False,
            "is_simulated": False,
        }
        for store in ("ALL", "S2")
        for kind, n in (counts | {"UNKNOWN": 200}).items()
    ]
