"""The dashboards of bi/superset: what the models' YAML says is written into them, and checked.

    scripts/superset_bundle.py            write what follows from the models
    scripts/superset_bundle.py --check    say what is stale or broken; ends with 1

Charts and dashboards are written by hand (or exported from Superset); of a dataset by hand are only
its name, its calculated columns and its metrics. Columns, names, descriptions, metric ids, units and
formats follow from models/**.yml, so they can not drift.

No number may be added up over as_of_date. So no metric is a bare sum: it is either the number of one
row (`one`: NULL where the group holds several) or a sum that is NULL over several as-of dates (`add`).
Only marts that have no such date (of batches) may be summed up plainly.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

PROJECT = Path(__file__).resolve().parents[1]
sys.path.append(str(PROJECT / "scripts"))

from metrics import unit_of  # noqa: E402

BUNDLE = PROJECT / "bi" / "superset"
FOLDERS = ("databases", "datasets", "charts", "dashboards")
NOT_ADDED = ("as_of_date", "checked_on")

ONE = re.compile(
    r"CASE WHEN COUNT\(\*\) = 1(?P<only> AND MIN\(\w+\) = '\w+')? THEN MAX\((?P<column>\w+)\) END"
)
SUM = re.compile(r"SUM\((\w+)\)")
GUARD = r"CASE WHEN MIN\((?P<date>\w+)\) = MAX\((?P=date)\) THEN (?P<inner>.+) END"
ADD = re.compile(GUARD, re.DOTALL)
OF_ONE_ROW = "the number of one row; NULL where the selection holds several"
OF_ONE_DATE = "NULL where the selection holds several {date}s: they are never added up"

FORMATS = {
    "share 0..1": ".1%",
    "share": ".1%",
    "share difference": "+.1%",
    "probability": ".1%",
    "money": ",.0f",
    "currency": ",.0f",
    "count": ",d",
    "customers": ",d",
    "days": ",.0f",
    "minutes": ",.0f",
    "percent": ",.1f",
    "percentage points": "+,.1f",
    "coefficient": ".3f",
    "squared probability": ".4f",
    "ratio": ",.2f",
    "points": "+,.1f",
    "scale points": ",.2f",
    "complaints": ",.2f",
    "per 10 000 receipts": ",.2f",
}

# Which feeds a definition rests on besides sales: what decides whether a chart is marked as simulated.
RESTS_ON = (
    (r"P(8|9|10|11|16)$", ("complaint", "complaint_event", "survey_answer")),
    (r"P\d+$", ("complaint", "complaint_event")),
    (r"T\d+$", ("survey_answer",)),
    (r"Y(2|3|4|9|11)$", ("survey_answer",)),
    (r"Y8$", ("complaint",)),
    (r"C5$", ("survey_answer", "complaint")),
    (r"Q\d+$", ()),
    (r"", ("sales_line",)),
)
MARK = "〔模拟 sim.〕"

# What must stand beside a metric: what it is the difference of, or how many it is a share or mean of.
BESIDE = {
    ("mart_service_recovery", "net_repurchase_effect"): {
        "matched_repurchase_rate",
        "control_repurchase_rate",
        "count_control",
    },
    ("mart_service_recovery", "recovery_rate"): {"count_recovery_matured"},
    ("mart_loyalty_rate", "promoter_share"): {"count_nps_known"},
    ("mart_loyalty_rate", "tolerance_rate"): {"count_incident_customers"},
    ("mart_servqual_item", "gap"): {"n"},
    ("mart_kano", "better"): {"n"},
    ("mart_segment_structure", "nps"): {"nps_n"},
}
SINCE_MONTH_END = "since the last month-end"
YEAR_TO_DATE = "year to the date"
DATES = ("as_of", "night")
SMALL = re.compile(r"is_(\w+_)?small_(n|sample)")


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str) -> Any:
    """What a YAML text holds."""
    return yaml.load(text, Loader=_Loader)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and what occurs twice written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(content: Mapping[str, Any]) -> str:
    """YAML as the bundle is kept: in the order given, Chinese as it is."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


