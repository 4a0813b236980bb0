"""What an operator does about quarantined rows: export, release, discard, undo; and that it lasts."""

from __future__ import annotations

import csv
import io
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from houses import CONTRACTS, VALID, House, Row, valid

from kehu import corrections, night
from kehu.errors import KehuError
from kehu.extract.delivery import card_of

SALES = CONTRACTS["sales_line"]


def line(number: int, **changes: str) -> Row:
    return valid("sales_line", receipt_no=f"R{number}", batch_no="", **changes)


def dirty_day(house: House, manifest: dict[str, Any] | None = None) -> str:
    """A store-day of 80 lines: line 9 has a wrong status, lines 12 and 13 no number for a quantity."""
    rows = [line(i) for i in range(2, 82)]
    rows[7]["status"] = "DONE"
    rows[10]["qty"] = "two"
    rows[11]["qty"] = "1O"
    path = house.drop("sales_line", rows, manifest=manifest)
    done = house.take_in()[path]
    assert (done["rows_loaded"], done["rows_quarantined"]) == (77, 3)
    return str(done["batch_id"])


def export(house: House, batch: str, name: str = "fix.csv") -> Path:
    target = house.settings.home / name
    corrections.export(house.settings, SALES, batch, target)
    return target


def read(file: Path) -> list[Row]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))


