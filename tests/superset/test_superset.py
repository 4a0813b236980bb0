"""Superset itself: import, every chart's query, each dashboard as a person sees it.

`make test-superset` installs Superset and runs this, on the publication of KEHU_HOME where there is
one, else on one that it makes. KEHU_SUPERSET_PICTURES names a folder for the screenshots.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path += [str(PROJECT / "scripts"), str(Path(__file__).parent)]

import superset_browser as browser  # noqa: E402
import superset_queries as queries  # noqa: E402

import superset_bundle as bundle  # noqa: E402
import superset_stack  # noqa: E402

pytestmark = pytest.mark.superset

# Charts that may be empty, or show nothing but NULL, and why.
MAY_BE_EMPTY = {
    "churn_at_risk": "value at risk: no churn model was better than the baselines, or none was fitted "
    "(p_churn_missing_reason stands in the table)",
    "quality_gaps": "no expected day is missing",
    "quality_list": "no rule found anything in the night",
    "loyalty_tolerance": "nobody had a quality incident",
    "loyalty_cohorts": "nobody's first visit was seen: all enrolled before the data begin",
    "loyalty_repurchase": "the same",
    "loyalty_nps_stores": "no store has min_n answers in a wave",
    "service_recovery": "no store has min_n_complaint watched complaints",
    "value_profitable": "the value is sales, which show no loss",
}


@dataclass
class Served:
    """A Superset with the dashboards of a publication, and what it serves."""

    stack: superset_stack.Stack
    client: Any
    home: Path

    @property
    def file(self) -> Path:
        return self.home / "published" / "kehu.duckdb"

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """The second way: the published file itself."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def ask(self, owner: int, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer of the REST API to one query on a dataset."""
        body = {
            "datasource": {"id": owner, "type": "table"},
            "queries": [asked],
            "result_format": "json",
            "result_type": "full",
        }
        answer = self.client.post("/chart/data", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["result"][0])


def run(home: Path, *command: str) -> str:
    """Run scripts/superset_stack.py on `home` and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "scripts/superset_stack.py"), *command, "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def publication(request: pytest.FixtureRequest) -> Path:
    """A published file: that of KEHU_HOME, or of each third household of the demo's year."""
    given = Path(os.environ.get("KEHU_HOME") or "var") / "published" / "kehu.duckdb"
    if given.exists():
        return given.resolve()
    return Path(request.getfixturevalue("demo_year").home) / "published" / "kehu.duckdb"


