"""The bundle of dashboards against the models: no Superset needed."""

from __future__ import annotations

import copy
import io
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "scripts"))

import superset_bundle as bundle  # noqa: E402
import superset_stack  # noqa: E402

Files = dict[str, dict[str, Any]]
FEEDS = {"survey_answer", "complaint", "complaint_event"}


@pytest.fixture(scope="module")
def files() -> Files:
    return bundle.read()


def test_the_committed_files_are_what_follows_from_the_models(files: Files) -> None:
    for name, content in bundle.written(files).items():
        text = (bundle.BUNDLE / name).read_text(encoding="utf-8")
        assert text == bundle.dump(content), f"{name} is stale: scripts/superset_bundle.py"


def test_every_mart_column_metric_and_date_is_in_order(files: Files) -> None:
    assert list(bundle.problems(files)) == []


def first(files: Files, kind: str, has: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
    return next(c for n, c in files.items() if n.startswith(kind + "/") and has(c))


def unknown_mart(files: Files) -> None:
    first(files, "datasets")["table_name"] = "mart_of_dreams"


def unknown_column_in_a_metric(files: Files) -> None:
    metric = first(files, "datasets")["metrics"][0]
    metric["expression"] = "CASE WHEN COUNT(*) = 1 THEN MAX(of_dreams) END"


def a_bare_sum(files: Files) -> None:
    metric = first(files, "datasets")["metrics"][0]
    metric["expression"] = "SUM(value_total)"


def a_guard_of_another_column(files: Files) -> None:
    content = first(files, "datasets", lambda c: c["table_name"] == "mart_customer_value")
    content["metrics"][0]["expression"] = (
        "CASE WHEN MIN(customer_id) = MAX(customer_id) THEN COUNT(*) END"
    )


def unknown_metric(files: Files) -> None:
    first(files, "charts", lambda c: c["viz_type"] == "big_number_total")["params"]["metric"] = "x"


def unknown_column_of_a_chart(files: Files) -> None:
    first(files, "charts", lambda c: "x_axis" in c["params"])["params"]["x_axis"] = "of_dreams"


def a_metric_made_on_the_spot(files: Files) -> None:
    chart = first(files, "charts", lambda c: "metrics" in c["params"])
    chart["params"]["metrics"] = [{"expressionType": "SQL", "sqlExpression": "SUM(n)"}]


def a_title_without_an_id(files: Files) -> None:
    first(files, "charts")["slice_name"] = "Nice picture"


def a_title_with_a_foreign_id(files: Files) -> None:
    first(files, "charts")["slice_name"] += " (Q9)"


def a_description_without_an_id(files: Files) -> None:
    first(files, "charts")["description"] = "Nice."


def the_filter_of_dates_spares_a_chart(files: Files) -> None:
    dashboard = first(files, "dashboards", lambda c: c["slug"] == "kehu-value")
    scope = dashboard["metadata"]["native_filter_configuration"][0]["scope"]
    scope["excluded"] = [c["meta"]["chartId"] for c in bundle.charts_of(dashboard)]


def the_filter_of_stores_reaches_all(files: Files) -> None:
    dashboard = first(files, "dashboards", lambda c: c["slug"] == "kehu-value")
    dashboard["metadata"]["native_filter_configuration"][1]["scope"]["excluded"] = []


def a_chart_of_nowhere(files: Files) -> None:
    first(files, "charts")["uuid"] = "00000000-0000-0000-0000-000000000000"


def a_path_of_a_machine(files: Files) -> None:
    first(files, "databases")["sqlalchemy_uri"] = "duckdb:////home/me/kehu.duckdb"


def chart(files: Files, name: str) -> dict[str, Any]:
    return files[f"charts/{name}.yaml"]


def dashboard_filter(files: Files, name: str, key: str) -> dict[str, Any]:
    given = files[f"dashboards/{name}.yaml"]["metadata"]["native_filter_configuration"]
    return next(each for each in given if each["id"] == f"NATIVE_FILTER-{key}")


def without(files: Files, name: str, column: str) -> None:
    """Take the filters on a column from a chart."""
    params = chart(files, name)["params"]
    kept = [each for each in params["adhoc_filters"] if each["subject"] != column]
    assert kept != params["adhoc_filters"]
    params["adhoc_filters"] = kept


def a_dataset_without_a_chart(files: Files) -> None:
    content = copy.deepcopy(first(files, "datasets"))
    files["datasets/idle.yaml"] = content | {"uuid": "00000000-0000-0000-0000-000000000000"}


def a_unit_without_a_format(files: Files) -> None:
    first(files, "datasets")["metrics"][0]["extra"]["unit"] = "furlongs"


def an_effect_without_its_base(files: Files) -> None:
    chart(files, "service_recovery")["params"]["metrics"].remove("matched_repurchase_rate")


def a_share_without_its_n(files: Files) -> None:
    chart(files, "loyalty_trend")["params"]["metrics_b"].remove("count_nps_known")


def a_big_number_without_its_n(files: Files) -> None:
    chart(files, "loyalty_asked")["params"]["metric"] = "count_customers"


def the_company_among_its_stores(files: Files) -> None:
    without(files, "service_recovery", "store_code")


def small_samples_among_large_ones(files: Files) -> None:
    without(files, "loyalty_nps_stores", "is_small_sample")


def an_unfinished_month_in_a_trend(files: Files) -> None:
    without(files, "churn_trend", "is_partial_period")


def an_unfinished_month_that_nobody_tells(files: Files) -> None:
    content = chart(files, "churn_rate")
    content["description"] = content["description"].replace("since the last month-end", "monthly")


def month_ends_among_nights(files: Files) -> None:
    without(files, "quality_trend", "rule_kind")


def month_ends_offered_as_nights(files: Files) -> None:
    dashboard_filter(files, "data_quality", "night")["adhoc_filters"] = []


def a_filter_that_takes_what_comes_first(files: Files) -> None:
    dashboard_filter(files, "loyalty", "origin")["controlValues"]["defaultToFirstItem"] = True


def the_first_date_in_place_of_the_last(files: Files) -> None:
    dashboard_filter(files, "loyalty", "as-of")["controlValues"]["sortAscending"] = True


def a_year_that_nobody_tells(files: Files) -> None:
    chart(files, "service_sla")["params"]["subtitle"] = ""


def all_stores_that_nobody_tells(files: Files) -> None:
    content = chart(files, "value_clv")
    content["description"] = content["description"].replace("All stores.", "")


@pytest.mark.parametrize(
    "harm",
    [
        unknown_mart,
        unknown_column_in_a_metric,
        a_bare_sum,
        a_guard_of_another_column,
        unknown_metric,
        unknown_column_of_a_chart,
        a_metric_made_on_the_spot,
        a_title_without_an_id,
        a_title_with_a_foreign_id,
        a_description_without_an_id,
        the_filter_of_dates_spares_a_chart,
        the_filter_of_stores_reaches_all,
        a_chart_of_nowhere,
        a_path_of_a_machine,
        a_dataset_without_a_chart,
        a_unit_without_a_format,
        an_effect_without_its_base,
        a_share_without_its_n,
        a_big_number_without_its_n,
        the_company_among_its_stores,
        small_samples_among_large_ones,
        an_unfinished_month_in_a_trend,
        an_unfinished_month_that_nobody_tells,
        month_ends_among_nights,
        month_ends_offered_as_nights,
        a_filter_that_takes_what_comes_first,
        the_first_date_in_place_of_the_last,
        a_year_that_nobody_tells,
        all_stores_that_nobody_tells,
    ],
    ids=lambda harm: harm.__name__,
)
def test_what_is_broken_is_found(files: Files, harm: Callable[[Files], None]) -> None:
    broken = copy.deepcopy(files)
    harm(broken)
    assert list(bundle.problems(broken))


def test_the_documentation_names_the_metrics_of_each_dashboard(files: Files) -> None:
    page = (PROJECT / "docs/superset.md").read_text(encoding="utf-8")
    told = {
        files[name]["dashboard_title"].lower(): bundle.ids_shown(files)[
            name.removeprefix("dashboards/").removesuffix(".yaml")
        ]
        for name in files
        if name.startswith("dashboards/")
    }
    rows = dict(re.findall(r"^\| (\S+ [a-z ]+) \| .+ \| ([A-Z]\d.*) \|$", page, re.MULTILINE))
    assert len(rows) == len(told)
    for title, cell in rows.items():
        ids = next(ids for each, ids in told.items() if each.startswith(title.split()[0]))
        assert listed(cell) == ids, title


def listed(cell: str) -> set[str]:
    """The ids of `P1, P4 to P6`."""
    found: set[str] = set()
    for kind, start, end in re.findall(r"([A-Z])(\d+)(?: to [A-Z](\d+))?", cell):
        found |= {f"{kind}{number}" for number in range(int(start), int(end or start) + 1)}
    return found


def titles(files: Files) -> dict[str, str]:
    return {n: c["slice_name"] for n, c in files.items() if n.startswith("charts/")}


def test_charts_on_simulated_data_say_so(files: Files) -> None:
    none, some = titles(bundle.marked(files, ())), titles(bundle.marked(files, FEEDS))
    every = titles(bundle.marked(files, {"sales_line"} | FEEDS))
    assert not any(bundle.MARK in title for title in none.values())
    assert bundle.MARK in some["charts/value_abc.yaml"]  # it shows the NPS of each class
    assert bundle.MARK not in some["charts/value_gini.yaml"]
    assert bundle.MARK in every["charts/value_gini.yaml"]
    for name, content in bundle.marked(files, FEEDS).items():
        if name.startswith("charts/"):
            assert (bundle.MARK in content["description"]) == (bundle.MARK in content["slice_name"])
        if name.startswith("dashboards/"):
            shown = {c["meta"]["uuid"]: c["meta"]["sliceName"] for c in bundle.charts_of(content)}
            assert set(shown.values()) <= set(some.values())


def test_the_place_is_put_in_at_the_import(files: Files) -> None:
    ours = bundle.assemble("duckdb:////somewhere/kehu.duckdb", ())
    theirs = bundle.assemble("postgresql+psycopg2://reader@host/kehu", ())
    assert "sqlalchemy_uri: duckdb:////somewhere/kehu.duckdb" in ours["databases/kehu.yaml"]
    assert "read_only: true" in ours["databases/kehu.yaml"]
    assert "postgresql+psycopg2://reader@host/kehu" in theirs["databases/kehu.yaml"]
    assert "read_only" not in theirs["databases/kehu.yaml"]
    assert set(ours) == set(theirs) == set(files)


def exported(files: Files, start: int) -> bytes:
    """The bundle as a Superset exports it: with marks, and the numbers that it gave to the charts."""
    marked = copy.deepcopy(bundle.marked(files, FEEDS))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in marked.items():
            if name.startswith("dashboards/"):
                numbers = {}
                for child in bundle.charts_of(content):
                    start += 1
                    numbers[child["meta"]["chartId"]] = child["meta"]["chartId"] = start
                for each in content["metadata"]["native_filter_configuration"]:
                    each["scope"]["excluded"] = [numbers[n] for n in each["scope"]["excluded"]]
                    each["chartsInScope"] = sorted(numbers.values())
            if name.startswith("charts/"):
                content["params"] |= {"datasource": "3__table", "slice_id": 12}
                content["query_context"] = "{}"
            archive.writestr(f"assets_export/{name}", bundle.dump(content))
    return out.getvalue()


def test_what_is_exported_is_what_was_imported(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "superset"
    shutil.copytree(bundle.BUNDLE, folder)
    assert superset_stack.write_back(exported(files, 4000), folder) == []
    changed = copy.deepcopy(files)
    changed["charts/value_abc.yaml"]["params"]["row_limit"] = 7
    assert superset_stack.write_back(exported(changed, 0), folder) == ["charts/value_abc.yaml"]
    assert bundle.read(folder)["charts/value_abc.yaml"] == changed["charts/value_abc.yaml"]


def publish(home: Path, night: int) -> None:
    """A publication that holds one number, put in place as Kehu does: by renaming a link."""
    folder = home / f"publications/{night}"
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "kehu.duckdb")) as connection:
        connection.execute(f"create table night as select {night} as no")
    (home / "new").symlink_to(f"publications/{night}")
    os.replace(home / "new", home / "published")


def test_a_new_connection_reads_the_new_night_while_an_old_one_reads(tmp_path: Path) -> None:
    """What Superset's connection for each query rests on, within one process and through the link."""

    def opened() -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(tmp_path / "published/kehu.duckdb"), read_only=True)

    def night(connection: duckdb.DuckDBPyConnection) -> int:
        return int(connection.execute("select no from night").fetchall()[0][0])

    publish(tmp_path, 1)
    with opened() as early:
        publish(tmp_path, 2)
        with opened() as late:
            assert (night(early), night(late)) == (1, 2)