def corrected(
    file: Path,
    change: Callable[[list[Row]], object],
    *,
    encoding: str = "utf-8-sig",
    delimiter: str = ",",
) -> Path:
    """The export as a spreadsheet saves it, with what `change` does to its rows."""
    rows = read(file)
    change(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    file.write_bytes(text.getvalue().encode(encoding))
    return file


def release(house: House, batch: str, file: Path, **more: Any) -> corrections.Released:
    return corrections.release(
        house.settings, SALES, batch, file, "told by the shop", "mei", **more
    )


def replayed(house: House, batch: str) -> dict[str, Any]:
    [done] = house.take_in(replay=[batch]).values()
    parts = ("loaded", "quarantined", "superseded", "skipped", "refused")
    assert done["rows_in"] == sum(done[f"rows_{part}"] for part in parts)
    return done


def everything(house: House) -> dict[str, list[Any]]:
    """All that a rebuild must come to again."""
    return {
        "raw": house.query("from raw.sales_line order by all"),
        "quarantine": house.query("from quarantine.row order by all"),
        "store_day": house.query("from ops.store_day order by all"),
        "decision": house.query("from ops.decision order by all"),
        "ledger": house.query(
            "select batch_id, status, rows_in, rows_loaded, rows_quarantined, control_sum from ops.batch"
        ),
    }


def rebuilt(house: House) -> dict[str, list[Any]]:
    """The same from the archive alone: no warehouse, no batches, no landing folder."""
    batches = [path.stem for path in house.settings.archive.glob("*/??/*-*.json")]
    house.settings.warehouse.unlink()
    shutil.rmtree(house.settings.batches)
    shutil.rmtree(house.settings.reference)
    shutil.rmtree(house.settings.landing)
    house.take_in(replay=sorted(batches))
    return everything(house)


# --- export -----------------------------------------------------------------------------------


def test_an_export_holds_the_rows_as_the_source_wrote_them(house: House) -> None:
    batch = dirty_day(house)
    file = export(house, batch)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = read(file)
    assert list(rows[0]) == ["_line", "_rule", "_promise", *SALES.columns]
    assert [(r["_line"], r["_rule"], r["qty"]) for r in rows] == [
        ("9", "allowed:status", "2"),
        ("12", "type:qty", "two"),
        ("13", "type:qty", "1O"),
    ]
    assert rows[0]["_promise"] == "status is one of COMPLETED, SUSPENDED, VOID"
    assert rows[0]["sold_at"] == "2017-03-31 10:00:00"  # text, not a time
    with pytest.raises(KehuError, match="exists already"):
        export(house, batch)


def test_an_export_needs_neither_the_landing_folder_nor_the_batch(house: House) -> None:
    batch = dirty_day(house)
    shutil.rmtree(house.settings.landing)
    shutil.rmtree(house.settings.batches)
    assert [r["qty"] for r in read(export(house, batch))] == ["2", "two", "1O"]


# --- release ----------------------------------------------------------------------------------


def test_released_rows_are_in_and_stay_in_after_a_rebuild(house: House) -> None:
    batch = dirty_day(house)

    def mend(rows: list[Row]) -> None:
        rows[0]["status"] = "COMPLETED"
        rows[1]["qty"] = "2"

    done = release(house, batch, corrected(export(house, batch), mend))
    assert (done.lines, done.cells, done.unchanged, done.rewritten) == (2, 2, 1, [])
    loaded = replayed(house, batch)
    assert (loaded["rows_loaded"], loaded["rows_quarantined"]) == (79, 1)
    assert house.query(
        "select _line, receipt_no, qty, status from raw.sales_line where _line in (9, 12, 13)"
    ) == [(9, "R9", 2, "COMPLETED"), (12, "R12", 2, "COMPLETED")]
    assert house.query("select line_no, rule_id, decision from quarantine.row") == [
        (13, "type:qty", None)
    ]
    assert house.query(
        "select line_no, action, rule_id, who, reason, is_current from ops.decision order by 1"
    ) == [
        (9, "RELEASED", "allowed:status", "mei", "told by the shop", True),
        (12, "RELEASED", "type:qty", "mei", "told by the shop", True),
    ]
    # the archived bytes are what the source sent
    [kept] = house.settings.archive.glob("sales_line/??/*.csv")
    assert b"DONE" in kept.read_bytes()
    before = everything(house)
    assert rebuilt(house) == before


def test_a_row_that_is_still_wrong_stays_with_its_new_reason(house: House) -> None:
    batch = dirty_day(house)
    file = corrected(export(house, batch), lambda rows: rows[0].update(status="VOID", qty="-5"))
    assert release(house, batch, file).lines == 1
    assert replayed(house, batch)["rows_quarantined"] == 3
    assert house.query("select rule_id, decision from quarantine.row where line_no = 9") == [
        ("sign:qty", None)
    ]
    # it is exported as it was left, and what was written before need not be written again
    again = export(house, batch, "again.csv")
    row = read(again)[0]
    assert (row["status"], row["qty"]) == ("VOID", "-5")
    release(house, batch, corrected(again, lambda rows: rows[0].update(qty="5")))
    assert replayed(house, batch)["rows_quarantined"] == 2
    assert house.query("select status, qty from raw.sales_line where _line = 9") == [("VOID", 5)]
    assert house.query(
        "select rule_id, is_current from ops.decision where line_no = 9 order by is_current"
    ) == [("allowed:status", False), ("sign:qty", True)]
    before = everything(house)
    assert rebuilt(house) == before


def test_a_receipt_is_whole_again_when_its_lost_line_is_released(house: House) -> None:
    rows = [line(i) for i in range(30)]
    rows += [line(50, line_no="1"), line(50, line_no="2", qty="x")]
    path = house.drop("sales_line", rows)
    batch = house.take_in()[path]["batch_id"]
    incomplete = "select _line from raw.sales_line where _is_incomplete"
    assert house.query(incomplete) == [(32,)]
    release(house, batch, corrected(export(house, batch), lambda rows: rows[0].update(qty="1")))
    replayed(house, batch)
    assert house.query(incomplete) == []


def test_a_record_that_is_none_becomes_a_row(house: House) -> None:
    rows = [line(i) for i in range(2, 42)]
    text = house_csv(rows)
    lines = text.splitlines()
    lines[20] = lines[20].replace(",SALE,", ",SALE")  # line 21 has a field less
    path = house.drop("sales_line", "\n".join(lines) + "\n")
    done = house.take_in()[path]
    assert (done["rows_in"], done["rows_loaded"], done["rows_quarantined"]) == (40, 39, 1)
    file = export(house, done["batch_id"])
    [row] = read(file)
    assert (row["_rule"], row["_raw"], row["qty"]) == ("record:(line)", lines[20], "")
    release(house, done["batch_id"], corrected(file, lambda given: given[0].update(rows[19])))
    done = replayed(house, done["batch_id"])
    assert (done["rows_in"], done["rows_loaded"], done["rows_quarantined"]) == (40, 40, 0)
    assert house.query("select receipt_no from raw.sales_line where _line = 21") == [("R21",)]
    before = everything(house)
    assert rebuilt(house) == before


def house_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(VALID["sales_line"]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_a_released_row_gets_what_the_contract_learns_later(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "p" / "expectations" / "feeds"
    shutil.copytree(house.settings.contracts, project)
    shutil.copytree(house.settings.suites, project.parent / "suites")
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path / "p"))
    rows = [line(i) for i in range(2, 42)]
    rows[7]["status"] = "DONE"
    columns = [c if c != "promo_code" else "Aktion" for c in VALID["sales_line"]]
    for row in rows:
        row["Aktion"] = row.pop("promo_code")
    path = house.drop("sales_line", rows, columns=columns)
    batch = house.take_in()[path]["batch_id"]
    file = corrected(export(house, batch), lambda rows: rows[0].update(status="VOID"))
    release(house, batch, file)
    replayed(house, batch)
    assert house.query("select distinct promo_code from raw.sales_line") == [(None,)]
    contract = project / "sales_line.yml"
    contract.write_text(
        contract.read_text().replace("aliases: [促销编码,", "aliases: [Aktion, 促销编码,")
    )
    replayed(house, batch)
    assert house.query("select distinct promo_code from raw.sales_line where _line in (2, 9)") == [
        ("PR1",)
    ]


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8-sig", ";"), ("gb18030", ","), ("utf-16", "\t")]
)
def test_a_spreadsheet_that_rewrites_dates_and_numbers_changes_nothing(
    house: House, encoding: str, delimiter: str
) -> None:
    odd = {
        "store_code": "0001",
        "card_no": "6228480012345678",
        "sku_code": "690123456789012",
        "promo_code": "送礼",
        "sold_at": "2017-03-31 10:00:37",
    }
    rows = [line(i, **odd) for i in range(2, 42)]
    rows[7]["status"] = "DONE"
    rows[10]["qty"] = "two"
    path = house.drop("sales_line", rows)
    batch = house.take_in()[path]["batch_id"]

    def as_excel_does(rows: list[Row]) -> None:
        for row in rows:
            row |= {
                "store_code": "1",
                "card_no": "6228480012345670",
                "sku_code": "6.90123E+14",
                "business_date": "2017/3/31",
                "sold_at": "2017/3/31 10:00",
                "gross_amount": "12",
                "vat_rate": "0.13",
            }
        rows[0]["status"] = "COMPLETED"

    file = corrected(export(house, batch), as_excel_does, encoding=encoding, delimiter=delimiter)
    done = release(house, batch, file)
    assert (done.lines, done.cells, done.unchanged) == (1, 1, 1)
    assert len(done.rewritten) == 14
    assert "9 store_code: 0001 → 1" in done.rewritten
    replayed(house, batch)
    assert house.query(
        "select store_code, card_no, sku_code, promo_code, sold_at::varchar, status from raw.sales_line "
        "where _line = 9"
    ) == [
        ("0001", "6228480012345678", "690123456789012", "送礼", "2017-03-31 10:00:37", "COMPLETED")
    ]