@pytest.fixture(scope="session")
def home(publication: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own around the published file: what is published anew here, nobody else reads."""
    folder = tmp_path_factory.mktemp("superset") / "home"
    first = folder / "publications/first"
    first.mkdir(parents=True)
    shutil.copy(publication, first / "kehu.duckdb")
    (folder / "published").symlink_to("publications/first")
    return folder


@pytest.fixture(scope="session")
def served(home: Path) -> Iterator[Served]:
    said = run(home, "up", "--port", str(superset_stack.free_port()))
    try:
        stack = superset_stack.Stack(home)
        assert stack.state["password"] in said
        with stack.client() as client:
            yield Served(stack, client, home)
    finally:
        run(home, "down")
    assert stack.processes() == []


@pytest.fixture(scope="session")
def dashboards(served: Served) -> list[dict[str, Any]]:
    """The dashboards as Superset has them: id, slug, filters, charts with their forms."""
    found = []
    files = {c["uuid"]: n for n, c in bundle.read().items() if n.startswith("charts/")}
    for each in listed(served, "dashboard"):
        whole = served.client.get(f"/dashboard/{each['id']}").json()["result"]
        metadata = bundle.load(whole["json_metadata"])
        charts = []
        for chart in served.client.get(f"/dashboard/{each['id']}/charts").json()["result"]:
            detail = served.client.get(f"/chart/{chart['id']}").json()["result"]
            charts.append(
                {
                    "id": chart["id"],
                    "title": detail["slice_name"],
                    "name": files[detail["uuid"]].split("/")[1].removesuffix(".yaml"),
                    "params": bundle.load(detail["params"]),
                    "owner": int(chart["form_data"]["datasource"].split("__")[0]),
                }
            )
        found.append(
            {
                "id": each["id"],
                "slug": whole["slug"],
                "filters": metadata["native_filter_configuration"],
                "charts": charts,
            }
        )
    return found


def listed(served: Served, kind: str) -> list[dict[str, Any]]:
    answer = served.client.get(f"/{kind}/", params={"q": "(page_size:200)"}).json()
    return list(answer["result"])


def chosen(
    served: Served, dashboard: dict[str, Any], chart: dict[str, Any]
) -> list[dict[str, Any]]:
    """What the filters of a dashboard say to a chart when nobody has touched them."""
    said = []
    for each in dashboard["filters"]:
        if chart["id"] in each["scope"]["excluded"]:
            continue
        column = each["targets"][0]["column"]["name"]
        if each["controlValues"]["defaultToFirstItem"]:
            asked = {
                "filters": queries.filters(each),
                "columns": [column],
                "metrics": [],
                "orderby": [[column, False]],
                "row_limit": 1,
            }
            first = served.ask(each["targets"][0]["datasetId"], asked)["data"][0][column]
            said.append({"col": column, "op": "IN", "val": [first]})
        else:
            said += each["defaultDataMask"]["extraFormData"].get("filters", [])
    return said


def fault(asked: dict[str, Any], answer: dict[str, Any]) -> str | None:
    """What is wrong with the answer to a query: an error, no row, or a metric without any number."""
    if answer.get("error"):
        return str(answer["error"])
    if not answer["data"]:
        return "no row"
    for metric in asked["metrics"]:
        if all(row.get(metric) is None for row in answer["data"]):
            return f"{metric} is NULL in all of {len(answer['data'])} rows"
    return None


def is_drawn(asked: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether an answer to a page holds a number; series stand in columns named after themselves."""
    axes = {each["column_name"] for each in answer_columns(asked | {"metrics": []})}
    rows = [] if answer.get("error") else answer["data"]
    return any(v is not None for row in rows for k, v in row.items() if k not in axes)


def test_every_chart_answers(served: Served, dashboards: list[dict[str, Any]]) -> None:
    faults, empty = {}, set()
    for dashboard in dashboards:
        for chart in dashboard["charts"]:
            for asked in queries.queries(chart["params"]):
                asked["filters"] += chosen(served, dashboard, chart)
                answer = served.ask(chart["owner"], asked)
                found = fault(asked, answer)
                if found and chart["name"] in MAY_BE_EMPTY and not answer.get("error"):
                    empty.add(chart["name"])
                elif found:
                    faults[chart["name"]] = found
    assert not faults
    for name in empty:
        print(f"{name}: {MAY_BE_EMPTY[name]}")
    drawn = sum(len(each["charts"]) for each in dashboards)
    assert drawn == len([n for n in bundle.read() if n.startswith("charts/")])


def test_a_sum_over_dates_is_no_number(served: Served, dashboards: list[dict[str, Any]]) -> None:
    """Without the filter of dates, no metric of a chart that has it gives a number (or its check is dull)."""
    for dashboard in dashboards:
        dates = [f for f in dashboard["filters"] if f["controlValues"]["defaultToFirstItem"]]
        excluded = dates[0]["scope"]["excluded"]
        for chart in dashboard["charts"]:
            if chart["id"] in excluded or chart["params"]["viz_type"] != "big_number_total":
                continue
            asked = queries.query(chart["params"])
            assert fault(asked, served.ask(chart["owner"], asked)), chart["title"]


# The second way to a few numbers: what the chart shows first, and the same from the published file.
LATEST = "is_latest and store_code = 'ALL'"
SAME = {
    "value_customers": f"select n_customers from marts.mart_concentration where {LATEST}",
    "value_gini": f"select gini from marts.mart_concentration where {LATEST}",
    "value_pyramid": f"""
        select tier, pct_customers, pct_value from marts.mart_segment_structure
        where {LATEST} and scheme = 'PYR_1_19_30_50' and ranking_scope = 'COMPANY'
    """,
    "value_rfm": """
        select r_score, f_score, count(*) from marts.mart_customer_value
        where is_latest and r_score is not null group by all
    """,
    "value_clv": """
        select rfm_segment, count(*), count(clv_24m), sum(value_365d), sum(clv_24m)
        from marts.mart_customer_value where is_latest and rfm_segment is not null group by all
    """,
    "value_trend": """
        select epoch_ms(as_of_date), top_1_share, top_20_share, gini
        from marts.mart_concentration where store_code = 'ALL'
    """,
}


SAME |= {
    "loyalty_types": f"""
        select loyalty_class, class_share, weighted_share from marts.mart_loyalty_structure
        where {LATEST} and scheme = 'LOYALTY_TYPE' and loyalty_class <> 'UNKNOWN'
    """,
    "loyalty_nps": f"""
        select epoch_ms(wave_start_on), survey_id, value, lo, hi from marts.mart_satisfaction
        where {LATEST} and metric = 'NPS' and segment = 'ALL' and weighting = 'UNWEIGHTED'
    """,
    "churn_rate": f"""
        select churn_rate from marts.mart_churn_rate where {LATEST} and pyramid_tier = 'ALL'
    """,
    "churn_repurchase": f"""
        select repurchase_rate from marts.mart_churn_rate where {LATEST} and pyramid_tier = 'ALL'
    """,
    "churn_trend": """
        select epoch_ms(as_of_date), churn_rate, churn_rate_lo, churn_rate_hi
        from marts.mart_churn_rate
        where store_code = 'ALL' and pyramid_tier = 'ALL'
            and as_of_date = last_day(as_of_date)
    """,
    "churn_stages": """
        select lifecycle_stage, count(*) from marts.mart_churn where is_latest group by all
    """,
    "churn_reasons": f"""
        select reason_code, reason_source, mention_pct from marts.mart_churn_reason
        where {LATEST} and period = 'YEAR'
    """,
    "service_sla": f"""
        select response_sla_met_share from marts.mart_service_recovery
        where {LATEST} and window_code = 'YEAR' and level_code = 'ALL' and reason_code = 'ALL'
    """,
    "service_days": f"""
        select epoch_ms(received_on), count_complaints, expected_count
        from marts.mart_complaint_day where {LATEST} and reason_code = 'ALL'
    """,
    "service_recovery": """
        select
            store_code, count_complaints, count_recovery_matured, count_control,
            matched_repurchase_rate, control_repurchase_rate,
            matched_repurchase_rate - control_repurchase_rate,
            net_repurchase_effect_lo, net_repurchase_effect_hi
        from marts.mart_service_recovery
        where is_latest and window_code = 'YEAR' and level_code = 'ALL' and reason_code = 'ALL'
            and store_code <> 'ALL' and not is_recovery_small_n
    """,
    "quality_failed": """
        select count(*) from marts.mart_data_quality
        where not is_passed and checked_on = (
            select max(checked_on) from marts.mart_data_quality where rule_kind <> 'FINDING'
        )
    """,
    "quality_trend": """
        select epoch_ms(checked_on), severity, count(*) filter (not is_passed)
        from marts.mart_data_quality where rule_kind <> 'FINDING' group by all
    """,
    "quality_loads": """
        select
            feed, status, is_simulated, count(*), sum(count_rows_in), sum(count_accepted),
            sum(count_quarantined), sum(count_replaced), sum(count_superseded),
            sum(count_skipped), sum(count_refused)
        from marts.mart_load group by all
    """,
}


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows to be compared: numbers as floats, in an order."""

    def plain(value: Any) -> Any:
        return value if value is None or isinstance(value, str) else round(float(value), 4) + 0.0

    return sorted((tuple(map(plain, row)) for row in rows), key=str)


@pytest.mark.parametrize("name", SAME)
def test_numbers_are_those_of_the_file(
    served: Served, dashboards: list[dict[str, Any]], name: str
) -> None:
    dashboard, chart = next((d, c) for d in dashboards for c in d["charts"] if c["name"] == name)
    asked = queries.query(chart["params"])
    asked["filters"] += chosen(served, dashboard, chart)
    answer = served.ask(chart["owner"], asked)
    order = [each["column_name"] for each in answer_columns(asked)]
    shown = [tuple(row[column] for column in order) for row in answer["data"]]
    assert rounded(shown) == rounded(served.sql(SAME[name]))


def answer_columns(asked: dict[str, Any]) -> list[dict[str, str]]:
    """The columns of an answer, in the order of the question."""
    columns = [each if isinstance(each, str) else each["label"] for each in asked["columns"]]
    return [{"column_name": each} for each in [*columns, *asked["metrics"]]]


def test_dashboards_are_drawn(
    served: Served, dashboards: list[dict[str, Any]], tmp_path: Path
) -> None:
    """In a browser: every chart asks what the other tests asked, and is drawn; nothing goes outside."""
    pictures = Path(os.environ.get("KEHU_SUPERSET_PICTURES") or tmp_path)
    password = served.stack.state["password"]
    with browser.page_of(served.stack.url, superset_stack.USER, password) as page:
        for dashboard in dashboards:
            address = f"{served.stack.url}/superset/dashboard/{dashboard['slug']}/"
            picture = pictures / f"{dashboard['slug']}.png"
            seen = browser.look(page, address, picture)
            assert seen.failed == []
            assert [url for url in seen.lost if not url.startswith(served.stack.url)] == []
            assert picture.stat().st_size > 20_000
            for chart in dashboard["charts"]:
                status, told = seen.told[chart["id"]]
                assert status == 200, (chart["title"], told)
                ours = queries.queries(chart["params"])
                theirs = seen.asked[chart["id"]][-1]["queries"]
                for our, their, answer in zip(ours, theirs, told["result"], strict=True):
                    our["filters"] += chosen(served, dashboard, chart)
                    assert queries.names(their) == queries.names(our), chart["title"]
                    assert chart["name"] in MAY_BE_EMPTY or is_drawn(our, answer), chart["title"]
                assert chart["title"] in seen.text


def test_the_next_publication_is_read(served: Served, dashboards: list[dict[str, Any]]) -> None:
    """Publishing is a rename of a link: the next query reads the new file, with no restart."""
    chart = next(c for d in dashboards for c in d["charts"] if c["name"] == "value_customers")
    dashboard = next(d for d in dashboards if chart in d["charts"])

    def shown() -> int:
        asked = queries.query(chart["params"])
        asked["filters"] += chosen(served, dashboard, chart)
        return int(served.ask(chart["owner"], asked)["data"][0]["n_customers"])

    before = shown()
    second = served.home / "publications/second"
    second.mkdir()
    shutil.copy(served.file, second / "kehu.duckdb")
    (second / "kehu.duckdb").chmod(0o644)
    with duckdb.connect(str(second / "kehu.duckdb")) as connection:
        connection.execute("update marts.mart_concentration set n_customers = n_customers + 1")
    point_to(served.home, "second")
    try:
        assert shown() == before + 1
    finally:
        point_to(served.home, "first")
    assert shown() == before


def point_to(home: Path, name: str) -> None:
    """Let `published` point to another publication, in one step."""
    (home / "next").symlink_to(f"publications/{name}")
    os.replace(home / "next", home / "published")


def test_nothing_can_be_written_or_read_beside(served: Served) -> None:
    """SQL Lab reads the published file, and only that; it is opened read-only."""
    database = listed(served, "database")[0]["id"]
    place = served.home / "superset/state.json"
    for sql in (
        "create table marts.mine as select 1",
        "delete from marts.mart_concentration",
        f"select * from read_text('{place}')",
        "copy (select 1) to '/tmp/kehu_out.csv'",
    ):
        answer = served.client.post("/sqllab/execute/", json={"database_id": database, "sql": sql})
        assert answer.status_code >= 400, (sql, answer.text)
        assert served.stack.state["secret"] not in answer.text
    sql = "select count(*) from marts.mart_concentration"
    answer = served.client.post("/sqllab/execute/", json={"database_id": database, "sql": sql})
    assert answer.status_code == 200, answer.text


def test_what_is_exported_again_is_the_bundle(served: Served, tmp_path: Path) -> None:
    """Charts and dashboards come back from Superset as they went in, marks and numbers aside."""
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.BUNDLE, folder)
    archive = served.client.get("/assets/export/").content
    assert superset_stack.write_back(archive, folder) == []
    name = "charts/value_abc.yaml"
    ours = bundle.load((folder / name).read_text(encoding="utf-8"))
    chart = next(c for c in listed(served, "chart") if ours["slice_name"] in c["slice_name"])
    served.client.put(f"/chart/{chart['id']}", json={"cache_timeout": 60}).raise_for_status()
    archive = served.client.get("/assets/export/").content
    assert superset_stack.write_back(archive, folder) == [name]
    assert bundle.load((folder / name).read_text(encoding="utf-8")) == ours | {"cache_timeout": 60}


def test_a_second_import_updates_and_doubles_nothing(served: Served, home: Path) -> None:
    """Last, because it starts Superset anew: the same charts, back to what the bundle says."""
    kinds = ("database", "dataset", "chart", "dashboard")
    before = {kind: sorted(each["id"] for each in listed(served, kind)) for kind in kinds}
    chart = listed(served, "chart")[0]
    changed = served.client.put(f"/chart/{chart['id']}", json={"slice_name": "mine"})
    assert changed.status_code == 200, changed.text
    port = served.stack.state["port"]
    said = run(home, "up", "--port", str(port))
    assert served.stack.state["password"] not in said  # it is printed once
    after = superset_stack.Stack(home)
    with after.client() as client:
        again = Served(after, client, home)
        assert {k: sorted(each["id"] for each in listed(again, k)) for k in kinds} == before
        assert "mine" not in {each["slice_name"] for each in listed(again, "chart")}
