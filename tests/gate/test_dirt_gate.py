"""The dirt catalogue where a file is judged and loaded: what gets in, what does not, what is said of it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from houses import AS_OF, VALID, House, Row, as_csv, failing_rows, valid

from kehu.extract.batch import read_meta
from kehu.gate.judge import Verdict, as_judged


def line(receipt: str, number: int = 1, **changes: str) -> Row:
    """A line of a receipt: one piece at 10.00, no discount, cost 7.00."""
    plain = {"qty": "1", "gross_amount": "10.00", "discount_amount": "0.00", "card_no": ""}
    return valid("sales_line", receipt_no=receipt, line_no=str(number), **(plain | changes))


def judged(house: House, path: str) -> tuple[Verdict, dict[int, list[str]], Path]:
    """The gate's word on a file by its row rules: verdict, rules by quarantined line, its folder."""
    _, folder = house.extract(path)
    verdict = house.judge(path)[path]
    assert verdict.split is not None
    split = verdict.split
    assert split.rows_in == split.accepted + split.quarantined + split.skipped
    return verdict, {at: rules for at, rules, _ in house.quarantined(folder)}, folder


def accepted(folder: Path, columns: str) -> list[tuple[object, ...]]:
    return duckdb.execute(
        f"select {columns} from '{folder}/accepted.parquet' order by _line"
    ).fetchall()


def skipped(folder: Path) -> list[tuple[object, ...]]:
    return duckdb.execute(
        f"select _line, kind from '{folder}/skipped.parquet' order by _line"
    ).fetchall()


def breaks_control(house: House, path: str) -> list[dict[str, object]]:
    """What the expectation on rows and control sum of the manifest finds in a file."""
    verdict, _, folder = judged(house, path)
    meta = read_meta(folder)
    assert verdict.split is not None
    batch = as_judged(meta, verdict.split, folder)
    return failing_rows(house, "sales_line", "control_sum", [batch], AS_OF)


# --- repairs on their way through the gate into the warehouse --------------------------------------


@pytest.mark.dirt(
    rule=3, example="实收金额 ￥10.00", outcome="repaired to 10.00; the row says so in raw._repairs"
)
@pytest.mark.dirt(rule=8, example="小票号 'R7", outcome="repaired to R7, counted in ops.repair")
def test_repairs_are_flagged_in_the_row_and_counted_in_the_ledger(house: House) -> None:
    rows = [
        line("R1"),
        line("'R7", gross_amount="￥10.00", net_amount="１０.００"),
        line("R8", net_amount="10.00元", gross_amount="3万5"),
        *[line(f"V{i}") for i in range(20)],
    ]
    house.drop("sales_line", rows)
    done = house.take_in()["sales_line/a.csv"]
    assert (done["rows_in"], done["rows_loaded"], done["rows_quarantined"]) == (23, 22, 1)
    first = "select receipt_no, net_amount::varchar, _repairs from raw.sales_line order by _line limit 2"
    assert house.query(first) == [
        ("R1", "10.00", None),
        ("R7", "10.00", "gross_amount:nfkc|net_amount:nfkc|receipt_no:strip_quotes|gross_amount:currency"),
    ]  # fmt: skip
    counted = "select column_name, repair, count_rows, first_line from ops.repair order by all"
    assert house.query(counted) == [
        ("gross_amount", "currency", 1, 3),
        ("gross_amount", "nfkc", 1, 3),
        ("net_amount", "nfkc", 1, 3),
        ("receipt_no", "strip_quotes", 1, 3),
    ]  # the rejected row's repairs are not counted: it is not in
    [(text,)] = house.query("select raw_text from quarantine.row")
    assert text.endswith(",3万5,0.00,10.00元,PR1,7.00,0.130,0,S1,2017-03-01,1,R0"), text


def test_a_repaired_copy_of_a_row_is_a_copy(house: House) -> None:
    path = house.drop("sales_line", [line("R1"), line("＇R1", net_amount="¥10.00")])
    _, rules, _ = judged(house, path)
    assert rules == {3: ["duplicate:line_no"]}


