"""A real publication, copied: row by row the same, no personal data, and each line of docs/bi.md works."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from serve.compare import differences
from serve.servers import Server, postgresql

from kehu.serve.run import require_served, serve
from kehu.serve.target import Listing, Options
from kehu.settings import PROJECT, Settings

pytestmark = pytest.mark.nights

PAGE = PROJECT / "docs" / "bi.md"
ADDRESS = "postgresql://powerbi:password@host:5432/bi"  # of the page


@dataclass(frozen=True)
class Copies:
    """A home, and its publication in a database and in the folder `bi`; `place` holds both."""

    home: Path
    place: Path
    server: Server
    listing: Listing


@pytest.fixture(scope="module")
def copies(bulk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    place = tmp_path_factory.mktemp("copies")
    home = place / "var"
    (home / "publications").mkdir(parents=True)
    published = (bulk / "published").resolve()
    shutil.copytree(published, home / "publications" / published.name)
    (home / "published").symlink_to(Path("publications") / published.name)
    folder = Path(tempfile.mkdtemp(prefix="kehu-copies-"))
    with postgresql(folder / "postgresql") as cluster, cluster.database() as server:
        options = Options(with_facts=True, role="kehu_reader", prefix="", wait=60)
        report = serve(
            Settings(home=home), "run", to=[server.url, str(place / "export")], options=options
        )
        require_served(report)
        listing = Listing.model_validate(report["served"][next(iter(report["served"]))])
        yield Copies(home, place, server, listing)
    shutil.rmtree(folder, ignore_errors=True)


def test_every_row_is_in_postgresql(copies: Copies) -> None:
    published = copies.home / "published" / "kehu.duckdb"
    assert len(copies.listing.tables) > 60
    assert differences(published, copies.server, copies.listing) == []


def test_every_row_is_in_parquet(copies: Copies) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{copies.home}/published/kehu.duckdb' as kehu (read_only)")
        for table in copies.listing.tables:
            schema, name = table.split(".")
            path = copies.place / "export" / "current" / schema / f"{name}.parquet"
            source = path if path.exists() else path.with_suffix("") / "*" / "*.parquet"
            there = f"select * from read_parquet('{source}', hive_partitioning = true)"
            columns = ", ".join(
                f'"{column}"'
                for (column,) in connection.execute(
                    f"select column_name from (describe kehu.{table})"
                ).fetchall()
            )
            ours = f"select {columns} from kehu.{table}"
            there = f"select {columns} from ({there})"
            for one, other in ((ours, there), (there, ours)):
                found = connection.execute(f"{one} except all {other} limit 1").fetchall()
                assert found == [], table


def test_no_personal_data_is_copied(copies: Copies) -> None:
    """The names and telephones of the history are in no cell of any table."""
    looked = 0
    for table in copies.listing.tables:
        found = copies.server.value(
            f"select count(*) from {table} as t where t::text ~ '王17|13800000017'"
        )
        assert found == 0, table
        looked += 1
    assert looked == len(copies.listing.tables)
    columns = copies.server.rows(
        "select table_name || '.' || column_name from information_schema.columns "
        "where table_schema in ('core', 'marts') and column_name ~ "
        "'^(phone|address|birth_date|e?mail|customer_name|member_name|answer_text|raw_text)$'"
    )
    assert columns == []


def blocks(language: str) -> list[str]:
    """The code of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_of_the_page_runs(
    copies: Copies, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = blocks("python")[number]
    monkeypatch.chdir(copies.place)
    if ADDRESS in code:
        login = f"postgresql://bi@/{copies.server.name}?host={copies.server.host}"
        code = code.replace(ADDRESS, login)
    code = code.replace("2017-12-31", copies.listing.as_of_date)
    names: dict[str, object] = {}
    exec(compile(code, f"docs/bi.md, block {number}", "exec"), names)
    if "churn" in names:
        assert names["latest"].num_rows > 0  # type: ignore[attr-defined]


def test_the_long_lived_reader_of_the_page_sees_the_next_publication(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [code] = [block for block in blocks("python") if "class Marts" in block]
    monkeypatch.chdir(copies.place)
    names: dict[str, object] = {}
    exec(code.partition("\n\nmarts = ")[0], names)
    shutil.copytree(copies.home, tmp_path / "var", symlinks=True)
    marts = names["Marts"](str(tmp_path / "var" / "published"))  # type: ignore[operator]
    first = marts.connection()
    assert marts.connection() is first
    published = tmp_path / "var" / "published"
    shutil.copytree(published.resolve(), published.resolve().with_name("next"))
    published.unlink()
    published.symlink_to(Path("publications") / "next")
    assert marts.connection() is not first
    assert marts.folder.name == "next"
    marts.opened.close()


def test_sql_of_the_page_runs(copies: Copies) -> None:
    login, view = blocks("sql")
    copies.server.run(*(s for s in login.split(";") if s.strip()))
    try:
        assert copies.server.value("select count(*) from marts.mart_churn", "powerbi") > 0
        copies.server.run(*(s for s in view.split(";") if s.strip()))
        assert copies.server.value("select count(*) from analysts.lost_vip") >= 0
    finally:
        copies.server.run("drop schema if exists analysts cascade", "drop role powerbi")


def test_r_of_the_page_runs(copies: Copies) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    [code] = blocks("r")
    subprocess.run(["Rscript", "-e", code], cwd=copies.place, check=True)


def test_nothing_of_the_page_is_left_untried() -> None:
    """A block in a language that no test here runs would be a promise that nobody keeps."""
    languages = re.findall(r"^```(\w*)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert set(languages) <= {"python", "r", "sql", ""}
