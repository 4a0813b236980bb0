"""`kehu init`: a company's own folder, and that Kehu works in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from houses import as_csv, valid
from typer.testing import CliRunner

from kehu import publish, warehouse
from kehu.cli import app
from kehu.errors import KehuError
from kehu.feeds import read_contracts
from kehu.init import init
from kehu.settings import PROJECT, Settings
from kehu.transform import project_folder

SHIPPED = PROJECT / "expectations" / "feeds"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new company's folder, in which we are."""
    for name in ("HOME", "LANDING", "COMPANY"):
        monkeypatch.delenv(f"KEHU_{name}", raising=False)
    init(tmp_path / "mychain")
    monkeypatch.chdir(tmp_path / "mychain")
    return tmp_path / "mychain"


def test_a_new_folder_has_contracts_landing_folders_and_settings(folder: Path) -> None:
    feeds = {path.stem for path in SHIPPED.glob("*.yml")}
    assert {p.stem for p in (folder / "expectations" / "feeds").iterdir()} == feeds
    assert {p.name for p in (folder / "landing").iterdir()} == feeds
    assert {c.digest for c in read_contracts(folder / "expectations" / "feeds").values()} == {
        c.digest for c in read_contracts(SHIPPED).values()
    }
    contract = (folder / "expectations" / "feeds" / "store.yml").read_text()
    assert "#   aliases: [门店编码, shop]" in contract
    text = (folder / "kehu.env").read_text()
    assert "None" not in text, "a setting without a description"
    assert "# KEHU_TIMEZONE=Asia/Shanghai\n" in text
    named = {line.partition("=")[0].removeprefix("# KEHU_").lower() for line in text.splitlines()}
    assert set(Settings.model_fields) - named == {"company", "project", "landing_bucket"}
    assert len((folder / "README.md").read_text().splitlines()) < 16


def test_init_again_overwrites_nothing_and_adds_what_is_missing(folder: Path) -> None:
    mine = folder / "expectations" / "feeds" / "store.yml"
    mine.write_text(mine.read_text().replace("店名, 门店名称", "店名, 门店名称, shop name"))
    before = mine.read_text()
    (folder / "expectations" / "feeds" / "member.yml").unlink()
    made = init(folder)
    assert made.written == ["expectations/feeds/member.yml"]
    assert "expectations/feeds/store.yml" in made.kept
    assert mine.read_text() == before


def test_a_file_and_kehu_itself_are_no_company_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(KehuError, match="is a file"):
        init(tmp_path / "x")
    with pytest.raises(KehuError, match="is Kehu itself"):
        init(PROJECT)


def test_settings_are_those_of_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    assert (settings.home, settings.landing) == (folder / "var", folder / "landing")
    assert settings.contracts == folder / "expectations" / "feeds"
    (folder / "kehu.env").write_text("KEHU_TIMEZONE=Asia/Tokyo\nKEHU_HOME=data\nKEHU_THREADS=1\n")
    monkeypatch.setenv("KEHU_THREADS", "3")  # the environment goes first
    settings = Settings()
    assert (settings.timezone, settings.home, settings.threads) == (
        "Asia/Tokyo",
        folder / "data",
        3,
    )
    monkeypatch.chdir(tmp_path)
    assert Settings().timezone == "Asia/Shanghai"
    assert Settings().contracts == SHIPPED
    monkeypatch.setenv("KEHU_COMPANY", "mychain")
    settings = Settings()
    assert (settings.timezone, settings.home) == ("Asia/Tokyo", folder / "data")


def test_a_suite_of_the_company_takes_the_place_of_the_shipped_one(folder: Path) -> None:
    own = folder / "expectations" / "suites" / "store.json"
    own.write_text((PROJECT / "expectations" / "suites" / "store.json").read_text())
    suites = Settings().suite_files()
    assert suites["store"] == own
    assert suites["member"] == PROJECT / "expectations" / "suites" / "member.json"


