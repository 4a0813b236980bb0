"""The exposures name what the dashboards of Superset, the report and the page really read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "bi" / "superset"


def exposures() -> dict[str, dict[str, Any]]:
    path = ROOT / "models" / "marts" / "report" / "_exposures.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["exposures"]
    return {each["name"]: each for each in found}


def marts(exposure: dict[str, Any]) -> set[str]:
    return {re.fullmatch(r"ref\('(\w+)'\)", each)[1] for each in exposure["depends_on"]}  # type: ignore[index]


def test_each_dashboard_of_superset_has_its_exposure() -> None:
    """By its slug, and with the marts of every chart that stands on it."""
    by_url = {each["url"]: marts(each) for each in exposures().values()}
    tables = {}
    for path in (BUNDLE / "datasets").rglob("*.yaml"):
        dataset = yaml.safe_load(path.read_text(encoding="utf-8"))
        tables[dataset["uuid"]] = dataset["table_name"]
    charts = {}
    for path in (BUNDLE / "charts").glob("*.yaml"):
        chart = yaml.safe_load(path.read_text(encoding="utf-8"))
        charts[chart["uuid"]] = tables[chart["dataset_uuid"]]
    dashboards = sorted((BUNDLE / "dashboards").glob("*.yaml"))
    assert dashboards
    for path in dashboards:
        dashboard = yaml.safe_load(path.read_text(encoding="utf-8"))
        used = {
            charts[part["meta"]["uuid"]]
            for part in dashboard["position"].values()
            if isinstance(part, dict) and part.get("type") == "CHART"
        }
        assert used, path.name
        named = by_url[f"/superset/dashboard/{dashboard['slug']}/"]
        assert used <= named, f"{path.name} also reads {sorted(used - named)}"


def test_report_and_page_name_the_marts_that_their_code_reads() -> None:
    folder = ROOT / "src" / "kehu" / "report"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    read = set(re.findall(r"\bmarts\.(mart_\w+)", text))
    assert read
    known = exposures()
    assert read <= marts(known["crm_page"]) | marts(known["crm_report"])