def test_what_looks_rewritten_is_taken_when_it_is_said_to_be_meant(house: House) -> None:
    rows = [line(i, cashier_no="007") for i in range(2, 42)]
    rows[7]["status"] = "DONE"
    path = house.drop("sales_line", rows)
    batch = house.take_in()[path]["batch_id"]
    file = corrected(
        export(house, batch), lambda rows: rows[0].update(status="VOID", cashier_no="7")
    )
    assert release(house, batch, file, exact=True).cells == 2
    replayed(house, batch)
    assert house.query("select cashier_no from raw.sales_line where _line = 9") == [("7",)]


@pytest.mark.parametrize(
    ("was", "given", "same"),
    [
        ("sold_at 2017-03-31 10:00:37", "2017/3/31 10:00", True),
        ("sold_at 2017-03-31 10:00:37", "31/03/2017 10:00:37", True),
        ("sold_at 2017-03-31 10:00:37", "2017/3/31 10:01", False),
        ("sold_at 2017-03-31 10:00:37", "2017/3/31", False),
        ("business_date 2017-03-31", "3/31/2017", True),
        ("business_date 2017-03-31", "2017年3月31日", True),
        ("business_date 2017-03-31", "2017/3/30", False),
        ("card_no 6228480012345678", "6.22848E+15", True),
        ("card_no 6228480012345678", "6.22849E+15", False),
        ("card_no 6228480012345678", "6228480012345678", True),
        ("card_no 00012", "12", True),
        ("card_no 00012", "120", False),
        ("card_no A12", "12", False),
        ("qty two", "2", False),
        ("gross_amount 12.00", "12", True),
        ("gross_amount 1,234.50", "1234.5", True),
        ("gross_amount 12.00", "-12", False),
        ("promo_code ", "x", False),
    ],
)
def test_what_a_spreadsheet_writes_on_its_own(was: str, given: str, same: bool) -> None:
    import duckdb

    name, _, text = was.partition(" ")
    rule = corrections._rewritten("w", "g", SALES, name, "Asia/Shanghai")
    found = duckdb.execute(f"select {rule} or w = g from (select ? as w, ? as g)", [text, given])
    assert bool(found.fetchall()[0][0]) is same