@pytest.mark.dirt(
    rule=5, example="手机号 138****2233", outcome="accepted without the number, flagged masked"
)
def test_a_useless_phone_costs_the_number_and_not_the_member(house: House) -> None:
    members = [
        valid("member", member_id="M1", phone="+86 138 1234 5670"),
        valid("member", member_id="M2", phone="138****2233"),
        valid("member", member_id="M3", phone="13800138000"),
    ]
    house.drop("member", members)
    assert house.take_in()["member/a.csv"]["rows_loaded"] == 3
    assert house.query("select member_id, phone from pii.member order by 1") == [
        ("M1", "13812345670"), ("M2", None), ("M3", None),
    ]  # fmt: skip
    assert house.query("select member_id, _repairs from raw.member order by 1") == [
        ("M1", "phone:phone"), ("M2", "phone:masked"), ("M3", "phone:placeholder"),
    ]  # fmt: skip


@pytest.mark.dirt(
    rule=6, example="会员卡号 6.22848E+15", outcome="quarantined as digits:card_no; never guessed"
)
@pytest.mark.dirt(
    rule=6, example="会员卡号 6228481234567890", outcome="accepted, flagged lost_zeros"
)
def test_a_card_in_scientific_notation_is_quarantined(house: House) -> None:
    rows = [line("A", card_no="6.22848E+15"), line("B", card_no="6228481234567890")]
    _, rules, folder = judged(house, house.drop("sales_line", rows))
    assert rules == {2: ["digits:card_no"]}
    assert accepted(folder, "card_no, _repairs") == [("6228481234567890", ["card_no:lost_zeros"])]


# --- 9: lines that are no records ------------------------------------------------------------------

HEADER = list(VALID["sales_line"])


def total(word: str, **cells: str) -> Row:
    return dict.fromkeys(HEADER, "") | {"store_code": word} | cells


@pytest.mark.dirt(
    rule=9, example="合计,,,…,30.00 below the rows", outcome="skipped; its sum agrees with the rows"
)
@pytest.mark.dirt(rule=9, example="the header again on each page", outcome="skipped")
def test_totals_and_repeated_headers_are_skipped(house: House) -> None:
    rows = [
        line("A"),
        total("本页小计", net_amount="10.00", qty="1"),
        dict(zip(HEADER, HEADER, strict=True)),
        line("B"),
        line("C", net_amount="¥10.00"),
        total("小 计：", net_amount="20.00"),
        total("总计", net_amount="￥30.00"),
        total("共计 3 条"),
    ]
    path = house.drop("sales_line", rows)
    verdict, rules, folder = judged(house, path)
    assert verdict.passed and rules == {} and verdict.results == []
    assert skipped(folder) == [
        (3, "total_line"), (4, "repeated_header"), (7, "total_line"), (8, "total_line"), (9, "total_line"),
    ]  # fmt: skip
    done = house.take_in()[path]
    assert (done["rows_in"], done["rows_loaded"], done["rows_skipped"]) == (8, 3, 5)
    kinds = "select * exclude (batch_id, feed) from ops.repair where column_name = '(line)' order by all"
    assert house.query(kinds) == [
        ("(line)", "repeated_header", 1, 4), ("(line)", "total_line", 4, 3),
    ]  # fmt: skip


@pytest.mark.dirt(
    rule=9, example="合计,,,…,40.00 below rows of 30.00", outcome="refused: lines are missing"
)
def test_a_total_that_disagrees_refuses_the_file(house: House) -> None:
    rows = [line("A"), line("B"), line("C"), total("合计", net_amount="40.00")]
    path = house.drop("sales_line", rows)
    verdict, _, _ = judged(house, path)
    assert verdict.refused_by == ["total_line"]
    assert (
        "line 5 says 40 for net_amount; the rows above it come to 30, those since the total line "
        "before to 30"
    ) in verdict.message
    done = house.take_in()[path]
    assert (done["status"], done["rows_refused"], done["rows_loaded"]) == ("REFUSED", 4, 0)


def test_a_total_counts_quarantined_rows_and_says_nothing_of_unreadable_ones(house: House) -> None:
    many = [line(f"R{i}") for i in range(40)]
    counted = [*many, line("W", qty="x"), total("合计", net_amount="410.00")]
    verdict, rules, _ = judged(house, house.drop("sales_line", counted))
    assert verdict.passed and rules == {42: ["type:qty"]}
    unread = [*many, line("W", net_amount="3万5"), total("合计", net_amount="35400.00")]
    verdict, rules, _ = judged(house, house.drop("sales_line", unread, "b.csv"))
    assert verdict.passed and rules == {42: ["type:net_amount"]}


