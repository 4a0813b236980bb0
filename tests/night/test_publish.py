"""What readers see: published whole or not at all, kept seven times, gone back to, never half."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from history import LAST, Drop
from nights import marts_of, run
from typer.testing import CliRunner

from kehu import lineage, publish, transform
from kehu import night as steps
from kehu.cli import app
from kehu.settings import Settings

pytestmark = pytest.mark.nights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(bulk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a published home that a test may spoil."""
    copy = tmp_path / "home"
    shutil.copytree(bulk, copy, symlinks=True)
    monkeypatch.setenv("KEHU_HOME", str(copy))
    monkeypatch.setenv("KEHU_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("KEHU_TIMEZONE", "Asia/Shanghai")
    return copy


def last_run(home: Path) -> str:
    return str(json.loads((home / "published" / "manifest.json").read_text())["run_id"])


def test_published_file_and_manifest(bulk: Path) -> None:
    manifest = json.loads((bulk / "published" / "manifest.json").read_text())
    assert manifest["as_of_date"] == LAST.isoformat()
    assert manifest["code_version"] and manifest["run_id"]
    assert manifest["simulated_feeds"] == ["survey_answer"]
    assert len(manifest["batches"]) == 67
    assert {c["stage"] for c in manifest["checks"]["by_stage"]} == {
        "audit",
        "core",
        "feed",
        "gate:all",
        "marts",
    }
    assert all(c["critical"] == 0 for c in manifest["checks"]["by_stage"])
    assert all(c["passed"] + c["warnings"] == c["checks"] for c in manifest["checks"]["by_stage"])
    with duckdb.connect() as connection:
        connection.execute(f"attach '{marts_of(bulk)}' as kehu (read_only)")
        tags = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where database_name = 'kehu'"
        ).fetchall()
        kinds = connection.execute(
            "select distinct table_type from information_schema.tables where table_catalog = 'kehu'"
        ).fetchall()
        counts = {
            f"{s}.{t}": connection.execute(f"select count(*) from kehu.{s}.{t}").fetchall()[0][0]
            for s, t in connection.execute(
                "select table_schema, table_name from information_schema.tables where table_catalog = 'kehu'"
            ).fetchall()
        }
    assert tags == [("v1.2.0+",)], "DuckDB 1.2 and later can open it"
    assert kinds == [("BASE TABLE",)]
    assert counts == manifest["row_counts"]
    with (
        pytest.raises(duckdb.Error),
        duckdb.connect(str(bulk / "published" / "marts.duckdb"), read_only=True) as c,
    ):
        c.execute("insert into core.param select * from core.param")


def test_no_personal_data_is_published(bulk: Path) -> None:
    """Neither a column that holds it nor a cell: the history's names and telephones are looked for."""
    data = marts_of(bulk).read_bytes()
    assert "王17".encode() not in data
    assert b"13800000017" not in data
    with duckdb.connect() as connection:
        connection.execute(f"attach '{marts_of(bulk)}' as kehu (read_only)")
        columns = connection.execute(
            "select table_name || '.' || column_name from information_schema.columns "
            "where table_catalog = 'kehu' and regexp_matches(column_name, "
            "'phone|address|birth|e_?mail|^name$|customer_name|member_name|answer_text|note$|raw_text')"
        ).fetchall()
    assert sorted(columns) == [
        ("bridge_customer_identity.is_shared_phone",),  # yes or no
        # parameters: dates and numbers that stand for unknown, how many members share a telephone
        ("dim_as_of.birth_date_placeholders",),
        ("dim_as_of.phone_placeholders",),
        ("dim_as_of.shared_phone_members",),
        ("mart_satisfaction.comparability_note",),  # a sentence about the index, the same for all
        ("param.name",),  # the name of a parameter, no person's
    ]
    with duckdb.connect(str(bulk / "warehouse.duckdb"), read_only=True) as connection:
        held = connection.execute(
            "select table_schema from information_schema.columns where column_name = 'phone'"
        ).fetchall()
        assert {row[0] for row in held} == {"pii"}
        assert connection.execute(
            "select count(*) from pii.customer where name = '王17'"
        ).fetchall() == [(1,)]


