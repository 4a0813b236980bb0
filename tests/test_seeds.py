"""A company's own seeds over the shipped ones: what gives way, what stays, what is refused and how."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from kehu.errors import KehuError
from kehu.init import init
from kehu.seeds import seed_texts
from kehu.settings import PROJECT, Settings

Row = dict[str, str]
TARGET = "CHURN,ALL,default,0.2,0.1,12,ME,1900-01-01,9999-12-31,ours"
TREATMENT = "CHURN,ALL,CALL,Call,致电,PHONE,,ME,14,CHURN,default,1900-01-01,9999-12-31,ours"


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a company's seeds, in which nothing is yet."""
    monkeypatch.delenv("KEHU_PARAM_SCOPE", raising=False)
    monkeypatch.setenv("KEHU_COMPANY", str(tmp_path))
    (tmp_path / "seeds").mkdir()
    return tmp_path / "seeds"


def shipped(seed: str) -> list[Row]:
    with (PROJECT / "seeds" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def merged(seed: str) -> list[Row]:
    text = seed_texts(Settings())[f"{seed}.csv"].decode("utf-8")
    return list(csv.DictReader(text.splitlines()))


def write(company: Path, seed: str, *rows: str, header: str = "", encoding: str = "utf-8") -> None:
    head = header or (PROJECT / "seeds" / f"{seed}.csv").read_text("utf-8").splitlines()[0]
    (company / f"{seed}.csv").write_text("\n".join([head, *rows, ""]), encoding=encoding)


def told() -> str:
    with pytest.raises(KehuError) as caught:
        seed_texts(Settings())
    return str(caught.value)


def test_a_target_takes_the_place_of_that_of_its_kpi_store_and_scope(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_PARAM_SCOPE", "mychain")
    of_store = TARGET.replace("ALL", "S1")
    of_scope = TARGET.replace("default", "mychain").replace("CHURN", "NPS")
    write(company, "kpi_target", TARGET, of_store, of_scope)
    rows = merged("kpi_target")
    assert len(rows) == len(shipped("kpi_target")) + 2
    assert [r for r in rows if r["kpi"] not in ("CHURN", "NPS")] == [
        r for r in shipped("kpi_target") if r["kpi"] not in ("CHURN", "NPS")
    ]
    assert [(r["store_code"], r["owner"]) for r in rows if r["kpi"] == "CHURN"] == [
        ("ALL", "ME"),
        ("S1", "ME"),
    ]
    assert [(r["scope"], r["target"]) for r in rows if r["kpi"] == "NPS"] == [
        ("default", "30"),
        ("mychain", "0.1"),
    ]


def test_treatments_take_the_place_of_all_of_their_kpi_and_scope(company: Path) -> None:
    write(company, "treatment_matrix", TREATMENT, "", TREATMENT.replace("ALL,", "TOP,"))
    rows = merged("treatment_matrix")
    assert [(r["segment"], r["owner"]) for r in rows if r["kpi"] == "CHURN"] == [
        ("ALL", "ME"),
        ("TOP", "ME"),
    ]
    assert [r for r in rows if r["kpi"] != "CHURN"] == [
        r for r in shipped("treatment_matrix") if r["kpi"] != "CHURN"
    ]


def test_columns_may_stand_in_any_order_and_cells_have_blanks(company: Path) -> None:
    header = "source,kpi,store_code,scope,floor,target,weight,owner,valid_from,valid_to"
    row = "ours, CHURN ,ALL,default,,,0,ME,1900-01-01,9999-12-31"
    write(company, "kpi_target", row, header=header, encoding="utf-8-sig")
    [found] = [r for r in merged("kpi_target") if r["kpi"] == "CHURN"]
    assert list(found) == list(shipped("kpi_target")[0])
    assert (found["weight"], found["target"], found["source"]) == ("0", "", "ours")


@pytest.mark.parametrize(
    ("seed", "row", "says"),
    [
        ("kpi_target", TARGET.replace("CHURN", "CHRUN"), "kpi: is no kpi: 'CHRUN'; take"),
        ("kpi_target", TARGET.replace("default", "mine"), "scope: is no scope of this company: 'm"),
        ("kpi_target", TARGET.replace("0.2", "20%"), "floor: is no number (decimal(18, 6)): '20%'"),
        ("kpi_target", TARGET.replace("0.1", "1,0", 1).replace("1,0", '"1,0"'), "target: is no nu"),
        ("kpi_target", TARGET.replace(",12,", ",1e9,"), "weight: is no number (decimal(9, 4))"),
        ("kpi_target", TARGET.replace("1900-01-01", "2018-02-30"), "valid_from: is no date: '2018"),
        ("kpi_target", TARGET.replace(",12,", ",,"), "weight: is empty: ''; fill it in"),
        (
            "treatment_matrix",
            TREATMENT.replace("14,CHURN", "14,NPSS"),
            "success_kpi: is no kpi: 'NPSS'; take one of seeds/kpi.csv",
        ),
        ("treatment_matrix", TREATMENT.replace("CHURN,ALL", "X,ALL"), "kpi: is no kpi: 'X'"),
        ("treatment_matrix", TREATMENT.replace("default", "mine"), "scope: is no scope of this"),
        ("treatment_matrix", TREATMENT.replace(",14,", ",2.5,"), "due_days: is no whole number"),
        ("treatment_matrix", TREATMENT.replace("9999-12-31", "never"), "valid_to: is no date: 'n"),
        ("treatment_matrix", TREATMENT.replace("PHONE,,", "PHONE,dear,"), "max_cost: is no number"),
        ("param", "min_m,default,5,1900-01-01,9999-12-31,x", "name: is no parameter: 'min_m'"),
        ("param", "min_n,default,5,1900-01-01,9999,x", "valid_to: is no date: '9999'"),
    ],
)
def test_what_a_row_breaks_is_said_with_its_place(
    company: Path, seed: str, row: str, says: str
) -> None:
    right = {
        "kpi_target": TARGET.replace("CHURN", "NPS"),
        "treatment_matrix": TREATMENT.replace("CHURN", "NPS"),
        "param": "min_n,cdnow,5,1900-01-01,9999-12-31,x",
    }[seed]
    write(company, seed, right.replace("ours", '"ours,\nin two lines"'), "", row)
    line = 4 if seed == "param" else 5
    assert told().splitlines()[0].startswith(f"{company / seed}.csv: line {line}: column {says}"), (
        told()
    )


def test_a_key_twice_is_refused_and_a_later_validity_is_not(company: Path) -> None:
    later = TARGET.replace("1900-01-01,9999-12-31", "2020-01-01,9999-12-31")
    write(company, "kpi_target", TARGET.replace("9999-12-31", "2020-01-01"), later)
    assert len(merged("kpi_target")) == len(shipped("kpi_target")) + 1
    write(company, "kpi_target", TARGET, TARGET.replace("0.1", "0.05"))
    assert (
        "kpi_target.csv: line 3: column kpi, store_code, scope, valid_from: stands twice: "
        "'CHURN, ALL, default, 1900-01-01'; keep one of them"
    ) in told()


def test_treatments_for_one_segment_alone_would_leave_a_kpi_without(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(company, "treatment_matrix", TREATMENT.replace("ALL,", "TOP,"))
    assert "line 2: column segment: there is no row ALL for the KPI: 'CHURN'; add one" in told()
    monkeypatch.setenv("KEHU_PARAM_SCOPE", "mychain")  # beside it, those of `default` stay
    write(
        company,
        "treatment_matrix",
        TREATMENT.replace("ALL,", "TOP,").replace("default", "mychain"),
    )
    assert len(merged("treatment_matrix")) == len(shipped("treatment_matrix")) + 1


def test_a_scope_is_known_where_a_parameter_has_it(company: Path) -> None:
    write(company, "param", "min_n,mychain,5,1900-01-01,9999-12-31,x")
    write(company, "kpi_target", TARGET.replace("default", "mychain"))
    assert "mychain" in {row["scope"] for row in merged("kpi_target")}


def test_files_of_another_form_are_refused(company: Path) -> None:
    header = ",".join(shipped("kpi_target")[0])
    write(company, "kpi_target", TARGET, header=header.replace("owner", "ower"))
    assert "kpi_target.csv: line 1: column owner: is missing; the columns are kpi, " in told()
    write(company, "kpi_target", TARGET + ",", header=header + ",note")
    assert "kpi_target.csv: line 1: column 'note': is none of this seed; the colu" in told()
    write(company, "kpi_target", TARGET + ",yes")
    assert "kpi_target.csv: line 2: has 11 cells, and there are 10 columns" in told()
    write(company, "kpi_target", TARGET.replace("ours", '"ours'))
    assert "kpi_target.csv: line 2: is not CSV" in told()
    write(company, "kpi_target", TARGET.replace("ours", "我们的"), encoding="gb18030")
    assert "kpi_target.csv: is not UTF-8; save it as CSV UTF-8" in told()


def test_many_faults_are_told_in_the_order_of_their_lines(company: Path) -> None:
    rows = [TARGET.replace("CHURN", f"K{i}").replace("0.2", "?") for i in range(8)]
    write(company, "kpi_target", *rows)
    lines = told().splitlines()
    assert len(lines) == 11
    assert [line.split(": ")[1] for line in lines[:4]] == ["line 2", "line 2", "line 3", "line 3"]
    assert lines[-1].endswith("6 more")


def test_what_init_writes_changes_nothing_and_its_examples_are_right(company: Path) -> None:
    init(company.parent)
    for seed in ("kpi_target", "treatment_matrix"):
        assert (company / f"{seed}.csv").read_text().count("\n") == 1
        assert merged(seed) == shipped(seed)
    text = (company / "README.md").read_text(encoding="utf-8")
    examples = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    write(company, "kpi_target", examples[0])
    write(company, "treatment_matrix", examples[1])
    assert len(examples) == 2
    assert len(merged("kpi_target")) == len(shipped("kpi_target"))
    assert [r["owner"] for r in merged("treatment_matrix") if r["kpi"] == "NPS"] == [
        "STORE_MANAGER"
    ]