def test_parameters_of_the_company_are_laid_over_the_shipped_ones(folder: Path) -> None:
    param = folder / "seeds" / "param.csv"
    param.write_text(param.read_text() + "min_n,default,5,1900-01-01,9999-12-31,we are small\n")
    (folder / "seeds" / "channel.csv").write_text(
        (PROJECT / "seeds" / "channel.csv").read_text() + "\n"
    )
    seeds = project_folder(Settings()) / "seeds"
    rows = [line.split(",")[:3] for line in (seeds / "param.csv").read_text().splitlines()]
    shipped = (PROJECT / "seeds" / "param.csv").read_text().splitlines()
    assert len(rows) == len(shipped)
    assert ["company_name", "default", "mychain"] in rows
    assert [row for row in rows if row[0] == "min_n"] == [["min_n", "default", "5"]]
    assert {p.name for p in seeds.iterdir()} == {p.name for p in (PROJECT / "seeds").iterdir()}
    assert (seeds / "channel.csv").read_text().endswith("\n\n")
    (folder / "seeds" / "channel.csv").unlink()
    assert not (project_folder(Settings()) / "seeds" / "channel.csv").read_text().endswith("\n\n")
    param.write_text(param.read_text() + "min_m,default,5,1900-01-01,9999-12-31,mistyped\n")
    with pytest.raises(
        KehuError, match=r"param\.csv: line 4: column name: is no parameter: 'min_m'"
    ):
        project_folder(Settings())
    for own in (folder / "seeds").glob("*.csv"):
        own.unlink()
    assert project_folder(Settings()) == PROJECT


def test_the_way_of_a_newcomer_ends_in_a_check(folder: Path) -> None:
    drop = folder / "landing" / "store" / "s.csv"
    drop.write_text(as_csv([valid("store")]).replace("is_test", "test shop?"))
    runner = CliRunner()
    done = runner.invoke(app, ["feed", "check", "landing/store/s.csv"])
    assert (done.exit_code, "required columns missing: is_test" in done.output) == (1, True)
    contract = folder / "expectations" / "feeds" / "store.yml"
    contract.write_text(
        contract.read_text().replace("aliases: [是否测试店", "aliases: ['test shop?', 是否测试店")
    )
    done = runner.invoke(app, ["feed", "check", "landing/store/s.csv"])
    assert (done.exit_code, "test shop? = is_test" in done.output) == (0, True)


@pytest.mark.long
def test_a_whole_night_in_a_folder_of_its_own(folder: Path) -> None:
    sales = [
        valid("sales_line", receipt_no=f"R{i}", business_date="2017-03-31", line_no="1")
        for i in range(30)
    ]
    sales[3]["qty"] = "two"
    for feed, rows in {
        "sales_line": sales,
        **{f: [valid(f)] for f in ("store", "product", "member", "member_card")},
    }.items():
        (folder / "landing" / feed / "x.csv").write_text(as_csv(rows))
    runner = CliRunner()
    assert runner.invoke(app, ["feed", "check", "landing/sales_line/x.csv"]).exit_code == 1
    done = runner.invoke(app, ["night", "--as-of", "2017-03-31"])
    assert done.exit_code == 0, done.output
    manifest = publish.current_manifest(Settings())
    assert manifest is not None
    assert manifest["as_of_date"] == date(2017, 3, 31).isoformat()
    assert manifest["headlines"]["sales lines"] == 29
    assert {p.name for p in folder.iterdir()} == {
        "README.md", "kehu.env", ".gitignore", "expectations", "seeds", "landing", "var"
    }  # fmt: skip
    with warehouse.open_marts(Settings().published / "marts.duckdb") as connection:
        names = connection.execute("select distinct company_name from core.dim_as_of").fetchall()
    assert names == [("mychain",)]
    # what an operator decides is published at once, for the same day
    [ledger] = [b for b in manifest["batches"] if b["feed"] == "sales_line"]
    decide = ["quarantine", "discard", ledger["batch_id"], "--all", "--reason", "typed by a child"]
    done = runner.invoke(app, decide)
    assert done.exit_code == 0, done.output
    newest = publish.current_manifest(Settings())
    assert newest is not None
    assert newest["as_of_date"] == manifest["as_of_date"]
    assert newest["publication"] != manifest["publication"]
    told = runner.invoke(app, ["explain", "landing/sales_line/x.csv"]).output
    assert "1 discarded, first line 5" in told
    assert f"in publication {newest['publication']}, and in 1 before it" in told
