"""Pictures of a publication: numbers a second time, two languages, marks, fonts, nothing from outside."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import duckdb
import pytest
import vl_convert
from report.paper import AS_OF, BEFORE, TABLES, make_publication, model
from scipy import stats

from kehu.errors import KehuError
from kehu.report import fonts, sheet
from kehu.report.picture import Column, View, both, month, points, written
from kehu.report.pictures import PICTURES, Picture, draw, draw_all

SVG = "{http://www.w3.org/2000/svg}"
OF_SALES = {
    "pyramid",
    "whale_curve",
    "rfm_heat_map",
    "cohort_triangle",
    "survival_curve",
    "migration_flow",
}
Connection = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module", autouse=True)
def _font() -> None:
    try:
        fonts.require_cjk_font()
    except KehuError as none:
        pytest.skip(f"scripts/install_fonts.sh installs one: {none}")


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_publication(tmp_path_factory.mktemp("paper") / "kehu.duckdb")


@pytest.fixture(scope="module")
def connection(publication: Path) -> Iterator[Connection]:
    with duckdb.connect(str(publication), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def drawn(connection: Connection) -> dict[str, Picture]:
    return {picture.id: picture for picture in draw_all(connection, AS_OF)}


@pytest.fixture
def spoiled(publication: Path, tmp_path: Path) -> Iterator[Connection]:
    """A publication of its own, which a test may change."""
    with duckdb.connect(str(shutil.copy(publication, tmp_path / "spoiled.duckdb"))) as connection:
        yield connection


def rows(connection: Connection, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = connection.execute(sql).to_arrow_table().to_pylist()
    return found


def text_of(svg: str) -> str:
    return "\n".join(e.text or "" for e in ET.fromstring(svg).iter(f"{SVG}text"))


# --------------------------------------------------------------------------------------- what is drawn


def test_which_pictures_there_are(drawn: dict[str, Picture]) -> None:
    assert list(drawn) == list(PICTURES) and len(drawn) == 10
    for picture in drawn.values():
        assert picture.missing is None
        assert picture.metric_ids and picture.data
        assert set(picture.svg) == set(picture.title) == set(picture.caption) == {"en", "zh"}


@pytest.mark.parametrize("name", PICTURES)
def test_each_language_says_what_whose_and_when(drawn: dict[str, Picture], name: str) -> None:
    picture = drawn[name]
    for language, whose, when in (
        ("en", "Whole company", "2024-02-29"),
        ("zh", "全公司", "2024年2月29日"),
    ):
        text = text_of(picture.svg[language])
        assert picture.title[language] in text.replace("\n", " ").replace("  ", " ") or all(
            word in text for word in picture.title[language].split()
        )
        assert whose in text and when in text
        assert when in picture.caption[language]
        headings, table = picture.table(language)
        assert len(table) == len(picture.data) and {len(row) for row in table} == {len(headings)}
    chinese = re.compile(r"[\u4e00-\u9fff]")
    names = "人民路店 新街口店 模拟数据"
    assert {c for c in text_of(picture.svg["en"]) if chinese.match(c)} <= set(names)
    assert chinese.search(text_of(picture.svg["zh"]).replace("全公司", ""))
    assert chinese.search(picture.caption["zh"]) and not chinese.search(picture.caption["en"])


@pytest.mark.parametrize("name", PICTURES)
def test_a_drawing_is_whole_by_itself(drawn: dict[str, Picture], name: str) -> None:
    """Nothing from outside, a title for who can not see it, a size that scales, ids that exist."""
    for svg in drawn[name].svg.values():
        root = ET.fromstring(svg)
        assert root.tag == f"{SVG}svg" and root.get("role") == "img"
        assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
        assert float(root.get("width", 0)) <= 460, "too wide to be read on a telephone"
        ids = [e.get("id") for e in root.iter() if e.get("id")]
        assert len(ids) == len(set(ids))
        assert set(root.get("aria-labelledby", "").split()) <= set(ids)
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(ids)
        assert not re.search(r"url\((?!#)|href|<script|<image|@import|<style", svg)
        assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
        sizes = [
            float(s.removesuffix("px")) for s in re.findall(r'font-size="([\d.]+(?:px)?)"', svg)
        ]
        assert sizes and min(sizes) >= 12


def test_ids_are_unique_on_a_page(connection: Connection, drawn: dict[str, Picture]) -> None:
    store = draw(connection, "nps_by_store", AS_OF, "S1")
    svgs = [svg for p in [*drawn.values(), store] for svg in p.svg.values()]
    ids = [e.get("id") for svg in svgs for e in ET.fromstring(svg).iter() if e.get("id")]
    assert len(ids) == len(set(ids)) > 40


def test_the_same_numbers_give_the_same_bytes(
    connection: Connection, drawn: dict[str, Picture]
) -> None:
    for name in reversed(PICTURES):
        again = draw(connection, name, AS_OF, languages=["zh"])
        assert again.svg == {"zh": drawn[name].svg["zh"]}
        assert again.data == drawn[name].data


def test_specifications_are_valid(connection: Connection) -> None:
    """Drawing skips altair's own check for speed."""
    view = View(connection, AS_OF)
    for make in PICTURES.values():
        draft = make(view)
        assert draft.chart is not None
        draft.chart("en").to_dict(validate=True)


