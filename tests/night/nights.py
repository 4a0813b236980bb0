"""Running real nights in their own process, and comparing what they leave, row by row."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb

KEHU = str(Path(sys.executable).with_name("kehu"))


def environment(home: Path, landing: Path, **extra: str) -> dict[str, str]:
    return os.environ | {
        "KEHU_HOME": str(home),
        "KEHU_LANDING": str(landing),
        "KEHU_TIMEZONE": "Asia/Shanghai",
        "KEHU_PARAM_SCOPE": "default",
        **extra,
    }


def run(
    home: Path, landing: Path, *arguments: str, check: bool = True, **extra: str
) -> subprocess.CompletedProcess[str]:
    """One `kehu` command, `extra` in its environment; its output is shown where it fails."""
    done = subprocess.run(
        [KEHU, *arguments],
        env=environment(home, landing, **extra),
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"kehu {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


def night(
    home: Path, landing: Path, as_of: date, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return run(home, landing, "night", "--as-of", as_of.isoformat(), *arguments)


def marts_of(home: Path) -> Path:
    return home / "published" / "kehu.duckdb"


# They tell how the files arrived (in which night, by which run, at what time), which is what two
# histories of the same data differ in. Every other table says the same whatever the way.
OPERATIONAL = {
    ("marts", "mart_data_quality"),
    ("marts", "mart_load"),
    ("marts", "mart_freshness"),
}


def differences(left: Path, right: Path) -> list[str]:
    """What differs between two marts files, over every row of every core and mart table.

    Left out are the rows of OPERATIONAL, but both files must have these tables.
    """
    with duckdb.connect() as connection:
        connection.execute(f"attach '{left}' as l (read_only)")
        connection.execute(f"attach '{right}' as r (read_only)")
        tables = {
            name: set(
                connection.execute(
                    "select table_schema, table_name from information_schema.tables "
                    "where table_catalog = ? and table_schema in ('core', 'marts')",
                    [name],
                ).fetchall()
            )
            for name in ("l", "r")
        }
        found = [f"{t}: only on one side" for t in tables["l"] ^ tables["r"]]
        for schema, table in sorted((tables["l"] & tables["r"]) - OPERATIONAL):
            for one, other in (("l", "r"), ("r", "l")):
                query = (
                    f"select * from {one}.{schema}.{table} "
                    f"except all select * from {other}.{schema}.{table}"
                )
                rows = connection.execute(f"select * from ({query}) limit 3").fetchall()
                if rows:
                    count = connection.execute(f"select count(*) from ({query})").fetchall()[0][0]
                    found.append(f"{schema}.{table}: {count} rows only in {one}, such as {rows[0]}")
        if not tables["l"]:
            found.append("nothing to compare")
    return found
