"""A clock that is set back, or an hour slow in autumn."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from houses import AS_OF, House, valid

from kehu import publish
from kehu.errors import KehuError
from kehu.settings import Settings


def two_versions(house: House, first: str, second: str) -> str:
    """The net amount that stays when a store-day comes twice, with nothing to tell which is newer."""
    for at, name, net in ((first, "b.csv", "10.00"), (second, "a.csv", "12.00")):
        row = valid("sales_line", net_amount=net, discount_amount="0.00", gross_amount=net)
        house.drop("sales_line", [row | {"batch_no": ""}], name)
        with pytest.MonkeyPatch.context() as clock:
            clock.setenv("KEHU_NOW", at)
            house.take_in()
    return str(house.query("select net_amount from raw.sales_line")[0][0])


def test_the_hour_that_comes_twice_in_autumn_changes_no_order(house: House) -> None:
    """02:30 after 02:45, on the night that summer time ends: what came last still counts."""
    assert two_versions(house, "2017-10-29T02:45:00", "2017-10-29T02:30:00") == "12.00"


def test_a_clock_set_back_stops_the_night_and_nothing_is_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a day: told with both times; set right, the file comes in; or the operator says that it is."""
    with pytest.raises(
        KehuError, match=r"the clock says 2017-03-31 03:00, but .* 2017-04-01 03:00"
    ):
        two_versions(house, "2017-04-01T03:00:00", "2017-03-31T03:00:00")
    assert house.query("select net_amount::varchar from raw.sales_line") == [("10.00",)]
    with monkeypatch.context() as right:
        right.setenv("KEHU_NOW", "2017-04-02T03:00:00")
        house.take_in()
    assert house.query("select net_amount::varchar from raw.sales_line") == [("12.00",)]
    monkeypatch.setenv("KEHU_NOW", "2017-03-31T03:00:00")
    monkeypatch.setenv("KEHU_CLOCK_MAY_GO_BACK", "1")
    house.drop("store", [valid("store")])
    assert house.take_in()["store/a.csv"]["rows_loaded"] == 1


def test_publications_keep_their_order_when_the_clock_goes_back(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is newer than the one before, also at the same moment; none is taken for another."""
    settings = Settings()
    settings.home.mkdir()
    with duckdb.connect(str(settings.marts)) as connection:
        for table in ("core.fct_sales_line", "core.fct_survey_answer", "core.fct_complaint"):
            connection.execute("create schema if not exists core")
            connection.execute(f"create table {table} as select 1 as i")
    monkeypatch.setattr(publish, "HEADLINES", {})
    made = []
    for at in ("2017-04-01T03:00:00", "2017-04-01T03:00:00", "2017-03-31T03:00:00"):
        monkeypatch.setenv("KEHU_NOW", at)
        monkeypatch.setattr(publish, "_restated", lambda *_: [])
        made.append(publish.publish(settings, AS_OF, "run", [], {})["publication"])
    assert publish.publications(settings) == made and len(set(made)) == 3
    assert publish.current_manifest(settings)["publication"] == made[-1]
    monkeypatch.setenv("KEHU_NOW", "2017-04-02T03:00:00")
    last = publish.publish(settings, AS_OF, "run", [], {})
    assert last["published_at"] == datetime(2017, 4, 2, 3).isoformat()
    assert publish.publications(settings)[-1] == last["publication"]
