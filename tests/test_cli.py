"""The command line, as an operator meets it after nights with good and bad files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from houses import House, valid
from rich.console import Console
from typer.testing import CliRunner

from kehu import cli, night
from kehu.cli import app
from kehu.errors import KehuError
from kehu.extract.delivery import card_of

RUNNER = CliRunner()


@pytest.fixture
def kehu(house: House, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs `kehu` with some arguments: exit code and what was printed."""

    def run(*arguments: str, code: int = 0) -> str:
        # wide, so that no line is broken where the test looks
        monkeypatch.setattr(cli, "out", Console(width=400))
        result = RUNNER.invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return str(result.output)

    return run


@pytest.fixture
def bad_night(house: House) -> dict[str, dict[str, Any]]:
    """A night with a right file, one without a column, one with 3 % and one with 10 % bad rows."""
    house.drop("member", [valid("member")], manifest={"rows": 1, "simulated": True})
    house.drop("store", "store_code,name\nS1,x\n", "missing.csv")
    for name, wrong in (("few.csv", 3), ("many.csv", 10)):
        rows = [
            valid("store", store_code=f"{name[0]}{i}", is_test="[/]" if i < wrong else "0")
            for i in range(100)
        ]
        house.drop("store", rows, name)
    return house.take_in()


@pytest.mark.usefixtures("bad_night")
def test_quarantine_lists_the_files_with_rejected_rows(kehu: Any) -> None:
    text = kehu("quarantine")
    assert re.search(r"store/few\.csv.*type:is_test\D+3\D+0\D+2", text)
    assert re.search(r"store/many\.csv.*type:is_test\D+10\D+0\D+2", text)
    assert "missing.csv" not in text


def test_quarantine_show_tells_line_rule_promise_and_raw_text(
    kehu: Any, bad_night: dict[str, dict[str, Any]]
) -> None:
    text = kehu("quarantine", "show", bad_night["store/many.csv"]["batch_id"], "--limit", "2")
    assert "10 of 100 rows are rejected (10.0%, limit 5.0%)" in text
    assert "store/many.csv:2 type:is_test (is_test is flag)" in text
    assert "    m1,一店,SUPERMARKET,北京,海淀,1200.50,2010-01-01,2030-01-01,[/],2" in text
    assert "2 of 10 rows" in text
    refused = kehu("quarantine", "show", bad_night["store/missing.csv"]["batch_id"])
    assert "required column(s) missing: format, is_test" in refused
    assert "0 of 0 rows" in refused


def test_explain_tells_the_story_of_a_batch(
    kehu: Any, bad_night: dict[str, dict[str, Any]]
) -> None:
    text = kehu("explain", bad_night["store/many.csv"]["batch_id"])
    assert "REFUSED" in text
    assert "failed check reject_limit" in text
    assert "100 rows in = 100 refused" in text
    text = kehu("explain", bad_night["store/few.csv"]["batch_id"])
    assert "UNVERIFIED" in text
    assert "100 rows in = 97 loaded + 3 quarantined" in text
    assert "simulated" in kehu("explain", "landing/member/a.csv")


@pytest.mark.usefixtures("bad_night")
def test_status_counts_the_ledger_and_lists_batches(kehu: Any) -> None:
    text = kehu("status")
    assert "nothing is published yet" in text
    assert (
        "LOADED 1 files (1 rows), REFUSED 2 files (100 rows), UNVERIFIED 1 files (100 rows)" in text
    )
    listed = kehu("status", "--batches")
    for path in ("member/a.csv", "store/missing.csv", "store/few.csv", "store/many.csv"):
        assert path in listed


@pytest.mark.parametrize("command", [["explain"], ["quarantine", "show"]])
@pytest.mark.usefixtures("bad_night")
def test_an_unknown_batch_is_said_to_be_unknown(command: list[str], kehu: Any) -> None:
    assert "no batch 'store-0' in the ledger" in kehu(*command, "store-0", code=1)


def test_steps_one_by_one_take_a_file_in(kehu: Any, house: House) -> None:
    house.drop("store", [valid("store")])
    run = re.search(r"1 files read; run (\S+)", kehu("extract"))
    assert run
    assert "1 judged, 0 refused" in kehu("gate", run[1], "--as-of", "2017-03-31")
    assert re.search(r"store\D+1\D+1\D+1\D+0", kehu("load", run[1]))
    assert house.query("select store_code from raw.store") == [("S1",)]


def test_before_the_first_night_every_command_says_what_to_do(kehu: Any) -> None:
    for command in (["quarantine"], ["explain", "x"]):
        assert "`kehu night --as-of DATE` makes it" in kehu(*command, code=1)
    assert "nothing is published yet" in kehu("query", "select 1", code=1)
    assert "nothing is published yet" in kehu("publish", code=1)
    assert "no earlier publication" in kehu("rollback", code=1)
    assert "nothing is published yet" in kehu("status")


