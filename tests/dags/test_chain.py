"""The order of the steps, what is handed over, and what a failure stops: with a made-up night."""

import json
from datetime import date
from types import ModuleType

import pendulum
import pytest
from airflow.utils.state import DagRunState, TaskInstanceState

import kehu
from kehu.errors import CheckFailed, KehuError, SourceFailed, TargetFailed

pytestmark = pytest.mark.usefixtures("database")


class Night:
    """Stands in for kehu.night; remembers each call, fails where it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.failures: dict[str, list[Exception]] = {}
        self.chunks = ["a", "b"]
        self.uncollected = False
        self.published = False
        self.unserved = False
        self.notices: list[dict] = []

    def step(self, name, *arguments):
        self.calls.append((name, *arguments))
        if self.failures.get(name):
            raise self.failures[name].pop(0)
        return {"rows": 1}

    def collect(self, group, run_id):
        return self.step("collect", group)

    def require_collected(self, group, run_id, *, loaded=False):
        if self.uncollected and loaded:
            raise CheckFailed("all else is loaded")
        if self.uncollected:
            raise SourceFailed("no connection to erp")

    def plan(self, group, run_id, max_chunks=16):
        self.step("plan", group, max_chunks)
        self.run_id = run_id
        return self.chunks

    def extract(self, chunk):
        return self.step("extract", chunk)

    def gate(self, group, as_of, run_id):
        return self.step("gate", group, as_of)

    def load(self, group, run_id):
        return self.step("load", group)

    def transform(self, layer, as_of, run_id):
        return self.step("transform", layer, as_of)

    def score(self, as_of, run_id):
        return self.step("score", as_of)

    def audit(self, as_of, run_id):
        return self.step("audit", as_of)

    def publish(self, as_of, run_id):
        return self.step("publish", as_of)

    def serve(self, run_id):
        return self.step("serve")

    def require_served(self, report):
        if self.unserved:
            raise TargetFailed("no connection to bi")

    def is_published(self, as_of):
        return self.published

    def record_noop(self, as_of, run_id):
        return self.step("noop", as_of)

    def notify_failure(self, context):
        self.notices.append(context)


@pytest.fixture
def night(monkeypatch):
    fake = Night()
    module = ModuleType("kehu.night")
    for name in dir(fake):
        if not name.startswith("_"):
            setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(__import__("sys").modules, "kehu.night", module)
    monkeypatch.setattr(kehu, "night", module, raising=False)
    return fake


@pytest.fixture
def run(parse, monkeypatch, tmp_path):
    """A function that runs one DAG and returns its run and the state of each task."""

    def run_dag(dag_id, as_of="2017-12-29", retries=0, to=""):
        bag = parse(
            KEHU_HOME=str(tmp_path),
            KEHU_RETRIES=str(retries),
            KEHU_RETRY_DELAY="0",
            KEHU_PUBLISH_TO=to,
        )
        conf = {"as_of": as_of} if as_of else None
        done = bag.dags[dag_id].test(logical_date=pendulum.now("UTC"), run_conf=conf)
        states: dict[str, set] = {}
        for each in done.get_task_instances():
            states.setdefault(each.task_id, set()).add(each.state)
        return done, {name: next(iter(s)) if len(s) == 1 else s for name, s in states.items()}

    return run_dag


D = date(2017, 12, 29)


def test_a_feed_is_planned_extracted_judged_and_loaded(night, run):
    done, _ = run("kehu_transactions")
    assert done.state == DagRunState.SUCCESS
    assert night.calls[:2] == [("collect", "transactions"), ("plan", "transactions", 16)]
    assert sorted(night.calls[2:4]) == [("extract", "a"), ("extract", "b")]
    assert night.calls[4:] == [("gate", "transactions", D), ("load", "transactions")]
    assert not set(night.run_id) & set(":+/ ")


def test_the_load_tells_which_night_it_loaded(night, run):
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run("kehu_complaints", as_of="2017-12-30")
    with create_session() as session:
        event = session.scalars(select(AssetEvent).order_by(AssetEvent.id.desc())).first()
        assert (event.asset.uri, event.source_dag_id) == (
            "kehu://loaded/complaints",
            "kehu_complaints",
        )
        assert event.extra["as_of"] == "2017-12-30"


def test_without_a_parameter_a_manual_run_takes_the_last_whole_interval(night, run):
    run("kehu_masters", as_of=None)
    now = pendulum.now("Asia/Shanghai")
    begun = now if (now.hour, now.minute) >= (2, 30) else now.subtract(days=1)
    assert ("gate", "masters", begun.subtract(days=1).date()) in night.calls


def test_nothing_delivered_is_a_success(night, run):
    night.chunks = []
    done, states = run("kehu_surveys")
    assert done.state == DagRunState.SUCCESS
    assert states["extract"] == TaskInstanceState.SKIPPED
    assert [call[0] for call in night.calls] == ["collect", "plan", "gate", "load"]


@pytest.mark.parametrize("step", ["plan", "extract", "gate", "load"])
def test_a_failed_step_stops_the_feed_and_is_reported_once(night, run, step):
    night.failures[step] = [KehuError(f"3 rows break rule amounts_agree in {step}")]
    done, states = run("kehu_transactions")
    assert done.state == DagRunState.FAILED
    order = ["plan", "extract", "gate", "load"]
    after = order[order.index(step) + 1 :]
    assert not {call[0] for call in night.calls} & set(after)
    assert all(states[name] == TaskInstanceState.UPSTREAM_FAILED for name in after)
    [notice] = night.notices
    assert notice["dag_id"] == "kehu_transactions"
    assert notice["task_id"] == step
    assert notice["as_of"] == "2017-12-29"
    assert notice["error"] == "KehuError"
    assert notice["message"] == f"3 rows break rule amounts_agree in {step}"
    assert notice["ti"].task_id == step
    assert isinstance(notice["exception"], KehuError)


def test_a_source_that_fails_stops_no_file_but_the_marts_wait_for_it(night, run):
    night.uncollected = True
    done, states = run("kehu_transactions", retries=1)
    assert [call[0] for call in night.calls].count("collect") == 2  # it is tried again
    assert ("load", "transactions") in night.calls
    assert states["gate"] == TaskInstanceState.SUCCESS
    assert states["load"] == TaskInstanceState.FAILED  # so that nothing tells publish to begin
    assert done.state == DagRunState.FAILED
    assert [(n["task_id"], n["message"]) for n in night.notices] == [
        ("collect", "no connection to erp"),
        ("load", "all else is loaded"),
    ]


def test_a_passing_trouble_is_tried_again(night, run):
    night.failures["load"] = [KehuError("locked by another")]
    done, _ = run("kehu_transactions", retries=2)
    assert done.state == DagRunState.SUCCESS
    assert [call[0] for call in night.calls].count("load") == 2
    assert night.notices == []


def test_a_failed_check_is_not_tried_again(night, run):
    night.failures["audit"] = [CheckFailed("rfm_segment has NULLs"), CheckFailed("again")]
    done, states = run("kehu_publish", retries=2)
    assert done.state == DagRunState.FAILED
    assert [call[0] for call in night.calls] == ["transform", "score", "transform", "audit"]
    assert states["publish"] == TaskInstanceState.UPSTREAM_FAILED
    assert [notice["message"] for notice in night.notices] == ["rfm_segment has NULLs"]


def test_a_night_is_built_judged_and_published(night, run):
    done, _ = run("kehu_publish")
    assert done.state == DagRunState.SUCCESS
    assert night.calls == [
        ("transform", "core", D),
        ("score", D),
        ("transform", "marts", D),
        ("audit", D),
        ("publish", D),
    ]


def test_a_published_night_is_recorded_and_left_alone(night, run):
    night.published = True
    done, states = run("kehu_publish")
    assert done.state == DagRunState.SUCCESS
    assert states.pop("feeds") == TaskInstanceState.SUCCESS
    assert set(states.values()) == {TaskInstanceState.SKIPPED}
    assert night.calls == [("noop", D)]
    assert night.notices == []


def test_targets_are_served_after_publishing_and_after_a_night_with_nothing_to_do(night, run):
    done, states = run("kehu_publish", to="bi")
    assert done.state == DagRunState.SUCCESS
    assert night.calls[-2:] == [("publish", D), ("serve",)]
    night.calls.clear()
    night.published = True
    done, states = run("kehu_publish", to="bi")
    assert states["publish"] == TaskInstanceState.SKIPPED
    assert night.calls == [("noop", D), ("serve",)]


def test_a_target_that_fails_is_tried_again_and_fails_the_run_alone(night, run):
    night.unserved = True
    done, states = run("kehu_publish", retries=1, to="bi")
    assert done.state == DagRunState.FAILED
    assert states["publish"] == TaskInstanceState.SUCCESS
    assert [call[0] for call in night.calls].count("serve") == 2
    assert [call[0] for call in night.calls].count("publish") == 1
    assert [notice["task_id"] for notice in night.notices] == ["serve"]


def test_a_night_that_fails_serves_nothing(night, run):
    night.failures["audit"] = [CheckFailed("rfm_segment has NULLs")]
    _, states = run("kehu_publish", to="bi")
    assert states["serve"] == TaskInstanceState.UPSTREAM_FAILED


def test_only_a_person_takes_the_publication_back(night, run, tmp_path):
    manifest = tmp_path / "published" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"as_of_date": "2099-12-31"}))
    run("kehu_publish", as_of=None)
    assert night.calls[-1] == ("publish", date(2099, 12, 31))
    run("kehu_publish", as_of="2017-12-29")
    assert night.calls[-1] == ("publish", D)