def test_a_failed_check_keeps_yesterday(home: Path, tmp_path: Path) -> None:
    """A dbt test that fails stops the night: it is named, its rows can be seen, readers keep yesterday."""
    project = tmp_path / "project"
    for part in ("models", "seeds", "dbt_project", "expectations"):
        shutil.copytree(ROOT / part, project / part)
    shutil.copyfile(ROOT / "dbt_project.yml", project / "dbt_project.yml")
    (project / "dbt_project" / "tests" / "assert_nothing_sold.sql").write_text(
        "select store_code, business_date from {{ ref('fct_receipt') }} where business_date = '2024-02-20'"
    )
    before = marts_of(home).resolve()
    os.environ["KEHU_PROJECT"] = str(project)
    try:
        failed = run(home, tmp_path / "landing", "night", "--as-of", "2024-02-20", check=False)
        shown = run(
            home, tmp_path / "landing", "failing-rows", "assert_nothing_sold", "--limit", "2"
        )
    finally:
        del os.environ["KEHU_PROJECT"]
    assert failed.returncode == 3
    said = failed.stderr.replace("\n", " ")
    assert "the previous publication stays" in said
    assert "assert_nothing_sold" in said and "kehu failing-rows assert_nothing_sold" in said
    assert "Traceback" not in failed.stderr
    assert "2024-02-20" in shown.stdout
    assert marts_of(home).resolve() == before
    status = run(home, tmp_path / "landing", "status").stdout
    assert "assert_nothing_sold" in status.replace("\n", "")


def test_the_rows_of_each_check_of_the_audit_can_be_asked_for(home: Path) -> None:
    checks = [
        expectation["meta"]["id"]
        for table, path in Settings().suite_files().items()
        if "." in table
        for expectation in json.loads(path.read_text())["expectations"]
    ]
    assert len(checks) > 30
    for check in checks:
        shown = CliRunner().invoke(app, ["failing-rows", check])
        assert shown.exit_code == 0, f"{check}: {shown.output}"


def test_rollback_pins_until_publish(home: Path) -> None:
    settings = Settings()
    first = publish.publications(settings)[-1]
    newer = steps.publish(LAST, last_run(home))["publication"]
    assert publish.rollback(settings, None) == first
    assert publish.current_manifest(settings)["publication"] == first  # type: ignore[index]
    newest = steps.publish(LAST, last_run(home))
    assert newest["is_current"] is False and newest["pinned"] == first
    assert publish.current_manifest(settings)["publication"] == first  # type: ignore[index]
    assert publish.lift(settings) == newest["publication"] != newer
    assert publish.current_manifest(settings)["publication"] == newest["publication"]  # type: ignore[index]


def test_seven_publications_are_kept(home: Path) -> None:
    settings = Settings()
    made = [steps.publish(LAST, last_run(home))["publication"] for _ in range(9)]
    assert publish.publications(settings) == made[-7:]
    assert {p.name for p in settings.publications.iterdir()} == set(made[-7:])


def test_a_night_that_is_published_is_known(home: Path, tmp_path: Path) -> None:
    assert steps.is_published(LAST)
    assert not steps.is_published(date(2024, 2, 19))
    late = Drop(
        "store", "stores_late.csv",
        [{"store_code": "S9", "name": "新店", "format": "SUPERMARKET", "is_test": 0}],
        ["store_code", "name", "format", "is_test"], datetime(2024, 2, 2), LAST,
    )  # fmt: skip
    late.write(tmp_path / "landing")
    for chunk in steps.plan("masters", "run-late"):
        steps.extract(chunk)
    steps.gate("masters", LAST, "run-late")
    steps.load("masters", "run-late")
    assert not steps.is_published(LAST), "something newer is loaded than readers see"


def test_a_killed_rebuild_is_undone_by_the_next_load(home: Path) -> None:
    """What a rebuild had set aside when it died is the warehouse again; its half-made one is gone."""
    aside = home / "before-rebuild"
    aside.mkdir()
    for name in ("warehouse.duckdb", "marts.duckdb", "reference", "dbt"):
        (home / name).rename(aside / name)
    with duckdb.connect(str(home / "warehouse.duckdb")) as half:
        half.execute("create table half_made(i integer)")
    steps.plan("masters", "run-after")
    steps.gate("masters", LAST, "run-after")
    steps.load("masters", "run-after")
    assert not aside.exists()
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        tables = connection.execute("select table_name from information_schema.tables").fetchall()
        assert ("half_made",) not in tables
        assert connection.execute("select count(*) from ops.batch").fetchall() == [(67,)]


