"""The simulated surveys and complaints: lawful, tied to real visits, the same whatever is asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

FEEDS = ("survey_question", "survey_answer", "complaint", "complaint_event")
MOMENT = {
    "survey_question": "updated_at",
    "survey_answer": "submitted_at",
    "complaint": "updated_at",
    "complaint_event": "occurred_at",
}


def rows(drops: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    """Return all rows of a query, as bare values where there is one column."""
    found = drops.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


@pytest.mark.parametrize("feed", FEEDS)
def test_drops_keep_their_contract(breaches: Any, feed: str) -> None:
    assert breaches(feed) == []


@pytest.mark.parametrize("feed", FEEDS)
def test_each_manifest_says_simulated_and_counts_right(
    landing: Path, drops: duckdb.DuckDBPyConnection, feed: str
) -> None:
    counts = dict(
        drops.execute(
            f"select parse_filename(filename), (count(*), min({MOMENT[feed]}), max({MOMENT[feed]}))"
            f" from {feed} group by 1"
        ).fetchall()
    )
    paths = sorted((landing / feed).glob("*.csv"))
    assert {path.name for path in paths} == set(counts)
    for path in paths:
        text = path.with_name(f"{path.name}.manifest.json").read_text(encoding="utf-8")
        manifest = json.loads(text)
        count, first, last = counts[path.name]
        assert manifest["simulated"] is True
        assert manifest["rows"] == count > 0
        assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert last.replace(" ", "T") < manifest["generated_at"]
        if feed != "survey_question":
            assert first[:10] >= path.stem[-10:]


@pytest.mark.parametrize(
    ("first", "last", "files"),
    # a Thursday: a day's complaints and events; then a Sunday, which completes a week of answers
    [("2017-12-28", "2017-12-28", 3), ("2017-12-29", "2017-12-31", 8)],
)
def test_any_range_gives_the_same_bytes(
    landing: Path, run_script: Any, tmp_path: Path, first: str, last: str, files: int
) -> None:
    run_script("simulate_service", "--landing", str(tmp_path), "--from", first, "--to", last)
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len([path for path in written if path.suffix == ".csv"]) == files
    for path in written:
        assert path.read_bytes() == (landing / path.relative_to(tmp_path)).read_bytes(), path


def test_another_seed_is_another_day(landing: Path, run_script: Any, tmp_path: Path) -> None:
    day = ("--from", "2017-12-28", "--to", "2017-12-28")
    run_script("simulate_service", "--landing", str(tmp_path), *day, "--seed", "7")
    name = Path("complaint_event") / "events_2017-12-28.csv"
    assert (tmp_path / name).read_bytes() != (landing / name).read_bytes()


def test_every_complaint_refers_to_a_real_receipt_of_its_card(
    drops: duckdb.DuckDBPyConnection,
) -> None:
    drops.execute(
        "create or replace temp table receipt as select distinct store_code as orig_store_code,"
        " business_date as orig_business_date, till_no as orig_till_no,"
        " receipt_no as orig_receipt_no, card_no, sold_at from sales_line"
    )
    key = "orig_store_code, orig_business_date, orig_till_no, orig_receipt_no, card_no"
    assert rows(drops, f"select complaint_no from complaint anti join receipt using ({key})") == []
    late = f"select complaint_no from complaint join receipt using ({key}) where received_at <= sold_at"
    assert rows(drops, late) == []
    product = (
        "select complaint_no from complaint anti join sales_line on sku_code = sales_line.sku_code"
        " and orig_receipt_no = receipt_no where complaint.sku_code is not null"
    )
    assert rows(drops, product.replace("on sku_code", "on complaint.sku_code")) == []


def test_every_answer_is_about_a_store_its_household_visited(
    drops: duckdb.DuckDBPyConnection,
) -> None:
    query = (
        "select response_id from survey_answer as answer where not exists (select 1 from sales_line"
        " where sales_line.card_no = answer.card_no and sales_line.store_code = answer.store_code"
        " and sales_line.sold_at < answer.submitted_at)"
    )
    assert rows(drops, query) == []
    assert rows(drops, "select 1 from survey_answer where started_at >= submitted_at") == []


def test_events_are_numbered_in_order_and_lead_somewhere(drops: duckdb.DuckDBPyConnection) -> None:
    drops.execute(
        "create or replace temp table history as select complaint_no,"
        " list(seq::int order by seq::int) as seqs, list(occurred_at order by seq::int) as moments,"
        " list(event order by seq::int) as events, list(level::int order by seq::int) as levels"
        " from complaint_event group by complaint_no"
    )
    assert (
        rows(drops, "select complaint_no from history where seqs <> range(1, len(seqs) + 1)") == []
    )
    assert rows(drops, "select complaint_no from history where moments <> list_sort(moments)") == []
    assert rows(drops, "select distinct events[1] from history") == ["RECEIVED"]
    assert rows(drops, "select complaint_no from history where levels <> list_sort(levels)") == []
    # what was closed for good was solved before, or merged, or was no complaint that needs it
    unsolved = (
        "select complaint_no from history join complaint using (complaint_no)"
        " where kind = 'COMPLAINT' and list_contains(events, 'CLOSED')"
        " and not list_contains(events, 'RESOLVED') group by complaint_no"
        " having count(merged_into) = 0"
    )
    assert rows(drops, unsolved) == []
    headers = "select count(*) from complaint_event anti join complaint using (complaint_no)"
    assert rows(drops, headers) == [0]


def test_the_year_holds_what_later_marts_need(drops: duckdb.DuckDBPyConnection) -> None:
    assert 600 <= rows(drops, "select count(distinct complaint_no) from complaint")[0] <= 1200
    assert rows(drops, "select count(distinct event) from complaint_event") == [14]
    assert rows(drops, "select count(distinct kind) from complaint") == [4]
    assert rows(drops, "select count(distinct reason_code) from complaint") == [15]
    assert rows(drops, "select count(distinct level) from complaint_event") == [5]
    still_open = rows(
        drops,
        "select count(*) from (select 1 from complaint_event group by complaint_no"
        " having not bool_or(event in ('CLOSED', 'CANCELLED')))",
    )
    assert still_open[0] > 0
    skipped = rows(
        drops,
        "select count(*) from (select event, level::int - lag(level::int) over (partition by"
        " complaint_no order by seq::int) as step from complaint_event)"
        " where event = 'ESCALATED' and step = 2",
    )
    assert skipped[0] > 0
    for wanted in (
        "survey_answer where answer_num in ('98', '99')",
        "survey_answer where survey_id = 'S-EXIT' and option_seq = '2'",
        "complaint where merged_into is not null",
        "complaint where compensation_amount is not null",
    ):
        assert rows(drops, f"select count(*) > 0 from {wanted}") == [True], wanted
    unknown = "select count(*) from survey_answer anti join survey_question using (question_id)"
    assert rows(drops, unknown) == [0]


def test_scores_lie_on_their_scale_or_are_codes(drops: duckdb.DuckDBPyConnection) -> None:
    query = (
        "select distinct question_id from survey_answer join survey_question"
        " using (survey_id, question_id) where answer_num not in ('98', '99')"
        " and answer_num::int not between scale_min::int and scale_max::int"
    )
    assert rows(drops, query) == []


def test_corrections_arrive_later_and_change_the_answer(drops: duckdb.DuckDBPyConnection) -> None:
    corrected = rows(
        drops,
        "select count(*), count(distinct filename), count(distinct submitted_at),"
        " count(distinct answer_num) from survey_answer"
        " group by response_id, question_id, option_seq having count(*) > 1",
    )
    assert len(corrected) > 10
    assert set(corrected) == {(2, 2, 2, 2)}


def test_importance_points_add_up_to_a_hundred(drops: duckdb.DuckDBPyConnection) -> None:
    query = (
        "select distinct total from (select sum(answer_num::int) as total, count(*) as n"
        " from survey_answer join survey_question using (question_id)"
        " where role = 'IMPORTANCE' group by response_id)"
    )
    assert rows(drops, query) == [100]


def test_who_stops_coming_is_less_content_and_complains_more(
    drops: duckdb.DuckDBPyConnection,
) -> None:
    drops.execute(
        "create or replace temp table household as select card_no,"
        " max(business_date) < '2017-10-15' as is_gone, count(distinct business_date) as visits"
        " from sales_line group by card_no"
    )
    score = dict(
        drops.execute(
            "select is_gone, avg(answer_num::int) from survey_answer join household using (card_no)"
            " where question_id = 'V-CSAT' and answer_num::int < 98 group by 1"
        ).fetchall()
    )
    assert score[True] < score[False] - 0.2
    rate = dict(
        drops.execute(
            "select is_gone, sum(coalesce(n, 0)) / sum(visits) from household left join (select"
            " card_no, count(distinct complaint_no) as n from complaint where kind = 'COMPLAINT'"
            " group by card_no) using (card_no) group by 1"
        ).fetchall()
    )
    assert rate[True] > 1.3 * rate[False]
