"""Report and page of a small publication: what they say, that each number is the marts', and what is not said."""

# ruff: noqa: E501  (rows and sentences stand in one line each)

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import readback
from report.small import AS_OF, write

from kehu.questions import read_questions
from kehu.report import page, report, texts, words
from kehu.report.figures import Answer, figure, written
from kehu.report.picture import Column, both
from kehu.report.pictures import Picture
from kehu.report.publication import Publication
from kehu.report.teller import Teller

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = {"mart_concentration": {"S3"}, "mart_load": {"Q1"}, "mart_data_quality": {"Q1"},
    "mart_freshness": {"Q1"}}  # fmt: skip


def picture(connection: duckdb.DuckDBPyConnection, store: str = "ALL") -> Picture:
    """A picture of the customers of each store, or of one."""
    where = "" if store == "ALL" else f" where store_code = '{store}'"
    sql = f"select store_code, n_customers from marts.mart_concentration{where} order by 1"
    rows = connection.execute(sql).to_arrow_table().to_pylist()
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" role="img"><title>{len(rows)}</title><rect/></svg>'
    return Picture(
        "customers", ("S3",), both("Customers", "客户数"), both(f"n = {rows[0]['n_customers']}.", f"共 {rows[0]['n_customers']} 位。"), both(svg, svg), rows, sql,
        True, None, (Column("store_code", both("Store", "门店")), Column("n_customers", both("n", "客户"), "count")),
        store,
    )  # fmt: skip


@pytest.fixture
def publication(tmp_path: Path) -> Iterator[Publication]:
    yield from opened(write(tmp_path / "p"))


def opened(folder: Path) -> Iterator[Publication]:
    with Publication.opened(folder) as publication:
        drawn = {s: [picture(publication.connection, s)] for s in ("ALL", "A1", "B<2>")}
        publication.hold(drawn)
        yield publication


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(readback.parsed(html).find("body").itertext()))


def faults(html: str, publication: Publication) -> list[str]:
    return [
        *readback.untrue(html, publication.connection),
        *readback.untraced(html, publication.connection, AS_OF, DEFINITIONS),
        *readback.misread(html),
        *readback.loose(html),
        *readback.uncaptioned(html, publication.connection, AS_OF),
    ]


def test_chance_is_said_where_the_interval_spans_the_limit(tmp_path: Path) -> None:
    wide = "set lo = 0.1 where kpi = 'CHURN' and store_code = 'ALL'"
    folder = write(tmp_path / "wide", f"update marts.mart_report {wide}")
    for publication in opened(folder):
        text = text_of(report.render(publication))
        assert "上期 12.0% （95% 区间跨过警戒线，可能是抽样波动）。" in text
        assert "before 12.0% (the 95% interval spans the limit: it may be chance)." in text
    for publication in opened(write(tmp_path / "narrow")):
        assert "区间跨过警戒线" not in text_of(report.render(publication))


def test_each_reason_has_words() -> None:
    """Those of the models of the report, of the seed of KPIs, and of the churn model."""
    folder, source = ROOT / "models" / "marts" / "report", ROOT / "src" / "kehu" / "score"
    sql = "".join(path.read_text() for path in folder.glob("*.sql"))
    codes = {
        code
        for case in re.findall(r"\bcase\b(?:(?!\bcase\b).)*?\bend\s+as \w*reason", sql, re.S)
        for code in re.findall(r"\bthen\s+'([A-Z_]+)'", case)
    }
    assert {"NO_SALES", "LAUNCH_DATES_NOT_KNOWN", "SMALL_SAMPLE", "NO_CASE"} <= codes
    with (ROOT / "seeds" / "kpi.csv").open() as file:
        codes |= {row["missing_reason"] for row in csv.DictReader(file)} - {""}
    churn = (source / "churn.py").read_text()
    fates = re.findall(r'"([A-Z_]+)"', "".join(re.findall(r".*(?:fates|_nothing\().*", churn)))
    assert {"HISTORY_TOO_SHORT", "NO_SCORES", "CHALLENGER_BETTER"} <= set(fates)
    assert (codes | set(fates)) - set(texts.REASON) == set()


def test_lists_that_are_named_are_there() -> None:
    """The treatment is shipped, and `kehu ask` has the question."""
    with (ROOT / "seeds" / "treatment_matrix.csv").open(encoding="utf-8") as file:
        shipped = {(row["kpi"], row["strategy_code"]) for row in csv.DictReader(file)}
    questions = read_questions(ROOT)
    for treatment, number in texts.LISTS.items():
        assert treatment in shipped and "60 %" in questions[number].title


def test_classes_are_called_alike_in_pictures_and_sentences() -> None:
    for table in (words.TIERS, words.LOYALTY):
        for code in set(table) - {"NEW", "LOST"}:  # who came and who left: other than the stages
            assert texts.SEGMENT[code]["zh"] == table[code]["zh"]