def test_the_control_sum_is_that_of_the_delivery(house: House) -> None:
    """The source sums what it wrote: 39 x 10 and -10; an operator's correction does not change that."""
    rows = [line(i) for i in range(2, 42)]
    rows[7]["net_amount"] = "-10.00"  # breaks the sum of its receipt
    promised = {"rows": 40, "control_sum": "380.00"}
    path = house.drop("sales_line", rows, manifest=promised)
    done = house.take_in(expectations=True)[path]
    assert (done["status"], done["rows_quarantined"]) == ("LOADED", 1)
    batch = done["batch_id"]
    file = corrected(export(house, batch), lambda rows: rows[0].update(net_amount="10.00"))
    release(house, batch, file)
    done = house.take_in(expectations=True, replay=[batch])[path]
    assert (done["status"], done["rows_loaded"]) == ("LOADED", 40)
    assert house.query(
        "select control_sum, (select sum(net_amount) from raw.sales_line) from ops.batch"
    ) == [(380, 400)]


def test_an_amount_that_could_not_be_read_must_come_to_the_control_sum(house: House) -> None:
    rows = [line(i) for i in range(2, 42)]
    rows[7]["net_amount"] = "ten"
    path = house.drop("sales_line", rows, manifest={"rows": 40, "control_sum": "400.00"})
    batch = house.take_in(expectations=True)[path]["batch_id"]
    wrong = {"gross_amount": "13.00", "net_amount": "11.00"}
    file = corrected(export(house, batch), lambda rows: rows[0].update(wrong))
    release(house, batch, file)
    done = house.take_in(expectations=True, replay=[batch])[path]
    assert "control_sum = 401.0" in done["message"]
    assert house.query("select status, rows_loaded from ops.batch") == [("LOADED", 39)]
    corrections.undo(house.settings, batch, [9], "mistyped", "mei")
    house.take_in(expectations=True, replay=[batch])
    file = corrected(export(house, batch, "b.csv"), lambda rows: rows[0].update(net_amount="10"))
    release(house, batch, file)
    done = house.take_in(expectations=True, replay=[batch])[path]
    assert (done["status"], done["rows_loaded"]) == ("LOADED", 40)


WRONG_FILES: dict[str, tuple[Callable[[str], str], str]] = {
    "no export": (lambda text: "a,b\n1,2\n", "has no column _line"),
    "a column too many": (
        lambda text: text.replace("vat_rate", "rate", 1),
        "column 'rate' is not in the export",
    ),
    "a line twice": (lambda text: text + text.splitlines()[-1] + "\n", "_line '13' stands twice"),
    "no number": (lambda text: text.replace('\n12,"', '\n1x,"'), "line 3: _line '1x' has not"),
    "another line": (
        lambda text: text.replace('\n9,"', '\n10,"').replace("DONE", "VOID"),
        "line 10 is not in quarantine",
    ),
    "a cell too many": (
        lambda text: text.replace("two", 'two","'),
        "line 3: 30 fields, 29 expected",
    ),
    "nothing changed": (lambda text: text, "no cell differs"),
}


