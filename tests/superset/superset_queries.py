"""What a chart asks, from its form: the queries that Superset's pages make of it, for the kinds used here."""

from __future__ import annotations

from typing import Any

LISTED = ("filters", "columns", "metrics")


def queries(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The queries of a chart's form: one, or two where it shows metrics on an axis of their own."""
    if params["viz_type"] != "mixed_timeseries":
        return [query(params)]
    of_second = {k.removesuffix("_b"): v for k, v in params.items() if k.endswith("_b")}
    return [query(params), query(params | of_second)]


def query(params: dict[str, Any]) -> dict[str, Any]:
    """The (first) query of a chart's form, without the filters of a dashboard."""
    kind = params["viz_type"]
    asked: dict[str, Any] = {
        "filters": filters(params),
        "columns": [],
        "metrics": params.get("metrics") or [params["metric"]],
        "row_limit": params.get("row_limit"),
        "orderby": [],
        "order_desc": True,
        "time_range": "No filter",
    }
    if kind.startswith("echarts_timeseries") or kind == "mixed_timeseries":
        asked["columns"] = [axis(params), *params["groupby"]]
        asked["orderby"] = [[asked["metrics"][0], False]]
    elif kind == "heatmap_v2":
        asked["columns"] = [axis(params), params["groupby"]]
    elif kind in ("table", "treemap_v2"):
        asked["columns"] = params["groupby"]
        by = params.get("timeseries_limit_metric") or asked["metrics"][0]
        asked["orderby"] = [[by, not params.get("order_desc", True)]]
    elif kind == "pivot_table_v2":
        asked["columns"] = [*params["groupbyColumns"], *params["groupbyRows"]]
    elif kind == "sankey_v2":
        asked["columns"] = [params["source"], params["target"]]
    elif kind != "big_number_total":
        raise NotImplementedError(f"no test knows what a {kind} asks")
    return asked


def filters(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The filters of a chart's form, or of a filter of a dashboard, as a query has them."""
    return [
        {"col": each["subject"], "op": each["operator"], "val": each.get("comparator")}
        for each in params.get("adhoc_filters") or []
    ]


def axis(params: dict[str, Any]) -> str | dict[str, Any]:
    """The column of the x axis, cut to a grain of time where the chart says one."""
    if not params.get("time_grain_sqla"):
        return str(params["x_axis"])
    return {
        "columnType": "BASE_AXIS",
        "sqlExpression": params["x_axis"],
        "label": params["x_axis"],
        "expressionType": "SQL",
        "timeGrain": params["time_grain_sqla"],
    }


def names(asked: dict[str, Any]) -> dict[str, Any]:
    """What two queries must share to be the same question: columns, metrics, filters."""
    given = asked["columns"] or asked.get("groupby") or []  # the page of a Sankey says groupby
    columns = [each if isinstance(each, str) else each["label"] for each in given]
    filters = sorted(
        (f["col"], f["op"], str(f.get("val")))
        for f in asked["filters"]
        if f["op"] != "TEMPORAL_RANGE"
    )
    return {"columns": sorted(columns), "metrics": sorted(asked["metrics"]), "filters": filters}
