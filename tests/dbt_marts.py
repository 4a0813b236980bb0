"""dbt on a marts file whose core a test has written itself, and the rows that came of it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[1]


def run_dbt(home: Path, as_of: date, *arguments: str) -> None:
    """One dbt command on `home/marts.duckdb`; AssertionError with its output where it fails."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), *arguments,
            "--vars", f"{{as_of_date: '{as_of}'}}",
            "--target-path", str(home / "target"), "--log-path", str(home / "logs"),
        ],
        cwd=ROOT,
        env=os.environ | {
            "DBT_PROFILES_DIR": str(ROOT / "dbt_project"),
            "KEHU_WAREHOUSE": str(home / "warehouse.duckdb"),
            "KEHU_MARTS": str(home / "marts.duckdb"),
            "KEHU_MEMORY_LIMIT": "1GB",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]


def read(home: Path, query: str) -> list[dict[str, Any]]:
    """Rows of `home/marts.duckdb`, by the names of their columns."""
    with duckdb.connect() as con:
        con.execute(f"attach '{home / 'marts.duckdb'}' as marts (read_only)")
        con.execute("use marts")
        result = con.execute(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