@dataclass(frozen=True)
class Mart:
    """What the models' YAML says of a mart."""

    name: str
    schema: str
    zh: str
    description: str
    columns: dict[str, dict[str, Any]]

    def definitions(self, column: str) -> list[str]:
        """The ids of the definitions of a column."""
        given = _meta(self.columns[column]).get("definition") or []
        return [given] if isinstance(given, str) else [str(each) for each in given]


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    return dict((node.get("config") or {}).get("meta") or {})


def _line(text: object) -> str:
    return " ".join(str(text).split())


@cache
def marts() -> dict[str, Mart]:
    """Every mart and core table of the models' YAML by name."""
    found = {}
    for path in sorted((PROJECT / "models").glob("**/*.yml")):
        for model in (load(path.read_text(encoding="utf-8")) or {}).get("models") or []:
            if re.match(r"(mart|dim|fct)_", model["name"]):
                found[model["name"]] = Mart(
                    name=model["name"],
                    schema="marts" if model["name"].startswith("mart_") else "core",
                    zh=str(_meta(model).get("zh", "")),
                    description=_line(model["description"]),
                    columns={each["name"]: each for each in model["columns"]},
                )
    return found


def read(folder: Path = BUNDLE) -> dict[str, dict[str, Any]]:
    """The bundle's files by their path within it."""
    return {
        path.relative_to(folder).as_posix(): load(path.read_text(encoding="utf-8"))
        for path in [folder / "metadata.yaml", *sorted(folder.glob("*/*.yaml"))]
    }


# ------------------------------------------------------------------------------------- written


def words(name: str) -> str:
    """A column's name in words."""
    return re.sub(r"^(count|is|n)_", "", name).replace("_", " ")


def label(mart: Mart, column: str) -> str:
    """The Chinese term and the English words of a column."""
    return f"{_meta(mart.columns[column]).get('zh', '')} {words(column)}".strip()


