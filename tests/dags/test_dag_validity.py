"""Every DAG keeps the promises of the house: owner, retries, tags, times, pool, callback."""

import ast
from datetime import timedelta
from pathlib import Path

import pendulum
import pytest
from airflow.sdk import AssetOrTimeSchedule, CronDataIntervalTimetable

PROJECT = Path(__file__).resolve().parents[2]
FEEDS = {"kehu_transactions", "kehu_surveys", "kehu_complaints", "kehu_masters"}
WRITERS = {"load", "night", "transform_core", "score", "transform_marts", "audit", "publish"}


@pytest.fixture
def bag(parse):
    return parse()


def test_all_dags_are_found_without_errors(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == FEEDS | {"kehu_publish"}


def test_each_dag_says_who_what_and_how_often(bag):
    for dag in bag.dags.values():
        assert dag.owner == "kehu", dag.dag_id
        assert "kehu" in dag.tags and len(dag.tags) >= 2, dag.dag_id
        assert dag.doc_md and len(dag.doc_md) > 200, dag.dag_id
        assert dag.max_active_runs == 1, dag.dag_id
        assert dag.catchup is False, dag.dag_id
        assert dag.params["as_of"] is None, dag.dag_id


def test_each_task_retries_with_back_off_and_reports_its_failure(bag):
    for dag in bag.dags.values():
        for task in dag.tasks:
            assert task.retries == 2, task
            assert task.retry_delay == timedelta(seconds=60), task
            assert task.retry_exponential_backoff, task
            assert task.max_retry_delay == timedelta(minutes=15), task
            assert task.owner == "kehu", task
            callback = task.on_failure_callback
            callbacks = callback if isinstance(callback, (list, tuple)) else [callback]
            assert [each.__name__ for each in callbacks] == ["notify"], task


def test_only_tasks_that_write_duckdb_share_the_one_slot(bag):
    for dag in bag.dags.values():
        for task in dag.tasks:
            expected = "duckdb_writer" if task.task_id in WRITERS else "default_pool"
            assert task.pool == expected, task
            assert task.pool_slots == 1, task


def test_feeds_run_at_half_past_two_and_tell_what_is_loaded(bag):
    for dag_id in FEEDS:
        dag = bag.dags[dag_id]
        group = dag_id.removeprefix("kehu_")
        assert isinstance(dag.timetable, CronDataIntervalTimetable)
        assert dag.timetable.expression == "30 2 * * *"
        assert str(dag.timetable.timezone) == "Asia/Shanghai"
        assert [asset.uri for asset in dag.task_dict["load"].outlets] == [f"kehu://loaded/{group}"]
        assert [task.task_id for task in dag.topological_sort()] == [
            "collect",
            "plan",
            "extract",
            "gate",
            "load",
        ]
        assert dag.task_dict["plan"].trigger_rule == "all_done"  # files come in without a database
        assert dag.task_dict["extract"].is_mapped
        assert dag.task_dict["gate"].trigger_rule == "none_failed"
        assert dag.task_dict["load"].trigger_rule == "all_success"


def test_publish_waits_for_three_assets_but_not_beyond_five(bag):
    dag = bag.dags["kehu_publish"]
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert dag.timetable.timetable.expression == "0 5 * * *"
    assert str(dag.timetable.timetable.timezone) == "Asia/Shanghai"
    assert {asset.uri for asset in dag.timetable.asset_condition.objects} == {
        "kehu://loaded/transactions",
        "kehu://loaded/masters",
        "kehu://loaded/complaints",
    }
    assert [task.task_id for task in dag.topological_sort()] == [
        "feeds",
        "night",
        "transform_core",
        "score",
        "transform_marts",
        "audit",
        "publish",
        "serve",
    ]
    waits = dag.task_dict["feeds"]
    assert (
        not waits.reschedule
    )  # a look may come in while the scheduler still hears of the last one
    assert waits.pool == "default_pool"  # the feeds that it waits for need the right to write


def test_times_follow_the_environment(parse):
    bag = parse(KEHU_TIMEZONE="America/New_York", KEHU_SCHEDULE="0 1 * * *", KEHU_RETRY_DELAY="0")
    dag = bag.dags["kehu_masters"]
    assert (dag.timetable.expression, str(dag.timetable.timezone)) == (
        "0 1 * * *",
        "America/New_York",
    )
    assert dag.task_dict["load"].retry_delay == timedelta(0)
    assert str(bag.dags["kehu_publish"].timetable.timetable.timezone) == "America/New_York"


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_start_and_an_end_date_mean_exactly_these_nights(parse, zone):
    bag = parse(KEHU_TIMEZONE=zone, KEHU_START_DATE="2017-12-29", KEHU_END_DATE="2017-12-31")
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in bag.dags.values():
        assert dag.catchup is True
        loaded = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        runs = loaded.iter_dagrun_infos_between(dag.start_date, dag.end_date)
        nights = [info.data_interval.start.in_timezone(zone).to_date_string() for info in runs]
        assert nights == ["2017-12-29", "2017-12-30", "2017-12-31"], dag.dag_id
        assert dag.start_date == pendulum.datetime(2017, 12, 29, tz=zone)


def test_dag_files_do_nothing_when_imported():
    for file in (PROJECT / "dags").glob("*.py"):
        assert not file.name.startswith("dbt_")
        for node in ast.parse(file.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in {"kehu", "duckdb", "dbt", "great_expectations"}


def test_no_task_is_mapped_over_more_than_sixteen_chunks(bag, airflow_stack):
    import kehu_common

    assert kehu_common.MAX_CHUNKS == 16
    stack = airflow_stack.Stack(Path("var"))
    stack.state = {"port": 1, "api": "", "jwt": "", "first_night": "2017-12-29"}
    assert stack.environment("postgresql://x")["AIRFLOW__CORE__MAX_MAP_LENGTH"] == "16"