@pytest.mark.definition("R1")
def test_each_number_is_the_marts(publication: Publication) -> None:
    for html in (report.render(publication), page.render(publication)):
        assert faults(html, publication) == []
        assert len(readback.numbers(html)) > 60


def test_a_number_that_is_wrong_is_found(publication: Publication, tmp_path: Path) -> None:
    """Changed in the page, to the eye or in what it holds, or in the marts: each is seen."""
    html = page.render(publication)
    for change in (
        lambda h: h.replace('value="0.143000"', 'value="0.144000"', 1),
        lambda h: h.replace(">14.3%<", ">14.4%<", 1),
        lambda h: h.replace('data-metric="C2"', 'data-metric="C3"', 1),
        lambda h: h.replace("kpi = &#39;CHURN", "kpi = &#39;NPS", 1),
        lambda h: h.replace("突破警戒线", "突破警戒线 7", 1),
        lambda h: h.replace("共 120 位", "共 121 位", 1),
        lambda h: h.replace('<data value="120"', '<data value="121"', 1),
    ):
        assert change(html) != html
        assert faults(change(html), publication) != []
    changed = write(
        tmp_path / "q", "update marts.mart_scorecard set actual = 0.15 where store_code = 'ALL'"
    )
    with duckdb.connect(str(changed / "kehu.duckdb"), read_only=True) as connection:
        assert readback.untrue(html, connection) != []
        assert readback.untraced(html, connection, AS_OF, DEFINITIONS) != []


def test_it_says_what_is_wrong_and_what_to_do(publication: Publication) -> None:
    html = report.render(publication)
    text = text_of(html)
    assert "月流失率 为 14.3% ，高于警戒线 12.0% ，目标 6.0% ，上期 12.0% 。" in text
    assert (
        "Churn in a month : 14.3% , above the limit of 12.0% , target 6.0% , before 12.0% ." in text
    )
    assert "最差的门店是 人民路店 ： 16.3% 。" in text
    assert "Ask the last 50 who left <why>" in text and "<why>" not in html
    assert (
        "负责人：客户关系经理 · 渠道：短信或微信 · 单次费用上限： 1.00元 · 期限： 2025-01-30 （ 30 天 ） · 成效指标： 月流失率"
        in text
    )
    assert "没有项目现金流数据" in text and "no feed of the programme&#39;s cash flow" in html
    assert "[ C2 · 14.3% · 95% 区间 12.0% … 17.0% · n = 180 · 2024-12-31 · 查询 ]" in text


def test_no_breach_no_problem(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "calm",
        "delete from marts.mart_report where section in ('PROBLEM', 'ADVICE')",
        "update marts.mart_scorecard set status = 'MET', change_code = null where status = 'BREACHED'",
    )
    for publication in opened(folder):
        for html in (report.render(publication), page.render(publication)):
            text = text_of(html)
            assert "本期没有需要报告的问题" in text and "there is no problem to report" in text
            assert 'class="problem' not in html
            assert faults(html, publication) == []


def test_nothing_judged_is_not_said_to_be_well(tmp_path: Path) -> None:
    """With targets and without: no number was judged, so none is well, and none is wrong."""
    nothing = (
        "delete from marts.mart_report where section in ('PROBLEM', 'ADVICE')",
        "update marts.mart_scorecard set status = 'NOT_MEASURABLE', change_code = null, "
        "missing_reason = 'PERIOD_NOT_COMPLETE', scorecard_attainment = null",
    )
    without = "update marts.mart_scorecard set target = null, floor = null"
    for name, changes, said in (
        ("few", nothing, "本期没有可判断的指标"),
        ("none", (*nothing, without), "尚未设定目标"),
    ):
        for publication in opened(write(tmp_path / name, *changes)):
            for html in (report.render(publication), page.render(publication)):
                text, root = text_of(html), readback.parsed(html)
                assert said in text and "没有可判断的指标，不能据此认为没有问题。" in text
                assert ("尚未设定目标" in text) == (name == "none")
                assert "没有需要报告的问题" not in text and root.find_class("fine") == []
                assert faults(html, publication) == []


def test_a_figure_that_is_not_judged_says_so(tmp_path: Path) -> None:
    """Beside the number, by its reason; a number that is not there says the reason in its place."""
    folder = write(
        tmp_path / "young",
        "update marts.mart_scorecard set status = 'NOT_MEASURABLE', "
        "missing_reason = 'PERIOD_NOT_COMPLETE' where kpi = 'MEMBER_SALES'",
        "update marts.mart_report set missing_reason = 'PERIOD_NOT_COMPLETE' where kpi = 'MEMBER_SALES'",
    )
    for publication in opened(folder):
        for html in (report.render(publication), page.render(publication)):
            tiles = {
                t.find_class("name")[0].text_content(): t.text_content()
                for t in reversed(readback.parsed(html).find_class("tile"))
            }  # the company's stand before those of the stores
            young = tiles["会员销售额（近12个月）"]
            assert "不作判断" in young and "数据不满整个时段" in young and "无法衡量" not in young
            assert "没有项目现金流数据" in tiles["投资回报率"] and "无法衡量" in tiles["投资回报率"]