def test_rows_too_wide_for_the_screen_are_printed_one_below_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "out", Console(width=60))
    columns = ", ".join(f"{n} as column_number_{n}" for n in range(12))
    assert cli._print_rows(f"select {columns} from range(2)") == 2
    text = capsys.readouterr().out
    assert "row 2" in text and re.search(r"column_number_11 +│ 11", text)
    assert cli._print_rows("select 1 as a, null as b") == 1
    assert "row 1" not in capsys.readouterr().out


def test_many_rows_too_wide_for_the_screen_are_several_tables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is wider than the screen, each has the number of the row and the first column."""
    monkeypatch.setattr(cli, "out", Console(width=60))
    columns = ", ".join(f"i * 100 + {n} as column_number_{n}" for n in range(12))
    assert cli._print_rows(f"select {columns} from range(4) as t(i)") == 4
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    for number in range(4):
        own = [line for line in lines if re.match(rf"│ {number + 1} │ {number * 100} ", line)]
        told = {int(cell) for line in own for cell in re.findall(r"\d+", line)}
        assert {number * 100 + n for n in range(12)} <= told


def test_waiving_needs_a_reason(kehu: Any) -> None:
    text = kehu("replay", "store-0", "--as-of", "2017-03-31", "--waive", "held", code=1)
    assert "--waive needs --reason" in text


def test_replay_of_what_never_came_is_refused(kehu: Any) -> None:
    text = kehu("replay", "store-0", "--as-of", "2017-03-31", code=1)
    assert "no batch 'store-0' in the archive" in text


def test_contracts_are_listed_with_their_grain(kehu: Any) -> None:
    assert re.search(
        r"sales_line +one line of one receipt; 26 columns, 15 required", kehu("contracts")
    )


def test_a_broken_contract_is_told_without_a_traceback(
    kehu: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "expectations" / "feeds"
    folder.mkdir(parents=True)
    (folder / "store.yml").write_text("feed: store\ngroup: [/x]\n", encoding="utf-8")
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path))
    text = kehu("contracts", code=1)
    assert re.search(r"ContractError: \S+store\.yml:2: field group", text)


def test_brackets_in_names_and_values_are_no_markup(
    kehu: Any, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.drop("store", "store_code,name\nS1,x\n", "[/x] [red].csv")
    run = re.search(r"run (\S+)", kehu("extract"))
    assert run
    assert "store/[/x] [red].csv: line 1: required" in kehu("gate", run[1], "--as-of", "2017-03-31")
    cli._print_rows("""select '[/x]' as "[bold]" """)
    text = capsys.readouterr().out
    assert "[/x]" in text and "[bold]" in text


@pytest.mark.usefixtures("bad_night")
@pytest.mark.parametrize("batch", ["*", "store-*", "a**b", "[s]tore", "../../x", ""])
def test_a_batch_is_no_pattern(batch: str, kehu: Any) -> None:
    assert f"no batch {batch!r} in the ledger" in kehu("explain", batch, code=1)
    for command in (["replay", batch, "--as-of", "2017-03-31"], ["quarantine", "export", batch]):
        assert f"no batch {batch!r} in the archive" in kehu(*command, code=1)


@pytest.mark.parametrize("run", ["nonsense", "../archive", ""])
def test_a_run_that_nothing_was_read_in_is_said_to_be_unknown(run: str, kehu: Any) -> None:
    assert f"no run {run!r}; `kehu extract`" in kehu("gate", run, "--as-of", "2017-03-31", code=1)
    assert f"no run {run!r}; `kehu extract`" in kehu("load", run, code=1)


def test_a_run_is_judged_before_it_is_loaded(kehu: Any, house: House) -> None:
    house.drop("store", [valid("store")])
    run = re.search(r"run (\S+)", kehu("extract"))
    assert run
    assert f"kehu gate {run[1]} --as-of DATE" in kehu("load", run[1], code=1)


def test_what_is_no_query_is_said_to_be_none(kehu: Any) -> None:
    for query in ("", " ; ", "-- select 1"):
        with pytest.raises(KehuError, match="there is no query in it"):
            cli._print_rows(query)


def test_only_a_check_that_judges_the_feed_can_be_waived(
    house: House, bad_night: dict[str, dict[str, Any]]
) -> None:
    batch = bad_night["store/many.csv"]["batch_id"]
    with pytest.raises(KehuError, match=r"no check 'reject_limt' can be waived .* reject_limit"):
        night.waive(batch, ["reject_limt"], "known", "li")
    assert card_of(house.settings, batch).waivers == []
    night.waive(batch, ["reject_limit"], "known", "li")
    assert [w.check for w in card_of(house.settings, batch).waivers] == ["reject_limit"]
