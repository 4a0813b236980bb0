"""Row rules where they meet: duplicates, conflicts, groups, incomplete receipts, boundaries."""

from __future__ import annotations

import duckdb
import pytest
from houses import CONTRACTS, House, Row, valid

from kehu.gate.rules import Split


def line(receipt: str, number: int, **changes: str) -> Row:
    return valid("sales_line", receipt_no=receipt, line_no=str(number), **changes)


def gate(house: House, feed: str, rows: list[Row]) -> tuple[Split, dict[int, list[str]]]:
    """What the row rules make of a file: the split, and rules by line."""
    path = house.drop(feed, rows)
    _, folder = house.extract(path)
    result = house.judge(path)[path].split
    assert result is not None
    assert result.rows_in == result.accepted + result.quarantined
    return result, {at: rules for at, rules, _ in house.quarantined(folder)}


def accepted(house: House, columns: str) -> list[tuple[object, ...]]:
    [path] = (house.settings.batches / "sales_line").glob("*/accepted.parquet")
    return duckdb.execute(f"select {columns} from '{path}' order by _line").fetchall()


def test_gross_minus_discount_is_net_within_five_cents_of_a_receipt(house: House) -> None:
    rows = [
        line("A", 1, net_amount="9.95"),  # 0.05 off: right
        line("B", 1, net_amount="9.94"),  # 0.06 off
        line("C", 1, net_amount="9.96"),
        line("C", 2, net_amount="10.04"),  # lines off, the receipt is right
        line("D", 1, net_amount="9.97"),
        line("D", 2, net_amount="9.97"),  # each within, the receipt is not
    ]
    rule = ["receipt_sum:net_amount"]
    assert gate(house, "sales_line", rows)[1] == {3: rule, 6: rule, 7: rule}


def test_a_receipt_that_loses_a_line_is_incomplete_and_its_rest_is_accepted(house: House) -> None:
    rows = [line("A", 1), line("A", 2, qty="x"), line("A", 3), line("B", 1)]
    split, rules = gate(house, "sales_line", rows)
    assert rules == {3: ["type:qty"]}
    assert split.accepted == 3
    assert accepted(house, "receipt_no, line_no, _is_incomplete") == [
        ("A", 1, True), ("A", 3, True), ("B", 1, False),
    ]  # fmt: skip


def test_a_copy_of_a_line_does_not_make_its_receipt_incomplete(house: House) -> None:
    rows = [line("A", 1), line("A", 1), line("A", 2), line("A", 1)]
    _, rules = gate(house, "sales_line", rows)
    assert rules == {3: ["duplicate:line_no"], 5: ["duplicate:line_no"]}
    assert accepted(house, "line_no, _is_incomplete") == [(1, False), (2, False)]


def test_rows_that_conflict_are_all_quarantined_with_their_copies(house: House) -> None:
    rows = [line("A", 1), line("A", 1), line("A", 1, qty="3"), line("A", 2)]
    _, rules = gate(house, "sales_line", rows)
    assert set(rules) == {2, 3, 4}
    assert {r for found in rules.values() for r in found} == {"key_conflict:line_no"}
    assert accepted(house, "line_no, _is_incomplete") == [(2, True)]


def test_a_row_names_all_rules_that_it_breaks(house: House) -> None:
    rows = [line("A", 1), line("B", 1, qty="x", status="?", card_no="", store_code="")]
    _, rules = gate(house, "sales_line", rows)
    assert rules == {3: ["required:store_code", "allowed:status", "type:qty"]}


@pytest.mark.parametrize(
    ("kind", "qty", "net", "right"),
    [
        ("SALE", "0", "10.00", True),
        ("SALE", "-0.001", "10.00", False),
        ("RETURN", "-2", "-10.00", True),
        ("RETURN", "0", "0.00", True),
        ("RETURN", "2", "-10.00", False),
        ("RETURN", "-2", "10.00", False),
        ("EXCHANGE", "-2", "10.00", True),
        ("CANCELLED", "2", "10.00", True),
    ],
)
def test_signs_agree_with_the_receipt_type(
    kind: str, qty: str, net: str, right: bool, house: House
) -> None:
    row = line(
        "A", 1, receipt_type=kind, qty=qty, net_amount=net, gross_amount=net, discount_amount="0"
    )
    _, rules = gate(house, "sales_line", [row])
    assert rules == ({} if right else {2: ["sign:qty"]})