@pytest.mark.dirt(
    rule=9,
    example="共计 5 条 below 2 rows",
    outcome="skipped, with a warning: it may count receipts",
)
def test_a_number_of_rows_that_disagrees_is_a_warning(house: House) -> None:
    text = as_csv([line("A"), line("B")], HEADER) + "共计 1,005 条\n"
    verdict, rules, folder = judged(house, house.drop("sales_line", text))
    assert verdict.passed and rules == {} and skipped(folder) == [(4, "total_line")]
    [result] = verdict.results
    assert (result.check_id, result.severity, result.success) == ("total_rows", "warning", False)
    assert result.observed == (
        "line 4 says 1005 for the number of rows; the rows above it come to 2, those since the total "
        "line before to 2"
    )


@pytest.mark.parametrize(
    "footer", ["合计", "合计,,3", '"总计","",30.00', "  合 计 ：,30", "TOTAL,2", "共2条"]
)
def test_a_total_line_with_too_few_fields_is_no_broken_record(footer: str, house: House) -> None:
    text = as_csv([line("A"), line("B")], HEADER) + footer + "\n"
    verdict, rules, folder = judged(house, house.drop("sales_line", text))
    assert rules == {} and skipped(folder) == [(4, "total_line")]
    assert verdict.split is not None and verdict.split.rows_in == 3


def test_sums_without_a_word_are_a_total_line(house: House) -> None:
    rows = [line("A"), total("", qty="1", net_amount="10.00", gross_amount="10.00")]
    _, rules, folder = judged(house, house.drop("sales_line", rows))
    assert rules == {} and skipped(folder) == [(3, "total_line")]


@pytest.mark.parametrize(
    ("feed", "changes"),
    [
        ("sales_line", {"store_code": ""}),  # a row that lost its store, with all else
        ("sales_line", {"store_code": "合计"}),  # an odd store, but a whole row
        ("product", {"name": "合计"}),
        ("member", {"name": "共计 3 条"}),
        ("store", {"name": "总计店", "store_code": ""}),
    ],
)
def test_a_row_that_only_looks_like_a_total_is_a_row(feed: str, changes: Row, house: House) -> None:
    _, _, folder = judged(house, house.drop(feed, [valid(feed), valid(feed, **changes)]))
    assert not (folder / "skipped.parquet").exists() or skipped(folder) == []


def test_a_manifest_counts_rows_with_or_without_total_lines(house: House) -> None:
    rows = [line("A"), total("合计", net_amount="10.00")]
    for name, count, passes in (("a.csv", 1, True), ("b.csv", 2, True), ("c.csv", 3, False)):
        path = house.drop("sales_line", rows, name, manifest={"rows": count})
        assert (breaks_control(house, path) == []) == passes, name


# --- 10: signs -------------------------------------------------------------------------------------