def test_a_file_that_is_not_the_corrected_export_is_told_so(house: House) -> None:
    batch = dirty_day(house)
    file = export(house, batch)
    text = file.read_text(encoding="utf-8-sig")
    for change, told in WRONG_FILES.values():
        file.write_text(change(text), encoding="utf-8")
        with pytest.raises(KehuError, match=told):
            release(house, batch, file)
    assert card_of(house.settings, batch).corrections == []
    assert corrections.waiting(house.settings) == []


def test_two_operators_do_not_decide_the_same_line(house: House) -> None:
    batch = dirty_day(house)
    mine, hers = export(house, batch, "mine.csv"), export(house, batch, "hers.csv")
    release(house, batch, corrected(mine, lambda rows: rows[0].update(status="VOID")))
    corrected(hers, lambda rows: (rows[0].update(status="COMPLETED"), rows[1].update(qty="3")))
    with pytest.raises(KehuError, match=r"line 9 was released by mei at .* not loaded yet"):
        release(house, batch, hers)
    replayed(house, batch)
    with pytest.raises(KehuError, match="line 9 was released by mei at"):
        release(house, batch, hers)
    with pytest.raises(KehuError, match="line 9 was released by mei at"):
        corrections.discard(house.settings, batch, "gone", "li", lines=[9])
    release(house, batch, corrected(hers, lambda rows: rows.pop(0)))
    replayed(house, batch)
    assert house.query("select _line, status, qty from raw.sales_line where _line in (9, 12)") == [
        (9, "VOID", 2),
        (12, "COMPLETED", 3),
    ]


def test_a_batch_that_never_came_and_one_without_rows_are_told_apart(house: House) -> None:
    dirty_day(house)
    with pytest.raises(KehuError, match="no batch 'sales_line-0' in the archive"):
        export(house, "sales_line-0")
    path = house.drop("sales_line", "store_code\nS1\n", "b.csv")
    refused = house.take_in()[path]["batch_id"]
    with pytest.raises(KehuError, match=r"whole file was refused: .*required column"):
        export(house, refused)
    with pytest.raises(KehuError, match="needs --reason"):
        corrections.discard(house.settings, refused, " ", "li", every=True)


# --- discard ----------------------------------------------------------------------------------


def test_discarded_rows_are_out_for_good_and_no_longer_open(house: House) -> None:
    batch = dirty_day(house)
    assert (
        corrections.discard(house.settings, batch, "test of the till", "li", rule="type:qty") == 2
    )
    done = replayed(house, batch)
    assert (done["rows_loaded"], done["rows_quarantined"]) == (77, 3)
    assert house.query("select line_no, rule_id, decision from quarantine.row order by 1") == [
        (9, "allowed:status", None),
        (12, "type:qty", "DISCARDED"),
        (13, "type:qty", "DISCARDED"),
    ]
    assert [r["_line"] for r in read(export(house, batch))] == ["9"]
    with pytest.raises(KehuError, match="no open row breaks type:qty"):
        corrections.discard(house.settings, batch, "again", "li", rule="type:qty")
    assert corrections.discard(house.settings, batch, "rest", "li", every=True) == 1
    replayed(house, batch)
    assert house.query("select is_clean, count_quarantined from ops.store_day") == [(True, 0)]
    before = everything(house)
    assert rebuilt(house) == before


def test_a_receipt_is_not_incomplete_for_a_discarded_line(house: House) -> None:
    rows = [line(i) for i in range(30)]
    rows += [line(50, line_no="1"), line(50, line_no="2", qty="x")]
    path = house.drop("sales_line", rows)
    batch = house.take_in()[path]["batch_id"]
    corrections.discard(house.settings, batch, "typed twice", "li", lines=[33])
    replayed(house, batch)
    assert house.query("select count(*), count(*) filter (_is_incomplete) from raw.sales_line") == [
        (31, 0)
    ]


