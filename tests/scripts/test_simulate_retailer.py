"""The simulated chain: the same bytes from the same seed, any size, every kind of dirt, no Kehu."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from scripts.conftest import ROOT, RunScript

MONTH = ("--from", "2024-02-01", "--to", "2024-02-29", "--nightly", "7")
DIRTY = ("--dirt", "0.03", "--fixed-lengths")


def simulate(run_script: RunScript, folder: Path, *options: str) -> dict[str, str]:
    """Write a month of drops; returns the hash of each file."""
    run_script("simulate_retailer", "--landing", str(folder), *MONTH, *options)
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


def rows(folder: Path, feed: str) -> int:
    """The rows that the manifests of a feed tell."""
    texts = [p.read_text(encoding="utf-8") for p in (folder / feed).glob("*.manifest.json")]
    return sum(json.loads(text)["rows"] for text in texts)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory, run_script: RunScript) -> Path:
    """A dirty month with its truth."""
    folder = tmp_path_factory.mktemp("dirty")
    simulate(
        run_script, folder / "landing", "--scale", "0.05", *DIRTY, "--truth", str(folder / "truth")
    )
    return folder


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, run_script: RunScript) -> None:
    small = ("--scale", "0.003", *DIRTY)
    first = simulate(run_script, tmp_path / "a", *small)
    assert simulate(run_script, tmp_path / "b", *small) == first
    other = simulate(run_script, tmp_path / "c", *small, "--seed", "8")
    assert first["sales_line/A_2024-02.csv"] != other["sales_line/A_2024-02.csv"]


def test_scale_changes_the_size(tmp_path: Path, run_script: RunScript) -> None:
    simulate(run_script, tmp_path / "one", "--scale", "0.004")
    simulate(run_script, tmp_path / "four", "--scale", "0.016")
    for feed in ("sales_line", "member", "survey_answer"):
        assert 3 < rows(tmp_path / "four", feed) / rows(tmp_path / "one", feed) < 5, feed


def test_all_nine_feeds_come_as_their_sources_write(dirty: Path) -> None:
    landing = dirty / "landing"
    assert sorted(path.name for path in landing.iterdir()) == sorted(
        [
            "complaint",
            "complaint_event",
            "member",
            "member_card",
            "product",
            "sales_line",
            "store",
            "survey_answer",
            "survey_question",
        ]
    )
    by_system = {
        name: min(p.name for p in (landing / "sales_line").glob(f"{name}_2024-02.*"))
        for name in "ABC"
    }
    assert [Path(name).suffix for name in by_system.values()] == [".csv", ".gz", ".tsv"]
    head = (landing / "sales_line" / by_system["A"]).read_bytes().split(b"\r\n")[0]
    assert head.decode("gb18030").startswith("门店编码,营业日期,收银机号,小票号")
    with pytest.raises(UnicodeDecodeError):
        head.decode("utf-8")
    assert (landing / "sales_line" / by_system["C"]).read_bytes().startswith(b"\xff\xfe")


def test_every_kind_of_dirt_occurs(dirty: Path) -> None:
    listed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json, retailer_dirt as d;"
            "print(json.dumps([k.name for k in d.KINDS['sales_line']]))",
        ],
        cwd=ROOT / "scripts",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    told = duckdb.execute(
        "select distinct kind from read_parquet(?) where kind is not null",
        [str(dirty / "truth" / "sales_line.parquet")],
    ).fetchall()
    assert set(json.loads(listed)) - {kind for (kind,) in told} == set()
    notes = duckdb.execute(
        "select distinct note from read_parquet(?) where note <> '' order by 1",
        [str(dirty / "truth" / "files.parquet")],
    ).fetchall()
    assert [note for (note,) in notes] == [
        "closed",
        "control sum differs",
        "cut on its way",
        "late",
        "more than 5 % rejected",
        "required column missing",
        "resend",
        "same file twice",
    ]


def test_the_truth_counts_the_lines_of_the_files(dirty: Path) -> None:
    """Each physical line of a file belongs to one record, one skipped line, or is the header."""
    told = duckdb.execute(
        "select file, count(*), max(line) from read_parquet(?) group by file",
        [str(dirty / "truth" / "sales_line.parquet")],
    ).fetchall()
    for file, count, last in told:
        if not file.startswith("sales_line/A_"):
            continue
        text = (dirty / "landing" / file).read_bytes().decode("gb18030", errors="replace")
        breaks = text.replace("\r\n", "\n").count("\n")
        inside = text.count("\n") - text.count("\r\n")  # within a remark
        assert count == breaks - inside - 1, file
        assert last <= breaks, file


def test_about_as_many_rows_are_dirty_as_asked_for(dirty: Path) -> None:
    share, quarantined = duckdb.execute(
        "select count(kind) / count(*), count_if(fate = 'quarantined') / count(*) from read_parquet(?)",
        [str(dirty / "truth" / "sales_line.parquet")],
    ).fetchall()[0]
    assert 0.02 < share < 0.045
    assert quarantined < 0.04


def test_it_knows_nothing_of_kehu() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, simulate_retailer; print([m for m in sys.modules if m.split('.')[0] == 'kehu'])",
        ],
        cwd=ROOT / "scripts",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert told.strip() == "[]"
    for name in (
        "simulate_retailer",
        "retailer_world",
        "retailer_service",
        "retailer_dirt",
        "retailer_names",
    ):
        source = (ROOT / "scripts" / f"{name}.py").read_text(encoding="utf-8")
        assert "models/" not in source and "param.csv" not in source