def test_the_query_gives_the_numbers(connection: Connection, drawn: dict[str, Picture]) -> None:
    for p in drawn.values():
        assert rows(connection, p.sql) == p.data
        assert re.search(r"\bfrom (marts|core)\.", p.sql)
        assert {column.name for column in p.columns} <= set(p.data[0])


def test_terms_are_those_of_the_models(drawn: dict[str, Picture]) -> None:
    terms: dict[str, set[str]] = {}
    for column in (c for name in TABLES["marts"] for c in model(name)["columns"]):
        terms.setdefault(column["name"], set()).add(column["config"]["meta"]["zh"])
    seen = 0
    for column in (c for p in drawn.values() for c in p.columns):
        if column.name in terms and column.name != "store_code":
            assert column.heading["zh"] in terms[column.name], column.name
            seen += 1
    assert seen > 30


# -------------------------------------------------------------------------- the numbers, a second time


@pytest.mark.definition("S2")
def test_pyramid(drawn: dict[str, Picture]) -> None:
    picture = drawn["pyramid"]
    assert [(r["tier"], r["n_customers"]) for r in picture.data] == [
        ("TOP", 3), ("MAJOR", 57), ("ORDINARY", 90), ("SMALL", 150),
    ]  # fmt: skip
    assert "300 customers" in picture.caption["en"] and "前 1.0%（3 人）" in picture.caption["zh"]
    text = text_of(picture.svg["zh"])
    for shown in ("重要客户*", "次要客户", "57 (19%)", "34%", "样本不足"):
        assert shown in text


@pytest.mark.definition("S3")
def test_whale_curve(connection: Connection, drawn: dict[str, Picture]) -> None:
    value = [
        r["value_365d"] for r in rows(connection, "select * from marts.mart_customer_value")
        if r["value_rank"] is not None
    ]  # fmt: skip
    value.sort(reverse=True)
    cumulative = list(itertools.accumulate(value))
    picture = drawn["whale_curve"]
    assert [r["customers"] for r in picture.data] == [6 * k for k in range(1, 51)]
    for r in picture.data:
        assert r["cumulative_value"] == cumulative[r["customers"] - 1]
        assert float(r["share_of_value"]) == pytest.approx(
            float(r["cumulative_value"]) / sum(map(float, value)), abs=1e-6
        )
    assert max(r["share_of_value"] for r in picture.data) > 1, "who loses bends the curve down"
    assert "Whale curve" in picture.title["en"] and "Losing customers: 6" in picture.caption["en"]


def test_sales_are_no_whale(spoiled: Connection) -> None:
    spoiled.execute(
        "update marts.mart_concentration set value_basis = 'SALES', count_profitable = null"
    )
    picture = draw(spoiled, "whale_curve", AS_OF, languages=[])
    assert "not a whale curve" in picture.title["en"] and "并非鲸鱼曲线" in picture.title["zh"]
    assert "no losses" in picture.caption["en"] and "Losing" not in picture.caption["en"]


