"""Q4 through the feeds: two members become one customer and two again, and nothing remembers it.

One house is built twice: as if it had never been, then with the merge (late, and dated back) and
the corrected number. Numbers are computed by hand from `SALES`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from houses import House

from kehu import night
from kehu.warehouse import open_marts

AS_OF = date(2017, 3, 31)
FEBRUARY = date(2017, 2, 28)
BEFORE = "2016-12-31 12:00:00"

MEMBER = "member_id,name,gender,phone,birth_date,enrolled_on,customer_type,status,updated_at\n"
MEMBERS = (
    f"{MEMBER}M1,王芳,F,13812345671,1980-05-06,2016-01-01,PERSON,ACTIVE,{BEFORE}\n"
    f"M2,王 芳,F,13812345672,,2016-05-01,PERSON,ACTIVE,{BEFORE}\n"
    f"M3,李强,M,13812345671,1979-02-03,2016-06-01,PERSON,ACTIVE,{BEFORE}\n"
    f"M4,赵敏,F,13812345674,,2016-07-01,PERSON,ACTIVE,{BEFORE}\n"
)
# M2's number was typed as M1's: dated January, but delivered in March with its correction to come
MERGED = f"{MEMBER}M2,王 芳,F,+86 138-1234-5671,,2016-05-01,PERSON,ACTIVE,2017-01-15 10:00:00\n"
PARTED = f"{MEMBER}M2,王 芳,F,13812345672,,2016-05-01,PERSON,ACTIVE,2017-03-10 10:00:00\n"
CARDS = "card_no,member_id,card_type,issued_on,status,updated_at\n" + "".join(
    f"K00{n},M{n},{'STAFF' if n == 4 else 'POINTS'},2016-12-01,ACTIVE,{BEFORE}\n"
    for n in range(1, 5)
)
STORES = (
    f"store_code,name,format,is_test,updated_at\nS1,一店,SUPERMARKET,0,{BEFORE}\n"
    f"S2,二店培训,SUPERMARKET,0,{BEFORE}\n"
)
PRODUCTS = (
    "sku_code,name,uom,is_weighed,is_revenue,is_bag,vat_rate,status,updated_at\n"
    f"P1,牛奶,EA,0,1,0,0.13,ACTIVE,{BEFORE}\n"
)
SALES = [  # day, card, net amount, store
    ("2017-01-10", "K001", "10.00", "S1"),
    ("2017-01-20", "K002", "20.00", "S1"),
    ("2017-02-10", "K001", "40.00", "S1"),
    ("2017-02-10", "K002", "80.00", "S1"),
    ("2017-02-20", "K003", "160.00", "S1"),
    ("2017-03-20", "K002", "320.00", "S1"),
    ("2017-03-20", "K004", "640.00", "S1"),
    ("2017-03-21", "", "1280.00", "S1"),
    ("2017-03-21", "K001", "2560.00", "S2"),
]
LINES = (
    "store_code,business_date,till_no,receipt_no,line_no,sold_at,receipt_type,status,channel,card_no,"
    "sku_code,qty,gross_amount,discount_amount,net_amount,cost_amount,void_flag\n"
) + "".join(
    f"{store},{day},1,R{n},1,{day} 10:00:00,SALE,COMPLETED,STORE,{card},P1,1,{net},0,{net},1.00,0\n"
    for n, (day, card, net, store) in enumerate(SALES)
)

Rows = list[tuple[Any, ...]]


def build(house: House, *drops: tuple[str, str, str]) -> None:
    for feed, text, name in drops:
        house.drop(feed, text, name)
    taken = house.take_in(as_of=AS_OF)
    assert {b["status"] for b in taken.values()} == {"UNVERIFIED"}, taken  # without manifests
    night.transform("core", AS_OF, night.new_run_id(house.settings))


def ask(house: House, query: str) -> Rows:
    with open_marts(house.settings.marts) as connection:
        return connection.execute(query).fetchall()


def months(house: House, day: date) -> Rows:
    """Every measure of every customer at a date, and what stands beside it; not the digest."""
    tables = ("fct_customer_month", "fct_customer_promotion", "fct_customer_voice")
    found: Rows = []
    for table in tables:
        columns = [
            name
            for (name,) in ask(
                house,
                "select column_name from information_schema.columns where table_catalog = 'kehu' "
                f"and table_name = '{table}' and column_name <> 'input_digest'",
            )
        ]
        found += ask(
            house,
            f"select '{table}', {', '.join(columns)} from core.{table} "
            f"where as_of_date = '{day}' order by customer_id",
        )
    visits = (
        "select customer_id, visit_on, net_amount, count_sale_receipts from core.fct_visit "
        f"where known_from <= date '{day}' and date '{day}' < known_to order by all"
    )
    facts = "select customer_id, card_key, net_amount from core.fct_receipt order by all"
    return found + ask(house, visits) + ask(house, facts)


def sales(house: House, day: date) -> dict[str, tuple[int, Decimal, str | None]]:
    """Visits, net sales and reason of exclusion by customer."""
    return {
        customer: (visits, net, reason)
        for customer, visits, net, reason in ask(
            house,
            "select customer_id, count_visits_365d, net_sales_365d, excluded_reason "
            f"from core.fct_customer_month where as_of_date = '{day}'",
        )
    }


@pytest.mark.dirt(
    rule=15,
    example="王芳 and 王 芳 with one telephone number, delivered late, corrected two months after",
    outcome="repaired: one customer for the dates on which the number was known, two again after",
)
@pytest.mark.dirt(
    rule=15,
    example="王芳 and 李强 with one telephone number",
    outcome="flagged: two customers of one household",
)
def test_merge_then_unmerge_restores_every_metric(house: House) -> None:
    """Invariant 5, and honesty about time: each date knows what was written until then."""
    build(
        house,
        ("member", MEMBERS, "a.csv"),
        ("member_card", CARDS, "a.csv"),
        ("store", STORES, "a.csv"),
        ("product", PRODUCTS, "a.csv"),
        ("sales_line", LINES, "a.csv"),
    )
    never = months(house, AS_OF)
    assert sales(house, FEBRUARY) == {
        "M1": (2, Decimal(50), None),
        "M2": (2, Decimal(100), None),
        "M3": (1, Decimal(160), None),
        "M4": (0, Decimal(0), "STAFF_CARD"),
    }

    build(house, ("member", MERGED, "b.csv"), ("member", PARTED, "c.csv"))
    assert sales(house, FEBRUARY) == {
        # 10 January and 20 January apart, 10 February one visit of both cards
        "M1": (3, Decimal(150), None),
        "M3": (1, Decimal(160), None),
        "M4": (0, Decimal(0), "STAFF_CARD"),
    }
    assert months(house, AS_OF) == never
    assert ask(
        house,
        "select customer_id, match_reason, valid_from, valid_to "
        "from core.bridge_customer_identity where card_no = 'K002' and not is_inferred order by 3",
    ) == [
        ("M2", None, date(2016, 12, 31), date(2017, 1, 15)),
        ("M1", "SAME_NAME", date(2017, 1, 15), date(2017, 3, 10)),
        ("M2", None, date(2017, 3, 10), date(9999, 12, 31)),
    ]
    assert ask(
        house,
        "select customer_id, household_id, merged_into from core.dim_customer_history "
        "where customer_id like 'M%' and valid_from <= date '2017-02-28' "
        "and valid_to > date '2017-02-28' order by 1",
    ) == [
        ("M1", "household:M1", None),
        ("M2", "household:M1", "M1"),
        ("M3", "household:M1", None),
        ("M4", None, None),
    ]

    # nothing is lost on the way: identified and scored + anonymous + left out = all
    assert ask(
        house,
        """select
            sum(line.net_amount),
            sum(line.net_amount) filter (line.card_key = -2),
            sum(line.net_amount) filter (store.is_test),
            sum(line.net_amount) filter (month.excluded_reason is not null and not store.is_test)
        from core.fct_sales_line as line
        inner join core.dim_store as store using (store_key)
        left join core.fct_customer_month as month
            on line.customer_id = month.customer_id and month.as_of_date = date '2017-03-31'""",
    ) == [(Decimal(5110), Decimal(1280), Decimal(2560), Decimal(640))]
    assert sum(net for _, net, _ in sales(house, AS_OF).values()) == Decimal(5110 - 1280 - 2560)
    assert ask(
        house,
        "select check_id, store_code, subject, count_checked, count_failed "
        "from core.fct_quality_finding where as_of_date = date '2017-03-31' "
        "and check_id in ('store_is_real', 'customer_is_scored', 'phone_usable') order by 1, 2",
    ) == [
        ("customer_is_scored", "ALL", "STAFF_CARD", 4, 1),
        ("phone_usable", "ALL", "phone OK", 4, 0),
        ("store_is_real", "S1", "is_test", 3, 0),
        ("store_is_real", "S2", "is_test", 1, 1),
    ]

    # no number and no name leaves the private schema
    assert not house.query(
        "select table_schema, table_name, column_name from information_schema.columns "
        "where table_schema not in ('pii', 'quarantine', 'ops', 'information_schema') "
        "and (column_name like '%phone_key%' or column_name in ('name_key', 'birth_date'))"
    )
