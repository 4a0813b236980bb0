"""Nothing that happened or was learnt after a date has any influence on what is said for it.

A small retailer is published as of D. Then rows dated after D come into every feed: sales, answers,
corrections of earlier answers, complaints, events of earlier complaints, new versions of members,
cards, products, stores, questions. A later night publishes them. Then D is computed again, from
nothing: not one row of a mart, or of a core table by `as_of_date`, may differ from what was
published then.

Parameters are set so that seven weeks are a long time: thresholds, windows and horizons of days, and
fits on a few dozen customers, so that no mart and no score is empty.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import history
import pytest
from history import Drop
from nights import OPERATIONAL, marts_of, night, run

pytestmark = pytest.mark.answers

ROOT = Path(__file__).resolve().parents[2]
D = date(2024, 2, 5)
LATER = history.LAST
SOON = {
    "tau_min_days": "4",
    "tau_default_first_gap_p95": "9",
    "tau_default_mean_gap": "3",
    "stage_spend_days": "10",
    "stage_new_days": "10",
    "stage_reactivated_days": "10",
    "attitude_max_age_days": "60",
    "survey_max_age_days": "60",
    "price_index_min_lines": "2",
    "potential_min_peers": "3",
    "pattern_min_tenure_days": "20",
    "pattern_early_tenure_days": "5",
    "repurchase_days": "3|7|14",
    "satisfaction_retention_days": "7",
    "clv_min_customers": "10",
    "churn_min_customers": "10",
    "churn_horizon_days": "7",
    "churn_publish_margin": "-1",
    "recovery_min_days": "3",
    "tolerance_min_days": "3",
    "alert_baseline_days": "14",
    "min_n": "3",
}
# Two horizons of month-ends do not fit into seven weeks: the churn model is never fitted here. The
# test of the whole year (tests/models/test_demo_year.py, long) holds it to the same.
MAY_BE_EMPTY = {"fct_customer_churn_score", "fct_model_calibration", "mart_model_calibration"}

QUESTION = [
    "survey_id", "question_id", "survey_type", "text", "construct", "facet", "servqual_item",
    "dimension", "role", "pair_id", "scale_min", "scale_max", "higher_is_better", "wave_start",
    "wave_end", "updated_at",
]  # fmt: skip
ANSWER = [*history.ANSWER, "complaint_no", "answer_code"]
BEFORE, AFTER = datetime(2024, 2, 6, 1), datetime(2024, 2, 21, 1)


def questions(survey: str, updated_at: str) -> list[dict[str, Any]]:
    """A questionnaire with each kind of question that a mart reads."""

    def one(number: str, kind: str, construct: str, scale: tuple[int, int], **more: Any) -> Any:
        return {
            "survey_id": survey, "question_id": f"{survey}-{number}", "survey_type": kind,
            "text": number, "construct": construct, "role": "SINGLE", "scale_min": scale[0],
            "scale_max": scale[1], "higher_is_better": 1, "wave_start": "2024-01-01",
            "wave_end": "2024-12-31", "updated_at": updated_at, "facet": None,
            "servqual_item": None, "dimension": None, "pair_id": None,
        } | more  # fmt: skip

    rows = [
        one("CSAT", "CSAT", "SATISFACTION", (1, 5)),
        one("FACET", "CSAT", "FACET_SATISFACTION", (1, 5), facet="SERVICE"),
        one("NPS", "NPS", "NPS", (0, 10)),
        one("CES", "CES", "EFFORT", (1, 7)),
        one("HANDLING", "COMPLAINT_FOLLOWUP", "HANDLING", (1, 5)),
        one("EXIT", "EXIT", "EXIT_REASON", (0, 1)),
        one("TANGIBLES", "SERVQUAL", "IMPORTANCE", (0, 100), role="IMPORTANCE", dimension="TANGIBLES"),
    ]  # fmt: skip
    for item in (1, 2):
        for role in "PE":
            rows.append(
                one(f"Q{item}{role}", "SERVQUAL", "SERVICE_QUALITY", (1, 7), role=role,
                    servqual_item=item, dimension="TANGIBLES", pair_id=f"{survey}{item}")
            )  # fmt: skip
    for role in ("FUNC", "DYSF"):
        rows.append(
            one(f"K{role}", "KANO", "DELIVERY", (1, 5), role=role, pair_id=f"{survey}K",
                higher_is_better=0)
        )  # fmt: skip
    return rows


def answers(survey: str, prefix: str, first: date, last: date) -> list[dict[str, Any]]:
    """Thirty respondents who answer everything, each on a day from `first` to `last`."""
    dice = random.Random(f"{survey}{prefix}")
    rows = []
    for respondent in range(30):
        day = first + timedelta(days=dice.randrange((last - first).days + 1))
        for question in questions(survey, ""):
            code = question["construct"] == "EXIT_REASON"
            row = {
                "response_id": f"{prefix}{respondent}", "question_id": question["question_id"],
                "option_seq": 1, "survey_id": survey, "card_no": f"C{5 + respondent:05d}",
                "store_code": history.STORES[respondent % 3], "submitted_at": f"{day} 12:00:00",
                "answer_num": dice.randint(question["scale_min"], question["scale_max"]),
                "complaint_no": f"K{respondent % 5}" if question["construct"] == "HANDLING" else None,
                "answer_code": None,
            }  # fmt: skip
            if code:
                row |= {"answer_num": None, "answer_code": dice.choice(["PRICING", "COMPETITION"])}
            rows.append(row)
    return rows


def past() -> list[Drop]:
    """What is dated up to D: the awkward history, and a questionnaire of every kind."""
    kept = [drop for drop in history.make() if not is_after(drop)]
    asked, given = questions("SV2", "2023-12-31 00:00:00"), answers("SV2", "A", date(2024, 1, 5), D)
    return [
        *kept,
        Drop("survey_question", "kinds.csv", asked, QUESTION, BEFORE, D),
        Drop("survey_answer", "kinds.csv", given, ANSWER, BEFORE, D, simulated=True),
    ]


def is_after(drop: Drop) -> bool:
    """Whether the rows of a drop of the history are dated after D, by the field that says so."""
    fields = {"sales_line": "business_date", "survey_answer": "submitted_at"}
    fields |= {"complaint": "updated_at", "complaint_event": "occurred_at"}
    name = fields.get(drop.feed, "updated_at")
    days = {str(row[name])[:10] for row in drop.rows} or {day for _, day in drop.store_days}
    if drop.feed == "complaint_event" and drop.name == "events_feb.csv":
        return True  # some are older; `future` keeps those dated after D
    return min(days) > D.isoformat()


def future() -> list[Drop]:
    """Rows dated after D, in every feed."""
    drops = [replace(drop) for drop in history.make() if is_after(drop)]
    for drop in drops:
        if drop.feed == "complaint_event":
            drop.rows = [row for row in drop.rows if row["occurred_at"][:10] > D.isoformat()]
    at = "2024-02-10 10:00:00"
    sold = [row for drop in drops if drop.feed == "sales_line" for row in drop.rows]
    assert sold and min(row["business_date"] for row in sold) > D.isoformat()

    second_thoughts = answers("SV2", "A", date(2024, 1, 5), D)
    for row in second_thoughts:
        row |= {"submitted_at": at, "answer_num": None if row["answer_code"] else 1}
    asked = questions("SV3", at)
    changed = [
        q | {"text": "worded anew", "scale_max": q["scale_max"] + 3, "construct": f"{q['construct']}_2",
             "higher_is_better": 1 - q["higher_is_better"], "wave_start": "2024-01-20",
             "wave_end": "2024-03-20", "updated_at": at}
        for q in questions("SV2", "")
    ]  # fmt: skip
    # so many that nobody would have answered enough of the survey, nor of its dimension
    added = [
        q | {"question_id": f"SV2-Q{item}{q['role']}", "servqual_item": item, "pair_id": f"SV2{item}",
             "updated_at": at}
        for q in questions("SV2", "") if q["servqual_item"] == 1 for item in range(3, 9)
    ]  # fmt: skip
    given = answers("SV3", "B", D + timedelta(days=1), LATER) + second_thoughts

    members = [history._member(n, at) | {"household_size": 4} for n in range(5, 30)]
    members[1]["status"], members[2]["status"] = "ERASED", "FROZEN"
    members.append(history._member(901, at))
    cards = [history._card(n, at) for n in range(5, 30)]
    cards[0]["card_type"] = "STAFF"
    cards[3]["member_id"] = "M00009"
    cards.append(history._card(901, at))
    products = [history._product(n, 3, at) | {"is_revenue": n % 2} for n in range(1, 31)]
    stores = [
        {"store_code": s, "name": "新", "format": "HYPERMARKET", "is_test": int(s == "S1"), "updated_at": at}
        for s in history.STORES
    ]  # fmt: skip
    headers = [
        history._header(n, f"2024-01-{12 + n} 10:00:00", at, severity=4) | {"kind": kind}
        for n, kind in enumerate(("PRAISE", "COMPLAINT", "COMPLAINT", "ENQUIRY", "COMPLAINT"))
    ]
    headers += [history._header(n, "2024-02-11 10:00:00", "2024-02-11 10:00:00") for n in (7, 8)]
    events = [
        history._event(0, 9, "2024-02-09 09:00:00", "REOPENED", 3),
        history._event(3, 9, "2024-02-07 09:00:00", "CANCELLED"),
        history._event(7, 1, "2024-02-11 10:00:00", "RECEIVED"),
        history._event(8, 1, "2024-02-11 10:00:00", "RECEIVED"),
        history._event(8, 2, "2024-02-11 12:00:00", "RESPONDED"),
    ]
    made = (AFTER, LATER)
    return [
        *drops,
        Drop("survey_question", "new.csv", asked + changed + added, QUESTION, *made),
        Drop("survey_answer", "new.csv", given, ANSWER, *made, simulated=True),
        Drop("member", "new.csv", members, history.MEMBER, *made),
        Drop("member_card", "new.csv", cards, history.CARD, *made),
        Drop("product", "new.csv", products, history.PRODUCT, *made),
        Drop("store", "new.csv", stores, history.STORE, *made),
        Drop("complaint", "new.csv", headers, history.COMPLAINT, *made),
        Drop("complaint_event", "new.csv", events, history.EVENT, *made),
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with parameters of days instead of months."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("models", "seeds", "dbt_project", "expectations"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "dbt_project.yml", folder)
    path = folder / "seeds" / "param.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["scope"] == "default":
            row["value"] = SOON.get(row["name"], row["value"])
    assert set(SOON) <= {row["name"] for row in rows}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, project: Path) -> dict[str, Path]:
    """Marts files: published as of D; published later, with the future; and D computed again."""
    root = tmp_path_factory.mktemp("honest")
    home, landing = root / "home", root / "landing"
    kept: dict[str, Path] = {}

    def keep(name: str, source: Path) -> None:
        kept[name] = root / f"{name}.duckdb"
        shutil.copyfile(source, kept[name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEHU_PROJECT", str(project))
        for drop in past():
            drop.write(landing)
        night(home, landing, D)
        keep("then", marts_of(home))
        for drop in future():
            drop.write(landing, f"future_{drop.name}")
        night(home, landing, LATER)
        keep("later", marts_of(home))
        run(home, landing, "transform", "--as-of", D.isoformat(), "--full-refresh")
        keep("again", home / "marts.duckdb")
    return kept


def by_date(connection: duckdb.DuckDBPyConnection, name: str) -> set[tuple[str, str]]:
    """Tables of marts, and those of core that have rows by as_of_date; not what tells of files."""
    rows = connection.execute(
        "select table_schema, table_name from information_schema.columns where table_catalog = ? "
        "and (table_schema = 'marts' or (table_schema = 'core' and column_name = 'as_of_date'))",
        [name],
    ).fetchall()
    return set(rows) - OPERATIONAL


def differing(left: Path, right: Path) -> Iterator[str]:
    """Rows by date that stand in one of two marts files only."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{left}' as l (read_only)")
        connection.execute(f"attach '{right}' as r (read_only)")
        tables = by_date(connection, "l") | by_date(connection, "r")
        assert len(tables) >= 5
        for schema, table in sorted(tables):
            for one, other in (("l", "r"), ("r", "l")):
                query = (
                    f"select * from {one}.{schema}.{table} "
                    f"except all select * from {other}.{schema}.{table}"
                )
                rows = connection.execute(f"{query} limit 3").fetchall()
                if rows:
                    yield f"{schema}.{table}: only in {one}, such as {rows[0]}"


