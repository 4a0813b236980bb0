"""What the tests of the scripts share: one landing folder of the whole year, and the contracts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

RunScript = Callable[..., subprocess.CompletedProcess[str]]
Breaches = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def run_script() -> RunScript:
    """Run a script of `scripts/` as a user would, and return what it printed."""

    def run(name: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *options]
        return subprocess.run(command, check=check, capture_output=True, text=True)

    return run


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory, run_script: RunScript) -> Path:
    """Return a landing folder with every drop of the year, real and simulated."""
    folder = tmp_path_factory.mktemp("landing")
    run_script("complete_journey", "--landing", str(folder))
    run_script("simulate_service", "--landing", str(folder))
    return folder


@pytest.fixture(scope="session")
def drops(landing: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection with one table for each feed: all its files, every value as text."""
    con = duckdb.connect()
    for folder in sorted(path for path in landing.iterdir() if path.is_dir()):
        con.execute(
            f"create table {folder.name} as from read_csv('{folder}/*.csv', all_varchar = true,"
            " header = true, filename = true)"
        )
    return con


def duckdb_type(contract_type: str) -> str:
    """Return the DuckDB type to which a value of the contract's type must be castable."""
    if contract_type.startswith("varchar"):
        return "varchar"
    return {"int": "integer", "flag": "integer"}.get(contract_type, contract_type)


@pytest.fixture(scope="session")
def breaches(drops: duckdb.DuckDBPyConnection) -> Breaches:
    """Hold all drops of a feed against its contract, read plainly; return what is wrong."""

    def judge(feed: str) -> list[str]:
        text = (ROOT / "expectations" / "feeds" / f"{feed}.yml").read_text(encoding="utf-8")
        contract: dict[str, Any] = yaml.safe_load(text)
        columns: dict[str, dict[str, Any]] = contract["columns"]
        con = drops.cursor()
        present = {row[0] for row in con.execute(f"describe {feed}").fetchall()} - {"filename"}
        wrong = [f"unknown column {name}" for name in sorted(present - set(columns))]
        rules: dict[str, str] = {}
        typed = ["filename"]
        for name, column in columns.items():
            if name not in present:
                if column.get("required"):
                    wrong.append(f"required column {name} is absent")
                typed.append(f"null::{duckdb_type(column['type'])} as {name}")
                continue
            kind = duckdb_type(column["type"])
            typed.append(f"try_cast({name} as {kind}) as {name}")
            rules[f"{name}: type"] = f"{name} is null or try_cast({name} as {kind}) is not null"
            if column.get("required"):
                rules[f"{name}: required"] = f"{name} is not null"
            if length := re.fullmatch(r"varchar\((\d+)\)", column["type"]):
                rules[f"{name}: length"] = f"length({name}) <= {length[1]}"
            if column["type"] == "flag":
                rules[f"{name}: flag"] = f"{name} in ('0', '1')"
            if allowed := column.get("allowed"):
                listed = ", ".join(f"'{value}'" for value in allowed)
                rules[f"{name}: allowed"] = f"{name} in ({listed})"
            for bound, sign in (("min", ">="), ("max", "<=")):
                if bound in column:
                    rules[f"{name}: {bound}"] = f"try_cast({name} as double) {sign} {column[bound]}"
        counted = ", ".join(f"count_if(not coalesce({rule}, true))" for rule in rules.values())
        counts = con.execute(f"select {counted} from {feed}").fetchone() or ()
        wrong += [
            f"{rule}: {count} rows" for rule, count in zip(rules, counts, strict=True) if count
        ]
        con.execute(f"create or replace temp view typed as select {', '.join(typed)} from {feed}")
        for check in contract.get("checks", []):
            found = con.execute(f"select count_if(not ({check['sql']})) from typed").fetchone()
            if found and found[0]:
                wrong.append(f"{check['id']}: {found[0]} rows")
        key = ", ".join(["filename", *contract["key"]])
        repeated = con.execute(
            f"select count(*) from (select 1 from typed group by {key} having count(*) > 1)"
        ).fetchone()
        if repeated and repeated[0]:
            wrong.append(f"key: {repeated[0]} repeated within a file")
        return wrong

    return judge