def test_nothing_is_no_small_sample(publication: Publication) -> None:
    """A figure that is not there is not small; sums and counts never are; means and times are."""
    teller = Teller(publication, "zh")
    row = {"metric_id": "V6", "unit": "MONEY_PER_CUSTOMER", "actual": 3.0, "n": 4}
    assert teller.is_small(row)
    assert not teller.is_small(row | {"n": 30})
    assert not teller.is_small(row | {"actual": None, "n": 0})
    assert not teller.is_small(row | {"unit": "MONEY"})
    assert teller.is_small(row | {"metric_id": "P2", "unit": "MINUTES"})
    assert not teller.is_small(row | {"metric_id": "P2", "unit": "MINUTES", "n": 5})
    assert teller.is_small(row | {"metric_id": "P16", "unit": "SHARE", "n": 5})


def test_simulated_and_small_are_marked_on_each_number(publication: Publication) -> None:
    root = readback.parsed(report.render(publication))
    tiles = {t.find_class("name")[0].text_content(): t for t in root.find_class("tile")}
    assert [t.text for t in tiles["净推荐值"].find_class("simulated")] == ["模拟数据"]
    assert [t.text for t in tiles["净推荐值"].find_class("few")] == ["样本不足"]
    assert tiles["月流失率"].find_class("simulated") == []
    assert [len(f.find_class("simulated")) for f in root.iter("figure")] == [1, 1]


def test_where_sales_are_simulated_all_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "p")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"complaint"', '"sales_line"'))
    for publication in opened(folder):
        tiles = readback.parsed(report.render(publication)).find_class("tile")
        assert all(
            t.find_class("simulated")
            for t in tiles
            if t.find_class("value")[0].find("data") is not None
        )


def test_a_store_shows_its_own_numbers_and_problems(publication: Publication) -> None:
    root = readback.parsed(page.render(publication))
    views = {
        t.get("data-store"): t
        for t in root.iter("template")
        if t.get("data-slot") == "first" and t.get("data-lang") == "zh"
    }
    assert set(views) == {"A1", "B<2>"}, "too few customers in C3"
    assert "月流失率 为 16.3% ，高于警戒线 12.0%" in re.sub(
        r"\s+", " ", " ".join(views["A1"].itertext())
    )
    assert views["B<2>"].find_class("problem") == []
    assert "本店计入权重的指标均未突破警戒线" in views["B<2>"].text_content()
    assert "不按门店衡量" in views["B<2>"].text_content()
    options = {o.get("value"): o.text for o in root.iter("option")}
    assert options == {"ALL": "全公司", "A1": "人民路店", "B<2>": "Market & Sons"}
    only = readback.parsed(page.render(publication, 1))
    assert [o.get("value") for o in only.iter("option")] == ["ALL", "A1"]
    assert re.search(r"客户数最多的 1 家（共 3 家有销售数据）", only.text_content())


def of_store(publication: Publication, store: str) -> str:
    """What the page says of a store in Chinese, without its pictures."""
    (view,) = (
        t
        for t in readback.parsed(page.render(publication)).iter("template")
        if (t.get("data-slot"), t.get("data-store"), t.get("data-lang")) == ("first", store, "zh")
    )
    return re.sub(r"\s+", " ", " ".join(view.itertext()))


def test_a_store_has_problems_of_its_own(tmp_path: Path) -> None:
    """Also where the company has none, with what is advised for the KPI, unless it has no weight."""
    calm = (
        "delete from marts.mart_report where section in ('PROBLEM', 'ADVICE')",
        "update marts.mart_scorecard set status = 'MET' where store_code = 'ALL' and kpi = 'CHURN'",
    )
    for publication in opened(write(tmp_path / "calm", *calm)):
        said = of_store(publication, "A1")
        assert "1项突破警戒线" in said.replace(" ", "")
        assert "月流失率 为 16.3% ，高于警戒线 12.0%" in said and "均未突破警戒线" not in said
        assert "询问最近50名流失客户" in said and "致电重要客户" not in said, "of ALL segments only"
        # the store has no such figure: that it is the company's is said
        assert "成效指标： 净推荐值 (全公司当前 −3.4 → 目标 30 )" in said
        assert "期限： 2025-01-14 （ 14 天 ）" in said
        assert faults(page.render(publication), publication) == []
    light = "update marts.mart_scorecard set weight_given = 0 where store_code = 'A1'"
    for publication in opened(write(tmp_path / "light", *calm, light)):
        assert "本店计入权重的指标均未突破警戒线" in of_store(publication, "A1")
    mine = "update core.treatment_matrix set scope = 'mine' where strategy_code = 'NPS_CALLS'"
    folder = write(tmp_path / "mine", *calm, mine)
    for publication in opened(folder):
        assert "致电" not in of_store(publication, "A1"), "another company's"
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("{", '{"param_scope": "mine", ', 1))
    for publication in opened(folder):
        said = of_store(publication, "A1")
        assert "致电" in said and "询问最近50名流失客户" not in said, "in place of what is shipped"