def test_then_there_was_something_to_say(stages: dict[str, Path]) -> None:
    with duckdb.connect(str(stages["then"]), read_only=True) as connection:
        empty = {
            table
            for schema, table in by_date(connection, "then")
            if connection.execute(f"select count(*) from {schema}.{table}").fetchall() == [(0,)]
        }
    assert empty == MAY_BE_EMPTY


def test_the_future_has_arrived(stages: dict[str, Path]) -> None:
    """The comparison is not between equals: each feed has brought rows dated after D."""
    arrived = {
        "fct_sales_line": "business_date",
        "fct_survey_answer": "answered_on",
        "fct_complaint": "received_on",
        "fct_complaint_event": "cast(occurred_at as date)",
        "dim_customer_history": "valid_from",
        "dim_card_history": "valid_from",
        "dim_product_history": "valid_from",
        "dim_store_history": "valid_from",
        "dim_question_history": "valid_from",
        "bridge_customer_identity": "valid_from",
    }
    counts: dict[str, dict[str, int]] = {}
    for stage in ("then", "again"):
        with duckdb.connect(str(stages[stage]), read_only=True) as connection:
            counts[stage] = {
                table: connection.execute(
                    f"select count(*) from core.{table} where {day} > ?", [D]
                ).fetchall()[0][0]
                for table, day in arrived.items()
            }
    assert set(counts["then"].values()) == {0}
    assert min(counts["again"].values()) > 0, counts


def test_the_later_night_says_something_else(stages: dict[str, Path]) -> None:
    assert list(differing(stages["then"], stages["later"])) != []


def test_the_future_changes_nothing_that_was_said(stages: dict[str, Path]) -> None:
    assert list(differing(stages["then"], stages["again"])) == []
