"""Targets by hand and by night: what is printed and kept, what a failure does, what mends it."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console
from serve.homes import Home
from serve.servers import Server
from typer.testing import CliRunner

from kehu import alert, cli, night, publish, serve_cli
from kehu.cli import app
from kehu.errors import KehuError, TargetFailed
from kehu.journal import read_journal
from kehu.serve.target import configured, read_target

NOWHERE = "postgresql://kehu:geheim@127.0.0.1:1/bi"


@pytest.fixture
def kehu(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs `kehu` with some arguments: what was printed, where the code is right."""
    wide = Console(width=600)
    for module in (cli, serve_cli):
        monkeypatch.setattr(module, "out", wide)

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        assert "geheim" not in result.output
        return str(result.output)

    return run


def shown(folder: Path) -> str:
    """The publication of which a folder shows the copy."""
    told = json.loads((folder / "current" / "manifest.json").read_text())
    return str(told["publication"])


def test_by_hand_once_or_several_at_once(
    home: Home, pg: Server, kehu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_CONNECTION_BI", pg.url)
    text = kehu("publish", "--to", "bi", "--to", str(tmp_path / "bi"))
    [identity] = publish.publications(home.settings)
    for name in ("bi", str(tmp_path / "bi")):
        assert re.search(rf"^{name}: {identity}, 10 tables, [\d,]+ rows", text, re.M), text
    assert "there already" in kehu("publish", "--to", "bi")
    assert "there already" not in kehu("publish", "--to", "bi", "--force", "--with-facts")
    assert pg.value("select count(*) from core.fct_sales_line") == 300
    text = kehu("status")
    assert re.search(rf"^copy bi: {identity}, 15 tables", text, re.M), text
    home.publish(date(2024, 3, 1))
    assert re.search(r"^copy bi: .*; not the current one$", kehu("status"), re.M)


def test_targets_of_the_settings_follow_every_publication(
    home: Home, kehu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bi"
    monkeypatch.setenv("KEHU_PUBLISH_TO", f"{folder}, {NOWHERE}")
    report = night.serve("run-1")
    assert list(report["served"]) == [str(folder)], "one that fails stops no other"
    [(name, told)] = report["failed"].items()
    assert name == "postgresql://kehu@127.0.0.1:1/bi" and "no connection" in told
    with pytest.raises(TargetFailed, match="no connection"):
        night.require_served(report)
    first = publish.current_manifest(home.settings)["publication"]  # type: ignore[index]
    assert first == publish.publications(home.settings)[-1], "what is published here stays"
    text = kehu("status")
    assert re.search(r"^copy postgresql://kehu@127.0.0.1:1/bi: nothing yet\n  failed .*no connection",
                     text, re.M)  # fmt: skip

    monkeypatch.setenv("KEHU_PUBLISH_TO", str(folder))
    home.publish(date(2024, 3, 1))
    assert "in " in kehu("publish")  # lifts a rollback; targets too
    assert shown(folder) != first
    kehu("rollback")
    assert shown(folder) == first
    kehu("publish")
    assert shown(folder) == publish.publications(home.settings)[-1]


def test_a_target_that_fails_is_told_once_a_night_and_without_its_password(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_PUBLISH_TO", NOWHERE)
    for run in ("run-1", "run-2"):
        night.serve(run)
    lines = read_journal(home.settings)
    [told] = [line for line in lines if line["step"] == "alert:log"]
    assert told["title"] == "Kehu 2024-02-29: the publication was not copied (1)"
    assert "postgresql://kehu@127.0.0.1:1/bi: no connection" in " ".join(told["lines"])
    failed = [line for line in lines if line["state"] == "failed"]
    assert {line["step"] for line in failed} == {"serve:postgresql://kehu@127.0.0.1:1/bi"}
    assert "geheim" not in json.dumps(lines)
    for path in home.path.rglob("*.json"):
        assert "geheim" not in path.read_text()


def test_a_night_ends_with_what_its_targets_say(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kehu: Any
) -> None:
    """`kehu night` with its steps left out but the last two: the exit code and what stays."""
    for name in ("extract", "gate", "load", "transform", "score", "audit"):
        done = {"batches": [], "refused": [], "warnings": [], "judged": 0, "tests": 0, "checks": 0,
                "dates": [], "published": [], "skipped": 0, "left": []}  # fmt: skip
        monkeypatch.setattr(night, name, lambda *a, done=done, **k: done)
    monkeypatch.setattr(night, "_planned", lambda *a: ([], []))
    monkeypatch.setattr(night, "require_collected", lambda *a, **k: None)

    def published(as_of: date, run_id: str) -> dict[str, Any]:
        home.publish(as_of)
        return publish.current_manifest(home.settings) or {}

    monkeypatch.setattr(night, "publish", published)
    monkeypatch.setattr(
        night.quality_report, "try_write", lambda *a: pytest.fail("it is published")
    )
    monkeypatch.setenv("KEHU_PUBLISH_TO", f"{tmp_path / 'bi'},{NOWHERE}")
    text = kehu("night", "--as-of", "2024-03-01", code=69)
    assert "Published for 2024-03-01" in text and "1 targets, 1 failed" in text
    assert (tmp_path / "bi" / "current").resolve().name.startswith("2024-03-01")
    monkeypatch.setenv("KEHU_PUBLISH_TO", str(tmp_path / "bi"))
    kehu("night", "--as-of", "2024-03-02")


def test_a_failed_task_of_airflow_is_not_told_twice_nor_the_night_called_failed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(alert, "tell", lambda *a: told.append(a))
    monkeypatch.setattr(night.quality_report, "try_write", lambda *a: told.append(a))
    context = {"run_id": "r", "as_of": "2024-02-29", "exception": TargetFailed("bi: gone")}
    night.notify_failure(context)
    assert told == []
    night.notify_failure(context | {"exception": KehuError("something else")})
    assert len(told) == 2


def test_what_can_be_a_target(home: Home, kehu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEHU_CONNECTION_SHOP", "mysql://kehu:geheim@host/shop")
    assert "Kehu publishes to PostgreSQL" in kehu("publish", "--to", "shop", code=69)
    text = kehu("publish", "--to", "nobody", code=69)
    assert "KEHU_CONNECTION_NOBODY" in text and "./nobody" in text
    assert "postgresql://…" in kehu("publish", "--to", "s3://bucket/bi", code=69)
    assert "go with --to" in kehu("publish", "--with-facts", code=1)
    assert read_target("./bi").kind == "folder" and read_target("/srv/bi").path == "/srv/bi"
    (home.path / "published").unlink()
    assert "nothing is published yet" in kehu("publish", "--to", "./x", code=1)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql:/kehu:geheim@host/bi",
        "kehu:geheim@host/bi",
        "postgres//kehu:geheim@host/bi",
        "/kehu:geheim@host/bi",
        "./kehu:geheim",
        "kehu:geheim://host/bi",
        "postgresql://kehu:a@geheim@host/bi",
        "postgresql://kehu:geheim/@host/bi",
    ],
)
def test_an_address_with_a_slip_in_it_becomes_no_folder_and_is_not_shown(
    home: Home, kehu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    kehu("publish", "--to", text, code=69)  # which looks for the password in what is printed
    monkeypatch.setenv("KEHU_PUBLISH_TO", text)
    kehu("publish", code=69)
    kehu("status")
    assert list((tmp_path / "here").iterdir()) == []
    for path in home.path.rglob("*.json*"):
        assert "geheim" not in path.read_text()


def test_a_folder_looks_like_one(
    home: Home, kehu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("bi-prod", "srv/bi", "."):
        said = kehu("publish", "--to", text, code=69)
        assert f"{text}: is no target" in said and "a folder with /, ./, ../ or ~" in said
    monkeypatch.setenv("HOME", "/home/somebody")
    assert read_target("~/bi").path == "/home/somebody/bi"
    assert read_target("../bi").kind == "folder"
    with pytest.raises(KehuError, match="no such home directory"):
        read_target("~nobody-of-this-name/bi")


def test_a_comma_may_stand_in_a_password(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql://kehu:1,ge, heim,5@host/bi"
    monkeypatch.setenv("KEHU_PUBLISH_TO", f"bi, {address}, ./bi,{NOWHERE},")
    assert configured(home.settings) == ["bi", address, "./bi", NOWHERE]
    monkeypatch.setenv("KEHU_PUBLISH_TO", "bi,kehu:geheim@host/bi,/srv/bi")
    assert configured(home.settings) == ["bi", "kehu:geheim@host/bi", "/srv/bi"]


def test_no_column_of_personal_data_can_be_served(home: Home, pg: Server) -> None:
    """What is copied is the published file and nothing else: its tables, its columns."""
    night.serve("run", to=[pg.url])
    with duckdb.connect(str(home.published), read_only=True) as connection:
        ours = set(
            connection.execute(
                "select schema_name, table_name, column_name from duckdb_columns() "
                "where schema_name in ('core', 'marts') and table_name not like 'fct_%'"
            ).fetchall()
        )
    there = set(
        pg.rows(
            "select table_schema::text, table_name::text, column_name::text "
            "from information_schema.columns where table_schema in ('core', 'marts') "
            "and table_name not in ('publication', 'publication_table')"
        )
    )
    assert there == ours
