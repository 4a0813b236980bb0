"""The copy through ODBC, as docs/bi.md has it for Excel; skipped where the driver is not installed.

apt-get install odbc-postgresql; pip install pyodbc
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from serve.homes import Home
from serve.servers import Server

from kehu.serve.run import require_served, serve
from kehu.serve.target import Options
from kehu.settings import PROJECT

DRIVER = "PostgreSQL Unicode"


@pytest.fixture
def pyodbc() -> Any:
    """The module, with a driver to it."""
    found = pytest.importorskip("pyodbc", reason="pyodbc is not installed")
    if DRIVER not in found.drivers():
        pytest.skip(f"the ODBC driver {DRIVER!r} is not installed (Debian: odbc-postgresql)")
    return found


def of_the_page() -> str:
    """The connection string of docs/bi.md, which names the driver as Windows does."""
    page = (PROJECT / "docs" / "bi.md").read_text(encoding="utf-8")
    [text] = re.findall(r"^Driver=.*$", page, re.M)
    return str(text)


def test_the_string_of_the_page_holds_no_login() -> None:
    assert not re.search("uid|pwd|UseDeclareFetch", of_the_page(), re.I)


def test_a_table_is_read_whole_and_holds_nothing_up(home: Home, pg: Server, pyodbc: Any) -> None:
    def copy() -> None:
        options = Options(with_facts=False, role="kehu_reader", prefix="", wait=3)
        require_served(serve(home.settings, "run", to=[pg.url], options=options))

    copy()
    text = of_the_page().replace("PostgreSQL Unicode(x64)", DRIVER)
    text = text.replace("Server=host", f"Server={pg.host}").replace(
        "Database=bi", f"Database={pg.name}"
    )
    connection = pyodbc.connect(f"{text};Uid=bi", autocommit=True)
    cursor = connection.cursor()
    cursor.execute("select customer_id, as_of_date, is_latest, net_sales, visits "
                   "from marts.mart_customer_value order by 1, 2")  # fmt: skip
    rows = [cursor.fetchone()]
    home.publish()
    copy()  # beside a result that is not read to its end
    rows += cursor.fetchall()
    assert len(rows) == 600 and {row.visits for row in rows} == {1}
    assert tuple(rows[0]) == ("M1", date(2024, 1, 31), False, Decimal("1.05"), 1)
    cursor.execute("select distinct visits from marts.mart_customer_value")
    assert [tuple(row) for row in cursor.fetchall()] == [(2,)]
    with pytest.raises(pyodbc.Error, match=r"read-?only"):
        cursor.execute("delete from marts.mart_churn")
    connection.close()