def test_why_a_store_has_no_figure(publication: Publication, tmp_path: Path) -> None:
    """Not asked of stores at all, nothing of the kind in this one, or what the whole company lacks."""
    said = of_store(publication, "B<2>")
    assert "净推荐值 不按门店衡量" in said and "投资回报率 没有项目现金流数据" in said
    of_another = (
        "insert into marts.mart_scorecard select * replace ('A1' as store_code, date '2024-11-30' "
        "as as_of_date, 'NO_CASE' as missing_reason) from marts.mart_scorecard where kpi = 'NPS'"
    )
    for with_another in opened(write(tmp_path / "q", of_another)):
        assert "净推荐值 没有此类事项" in of_store(with_another, "B<2>")


def test_they_open_offline(publication: Publication) -> None:
    for html in (report.render(publication), page.render(publication)):
        bare = html.replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?://|//\w+\.\w+|<link|<img|<iframe|@import|url\((?!#)", bare) == []
    assert "<script" not in report.render(publication)


def test_ids_are_there_once_and_links_lead_to_them(publication: Publication) -> None:
    root = readback.parsed(report.render(publication))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert sorted(ids) == sorted(set(ids))
    goals = [a.get("href")[1:] for a in root.iter("a")]
    assert len(goals) > 20 and set(goals) <= set(ids)


def test_links_only_to_what_lies_beside(publication: Publication) -> None:
    assert readback.parsed(page.render(publication)).find_class("links")[0].findall("a") == []
    (publication.folder / "docs.html").touch()
    links = readback.parsed(page.render(publication)).find_class("links")[0].findall("a")
    assert [a.get("href") for a in links] == ["docs.html"]


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (0.1234, "SHARE", "12.3%", "12.3%"),
        (-0.05, "points", "−5.0 个百分点", "−5.0 pp"),
        (13456789.12, "MONEY", "1,345.68万元", "CNY 13.46 m"),
        (234567890.0, "MONEY", "2.35亿元", "CNY 234.57 m"),
        (999.6, "MONEY", "1,000元", "CNY 1,000"),
        (-12.5, "MONEY", "−12.50元", "CNY −12.50"),
        (0, "MONEY", "0.00元", "CNY 0.00"),
        (95, "MINUTES", "95 分钟", "95 min"),
        (657, "MINUTES", "10.9 小时", "10.9 h"),
        (8446.7, "MINUTES", "5.9 天", "5.9 days"),
        (2, "HOURS", "2.0 小时", "2.0 h"),
        (30.0, "NPS_POINT", "30", "30"),
        (-0.04, "NPS_POINT", "0", "0"),
        (1319, "CUSTOMERS", "1,319", "1,319"),
        (0.694, "COEFFICIENT", "0.69", "0.69"),
    ],
)
def test_numbers_are_written_by_their_unit(value: float, unit: str, zh: str, en: str) -> None:
    assert (
        written(value, unit, "zh", currency="CNY"),
        written(value, unit, "en", currency="CNY"),
    ) == (zh, en)


def test_a_change_is_in_the_step_of_its_value() -> None:
    assert written(108.5, "MINUTES", "zh", signed=True, like=657) == "+1.8 小时"
    assert written(330, "MINUTES", "en", signed=True, like=8446.7) == "+0.2 days"
    assert written(-0.5, "HOURS", "zh", signed=True, like=10.9) == "−0.5 小时"


def test_each_currency_has_its_name() -> None:
    said = {c: written(4_487_800, "MONEY", "zh", currency=c) for c in ("EUR", "HKD", "XYZ", "")}
    assert said == {
        "EUR": "448.78万欧元",
        "HKD": "448.78万港元",
        "XYZ": "448.78万 XYZ",
        "": "448.78万",
    }


def test_a_number_that_is_not_there_is_a_dash() -> None:
    said = figure(Answer("q", "select null", [{"actual": None}]), "actual", "SHARE", "en")
    assert "data" not in str(said) and "–" in str(said)