def test_of_two_rows_that_contradict_each_other_one_is_discarded(house: House) -> None:
    rows = [line(i) for i in range(2, 42)]
    rows[8] = rows[7] | {"sku_code": "P9"}  # the same receipt and line with another product
    path = house.drop("sales_line", rows)
    done = house.take_in()[path]
    assert done["rows_quarantined"] == 2
    corrections.discard(house.settings, done["batch_id"], "P1 was sold", "li", lines=[10])
    done = replayed(house, done["batch_id"])
    assert (done["rows_loaded"], done["rows_quarantined"]) == (39, 1)
    assert house.query("select line_no, rule_id, decision from quarantine.row") == [
        (10, "key_conflict:line_no", "DISCARDED")
    ]


def test_the_rest_of_a_receipt_is_judged_without_its_discarded_line(house: House) -> None:
    rows = [line(i) for i in range(60)]
    rows += [line(70, line_no="1", net_amount="9.00"), line(70, line_no="2")]  # a sum 1 too low
    path = house.drop("sales_line", rows)
    batch = house.take_in()[path]["batch_id"]
    assert house.query("select line_no, rule_id from quarantine.row order by 1") == [
        (62, "receipt_sum:net_amount"),
        (63, "receipt_sum:net_amount"),
    ]
    corrections.discard(house.settings, batch, "not sold", "li", lines=[63])
    replayed(house, batch)
    assert house.query("select line_no, decision from quarantine.row order by 1") == [
        (62, None),
        (63, "DISCARDED"),
    ]


def test_a_held_store_day_is_clean_when_all_its_rejects_are_decided(house: House) -> None:
    first = house.drop("sales_line", [line(1)], "a.csv", {"generated_at": "2017-04-01T01:00:00"})
    house.take_in()
    rows = [line(i + 100) for i in range(40)]
    rows[3]["qty"], rows[4]["qty"] = "x", "y"
    second = house.drop("sales_line", rows, "b.csv", {"generated_at": "2017-04-02T01:00:00"})
    done = house.take_in()[second]
    assert done["status"] == "HELD"
    batch = done["batch_id"]
    corrections.discard(house.settings, batch, "no such thing", "li", lines=[5])
    assert replayed(house, batch)["status"] == "HELD"  # one is open still
    release(house, batch, corrected(export(house, batch), lambda rows: rows[0].update(qty="1")))
    done = replayed(house, batch)
    assert (done["status"], done["rows_loaded"], done["rows_quarantined"]) == ("LOADED", 39, 1)
    current = house.query(
        "select path from ops.store_day join ops.batch using (batch_id) "
        "where ops.store_day.status = 'CURRENT'"
    )
    assert current == [(second,)]
    # and back: what was taken back holds the store-day again, and the first delivery stands
    corrections.undo(house.settings, batch, [6], "not sure", "li")
    assert replayed(house, batch)["status"] == "HELD"
    assert house.query("select receipt_no from raw.sales_line") == [("R1",)]
    assert first != second


def test_a_store_day_whose_rows_are_all_discarded_replaces_nothing(house: House) -> None:
    house.drop("sales_line", [line(1)], "a.csv", {"generated_at": "2017-04-01T01:00:00"})
    house.take_in()
    rows = [line(i, store_code="S2") for i in range(40)] + [line(7, qty="x")]
    late = house.drop("sales_line", rows, "b.csv", {"generated_at": "2017-04-02T01:00:00"})
    done = house.take_in()[late]
    corrections.discard(house.settings, done["batch_id"], "belongs to S2", "li", every=True)
    replayed(house, done["batch_id"])
    assert house.query("select store_code, count(*) from raw.sales_line group by 1 order by 1") == [
        ("S1", 1),
        ("S2", 40),
    ]


def test_a_row_that_is_released_to_another_store_day_leaves_nothing_behind(house: House) -> None:
    rows = [line(i) for i in range(40)] + [line(7, store_code="S9", qty="x", line_no="2")]
    path = house.drop("sales_line", rows)
    batch = house.take_in()[path]["batch_id"]
    assert house.query("select store_code from ops.store_day order by 1") == [("S1",), ("S9",)]
    file = corrected(export(house, batch), lambda rows: rows[0].update(store_code="S1", qty="1"))
    release(house, batch, file)
    replayed(house, batch)
    assert house.query("select store_code, count_rows from ops.store_day") == [("S1", 41)]
    before = everything(house)
    assert rebuilt(house) == before