def dataset(content: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset with everything that follows from the models; by hand: name, metrics, expressions."""
    mart = marts()[content["table_name"]]
    kept = {
        key: content[key]
        for key in ("table_name", "main_dttm_col", "schema", "uuid", "version", "database_uuid")
        if key in content
    }
    calculated = [each for each in content.get("columns") or [] if each.get("expression")]
    return kept | {
        "description": f"{mart.zh}. {mart.description}",
        "filter_select_enabled": True,
        "columns": [*map(dict, calculated), *(_column(mart, name) for name in mart.columns)],
        "metrics": [_metric(mart, each) for each in content.get("metrics") or []],
    }


def _column(mart: Mart, name: str) -> dict[str, Any]:
    column = mart.columns[name]
    kind = str(column["data_type"]).upper().replace(" ", "")
    ids = mart.definitions(name)
    unit = unit_of(name, column, mart.columns)
    said = [_line(column["description"])]
    if ids:
        said.append(f"{'Metric' if len(ids) == 1 else 'Metrics'} {', '.join(ids)}.")
    if unit and unit not in ("date", "time", "name", "yes/no"):
        said.append(f"Unit: {unit}.")
    return {
        "column_name": name,
        "verbose_name": label(mart, name),
        "description": " ".join(said),
        "type": {"STRING": "VARCHAR", "DOUBLE": "DOUBLE PRECISION"}.get(kind, kind),
        "is_dttm": kind in ("DATE", "TIMESTAMP"),
        "groupby": True,
        "filterable": True,
        "is_active": True,
    }


def _metric(mart: Mart, content: Mapping[str, Any]) -> dict[str, Any]:
    expression = content["expression"]
    name = content["metric_name"]
    extra = dict(content.get("extra") or {})
    column, rule = "", "sums, of a mart that has no dates"
    if found := ONE.fullmatch(expression):
        column, rule = ("" if found["only"] else found["column"]), OF_ONE_ROW
    elif found := ADD.fullmatch(expression):
        inner = SUM.fullmatch(found["inner"])
        column, rule = (inner[1] if inner else ""), OF_ONE_DATE.format(date=found["date"])
    elif found := SUM.fullmatch(expression):
        column = found[1]
    if column in mart.columns:
        ids = mart.definitions(column)
        unit = unit_of(column, mart.columns[column], mart.columns)
        verbose = label(mart, column)
        said = _line(mart.columns[column]["description"])
    else:
        ids = list(extra.get("metric_ids") or [])
        unit = str(extra.get("unit") or "count")
        verbose = content.get("verbose_name") or words(name)
        said = str(extra.get("said") or "")
    extra |= {
        "metric_ids": ids,
        "unit": unit,
        "certification": {"certified_by": "Kehu", "details": f"{', '.join(ids)}: docs/metrics.md"},
    }
    return {
        "metric_name": name,
        "verbose_name": verbose,
        "metric_type": None,
        "expression": expression,
        "description": f"{said} Metric {', '.join(ids)}. Unit: {unit}. As an aggregate: {rule}.".strip(),
        "d3format": content.get("d3format")
        if extra.get("own_format")
        else FORMATS.get(unit, ",.2f"),
        "extra": extra,
    }


def written(bundle: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The bundle with all that follows from the models."""
    return {
        name: dataset(content) if name.startswith("datasets/") else content
        for name, content in bundle.items()
    }


# ------------------------------------------------------------------------------------- checked


def metrics_of(params: Mapping[str, Any]) -> list[Any]:
    """The metrics that a chart's form names: of its dataset by name, or made on the spot."""
    found = []
    for key in (
        "metric",
        "metrics",
        "metrics_b",
        "percent_metrics",
        "secondary_metric",
        "x",
        "y",
        "size",
    ):
        value = params.get(key)
        found += value if isinstance(value, list) else [value] if value else []
    return found


def named(params: Mapping[str, Any]) -> set[str]:
    """The metrics that a chart's form names."""
    return {each for each in metrics_of(params) if isinstance(each, str)}


def columns_of(params: Mapping[str, Any]) -> list[str]:
    """The columns that a chart's form groups by, shows or filters on."""
    return [*grouped_by(params), *(each["subject"] for each in filters_of(params))]


def grouped_by(params: Mapping[str, Any]) -> list[str]:
    """The columns that a chart's form groups by or shows."""
    found: list[str] = []
    keys = ("x_axis", "groupby", "groupby_b", "groupbyRows", "groupbyColumns", "all_columns")
    for key in (*keys, "columns", "source", "target", "series", "entity"):
        value = params.get(key)
        found += value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return found


def filters_of(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The filters of a chart's form, or of a filter of a dashboard, that name a column."""
    given = [*(params.get("adhoc_filters") or []), *(params.get("adhoc_filters_b") or [])]
    return [each for each in given if "subject" in each]


def problems(bundle: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """What is wrong with the bundle, a line each."""
    uuids: dict[str, str] = {}
    for name, content in bundle.items():
        if "uuid" in content and (other := uuids.setdefault(content["uuid"], name)) != name:
            yield f"{name}: has the uuid of {other}"
    by_uuid = {c["uuid"]: c for n, c in bundle.items() if n.startswith("datasets/")}
    for name, content in bundle.items():
        if name.startswith("databases/"):
            if content["sqlalchemy_uri"] != PLACEHOLDER:
                yield f"{name}: names a place of its own; the uri is given at the import"
        elif name.startswith("datasets/"):
            yield from (f"{name}: {each}" for each in _dataset_problems(content))
        elif name.startswith("charts/"):
            owner = by_uuid.get(content["dataset_uuid"])
            if owner is None:
                yield f"{name}: its dataset is not in the bundle"
            else:
                yield from (f"{name}: {each}" for each in _chart_problems(content, owner))
        elif name.startswith("dashboards/"):
            yield from (f"{name}: {each}" for each in _dashboard_problems(content, bundle))
    shown = {
        child["meta"]["uuid"]
        for name, content in bundle.items()
        if name.startswith("dashboards/")
        for child in charts_of(content)
    }
    for name, content in bundle.items():
        if name.startswith("charts/") and content["uuid"] not in shown:
            yield f"{name}: is on no dashboard"
    used = {c["dataset_uuid"] for n, c in bundle.items() if n.startswith("charts/")}
    for name, content in bundle.items():
        if name.startswith("datasets/") and content["uuid"] not in used:
            yield f"{name}: no chart uses it"


PLACEHOLDER = "duckdb:///kehu.duckdb"


def _dataset_problems(content: Mapping[str, Any]) -> Iterator[str]:
    mart = marts().get(content["table_name"])
    if mart is None or mart.schema != content["schema"]:
        yield f"there is no model {content['schema']}.{content['table_name']}"
        return
    for each in content["metrics"]:
        expression = each["expression"]
        one, add = ONE.fullmatch(expression), ADD.fullmatch(expression)
        dates = set(NOT_ADDED) & set(mart.columns)
        if dates and not one and not (add and add["date"] in dates):
            yield f"metric {each['metric_name']} may add up over dates: {expression}"
        if not each["extra"]["metric_ids"]:
            yield f"metric {each['metric_name']} has no definition"
        if each["extra"]["unit"] not in FORMATS and not each["extra"].get("own_format"):
            yield f"metric {each['metric_name']}: FORMATS does not know {each['extra']['unit']}"
    for text in [
        *(each["expression"] for each in content["metrics"]),
        *(each["expression"] for each in content["columns"] if each.get("expression")),
    ]:
        for unknown in sorted(_identifiers(text) - set(mart.columns)):
            yield f"{mart.name} has no column {unknown}"


def _identifiers(sql: str) -> set[str]:
    bare = re.sub(r"'[^']*'", "", sql)
    return set(re.findall(r"\b[a-z_][a-z0-9_]*\b(?!\s*\()", bare))


def _chart_problems(content: Mapping[str, Any], owner: Mapping[str, Any]) -> Iterator[str]:
    metrics = {each["metric_name"]: each for each in owner["metrics"]}
    columns = {each["column_name"] for each in owner["columns"]}
    ids: set[str] = set()
    for metric in metrics_of(content["params"]):
        if not isinstance(metric, str):
            yield f"a metric made on the spot, which nobody has defined: {metric}"
        elif metric not in metrics:
            yield f"{owner['table_name']} has no metric {metric}"
        else:
            ids.update(metrics[metric]["extra"]["metric_ids"])
    for column in columns_of(content["params"]):
        if column not in columns:
            yield f"{owner['table_name']} has no column {column}"
    title = ids_in(content["slice_name"])
    if not title:
        yield "its title names no metric id"
    if unknown := title - ids:
        yield f"its title names {sorted(unknown)}, which none of its metrics is"
    if missing := ids - ids_in(content["description"] or ""):
        yield f"its description does not name {sorted(missing)}"
    if owner["table_name"] in marts():
        yield from _reading_problems(content, marts()[owner["table_name"]])


def _reading_problems(content: Mapping[str, Any], mart: Mart) -> Iterator[str]:
    """What would let a chart be read for more than it shows: totals, unfinished months, few answers."""
    params, said = content["params"], content["description"] or ""
    grouped = {each for each in grouped_by(params) if each in mart.columns}
    asked = {each["subject"] for each in filters_of(params)}
    for column in sorted(grouped - asked):
        if re.search(r"\bALL\b", mart.columns[column]["description"]) and "ALL" not in said:
            yield f"shows the total ALL among the values of {column}; filter it, or say ALL"
    if "is_partial_period" in mart.columns:
        if "as_of_date" not in grouped and SINCE_MONTH_END not in said:
            yield f"its description does not say: {SINCE_MONTH_END}"
        if "as_of_date" in grouped and "is_partial_period" not in asked:
            yield "shows an unfinished month beside whole ones; filter is_partial_period"
    if "rule_kind" in mart.columns and "checked_on" in grouped and "rule_kind" not in asked:
        yield "shows findings of month-ends among nights; filter rule_kind"
    small = {each for each in mart.columns if SMALL.fullmatch(each)}
    if small and "store_code" in grouped and not small & asked:
        yield f"sets small samples of stores beside large ones; filter {' or '.join(sorted(small))}"
    is_year = any(each.get("comparator") == "YEAR" for each in filters_of(params))
    is_of_year = is_year and not str(params.get("metric")).startswith("count_open_")
    is_single = params["viz_type"] == "big_number_total"
    if is_single and is_of_year and params["subtitle"] != YEAR_TO_DATE:
        yield f"its subtitle does not say: {YEAR_TO_DATE}"


def ids_in(text: str) -> set[str]:
    """The metric ids that a text names in brackets or after the word Metrics."""
    found: set[str] = set()
    for part in re.findall(
        r"\(([A-Z]\d+(?:, [A-Z]\d+)*)\)|Metrics? ([A-Z]\d+(?:, [A-Z]\d+)*)", text
    ):
        found.update("".join(part).split(", "))
    return found


def charts_of(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The places of charts on a dashboard."""
    return [
        child
        for child in dashboard["position"].values()
        if isinstance(child, dict) and child.get("type") == "CHART"
    ]


def ids_shown(bundle: Mapping[str, dict[str, Any]]) -> dict[str, set[str]]:
    """The metric ids that the charts of each dashboard show, by the name of its file."""
    metrics = {
        (content["uuid"], each["metric_name"]): each["extra"]["metric_ids"]
        for name, content in bundle.items()
        if name.startswith("datasets/")
        for each in content["metrics"]
    }
    charts = {c["uuid"]: c for n, c in bundle.items() if n.startswith("charts/")}
    return {
        name.removeprefix("dashboards/").removesuffix(".yaml"): {
            each
            for child in charts_of(content)
            for metric in metrics_of(charts[child["meta"]["uuid"]]["params"])
            for each in metrics[charts[child["meta"]["uuid"]]["dataset_uuid"], metric]
        }
        for name, content in bundle.items()
        if name.startswith("dashboards/")
    }


def _dashboard_problems(
    content: Mapping[str, Any], bundle: Mapping[str, dict[str, Any]]
) -> Iterator[str]:
    charts = {c["uuid"]: c for n, c in bundle.items() if n.startswith("charts/")}
    datasets = {c["uuid"]: c for n, c in bundle.items() if n.startswith("datasets/")}
    places = {child["meta"]["chartId"]: child["meta"]["uuid"] for child in charts_of(content)}
    for uuid in places.values():
        if uuid not in charts:
            yield f"shows a chart that is not in the bundle: {uuid}"
    filtered: dict[str, set[int]] = {}
    for each in content["metadata"].get("native_filter_configuration") or []:
        target = each["targets"][0]
        owner = datasets.get(target["datasetUuid"])
        column = target["column"]["name"]
        if owner is None or column not in {c["column_name"] for c in owner["columns"]}:
            yield f"filter {each['name']} has no column {column} to read"
        filtered[column] = set(places) - set(each["scope"]["excluded"])
        is_latest = column in DATES and not each["controlValues"]["sortAscending"]
        if each["controlValues"]["defaultToFirstItem"] and not is_latest:
            yield f"filter {each['name']} begins with whatever comes first; name its default"
        if column == "night" and "rule_kind" not in {f["subject"] for f in filters_of(each)}:
            yield f"filter {each['name']} offers month-ends of findings as nights; filter rule_kind"
    yield from _beside_problems(
        [charts[uuid] for uuid in places.values() if uuid in charts], datasets
    )
    dates = filtered.get("as_of", set()) | filtered.get("night", set())
    for place, uuid in places.items():
        chart = charts.get(uuid)
        if chart is None:
            continue
        owner = datasets[chart["dataset_uuid"]]
        have = {c["column_name"] for c in owner["columns"]}
        for column, scope in filtered.items():
            if place in scope and column not in have:
                yield f"filter on {column} reaches {chart['slice_name']}, which does not have it"
        if place not in dates and not _keeps_dates_apart(chart, have):
            yield f"{chart['slice_name']} shows several as-of dates as one"
        if "store_code" in filtered and place not in filtered["store_code"]:
            is_told = "All stores" in (chart["description"] or "")
            if not is_told and "store_code" not in grouped_by(chart["params"]):
                yield f"{chart['slice_name']} does not say that it shows all stores"


def _beside_problems(
    charts: Iterable[Mapping[str, Any]], datasets: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Metrics without what must stand beside them: in the chart, or for a big number on the page."""
    shown = [
        (chart, datasets[chart["dataset_uuid"]]["table_name"], named(chart["params"]))
        for chart in charts
    ]
    single = {
        (table, metric)
        for chart, table, metrics in shown
        for metric in metrics
        if chart["viz_type"] == "big_number_total"
    }
    for chart, table, metrics in shown:
        for metric in sorted(metrics):
            wanted = BESIDE.get((table, metric), set())
            if chart["viz_type"] == "big_number_total":
                missing = {each for each in wanted if (table, each) not in single}
            else:
                missing = wanted - metrics
            if missing:
                yield f"{chart['slice_name']} shows {metric} without {', '.join(sorted(missing))}"


def _keeps_dates_apart(chart: Mapping[str, Any], columns: Iterable[str]) -> bool:
    """Whether a chart groups by the date, asks for the latest alone, or its mart has no dates."""
    params = chart["params"]
    if not set(columns) & set(NOT_ADDED):
        return True
    grouped = set(grouped_by(params))
    asked = {each["subject"] for each in filters_of(params)}
    return bool(grouped & {*NOT_ADDED, "as_of", "night"}) or bool(asked & {"is_latest"})


# ------------------------------------------------------------------------------------- imported


def rests_on(ids: Iterable[str]) -> set[str]:
    """The feeds behind the numbers of some definitions."""
    found: set[str] = set()
    for each in ids:
        found.update(next(feeds for pattern, feeds in RESTS_ON if re.match(pattern, each)))
    return found


def marked(
    bundle: Mapping[str, dict[str, Any]], simulated: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The bundle with a mark on each chart, and each metric, that rests on one of the feeds."""
    invented = set(simulated)
    metrics = {
        (content["uuid"], each["metric_name"]): rests_on(each["extra"]["metric_ids"]) & invented
        for name, content in bundle.items()
        if name.startswith("datasets/")
        for each in content["metrics"]
    }
    result = dict(bundle)
    titles: dict[str, str] = {}
    for name, content in bundle.items():
        if name.startswith("datasets/"):
            result[name] = content | {
                "metrics": [
                    _warned(each, metrics[content["uuid"], each["metric_name"]])
                    for each in content["metrics"]
                ]
            }
        elif name.startswith("charts/"):
            used = metrics_of(content["params"])
            feeds = set().union(*(metrics[content["dataset_uuid"], each] for each in used))
            if feeds:
                title = f"{MARK} {content['slice_name']}"
                titles[content["uuid"]] = title
                result[name] = content | {
                    "slice_name": title,
                    "description": f"{MARK} Rests on simulated {', '.join(sorted(feeds))}. "
                    f"{content['description']}",
                }
    for name, content in bundle.items():
        if name.startswith("dashboards/"):
            result[name] = content | {
                "position": {
                    key: child
                    | {"meta": child["meta"] | {"sliceName": titles[child["meta"]["uuid"]]}}
                    if isinstance(child, dict)
                    and child.get("type") == "CHART"
                    and child["meta"]["uuid"] in titles
                    else child
                    for key, child in content["position"].items()
                }
            }
    return result


def _warned(metric: Mapping[str, Any], feeds: set[str]) -> Mapping[str, Any]:
    """A metric with a warning beside its name where it rests on simulated feeds."""
    if not feeds:
        return metric
    said = f"{MARK} {', '.join(sorted(feeds))}"
    return {**metric, "extra": {**metric["extra"], "warning_markdown": said}}


def assemble(uri: str, simulated: Iterable[str], folder: Path = BUNDLE) -> dict[str, str]:
    """The files as Superset imports them: `uri` put in, marks set."""
    bundle = marked(read(folder), simulated)
    for name, content in bundle.items():
        if name.startswith("databases/"):
            bundle[name] = content | {"sqlalchemy_uri": uri}
            if not uri.startswith("duckdb:"):
                extra = {k: v for k, v in content["extra"].items() if k != "engine_params"}
                bundle[name] |= {"extra": extra}
    return {name: dump(content) for name, content in bundle.items()}


# ------------------------------------------------------------------------------------- exported

OF_ONE_PLACE = ("datasource", "slice_id", "dashboards", "url_params")
_MARKED = re.compile(re.escape(MARK) + r" (?:Rests on simulated [a-z_, ]+\. )?")


def neutral(before: Mapping[str, Any] | None, exported: Mapping[str, Any]) -> dict[str, Any]:
    """An exported chart or dashboard as the bundle keeps it: without marks, numbers of one Superset."""
    found = {**exported}
    places: dict[int, int] = {}
    if "params" in found:
        found["params"] = {
            k: v
            for k, v in found["params"].items()
            if k not in OF_ONE_PLACE and (k, v) != ("annotation_layers", [])
        }
        found.pop("query_context", None)
    if "position" in found:
        places = _places(before, found)
        metadata = found["metadata"]
        for each in metadata.get("native_filter_configuration") or []:
            excluded = each["scope"]["excluded"]
            each["scope"]["excluded"] = sorted(places[n] for n in excluded if n in places)
            each.pop("chartsInScope", None)
            each.pop("tabsInScope", None)
        if before:  # what the pages note down by themselves when they are opened
            metadata = {k: v for k, v in metadata.items() if k in before["metadata"]}
            found["metadata"] = metadata
        metadata["chart_configuration"] = {}
        metadata["shared_label_colors"] = []
        metadata.get("global_chart_configuration", {})["chartsInScope"] = []
        for child in charts_of(found):
            child["meta"]["chartId"] = places[child["meta"]["chartId"]]
    found = _unmarked(found)
    return (
        {key: _ordered(before[key], found.get(key, before[key])) for key in before}
        if before
        else found
    )


def _places(before: Mapping[str, Any] | None, found: Mapping[str, Any]) -> dict[int, int]:
    """The number that each chart of a dashboard has in the bundle, by its number in Superset."""
    known = {c["meta"]["uuid"]: c["meta"]["chartId"] for c in charts_of(before)} if before else {}
    following = max(known.values(), default=1000) + 1
    places = {}
    for child in charts_of(found):
        uuid = child["meta"]["uuid"]
        if uuid not in known:
            known[uuid] = following
            following += 1
        places[child["meta"]["chartId"]] = known[uuid]
    return places


def _unmarked(value: Any) -> Any:
    if isinstance(value, str):
        return _MARKED.sub("", value)
    if isinstance(value, dict):
        return {key: _unmarked(each) for key, each in value.items()}
    return [_unmarked(each) for each in value] if isinstance(value, list) else value


def _ordered(before: Any, after: Any) -> Any:
    """`after` with its keys in the order of `before`, so that a diff shows what changed."""
    if isinstance(before, list) and isinstance(after, list):
        return [_ordered(b, a) for b, a in zip_longest(before, after[: len(before)])][
            : len(after)
        ] + after[len(before) :]
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    keys = [key for key in before if key in after] + [key for key in after if key not in before]
    return {key: _ordered(before.get(key), after[key]) for key in keys}


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; end with 1")] = False,
) -> None:
    """Write what follows from the models into bi/superset, or check it."""
    bundle = read()
    wanted = written(bundle)
    found = [] if check else list(problems(wanted))
    for name, content in wanted.items():
        path = BUNDLE / name
        if path.read_text(encoding="utf-8") != (text := dump(content)):
            if check:
                found.append(f"{name}: stale; scripts/superset_bundle.py writes it anew")
            else:
                path.write_text(text, encoding="utf-8")
    if check:
        found += problems(wanted)
    print("\n".join(found) or f"bi/superset: {len(bundle)} files, in order")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    typer.run(main)