@pytest.mark.parametrize(
    ("sold_at", "right"),
    [
        ("2017-03-30 00:00:00", True),
        ("2017-04-01 23:59:59", True),
        ("2017-03-29 23:59:59", False),
        ("2017-04-02 00:00:00", False),
        ("1970-01-01 00:00:00", False),
    ],
)
def test_the_clock_is_within_a_day_of_the_business_date(
    sold_at: str, right: bool, house: House
) -> None:
    _, rules = gate(house, "sales_line", [line("A", 1, sold_at=sold_at)])
    assert rules == ({} if right else {2: ["clock:sold_at"]})


@pytest.mark.parametrize("card", ["", "0", "000000", "999999"])
def test_anonymous_cards_are_no_card(card: str, house: House) -> None:
    _, rules = gate(house, "sales_line", [line("A", 1, card_no=card)])
    assert rules == {}
    assert accepted(house, "card_no") == [(None,)]


def test_two_versions_of_a_master_row_are_no_conflict(house: House) -> None:
    rows = [
        valid("member"),
        valid("member", updated_at="2017-01-01 00:00:00", status="FROZEN"),
        valid("member", status="FROZEN"),
    ]
    conflict = ["key_conflict:updated_at"]
    assert gate(house, "member", rows)[1] == {2: conflict, 4: conflict}


def test_events_at_one_time_and_in_any_order_of_lines_are_right(house: House) -> None:
    at = "2017-03-30 10:00:00"
    rows = [
        valid("complaint_event", seq="3", occurred_at="2017-03-31 10:00:00", event="CLOSED"),
        valid("complaint_event", seq="1", occurred_at=at),
        valid("complaint_event", seq="2", occurred_at=at, event="ACK_AUTO"),
    ]
    assert gate(house, "complaint_event", rows)[1] == {}


@pytest.mark.parametrize(("wrong", "refused"), [(1, False), (2, True)])
def test_five_percent_of_rejects_pass_and_more_refuse(
    wrong: int, refused: bool, house: House
) -> None:
    rows = [
        valid("store", store_code=f"S{i}", is_test="7" if i < wrong else "0") for i in range(20)
    ]
    path = house.drop("store", rows)
    verdict = house.judge(path)[path]
    assert verdict.passed is not refused
    if refused:
        assert verdict.refused_by == ["reject_limit"]
        assert "2 of 20 rows are rejected (10.0%, limit 5.0%)" in verdict.message
        assert f"kehu quarantine show {verdict.batch_id}" in verdict.message


def test_the_control_sum_counts_accepted_and_quarantined(house: House) -> None:
    rows = [line("A", 1), line("B", 1, status="?"), line("C", 1, net_amount="abc")]
    split, _ = gate(house, "sales_line", rows)
    assert (str(split.control_sum), split.control_unparsed) == ("20.00", 1)


def test_quarantine_tells_the_promise_the_amount_and_the_store_day(house: House) -> None:
    path = house.drop("sales_line", [line("A", 1, status="?")])
    _, folder = house.extract(path)
    house.judge(path)
    [row] = duckdb.execute(f"from '{folder}/quarantine.parquet'").to_arrow_table().to_pylist()
    assert row["promise"] == "status is one of COMPLETED, SUSPENDED, VOID"
    assert (row["path"], row["column_name"], row["severity"]) == (path, "status", "critical")
    assert (row["store_code"], str(row["business_date"])) == ("S1", "2017-03-31")
    assert str(row["control_amount"]) == "10.00"
    assert set(CONTRACTS) >= {row["feed"]}