@pytest.mark.definition("V8")
def test_rfm_heat_map(connection: Connection, drawn: dict[str, Picture]) -> None:
    scored = rows(connection, "select * from marts.mart_customer_value where r_score is not null")
    cells = Counter((r["r_score"], r["f_score"]) for r in scored)
    picture = drawn["rfm_heat_map"]
    assert {(r["r_score"], r["f_score"]): r["n_customers"] for r in picture.data} == cells
    for r in picture.data:
        money = [
            s["m_score"]
            for s in scored
            if (s["r_score"], s["f_score"]) == (r["r_score"], r["f_score"])
        ]
        assert float(r["mean_m_score"]) == pytest.approx(sum(money) / len(money), abs=1e-4)
    assert "n = 300" in picture.caption["en"] and "1 excluded" in picture.caption["en"]


@pytest.mark.definition("L4")
def test_cohort_triangle(drawn: dict[str, Picture]) -> None:
    picture = drawn["cohort_triangle"]
    assert [(r["cohort_month"], r["age_month"], r["retained_bounded"]) for r in picture.data] == [
        (date(2023, 12, 1), 1, 20), (date(2023, 12, 1), 2, 13), (date(2024, 1, 1), 1, 25),
    ]  # fmt: skip
    assert all(
        float(r["bounded_rate"]) == pytest.approx(r["retained_bounded"] / r["size"], abs=1e-6)
        for r in picture.data
    )
    assert "n = 90 " in picture.caption["zh"]


def test_cohorts_of_who_was_there_before_the_data_say_so(spoiled: Connection) -> None:
    spoiled.execute("delete from marts.mart_cohort where relationship_origin = 'OBSERVED'")
    picture = draw(spoiled, "cohort_triangle", AS_OF)
    assert picture.data[0]["size"] == 500
    assert "before the data begin" in text_of(picture.svg["en"]).replace("\n", " ")
    assert "(33)" in text_of(picture.svg["en"]), "a small cohort stands in brackets"


@pytest.mark.definition("L5")
def test_survival_curve(connection: Connection, drawn: dict[str, Picture]) -> None:
    curve = rows(
        connection,
        "select * from marts.mart_survival where stratum_type = 'ALL' order by t_days",
    )
    picture = drawn["survival_curve"]
    assert [r["day_no"] for r in picture.data] == list(range(0, 91, 7)), "until too few are at risk"
    for r in picture.data:
        last = [c for c in curve if c["t_days"] <= r["day_no"]][-1]
        for name in ("survival", "survival_lo", "survival_hi", "at_risk"):
            assert r[name] == last[name]
    assert "after 40 days" in picture.caption["en"] and "40 天" in picture.caption["zh"]


@pytest.mark.definition("S4")
def test_migration_flow(connection: Connection, drawn: dict[str, Picture]) -> None:
    picture = drawn["migration_flow"]
    moves = rows(
        connection, "select * from marts.mart_segment_migration where comparison = 'MONTH'"
    )
    assert {(r["from_tier"], r["to_tier"]): r["n"] for r in picture.data} == {
        (m["from_tier"], m["to_tier"]): m["n"] for m in moves
    }
    for side in ("from", "to"):  # the bands of a side lie one below the other and fill it
        bands = sorted((r[f"{side}_start"], r["n"]) for r in picture.data)
        assert [start for start, _ in bands] == [
            sum(n for _, n in bands[:k]) for k in range(len(bands))
        ]
    for r in picture.data:
        assert r["n_from"] == sum(m["n"] for m in moves if m["from_tier"] == r["from_tier"])
        assert r["n_to"] == sum(m["n"] for m in moves if m["to_tier"] == r["to_tier"])
    assert picture.caption["en"].startswith(
        "From 2024-01-31 to 2024-02-29, customers: 273 stayed, 13 moved up, 4 moved down, 10 new, 7 left."
    )
    text = text_of(picture.svg["en"])
    assert "Top 3" in text and "New 10" in text and "Left 7" in text


@pytest.mark.definition("T2")
def test_nps_by_store(connection: Connection, drawn: dict[str, Picture]) -> None:
    """The last wave that has ended, the company first, then stores from high to low."""
    picture = drawn["nps_by_store"]
    assert [r["store_code"] for r in picture.data] == ["ALL", "S3", "S1", "S2"]
    for r in picture.data:
        assert r["wave_start_on"] == date(2024, 1, 1)
        assert float(r["nps"]) == pytest.approx(
            100 * (r["count_promoters"] - r["count_detractors"]) / r["n"], abs=1e-5
        )
        assert r["lo"] <= r["nps"] <= r["hi"]
    text = text_of(picture.svg["en"])
    assert "n=100" in text and "n=65" in text and "n=17" in text
    assert "fewer than 30 answers" in text
    of_store = draw(connection, "nps_by_store", AS_OF, "S2")
    assert of_store.data == picture.data and of_store.svg != picture.svg


