"""When dbt may leave the seeds out: only where their tables are what their files say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kehu import transform
from kehu.errors import KehuError
from kehu.files import write_atomically
from kehu.settings import Settings
from kehu.warehouse import make_marts, open_marts


@pytest.fixture
def loaded(tmp_path: Path) -> Settings:
    """A project of two seeds, loaded as a build leaves them."""
    settings = Settings(home=tmp_path / "var", project=tmp_path / "project")
    seeds = settings.project / "seeds"
    seeds.mkdir(parents=True)
    for name in ("param", "reason_map"):
        (seeds / f"{name}.csv").write_text("name\nx\n")
    settings.home.mkdir()
    make_marts(settings)
    with open_marts(settings.marts, read_only=False) as connection:
        connection.execute("create schema if not exists core")
        for name in ("param", "reason_map"):
            connection.execute(f"create table core.{name} as select 'x' as name")
    write_atomically(transform._seeds_mark(settings), transform._seeds_digest(settings))
    return settings


def test_loaded_seeds_stand(loaded: Settings) -> None:
    assert transform._seeds_stand(loaded)
    assert transform._seeds_stand(loaded)


def test_a_changed_seed_is_loaded_even_when_it_is_changed_back(loaded: Settings) -> None:
    """A build may have been killed after it had loaded the change."""
    seed = loaded.project / "seeds" / "param.csv"
    before = seed.read_text()
    seed.write_text("name\ny\n")
    assert not transform._seeds_stand(loaded)
    seed.write_text(before)
    assert not transform._seeds_stand(loaded)


def test_a_new_seed_and_a_lost_table_are_loaded(loaded: Settings) -> None:
    with open_marts(loaded.marts, read_only=False) as connection:
        connection.execute("drop table core.param")
    assert not transform._seeds_stand(loaded)


def test_nothing_stands_before_the_first_build(tmp_path: Path, loaded: Settings) -> None:
    transform._seeds_mark(loaded).unlink()
    assert not transform._seeds_stand(loaded)


def test_a_test_is_found_by_its_name_or_a_beginning_that_only_it_has(loaded: Settings) -> None:
    names = ("assert_sums", "assert_sums_by_day", "unique_key")
    tests = [{"name": name, "path": f"{name}.sql"} for name in names]
    write_atomically(transform.outcome_of(loaded), json.dumps({"tests": tests}))
    folder = loaded.home / "dbt" / "target" / "compiled" / "kehu"
    for name in names:
        write_atomically(folder / f"{name}.sql", f"select '{name}'")
    assert transform.compiled_sql(loaded, "assert_sums") == "select 'assert_sums'"
    assert transform.compiled_sql(loaded, "unique") == "select 'unique_key'"
    with pytest.raises(KehuError, match="begins several: assert_sums, assert_sums_by_day"):
        transform.compiled_sql(loaded, "assert")
    with pytest.raises(KehuError, match="'nonsense' begins none"):
        transform.compiled_sql(loaded, "nonsense")