@pytest.mark.long
def test_duckdb_1_2_opens_the_published_file(bulk: Path, tmp_path: Path) -> None:
    """With the old engine itself, in an environment of its own."""
    import subprocess
    import sys

    uv = str(Path(sys.executable).with_name("uv"))
    old = tmp_path / "old"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(old)], check=True)
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", str(old / "bin" / "python"), "duckdb==1.2.2"],
        check=True,
    )
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(c.execute('select count(*) from marts.mart_customer_value').fetchall()[0][0])"
    )
    done = subprocess.run(
        [str(old / "bin" / "python"), "-c", code, str(marts_of(bulk))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 0


def test_the_marts_of_the_gate_tell_of_the_night_that_made_them(bulk: Path) -> None:
    """Every file with its rows, every rule with what it looked at, every store with its rhythm."""
    with (
        duckdb.connect(str(bulk / "warehouse.duckdb"), read_only=True) as private,
        duckdb.connect() as published,
    ):
        published.execute(f"attach '{marts_of(bulk)}' as kehu (read_only)")
        published.execute("use kehu")
        loads = published.execute(
            "select batch_id, count_rows_in from marts.mart_load order by all"
        ).fetchall()
        assert (
            loads
            == private.execute("select batch_id, rows_in from ops.batch order by all").fetchall()
        )
        rejected = published.execute(
            "select feed, sum(count_failed)::int from marts.mart_data_quality "
            "where rule_kind = 'ROW' group by feed having sum(count_failed) > 0 order by feed"
        ).fetchall()
        assert (
            rejected
            == private.execute(
                "select feed, count(*)::int from quarantine.row group by feed order by feed"
            ).fetchall()
        )
        feeds = published.execute("select distinct feed from marts.mart_freshness").fetchall()
        assert {f for (f,) in feeds} == {
            path.stem for path in (ROOT / "expectations/feeds").iterdir()
        }


def test_the_report_of_a_night_lies_beside_the_publication(bulk: Path) -> None:
    html = (bulk / "reports" / "quality-latest.html").read_text(encoding="utf-8")
    assert "Published 已发布" in html
    assert "王17" not in html and "13800000017" not in html


def test_the_page_of_the_tables_lies_beside_the_marts(bulk: Path) -> None:
    """dbt's static page: every published table with its lineage, nothing of rows or of the machine."""
    page = bulk / "published" / "docs.html"
    text = page.read_text(encoding="utf-8")
    inlined = re.search(r"manifest:(\{.*?\}),catalog:(\{.*?\})\},r=", text, re.DOTALL)
    assert inlined
    manifest, catalog = (json.loads(part) for part in inlined.groups())
    published = json.loads((bulk / "published" / "manifest.json").read_text())["row_counts"]
    known = {
        f"{n['schema']}.{n['name']}": n
        for n in [*manifest["nodes"].values(), *manifest["sources"].values()]
    }
    assert set(published) <= set(known)
    shown = {
        f"{n['metadata']['schema']}.{n['metadata']['name']}" for n in catalog["nodes"].values()
    }
    assert {name for name in published if name.startswith("marts.")} <= shown
    churn = known["marts.mart_churn"]
    assert "model.kehu.fct_customer_month" in churn["depends_on"]["nodes"]
    assert "ref(" in churn["raw_code"] and "ref(" not in churn["compiled_code"]
    assert "ref(" not in known["core.fct_receipt"]["compiled_code"], "core was built by another run"
    data = json.dumps([manifest, catalog], ensure_ascii=False)
    for told in ("王17", "13800000017", str(bulk), str(ROOT), str(Path.home()) + "/"):
        assert told not in data
    assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=.?https?:", text)
    assert page.samefile(next((bulk / "dbt" / "docs").iterdir())), "one file for all nights"


def test_a_page_that_can_not_be_made_costs_no_night(home: Path) -> None:
    settings = Settings()
    page = lineage.cached(settings)
    shutil.rmtree(page.parent)
    page.parent.write_text("a file where the folder should be")
    one = ["build", "--select", "mart_model_run", "--exclude-resource-type", "unit_test"]
    done = transform.run_dbt(settings, one, LAST, docs=page)
    assert done.returncode == 0
    assert "FileExistsError" in str(transform.docs_problem(settings))
    assert not list((settings.home / "dbt" / "target").glob("*.html"))
    made = steps.publish(LAST, last_run(home))["publication"]
    assert {p.name for p in (settings.publications / made).iterdir()} >= {"kehu.duckdb"}
    assert not (settings.publications / made / "docs.html").exists()
    page.parent.unlink()
    done = transform.run_dbt(settings, one, LAST, docs=page)
    assert (done.returncode, transform.docs_problem(settings)) == (0, None)
    again = steps.publish(LAST, last_run(home))["publication"]
    assert (settings.publications / again / "docs.html").samefile(page)