def test_many_stores_are_cut_to_those_with_the_most_answers(spoiled: Connection) -> None:
    spoiled.execute(
        "insert into marts.mart_satisfaction by name "
        "select one.* replace ('X' || k as store_code, 1000 + k as n) "
        "from marts.mart_satisfaction as one, range(30) as many(k) where store_code = 'S1'"
    )
    picture = draw(spoiled, "nps_by_store", AS_OF, "S3")
    stores = [r["store_code"] for r in picture.data]
    assert len(stores) == 17 and {"ALL", "S3", "X29", "X15"} <= set(stores)
    assert "X14" not in stores and "of 33" in text_of(picture.svg["en"])


@pytest.mark.definition("P7")
def test_complaint_funnel(connection: Connection, drawn: dict[str, Picture]) -> None:
    picture = drawn["complaint_funnel"]
    assert [
        (r["level"], r["n_handled"], r["n_entered"], r["n_escalated"], r["n_went_on"])
        for r in picture.data
    ] == [(1, 30, 30, 0, 10), (2, 18, 8, 10, 4), (3, 7, 3, 4, 3), (4, 3, 0, 3, 3), (5, 3, 0, 3, 0)]
    assert (
        "n = 41 " in picture.caption["en"] and "13 were escalated, 4 over" in picture.caption["en"]
    )
    assert "4 总经理办公室*" in text_of(picture.svg["zh"])
    of_store = draw(connection, "complaint_funnel", AS_OF, "S2", [])
    assert [r["n_handled"] for r in of_store.data] == [4, 12, 4]


@pytest.mark.definition("P13")
def test_control_chart(drawn: dict[str, Picture]) -> None:
    """The limit is the smallest count of at least 5 whose Poisson tail lies below 0.001."""
    picture = drawn["complaint_reasons_control"]
    assert {r["reason_code"] for r in picture.data} == {"ALL", "QUALITY_BAD", "QUEUE"}
    days = Counter(r["reason_code"] for r in picture.data)
    assert days == {"ALL": 70, "QUALITY_BAD": 70, "QUEUE": 70}, "each day once, as last told"
    for r in picture.data:
        if r["expected_count"] is None:
            assert r["alert_from"] is None
            continue
        tails = (
            k for k in range(5, 60) if stats.poisson.sf(k - 1, float(r["expected_count"])) < 0.001
        )
        assert r["alert_from"] == next(tails)
    alerts = [r for r in picture.data if r["is_alert"]]
    assert [r["reason_code"] for r in alerts] == ["ALL", "QUALITY_BAD"]
    assert "Alerts: 2 (All reasons on 2024-02-26" in picture.caption["en"]
    assert "商品质量问题" in text_of(picture.svg["zh"])


def test_an_alert_is_drawn(spoiled: Connection, drawn: dict[str, Picture]) -> None:
    before = drawn["complaint_reasons_control"].svg["en"].count(f'fill="{sheet.ORANGE}"')
    spoiled.execute("update marts.mart_complaint_day set is_alert = false")
    calm = draw(spoiled, "complaint_reasons_control", AS_OF, languages=["en"])
    assert before - calm.svg["en"].count(f'fill="{sheet.ORANGE}"') == 2
    assert "No day alerts" in calm.caption["en"] and "无预警" in calm.caption["zh"]


@pytest.mark.definition("Y4")
def test_apostle_map(drawn: dict[str, Picture]) -> None:
    picture = drawn["apostle_map"]
    assert sum(r["class_share"] for r in picture.data) == 1
    assert all(
        float(r["class_share"]) == r["count_customers"] / r["count_known"] for r in picture.data
    )
    text = text_of(picture.svg["zh"])
    for shown in ("传道者", "忠诚者", "图利者", "囚禁者", "背叛者", "破坏者", "50%, n=50"):
        assert shown in text
    assert "n = 100 " in picture.caption["en"] and "33.3%" in picture.caption["en"]


# ----------------------------------------------------------------- simulated, missing, small, of a store