def test_a_file_with_too_many_rejects_is_let_in_when_they_are_decided(house: House) -> None:
    rows = [valid("store", store_code=f"S{i}", is_test="?" if i < 10 else "0") for i in range(100)]
    path = house.drop("store", rows)
    done = house.take_in()[path]
    assert done["status"] == "REFUSED"
    corrections.discard(house.settings, done["batch_id"], "closed", "li", every=True)
    done = replayed(house, done["batch_id"])
    assert (done["status"], done["rows_loaded"], done["rows_quarantined"]) == ("UNVERIFIED", 90, 10)


# --- undo, waiting ----------------------------------------------------------------------------


def test_what_was_decided_can_be_taken_back(house: House) -> None:
    batch = dirty_day(house)
    before = everything(house)
    release(
        house, batch, corrected(export(house, batch), lambda rows: rows[0].update(status="VOID"))
    )
    corrections.discard(house.settings, batch, "no", "li", lines=[12])
    replayed(house, batch)
    assert corrections.undo(house.settings, batch, [9, 12], "was right after all", "li") == 2
    replayed(house, batch)
    after = everything(house)
    assert {k: after[k] for k in ("raw", "quarantine", "ledger")} == {
        k: before[k] for k in ("raw", "quarantine", "ledger")
    }
    log = "select line_no, action, who from ops.decision where not is_current order by all"
    assert house.query(log) == [
        (9, "RELEASED", "mei"),
        (9, "UNDONE", "li"),
        (12, "DISCARDED", "li"),
        (12, "UNDONE", "li"),
    ]
    assert house.query("select 1 from ops.decision where is_current") == []
    with pytest.raises(KehuError, match="nothing was decided of line 9"):
        corrections.undo(house.settings, batch, [9], "again", "li")
    assert rebuilt(house) == after


def test_the_next_night_loads_what_was_decided(house: House) -> None:
    batch = dirty_day(house)
    assert house.take_in() == {}
    corrections.discard(house.settings, batch, "no", "li", lines=[12])
    assert corrections.waiting(house.settings) == [batch]
    other = house.drop("sales_line", [line(1, store_code="S5")], "new.csv")
    done = house.take_in()
    assert {b["batch_id"]: b["status"] for b in done.values()}[batch] == "UNVERIFIED"
    assert done[other]["rows_loaded"] == 1
    assert corrections.waiting(house.settings) == []
    assert house.query("select decision from quarantine.row where line_no = 12") == [("DISCARDED",)]
    assert house.take_in() == {}


def test_a_refused_file_that_was_decided_about_is_judged_once(house: House) -> None:
    rows = [valid("store", store_code=f"S{i}", is_test="?" if i < 10 else "0") for i in range(100)]
    path = house.drop("store", rows)
    batch = house.take_in()[path]["batch_id"]
    corrections.discard(house.settings, batch, "closed", "li", every=True)
    done = house.take_in()[path]
    assert (done["status"], done["rows_loaded"]) == ("UNVERIFIED", 90)
    assert house.take_in() == {}


def test_what_is_decided_while_a_night_runs_waits_for_the_next(house: House) -> None:
    batch = dirty_day(house)
    corrections.discard(house.settings, batch, "no", "li", lines=[12])
    run_id = night.new_run_id(house.settings)
    for chunk in night.plan(night.ALL, run_id):
        night.extract(chunk)
    house._row_rules(run_id, night.date(2017, 3, 31))
    corrections.discard(house.settings, batch, "no", "li", lines=[13])
    night.load(night.ALL, run_id)
    assert corrections.waiting(house.settings) == [batch]
    assert house.query("select line_no from quarantine.row where decision is null order by 1") == [
        (9,),
        (13,),
    ]
    house.take_in()
    assert house.query("select line_no from quarantine.row where decision is null") == [(9,)]
