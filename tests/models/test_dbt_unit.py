"""The unit tests of the dbt models, run once against a warehouse that a real night has built."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from kehu import night, transform
from kehu.settings import Settings

AS_OF = date(2017, 3, 31)
UPDATED = "2017-01-01 00:00:00"

DROPS = {
    "store": f"store_code,name,format,is_test,updated_at\nS1,One,SUPERMARKET,0,{UPDATED}\n",
    "product": (
        "sku_code,name,uom,is_weighed,is_revenue,is_bag,status,updated_at\n"
        f"P1,Milk,EA,0,1,0,ACTIVE,{UPDATED}\n"
    ),
    "member": (
        f"member_id,enrolled_on,customer_type,status,updated_at\nM1,2016-12-31,PERSON,ACTIVE,{UPDATED}\n"
    ),
    "member_card": (
        "card_no,member_id,card_type,issued_on,status,updated_at\n"
        f"K1,M1,POINTS,2016-12-31,ACTIVE,{UPDATED}\n"
    ),
    "sales_line": (
        "store_code,business_date,till_no,receipt_no,line_no,sold_at,receipt_type,status,channel,"
        "card_no,sku_code,qty,gross_amount,discount_amount,net_amount,void_flag\n"
        "S1,2017-03-30,1,R1,1,2017-03-30 10:00:00,SALE,COMPLETED,STORE,K1,P1,2,12.00,2.00,10.00,0\n"
    ),
}


@pytest.fixture
def built(house: Any, capsys: pytest.CaptureFixture[str]) -> tuple[Settings, dict[str, Any]]:
    """A warehouse with one receipt, and the report of the night that built it."""
    for feed, text in DROPS.items():
        house.drop(feed, text)
    return house.settings, night.night(AS_OF)


def test_every_dbt_unit_test(
    built: tuple[Settings, dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    settings, report = built
    record_property("dbt_data_tests", report["core"]["tests"] + report["marts"]["tests"])
    done = transform.run_dbt(settings, ["test", "--select", "test_type:unit"], AS_OF)
    results = transform.outcome_of(settings)
    assert results.exists(), done.stdout[-3000:]
    ran = [
        result
        for result in json.loads(results.read_text())["results"]
        if result["unique_id"].startswith("unit_test.")
    ]
    record_property("dbt_unit_tests", len(ran))
    failed = [
        f"{result['unique_id'].split('.', 2)[2]}: {result['message']}"
        for result in ran
        if result["status"] != "pass"
    ]
    assert not failed, "\n".join(failed)
    assert len(ran) >= 20, "the unit tests of the definitions are gone"