@pytest.mark.parametrize(
    ("change", "marked"),
    [
        (None, set()),
        ("update marts.mart_load set is_simulated = true where feed = 'sales_line'", OF_SALES),
        ("update marts.mart_satisfaction set is_simulated = true", {"nps_by_store"}),
        ("update marts.mart_complaint set is_simulated = true", {"complaint_funnel"}),
        ("update marts.mart_complaint_day set is_simulated = true", {"complaint_reasons_control"}),
        ("update marts.mart_loyalty_structure set is_simulated = true", {"apostle_map"}),
    ],
)
def test_simulated_data_are_marked_and_nothing_else(
    spoiled: Connection, change: str | None, marked: set[str]
) -> None:
    if change:
        spoiled.execute(change)
    for p in draw_all(spoiled, AS_OF, languages=[]):
        assert p.is_simulated == (p.id in marked), p.id


def test_the_mark_is_inside_the_drawing(spoiled: Connection, drawn: dict[str, Picture]) -> None:
    for p in drawn.values():
        assert not any(sheet.MARK in svg for svg in p.svg.values())
    for table in ("load", "satisfaction", "complaint", "complaint_day", "loyalty_structure"):
        spoiled.execute(f"update marts.mart_{table} set is_simulated = true")
    for p in draw_all(spoiled, AS_OF, languages=["zh"]):
        assert p.is_simulated and sheet.MARK in text_of(p.svg["zh"]), p.id


@pytest.mark.parametrize(
    ("table", "without"),
    [
        ("mart_segment_structure", {"pyramid"}),
        ("mart_concentration", {"whale_curve"}),
        ("mart_customer_value", {"whale_curve", "rfm_heat_map"}),
        ("mart_cohort", {"cohort_triangle"}),
        ("mart_survival", {"survival_curve"}),
        ("mart_segment_migration", {"migration_flow"}),
        ("mart_satisfaction", {"nps_by_store"}),
        ("mart_complaint", {"complaint_funnel"}),
        ("mart_complaint_day", {"complaint_reasons_control"}),
        ("mart_loyalty_structure", {"apostle_map"}),
    ],
)
def test_an_empty_mart_gives_a_reason(spoiled: Connection, table: str, without: set[str]) -> None:
    spoiled.execute(f"delete from marts.{table}")
    for p in draw_all(spoiled, AS_OF, languages=[]):
        assert (p.missing is not None) == (p.id in without), p.id
        if p.missing is not None:
            assert p.missing["en"].endswith(".") and p.missing["zh"].endswith("。")
            assert p.svg == {} and p.caption == {"en": "", "zh": ""}


def test_the_first_month_has_nothing_to_compare_with(connection: Connection) -> None:
    missing = draw(connection, "migration_flow", BEFORE).missing
    assert missing is not None and "no month-end before" in missing["en"]


def test_pictures_of_a_store(connection: Connection) -> None:
    of_store = {p.id: p for p in draw_all(connection, AS_OF, "S1", languages=["en"])}
    assert "人民路店 (S1)" in text_of(of_store["pyramid"].svg["en"])
    assert of_store["rfm_heat_map"].data[0]["count_scored"] == 200
    assert of_store["whale_curve"].data[-1]["customers"] == 200
    for name in ("cohort_triangle", "survival_curve"):
        assert of_store[name].store_code == "ALL"
        assert "Whole company" in text_of(of_store[name].svg["en"])
        assert "knows no stores" in of_store[name].caption["en"]
    of_third = {p.id: p.missing for p in draw_all(connection, AS_OF, "S3", languages=[])}
    assert {name for name, missing in of_third.items() if missing} == {
        "pyramid",
        "whale_curve",
        "migration_flow",
        "complaint_reasons_control",
        "complaint_funnel",
        "apostle_map",
    }