@pytest.mark.dirt(
    rule=10, example="退货 with 2, 10.00", outcome="repaired to -2, -10.00, flagged sign"
)
@pytest.mark.dirt(
    rule=10, example="退货 with -2, 10.00", outcome="quarantined: the signs contradict each other"
)
@pytest.mark.dirt(rule=10, example="销售 with -2", outcome="quarantined: no sale is negative")
def test_returns_are_negative_and_contradictions_stay_out(house: House) -> None:
    back = {"receipt_type": "RETURN", "discount_amount": "0.00"}
    rows = [
        line("A", **back, qty="2", gross_amount="12.00", net_amount="10.00", cost_amount="7.00")
        | {"discount_amount": "2.00"},
        line("B", **back, qty="-2", gross_amount="-10.00", net_amount="-10.00", cost_amount="-7.00"),
        line("C", **back, qty="-2", gross_amount="10.00", net_amount="10.00"),
        line("D", **back, qty="2", gross_amount="-10.00", net_amount="-10.00"),
        line("E", qty="-2"),
        line("F", **back, qty="1", gross_amount="0", net_amount="0", cost_amount=""),
        *[line(f"V{i}") for i in range(60)],
    ]  # fmt: skip
    _, rules, folder = judged(house, house.drop("sales_line", rows))
    assert rules == {4: ["sign:qty"], 5: ["sign:qty"], 6: ["sign:qty"]}
    names = ["qty", "gross_amount", "discount_amount", "net_amount", "cost_amount"]
    amounts = ", ".join(f"{name}::double" for name in names)
    assert accepted(folder, f"receipt_no, {amounts}, _repairs")[:3] == [
        ("A", -2, -12, -2, -10, -7, [f"{name}:sign" for name in names]),
        ("B", -2, -10, 0, -10, -7, None),
        ("F", -1, 0, 0, 0, None, ["qty:sign"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("told", "passes"), [("20.00", True), ("0.00", True), ("-10.00", False)])
def test_a_control_sum_is_of_the_amounts_as_written_or_as_they_must_be(
    told: str, passes: bool, house: House
) -> None:
    rows = [line("A"), line("B", receipt_type="RETURN")]  # 10.00 and, repaired, -10.00
    path = house.drop("sales_line", rows, manifest={"control_sum": told})
    assert (breaks_control(house, path) == []) == passes


# --- 11 to 14: what is right, however odd it looks --------------------------------------------------


@pytest.mark.dirt(
    rule=11,
    example="取消 with amounts; 挂单, then 完成 under a new number",
    outcome="accepted and kept in raw; the star counts what was completed",
)
def test_cancelled_and_suspended_receipts_stay_in_raw(house: House) -> None:
    rows = [
        line("A", receipt_type="取消"),
        line("B", status="挂单"),
        line("C", status="完成"),  # the same goods under a new number
    ]
    house.drop("sales_line", rows)
    assert house.take_in()["sales_line/a.csv"]["rows_loaded"] == 3
    assert house.query("select receipt_no, receipt_type, status from raw.sales_line order by 1") == [
        ("A", "CANCELLED", "COMPLETED"), ("B", "SALE", "SUSPENDED"), ("C", "SALE", "COMPLETED"),
    ]  # fmt: skip


@pytest.mark.dirt(
    rule=12, example="sales of store 9999", outcome="accepted at the gate; the star leaves them out"
)
def test_a_test_store_passes_the_gate_as_the_source_flags_it(house: House) -> None:
    house.drop("store", [valid("store", store_code="9999", name="培训中心", is_test="是")])
    house.drop("sales_line", [line("A", store_code="9999")])
    done = house.take_in()
    assert [d["rows_loaded"] for d in done.values()] == [1, 1]
    assert house.query("select is_test, _repairs from raw.store") == [(1, None)]


@pytest.mark.dirt(
    rule=13,
    example="receipt 0001 at two tills, stores, days",
    outcome="accepted: four parts make the key",
)
def test_a_receipt_number_means_something_within_store_day_and_till(house: House) -> None:
    rows = [
        line("0001"),
        line("0001", till_no="T9"),
        line("0001", store_code="S2"),
        line("0001", business_date="2017-03-30", sold_at="2017-03-30 09:00:00"),
        line("0001", qty="2"),  # the same line once more, with another quantity
    ]
    _, rules, folder = judged(house, house.drop("sales_line", rows))
    assert rules == {2: ["key_conflict:line_no"], 6: ["key_conflict:line_no"]}
    assert len(accepted(folder, "1")) == 3


@pytest.mark.dirt(
    rule=14, example="the same file under another name", outcome="skipped by its sha256"
)
@pytest.mark.dirt(
    rule=14,
    example="a resend of a store-day with one changed line",
    outcome="accepted: the store-day is replaced",
)
def test_the_same_again_is_skipped_and_a_resend_replaces(house: House) -> None:
    first = [line("A"), line("B"), line("C", store_code="S2")]
    house.drop("sales_line", first, "a.csv", manifest={"generated_at": "2017-04-01T00:00:00"})
    house.take_in()
    house.drop("sales_line", first, "b.csv", manifest={"generated_at": "2017-04-01T00:00:00"})
    assert house.take_in()["sales_line/b.csv"]["status"] == "SKIPPED"
    resend = [line("A"), line("B", qty="3")]
    house.drop("sales_line", resend, "c.csv", manifest={"generated_at": "2017-04-02T00:00:00"})
    done = house.take_in()["sales_line/c.csv"]
    assert (done["rows_in"], done["rows_loaded"]) == (2, 2)
    rows = "select store_code, receipt_no, qty::int from raw.sales_line order by all"
    assert house.query(rows) == [("S1", "A", 1), ("S1", "B", 3), ("S2", "C", 1)]


@pytest.mark.dirt(
    rule=14,
    example="two deltas of members that overlap",
    outcome="accepted once per version of a member",
)
def test_overlapping_deltas_bring_each_version_once(house: House) -> None:
    old, new = valid("member"), valid("member", status="FROZEN", updated_at="2017-01-05 10:00:00")
    house.drop("member", [old], "a.csv")
    house.take_in()
    house.drop("member", [old, new], "b.csv")
    done = house.take_in()["member/b.csv"]
    assert (done["rows_in"], done["rows_loaded"], done["rows_skipped"]) == (2, 1, 1)
    assert house.query("select count(*) from raw.member") == [(2,)]


# --- 1, 17, 18, 19, 21, 23 ---------------------------------------------------------------------------


@pytest.mark.dirt(
    rule=1,
    example="GB18030, UTF-8 with and without BOM, UTF-16; 䶮 㛃 in names",
    outcome="accepted; the encoding is recorded",
)
@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig", "utf-16"])
def test_names_survive_every_encoding(encoding: str, house: House) -> None:
    name = "䶮㛃𠀀 ①㎏ 會員"
    house.drop("member", [valid("member", name=name)], encoding=encoding)
    house.take_in()
    assert house.query("select name from pii.member") == [(name,)]
    assert house.query("select encoding, status from ops.batch") == [(encoding, "UNVERIFIED")]


@pytest.mark.dirt(
    rule=17,
    example="sold_at 1970-01-01, 2000-01-01, two days off",
    outcome="quarantined as clock:sold_at",
)
@pytest.mark.dirt(rule=17, example="sold_at after midnight of a 24-hour store", outcome="accepted")
def test_a_till_s_clock_is_within_a_day_of_its_business_date(house: House) -> None:
    times = [
        "1970-01-01 08:00",
        "2000-01-01 00:00",
        "2017-03-28 12:00",
        "2017-04-01 03:59",
        "2017-03-31 12:00",
    ]
    rows = [line(f"R{i}", sold_at=at, business_date="2017-03-31") for i, at in enumerate(times)]
    _, rules, _ = judged(house, house.drop("sales_line", rows))
    assert rules == {at: ["clock:sold_at"] for at in (2, 3, 4)}


@pytest.mark.dirt(
    rule=18,
    example="抹零: a line of 0.00 - 0.03 = -0.03",
    outcome="accepted as a line with its discount",
)
@pytest.mark.dirt(
    rule=18, example="lines of a receipt 0.05 off", outcome="accepted; 0.06 off is quarantined"
)
def test_receipts_are_right_within_five_cents_and_rounding_is_a_line(house: House) -> None:
    rounding = {"sku_code": "ROUNDING", "gross_amount": "0.00", "qty": "1"}
    rows = [
        line("A", 1, gross_amount="10.03", net_amount="10.03"),
        line("A", 2, **rounding, discount_amount="0.03", net_amount="-0.03"),
        line("B", 1, net_amount="9.95"),
        line("C", 1, net_amount="9.94"),
    ]
    _, rules, folder = judged(house, house.drop("sales_line", rows))
    assert rules == {5: ["receipt_sum:net_amount"]}
    assert accepted(folder, "receipt_no, sku_code, discount_amount::double, net_amount::double")[1] == (
        "A", "ROUNDING", 0.03, -0.03,
    )  # fmt: skip


@pytest.mark.dirt(
    rule=19,
    example='地址 "大街 1 号,\\n后门 ""南楼"""',
    outcome="accepted; lines are counted as the file has them",
)
def test_line_breaks_quotes_and_commas_within_a_cell_are_its_text(house: House) -> None:
    texts = ['大街 1 号,\n后门 "南楼"', "第一行\n第二行\n第三行", 'a,"b",c', "-"]
    members = [valid("member", member_id=f"M{i}", address=text) for i, text in enumerate(texts)]
    members.append(valid("member", member_id="M9", enrolled_on="x"))
    path = house.drop("member", members)
    _, rules, folder = judged(house, path)
    # header 1, then records of 2, 3, 1 and 1 lines
    assert rules == {9: ["type:enrolled_on"]}
    assert accepted(folder, "_line, address") == [
        (2, texts[0]), (4, texts[1]), (7, texts[2]), (8, None),
    ]  # fmt: skip


@pytest.mark.dirt(
    rule=21,
    example="赠品 at 0.01 and 0.00; a coupon line of -5.00",
    outcome="accepted: gifts and coupons are lines",
)
def test_gifts_and_coupon_lines_are_accepted(house: House) -> None:
    def priced(number: int, amount: str) -> Row:
        return line("A", number, unit_price=amount, gross_amount=amount, net_amount=amount)

    rows = [priced(1, "30.00"), priced(2, "0.01"), priced(3, "0.00"), priced(4, "-5.00")]
    _, rules, folder = judged(house, house.drop("sales_line", rows))
    assert rules == {}
    assert accepted(folder, "net_amount::double, _repairs") == [
        (30.0, None), (0.01, None), (0.0, None), (-5.0, None),
    ]  # fmt: skip


QUESTIONS = [
    valid("survey_question", question_id="Q1", scale_min="1", scale_max="5"),
    valid("survey_question", question_id="Q2", scale_min="0", scale_max="10"),
]


def answers(*given: tuple[str, str]) -> list[Row]:
    return [
        valid(
            "survey_answer",
            response_id=f"A{i}",
            question_id=question,
            answer_num=score,
            answer_code="",
        )
        for i, (question, score) in enumerate(given)
    ]


GIVEN = [
    ("Q1", "1"), ("Q1", "5"), ("Q1", "6"), ("Q1", "0"), ("Q2", "0"), ("Q2", "11"), ("Q1", "98"),
    ("Q9", "77"),
]  # fmt: skip


def lenient(house: House) -> None:
    """Let a file of answers pass, however many of them are quarantined."""
    contract = house.contracts["survey_answer"]
    house.contracts["survey_answer"] = contract.model_copy(update={"reject_limit": 1})


@pytest.mark.dirt(
    rule=23,
    example="6 on a scale of 1 to 5; 11 on 0 to 10",
    outcome="quarantined as scale:answer_num",
)
@pytest.mark.parametrize("nights", [1, 2])
def test_a_score_off_the_scale_of_its_question_is_quarantined(nights: int, house: House) -> None:
    lenient(house)
    house.drop("survey_question", QUESTIONS)
    if nights == 2:
        house.take_in()
    path = house.drop("survey_answer", answers(*GIVEN))
    paths = ["survey_question/a.csv", path] if nights == 1 else [path]
    verdict = house.judge(*paths)[path]
    _, folder = house.extract(path)
    house.judge(*paths)
    found = {at: rules for at, rules, _ in house.quarantined(folder)}
    assert found == {4: ["scale:answer_num"], 5: ["scale:answer_num"], 7: ["scale:answer_num"]}
    assert verdict.split is not None and verdict.split.quarantined == 3


@pytest.mark.dirt(
    rule=23,
    example="7, where the question went from 1-5 to 0-10",
    outcome="accepted: one of its scales has it",
)
def test_a_score_fits_if_any_version_of_its_question_has_it(house: House) -> None:
    lenient(house)
    later = valid(
        "survey_question",
        question_id="Q1",
        scale_min="0",
        scale_max="10",
        updated_at="2017-02-01 00:00:00",
    )
    house.drop("survey_question", [QUESTIONS[0], later])
    path = house.drop("survey_answer", answers(("Q1", "7"), ("Q1", "11")))
    house.judge("survey_question/a.csv", path)
    _, folder = house.extract(path)
    house.judge("survey_question/a.csv", path)
    assert {at: rules for at, rules, _ in house.quarantined(folder)} == {3: ["scale:answer_num"]}


# --- a contract of one's own -------------------------------------------------------------------------


@pytest.mark.dirt(
    rule=7,
    example="门店编码 12 where the contract fixes 4 characters",
    outcome="repaired to 0012, flagged pad; other lengths are quarantined",
)
def test_a_fixed_length_pads_and_judges(house: House) -> None:
    contract = house.contracts["store"]
    padded = contract.columns["store_code"].model_copy(
        update={"length": 4, "normalise": ["nfkc", "strip_quotes", "null_tokens", "pad"]}
    )
    changed = contract.model_copy(
        update={"columns": contract.columns | {"store_code": padded}, "reject_limit": 1.0}
    )
    house.contracts["store"] = type(contract).model_validate(changed.model_dump())
    stores = [valid("store", store_code=code) for code in ("12", "0013", "A1", "12345")]
    _, rules, folder = judged(house, house.drop("store", stores))
    assert rules == {4: ["length:store_code"], 5: ["length:store_code"]}
    assert accepted(folder, "store_code, _repairs") == [
        ("0012", ["store_code:pad"]),
        ("0013", None),
    ]
