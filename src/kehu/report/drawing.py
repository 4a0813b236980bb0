"""The pictures of a publication, of the company and of some stores, drawn side by side."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import duckdb

from kehu.errors import KehuError
from kehu.publish import ANOTHER_NAME
from kehu.report.picture import COMPANY, View, both
from kehu.report.pictures import PICTURES, Picture, draw

Task = tuple[Path, date, str, str]

TITLES = {
    "pyramid": both("Customer pyramid", "客户金字塔"),
    "whale_curve": both("Whale curve", "鲸鱼曲线"),
    "rfm_heat_map": both("Recency, frequency and money", "最近消费、频率与金额"),
    "cohort_triangle": both("Cohort retention", "同期群留存"),
    "survival_curve": both("Survival of customers", "客户生存曲线"),
    "migration_flow": both("Migration between tiers", "层级迁移"),
    "nps_by_store": both("Net promoter score by store", "各门店净推荐值"),
    "complaint_funnel": both("Complaint ladder", "投诉升级漏斗"),
    "complaint_reasons_control": both("Control chart of complaint reasons", "投诉原因控制图"),
    "apostle_map": both("Apostle map", "满意与忠诚图"),
}
NOT_DRAWN = both(
    "This picture could not be drawn; the operator has been told why.",
    "此图未能绘制，原因已通知运维人员。",
)


def draw_stores(
    folder: Path, as_of: date, stores: list[str], workers: int
) -> tuple[dict[str, list[Picture]], dict[str, str]]:
    """Pictures by store, in the order of PICTURES, and why some could not be drawn.

    Of a store only those that know stores; one that fails says so in its place. Call it before the
    process opens the file itself: the workers are copies of it.
    """
    tasks = [(folder, as_of, name, store) for store in (COMPANY, *stores) for name in PICTURES]
    found: dict[str, list[Picture]] = {store: [] for store in (COMPANY, *stores)}
    failed: dict[str, str] = {}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        for task, drawn in zip(tasks, pool.map(_drawn, tasks), strict=True):
            _, _, name, store = task
            if isinstance(drawn, str):
                failed.setdefault(f"picture {name}", drawn)
                drawn = _not_drawn(name, store)
            if drawn is not None:
                found[store].append(drawn)
    return found, failed


def _drawn(task: Task) -> Picture | str | None:
    """The picture; None where it knows no stores; a text that says why it could not be drawn."""
    folder, as_of, name, store = task
    try:
        with duckdb.connect(str(folder / ANOTHER_NAME), read_only=True) as connection:
            if store != COMPANY and not PICTURES[name](View(connection, as_of, store)).has_store:
                return None
            return draw(connection, name, as_of, store)
    except KehuError as error:
        return str(error)
    except Exception as error:  # one picture is no reason to lose the others
        return f"{type(error).__name__}: {error}"


def _not_drawn(name: str, store: str) -> Picture:
    return Picture(
        id=name,
        metric_ids=(),
        title=TITLES.get(name, both(name, name)),
        caption=both("", ""),
        svg={},
        data=[],
        sql="",
        is_simulated=False,
        missing=NOT_DRAWN,
        columns=(),
        store_code=store,
    )