def test_no_picture_shows_one_person(spoiled: Connection, drawn: dict[str, Picture]) -> None:
    for p in drawn.values():
        assert not {"customer_id", "complaint_no"} & set(p.data[0])
        assert not re.search(r"M\d{3}|T\d{3}", "".join(map(text_of, p.svg.values())))
    for store, n, step in (("S1", 200, 10), ("S2", 80, 8)):
        if store == "S2":
            spoiled.execute(
                "insert into marts.mart_concentration by name select * replace ('S2' as store_code, "
                "80 as n_customers) from marts.mart_concentration where store_code = 'S1'"
            )
        at = [0, *(r["customers"] for r in draw(spoiled, "whale_curve", AS_OF, store, []).data)]
        assert at[-1] == n and {b - a for a, b in itertools.pairwise(at)} == {step}
    spoiled.execute("update marts.mart_concentration set is_small_sample = true")
    small = draw(spoiled, "whale_curve", AS_OF, languages=[])
    assert small.missing is not None and small.data == []
    third = draw(spoiled, "rfm_heat_map", AS_OF, "S3", [])
    assert {r["mean_m_score"] for r in third.data if r["n_customers"] < 5} == {None}


def test_what_there_is_not(connection: Connection) -> None:
    for call in (
        lambda: draw(connection, "pie", AS_OF),
        lambda: draw(connection, "pyramid", date(2024, 2, 28)),
        lambda: draw(connection, "pyramid", AS_OF, "S'; drop table x --"),
    ):
        with pytest.raises(KehuError):
            call()


# ----------------------------------------------------------------------------- fonts, colours, numbers


def test_without_a_font_for_chinese_nothing_is_drawn(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEHU_FONTS", str(tmp_path))
    monkeypatch.setattr(fonts, "FOLDERS", ())
    (tmp_path / "NotoSansSC-Regular.otf").write_bytes(b"no font at all")
    with pytest.raises(KehuError, match="fonts-noto-cjk"):
        draw(connection, "pyramid", AS_OF)


def test_a_character_that_no_font_has_is_named(
    spoiled: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled.execute(
        "update core.dim_store set store_name = '店\U0002fa1f\U000f0000' where store_code = 'S1'"
    )
    with pytest.raises(KehuError, match=r"U\+F0000|U\+2FA1F"):
        draw(spoiled, "nps_by_store", AS_OF)


def test_chinese_is_drawn_with_glyphs_not_boxes() -> None:
    """Every character looks different, and none like the box of a character that no font has."""

    def pixels(character: str) -> bytes:
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" '
            f'fill="white"/><text x="5" y="32" font-size="28" font-family="{fonts.font_stack()}">'
            f"{character}</text></svg>"
        )
        png: bytes = vl_convert.svg_to_png(svg)
        return png

    boxes = {pixels("\U000f0000"), pixels("\U000f0001")}
    assert len(boxes) == 1
    text = sorted(set("客户金字塔鲸鱼曲线迁移净推荐值模拟数据"))
    drawings = {pixels(character) for character in text}
    assert len(drawings) == len(text) and not drawings & boxes


def test_text_is_read_and_marks_are_seen() -> None:
    """Contrast by WCAG 2: 4.5 for text, 3 for marks, and shades that stay apart in grey."""

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        high, low = sorted((light(one), light(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for text in (sheet.INK, sheet.QUIET):
        assert contrast(text, sheet.PAPER) >= 4.5
    assert contrast(sheet.MARK_INK, sheet.MARK_PAPER) >= 4.5
    for mark in (sheet.BLUE, sheet.ORANGE, sheet.GREEN, sheet.LINE, sheet.INK):
        assert contrast(mark, sheet.PAPER) >= 3
    for place, shade in enumerate(sheet.SHADES):
        assert contrast(sheet.PAPER if place >= sheet.PAPER_FROM else sheet.INK, shade) >= 4.5
    for lighter, darker in itertools.pairwise(sheet.SHADES):
        assert contrast(lighter, darker) >= 1.3


def test_numbers_are_written_as_the_language_does() -> None:
    assert points(-12.34) == "−12.3" and points(-0.01) == "0.0"
    assert points(5) == "+5.0"
    assert month(date(2024, 3, 1), "zh") == "2024年3月"
    column = Column("x", both("x", "x"), "share")
    assert written(None, column, "en") == "n/a" and written(0.125, column, "zh") == "12.5%"


def test_lines_are_broken_to_fit() -> None:
    lines = sheet.wrap("净推荐值，各门店：样本不足的门店以空心标记表示。" * 3, 20)
    assert all(sheet.em_width(line) <= 21 for line in lines)
    assert not any(line[0] in "，。：" for line in lines)
    assert sheet.wrap("one two three four", 6) == ["one two", "three four"]
